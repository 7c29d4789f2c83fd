"""A machine with a local backend on it, as tests of real processes use it."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from distributed import Client
from distributed.security import Security
from haidang.inside import runs

from backends.authority import ClusterAuthority
from backends.local.backend import LocalBackend
from operations.ports.backend import Credentials
from registry.ids import EnvironmentId, InstitutionId, NodeId, ProjectId, RequestId, Seconds
from registry.resources import GIB, MILLI, Resources
from scheduler.clusters import process_name
from scheduler.observed import ObservedProcess
from scheduler.steps import DeleteProcesses, DrainWorkers, NewProcess, StartProcesses

HERE = EnvironmentId("here")
T = TypeVar("T")


def until(look: Callable[[], T | None], seconds: float = 20.0) -> T:
    """Return the first thing that a look returns which is not empty."""
    patience = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < patience, f"not within {seconds} s"
        time.sleep(0.01)
    return found


@dataclass
class Machine:
    """A backend in folders of its own, which other uids reach as the installation guide asks for."""

    folder: Path
    separate_uids: bool = False
    cgroup: Path | None = None
    clusters: list[TestCluster] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.backend = self.another_backend()

    def another_backend(self) -> LocalBackend:
        return LocalBackend(
            data=self.folder / "data",
            scratch=self.folder / "scratch",
            environments={HERE: Path(sys.prefix)},
            separate_uids=self.separate_uids,
            cgroup=self.cgroup,
        )

    @property
    def place(self) -> Path:
        return self.folder / "data" / "warm" / HERE

    def cluster(self, workers: int = 2, *, memory: int = GIB, project: str = "hust.vision") -> TestCluster:
        cluster = TestCluster(machine=self, memory=memory, project=ProjectId(project))
        self.clusters.append(cluster)
        cluster.start(range(workers + 1))
        return cluster

    def warm_pid(self) -> int:
        """The one that listens in the folder."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            with runs.socket_path(self.place, runs.SOCKET) as path:
                connection.connect(path)
            return int.from_bytes(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)

    def close(self) -> None:
        for cluster in self.clusters:
            cluster.delete()
        for cluster in self.clusters:
            cluster.gone()
        self.backend.leave()


@dataclass
class TestCluster:
    """One cluster's processes, by ordinal."""

    __test__ = False

    machine: Machine
    memory: int
    project: ProjectId
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
        step = StartProcesses(
            request=self.request,
            institution=InstitutionId("hust"),
            project=self.project,
            environment=HERE,
            head_name=self.name(0),
            processes=processes,
            last_second=self.last_second,
        )
        self.machine.backend.carry_out(step, self.credentials)

    def seen(self) -> dict[int, ObservedProcess]:
        processes = self.machine.backend.observe().processes
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
        self.machine.backend.carry_out(DeleteProcesses(request=self.request, names=names), None)

    def drain(self, *ordinals: int, seconds: int = 20) -> None:
        step = DrainWorkers(
            request=self.request,
            head_name=self.name(0),
            names=tuple(self.name(ordinal) for ordinal in ordinals),
            deadline_seconds=seconds,
        )
        self.machine.backend.carry_out(step, self.credentials)

    def run(self, ordinal: int) -> runs.Run:
        found = runs.read_run(self.machine.place, self.name(ordinal))
        assert found is not None
        return found

    def pid(self, ordinal: int) -> int:
        return until(lambda: self.run(ordinal).pulse).process.pid

    def keeper_pid(self, ordinal: int) -> int:
        return until(lambda: self.run(ordinal).pulse).keeper.pid

    def prints(self) -> str:
        logs = self.machine.place.glob(f"run/h-{self.request}-*/log")
        return "\n".join(f"{log}:\n{log.read_text()}" for log in logs)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of the owner's."""
        with Client(
            self.ready()[0].address, security=security(self.credentials), timeout=20, set_as_default=False
        ) as client:
            yield client


def security(credentials: Credentials) -> Security:
    leaf = credentials.leaves["owner"]
    return Security(
        tls_ca_file=credentials.authority,
        tls_client_cert=leaf.certificate,
        tls_client_key=leaf.key,
        require_encryption=True,
    )


@contextmanager
def a_machine(*, separate_uids: bool = False, cgroup: Path | None = None) -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="haidang-test-"))
    folder.chmod(0o755)
    machine = Machine(folder=folder, separate_uids=separate_uids, cgroup=cgroup)
    try:
        yield machine
    finally:
        try:
            machine.close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # keepers are still removing theirs


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
