"""The running Dask cluster of a request: its processes as they are wanted and as they were recorded."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from registry.ids import MicroCredits, NodeId, ProcessUid, RequestId, Seconds
from registry.resources import Resources
from scheduler.requests import Request
from scheduler.troubles import Trouble

HEAD_ORDINAL: Final = 0
NOTHING_CHARGED: Final = MicroCredits(0)
LAST_ORDINAL: Final = 9999
"""The last worker that a name has room for: a cluster that was scaled up and down so often grows no more."""


class Part(StrEnum):
    """What a process is to its cluster, and how firmly it is promised."""

    HEAD = "head"
    GUARANTEED = "guaranteed"
    ELASTIC = "elastic"


class Phase(StrEnum):
    """Where a placed request stands, read from its processes and never stored."""

    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One slot of a cluster: a place on a node and the process that fills it, one incarnation after another.

    `hold` is the credit still set aside for the slot, `charged` what all its processes have been charged since its
    request was placed. `charged_until` is the moment up to which this incarnation has been charged;
    `cpu_milliseconds` and `peak_memory` (bytes) are what was measured of it by then, None where nobody could.
    `lease_until` is when the hold of an elastic slot runs out, `not_before` when a process that died is replaced.
    `trouble` is what has kept it from starting since `troubled_since`. A slot that is no longer `wanted` drains until
    `stop_by` and is released once its process is seen gone; `released` slots hold nothing.
    """

    request: RequestId
    ordinal: int
    part: Part
    node: NodeId
    shape: Resources
    hold: MicroCredits
    charged: MicroCredits = NOTHING_CHARGED
    version: int = 1
    incarnation: int = 1
    wanted: bool = True
    uid: ProcessUid | None = None
    address: str | None = None
    started: Seconds | None = None
    charged_until: Seconds | None = None
    lease_until: Seconds | None = None
    not_before: Seconds | None = None
    cpu_milliseconds: int | None = None
    peak_memory: int | None = None
    trouble: Trouble | None = None
    troubled_since: Seconds | None = None
    stop_by: Seconds | None = None
    released: Seconds | None = None

    @property
    def name(self) -> str:
        """Return the name in the outside world: from the request's id, the ordinal and the incarnation alone."""
        return process_name(self.request, self.ordinal, self.incarnation)

    @property
    def ready(self) -> bool:
        """Tell whether the process was seen to answer at an address."""
        return self.address is not None


def process_name(request: RequestId, ordinal: int, incarnation: int) -> str:
    """Return the outside name of one incarnation of a slot, at most 40 characters for 9999 of each."""
    return f"h-{request}-{ordinal}-{incarnation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A placed request with the slots that are not yet released."""

    request: Request
    processes: tuple[Process, ...]

    @property
    def head(self) -> Process | None:
        """Return the slot of the Dask scheduler, unless it is released."""
        return next((one for one in self.processes if one.ordinal == HEAD_ORDINAL), None)

    @property
    def workers(self) -> tuple[Process, ...]:
        """Return the slots of the workers."""
        return tuple(one for one in self.processes if one.ordinal != HEAD_ORDINAL)

    @property
    def awaited(self) -> tuple[Process, ...]:
        """Return the slots of the gang that have not been ready even once: without them it was never whole."""
        first, gang = self.request.first_incarnation, range(self.request.workers_min + 1)
        return tuple(
            one for one in self.processes if one.ordinal in gang and one.incarnation == first and not one.ready
        )

    @property
    def phase(self) -> Phase:
        """Return where the cluster stands: running once the head and every guaranteed worker answer."""
        if self.request.ending is not None:
            return Phase.ENDING
        gang = [one for one in self.processes if one.part is not Part.ELASTIC]
        return Phase.RUNNING if all(one.ready for one in gang) else Phase.STARTING
