"""A cluster as a test orders it from any backend: steps go in, what was seen comes out."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from backends.authority import ClusterAuthority
from operations.ports.backend import ClusterBackend
from registry.ids import EnvironmentId, InstitutionId, NodeId, ProjectId, RequestId, Seconds
from registry.resources import GIB, MILLI, Resources
from scheduler.clusters import process_name
from scheduler.observed import ObservedProcess
from scheduler.steps import DeleteProcesses, DrainWorkers, NewProcess, StartProcesses

HERE = EnvironmentId("here")
VISION = ProjectId("hust.vision")
T = TypeVar("T")


def until(look: Callable[[], T | None], seconds: float = 60.0) -> T:
    """Return the first thing that a look returns which is not empty."""
    patience = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < patience, f"not within {seconds} s"
        time.sleep(0.01)
    return found


@dataclass(kw_only=True)
class OrderedCluster:
    """One cluster's processes, by ordinal."""

    backend: ClusterBackend
    memory: int = GIB
    project: ProjectId = VISION
    request: RequestId = field(
        default_factory=lambda: RequestId(base64.b32encode(os.urandom(16)).decode().lower().rstrip("="))
    )

    def __post_init__(self) -> None:
        now = int(time.time())
        self.last_second = Seconds(now + 3600)
        self.credentials = ClusterAuthority().issue(self.request, now=Seconds(now), until=self.last_second)

    def name(self, ordinal: int, incarnation: int = 1) -> str:
        return process_name(self.request, ordinal, incarnation)

    def start(self, ordinals: Iterable[int], incarnation: int = 1) -> None:
        self.backend.carry_out(self.step(ordinals, incarnation), self.credentials)

    def step(self, ordinals: Iterable[int], incarnation: int = 1) -> StartProcesses:
        processes = tuple(
            NewProcess(
                name=self.name(ordinal, incarnation),
                ordinal=ordinal,
                incarnation=incarnation,
                node=NodeId("n1"),
                shape=Resources(millicores=MILLI, memory=self.memory if ordinal else GIB),
            )
            for ordinal in ordinals
        )
        return StartProcesses(
            request=self.request,
            institution=InstitutionId("hust"),
            project=self.project,
            environment=HERE,
            head_name=self.name(0),
            processes=processes,
            last_second=self.last_second,
        )

    def seen(self) -> dict[int, ObservedProcess]:
        processes = self.backend.observe().processes
        return {process.ordinal: process for process in processes if process.request == self.request}

    def ready(self) -> dict[int, ObservedProcess]:
        """Wait until every process has shown its address."""

        def look() -> dict[int, ObservedProcess] | None:
            seen = self.seen()
            assert not [process for process in seen.values() if process.ended], self.prints()
            return seen if all(process.address for process in seen.values()) else None

        return until(look)

    def ended(self, ordinal: int) -> ObservedProcess:
        def look() -> ObservedProcess | None:
            process = self.seen()[ordinal]
            return process if process.ended is not None else None

        return until(look)

    def gone(self) -> dict[int, ObservedProcess]:
        return {ordinal: self.ended(ordinal) for ordinal in self.seen()}

    def delete(self) -> None:
        names = tuple(process.name for process in self.seen().values())
        self.backend.carry_out(DeleteProcesses(request=self.request, names=names), None)

    def drain(self, *ordinals: int, seconds: int = 20) -> None:
        step = DrainWorkers(
            request=self.request,
            head_name=self.name(0),
            deadlines={self.name(ordinal): seconds for ordinal in ordinals},
        )
        self.backend.carry_out(step, self.credentials)

    def forget(self) -> None:
        """Have everything that ended forgotten."""
        for process in self.seen().values():
            if process.ended is not None:
                self.backend.forget(process.name, process.uid)

    def prints(self) -> str:
        return ""
