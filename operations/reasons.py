"""The closed union of everything the center can refuse with or let wait for."""

from dataclasses import dataclass
from typing import ClassVar

from quotas.reasons import (
    BeyondLimit,
    LendingBeyondNominal,
    NoCredit,
    NominalsExceedParent,
    NoShare,
    ParentWithoutShare,
    ShareFull,
)
from registry.reasons import HasEnded, NotThere, PeriodEndsBeforeItBegins, Taken
from scheduler.reasons import (
    ClassShareFull,
    GangNeverFits,
    HeldByOperator,
    HeldByUser,
    NodesFull,
    NoRate,
    PersonAtClassLimit,
    ProcessNeverFits,
    TooManyWorkers,
    UnknownEnvironment,
    WalltimeTooLong,
    WouldDelayReserved,
)
from scheduler.requests import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Unauthenticated:
    """No good token came with the call."""

    code: ClassVar[str] = "unauthenticated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbidden:
    """The caller may see it but not do this; `needs` is the role that may."""

    code: ClassVar[str] = "forbidden"
    needs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """There is no such thing, or none that the caller may see: the same answer."""

    code: ClassVar[str] = "unknown"
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """A field of the call has a value that cannot be."""

    code: ClassVar[str] = "invalid"
    field: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsedOtherwise:
    """The idempotency key came before with another body."""

    code: ClassVar[str] = "key-used-otherwise"
    field: ClassVar[str] = "Idempotency-Key"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedMeanwhile:
    """Somebody else has changed it since the caller read it."""

    code: ClassVar[str] = "changed-meanwhile"
    field: ClassVar[str] = "If-Match"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionMissing:
    """What is edited must be read first: the call does not say which version it changes."""

    code: ClassVar[str] = "version-missing"
    field: ClassVar[str] = "If-Match"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPending:
    """Only a request that waits can be held or released."""

    code: ClassVar[str] = "not-pending"
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRunning:
    """Only a cluster that runs has what was asked for."""

    code: ClassVar[str] = "not-running"
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideWorkerRange:
    """The request asked for another range of workers."""

    code: ClassVar[str] = "outside-worker-range"
    field: ClassVar[str] = "workers"
    asked: int
    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLarge:
    """The body of the call is larger or deeper than any real one."""

    code: ClassVar[str] = "too-large"
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """The center cannot answer right now; nothing was changed."""

    code: ClassVar[str] = "unavailable"


Reason = (
    BeyondLimit
    | ChangedMeanwhile
    | ClassShareFull
    | Forbidden
    | GangNeverFits
    | HasEnded
    | HeldByOperator
    | HeldByUser
    | Invalid
    | KeyUsedOtherwise
    | LendingBeyondNominal
    | NoCredit
    | NoRate
    | NoShare
    | NodesFull
    | NominalsExceedParent
    | NotPending
    | NotRunning
    | NotThere
    | OutsideWorkerRange
    | ParentWithoutShare
    | PeriodEndsBeforeItBegins
    | PersonAtClassLimit
    | ProcessNeverFits
    | ShareFull
    | Taken
    | TooLarge
    | TooManyWorkers
    | Unauthenticated
    | Unavailable
    | Unknown
    | UnknownEnvironment
    | VersionMissing
    | WalltimeTooLong
    | WouldDelayReserved
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An answer that is a no, with every reason for it."""

    reasons: tuple[Reason, ...]
