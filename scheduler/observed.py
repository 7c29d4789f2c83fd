"""What a backend saw of the outside world: processes, and what each Dask scheduler claims about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from registry.ids import ProcessUid, RequestId, Seconds
from scheduler.troubles import Trouble


class Cause(StrEnum):
    """How a process ended, as far as anybody saw."""

    EXITED = "exited"
    KILLED = "killed"
    MEMORY = "memory"
    STOPPED = "stopped"
    EVICTED = "evicted"
    NEVER_STARTED = "never_started"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedProcess:
    """One life of a process as the backend saw it, alive or ended and not yet forgotten.

    `started` and `ended` are times of the node's clock that the tenant cannot write. `address` is set once the
    process is ready, all its doors locked. `trouble` is what keeps it from starting, if anything does; `detail` says
    more about that, or about its end. `cpu_milliseconds` and `peak_memory` (bytes) are measured, and None where
    nobody could measure.
    """

    name: str
    uid: ProcessUid
    request: RequestId
    ordinal: int
    incarnation: int
    address: str | None = None
    started: Seconds | None = None
    ended: Seconds | None = None
    cause: Cause | None = None
    trouble: Trouble | None = None
    detail: str = ""
    cpu_milliseconds: int | None = None
    peak_memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerClaim:
    """What a Dask scheduler says of one worker."""

    name: str
    status: str
    processing: int
    stored_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadClaim:
    """What a Dask scheduler says of itself: a tenant's claim, bounded and never trusted with money.

    `idle_since` is the center's clock, None while it works; `desired_workers` what its tasks could use.
    """

    desired_workers: int
    idle_since: Seconds | None
    clients: int
    tasks: int
    workers: tuple[WorkerClaim, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Everything that was seen at one moment; a head that did not answer is absent from `heads`.

    `remains` are the clusters of which there is anything else than processes, as when a start was cut off, `unbegun`
    the names of processes that stand there and cannot begin until the rest of their gang does.
    """

    processes: tuple[ObservedProcess, ...]
    heads: Mapping[RequestId, HeadClaim]
    remains: frozenset[RequestId] = frozenset()
    unbegun: Mapping[RequestId, frozenset[str]] = field(default_factory=dict)
