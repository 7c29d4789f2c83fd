"""What a cycle decided, as data: an answer for every request whose answer changed."""

from dataclasses import dataclass

from quotas.reasons import NoCredit, NoShare, ShareFull
from registry.ids import AllocationId, RequestId, Seconds
from scheduler.clusters import Process
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
from scheduler.requests import Promise, Request

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
    """A pending request starts: on these slots, charged to this allocation, until this deadline."""

    request: Request
    allocation: AllocationId
    deadline: Seconds
    processes: tuple[Process, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A running cluster gets these workers: guaranteed ones it is owed, and elastic ones."""

    request: Request
    processes: tuple[Process, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """A running cluster loses these workers, given as they stand, whose nodes are to be emptied by `stop_by`."""

    request: Request
    processes: tuple[Process, ...]
    stop_by: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseChange:
    """A waiting request is promised a start, another one than before, or none any more."""

    request: Request
    promise: Promise | None


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
    retirements: tuple[Retirement, ...] = ()
    promises: tuple[PromiseChange, ...] = ()
    waits: tuple[Wait, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there is anything to apply."""
        return bool(self.placements or self.growths or self.retirements or self.promises or self.waits)

    def answers(self) -> tuple[Placement | Growth, ...]:
        """Return everything that takes room."""
        return (*self.placements, *self.growths)
