"""What a cycle decided, as data: an answer for every request whose answer changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from quotas.reasons import NoCredit, NoShare, ShareFull
from registry.ids import AllocationId, InstitutionId, RequestId, Seconds
from scheduler.clusters import Process
from scheduler.estimates import Estimate
from scheduler.reasons import (
    BookingNotBegun,
    BookingOver,
    ClassShareFull,
    HeldByOperator,
    HeldByUser,
    NodesFull,
    NoRate,
    OthersFirst,
    PersonAtClassLimit,
    SetAside,
    StartFailed,
    WouldDelayReserved,
)
from scheduler.requests import Cause, Preemption, Promise, Request

WaitReason = (
    HeldByUser
    | HeldByOperator
    | StartFailed
    | BookingNotBegun
    | BookingOver
    | PersonAtClassLimit
    | ClassShareFull
    | NoShare
    | ShareFull
    | NoRate
    | NoCredit
    | SetAside
    | NodesFull
    | WouldDelayReserved
    | OthersFirst
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A pending request starts: on these slots, charged to this allocation, until this deadline.

    `guaranteed_until` is how long nobody but urgent work may stop it.
    """

    request: Request
    allocation: AllocationId
    deadline: Seconds
    guaranteed_until: Seconds
    processes: tuple[Process, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A running cluster gets these workers: guaranteed ones it is owed, and elastic ones.

    `spared_milliseconds` is what it has been spared of its walltime until now.
    """

    request: Request
    processes: tuple[Process, ...]
    spared_milliseconds: int


class Claim(IntEnum):
    """By what capacity is held or asked for, the strongest first: a weaker one takes nothing of a stronger one."""

    URGENT = 0
    GUARANTEED = 1
    ELASTIC = 2
    BORROWED_GUARANTEED = 3
    BORROWED_ELASTIC = 4

    @property
    def code(self) -> str:
        """Return how events call it."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrink:
    """A running cluster gives these workers back, given as they stand, by `stop_by`.

    They go to institutions `by` a stronger claim: its own for a start of its own, others as owners.
    `spared_milliseconds` is as that of a `Growth`.
    """

    request: Request
    processes: tuple[Process, ...]
    stop_by: Seconds
    by: tuple[InstitutionId, ...]
    claim: Claim
    spared_milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A running cluster has to end, to make way for a stronger claim: it is told what it will know about it."""

    request: Request
    preemption: Preemption


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """A running cluster loses these workers, given as they stand, whose nodes are to be emptied by `stop_by`."""

    request: Request
    processes: tuple[Process, ...]
    stop_by: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseChange:
    """A waiting request is promised a start, another one than before or the same on other nodes, or none any more.

    `cause` is whose stronger claim broke what it was promised, if one did.
    """

    request: Request
    promise: Promise | None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Pending requests that are stopped by the same things."""

    codes: tuple[str, ...]
    requests: tuple[RequestId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything one cycle decided; what is not named keeps the answer it has."""

    placements: tuple[Placement, ...] = ()
    growths: tuple[Growth, ...] = ()
    shrinks: tuple[Shrink, ...] = ()
    stops: tuple[Stop, ...] = ()
    displaced: tuple[Request, ...] = ()
    """Whose clusters end, to make way for maintenance."""
    retirements: tuple[Retirement, ...] = ()
    promises: tuple[PromiseChange, ...] = ()
    waits: tuple[Wait, ...] = ()
    overtaking: Mapping[RequestId, int] = field(default_factory=dict)
    """For how many seconds those that begin to wait may be overtaken."""
    estimates: Mapping[RequestId, Estimate] = field(default_factory=dict)
    """When those of `waits` start that nodes alone let wait for the first time."""

    def __bool__(self) -> bool:
        """Tell whether there is anything to apply."""
        changes = self.placements or self.growths or self.shrinks or self.stops or self.displaced or self.retirements
        return bool(changes or self.promises or self.waits)

    def answers(self) -> tuple[Placement | Growth, ...]:
        """Return everything that takes room."""
        return (*self.placements, *self.growths)
