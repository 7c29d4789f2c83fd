"""The closed union of everything the center can refuse with or let wait for."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from quotas.reasons import (
    BeyondLimit,
    ChildrenPromisedMore,
    FollowsNodes,
    LendingBeyondNominal,
    NoCredit,
    NominalsExceedParent,
    NoShare,
    ParentWithoutShare,
    PoolWithoutRule,
    RuleTooDear,
    ShareFull,
)
from registry.reasons import (
    HasEnded,
    NodeBusy,
    NotThere,
    OwnAccess,
    PeriodEndsBeforeItBegins,
    RoleReachMismatch,
    Taken,
    TooEarly,
    TooManyTokens,
)
from scheduler.reasons import (
    BeyondClassShare,
    BookedAhead,
    BookedWorkRuns,
    BookingNodeUnknown,
    BookingNotBegun,
    BookingNotOfProject,
    BookingOfOtherPool,
    BookingOver,
    BookingOverlaps,
    BookingTooLong,
    BookingTooShort,
    BookingTooSmall,
    BookingWithoutProject,
    ClassShareFull,
    ExtensionTooLong,
    GangNeverFits,
    HeldByOperator,
    HeldByUser,
    InstitutionWaitsEnough,
    MaintenanceOfProject,
    MakesWay,
    MinimumAboveMaximum,
    NodesFull,
    NodesNamedOrCounted,
    NoRate,
    OnlyMaintenanceDisplaces,
    OthersFirst,
    PersonAtClassLimit,
    ProcessNeverFits,
    SetAside,
    StartFailed,
    TooFewNodesFree,
    TooManyWaiting,
    TooManyWorkers,
    UnknownEnvironment,
    WalltimeTooLong,
    WouldDelayPromised,
    WouldDelayReserved,
)
from scheduler.requests import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Unauthenticated:
    """No good token came with the call."""

    code: ClassVar[str] = "unauthenticated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbidden:
    """The caller may see it but not do this; `needs` is who may, `field` what in the body asks for it, if one does."""

    code: ClassVar[str] = "forbidden"
    needs: str
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """There is no such thing, or none that the caller may see: the same answer."""

    code: ClassVar[str] = "unknown"
    what: str


class Flaw(StrEnum):
    """What can be wrong with a field by itself. Those that end in what is allowed are told with that bound."""

    MISSING = "missing"
    UNEXPECTED = "unexpected"
    TWICE = "twice"
    NOT_JSON = "not-json"
    NOT_TEXT = "not-text"
    NOT_INTEGER = "not-integer"
    NOT_BOOLEAN = "not-boolean"
    NOT_OBJECT = "not-object"
    NOT_LIST = "not-list"
    NOT_OF_SHAPE = "not-of-shape"
    NOT_ONE_OF = "not-one-of"
    NOT_AT_LEAST = "not-at-least"
    NOT_AT_MOST = "not-at-most"
    SHORTER_THAN = "shorter-than"
    LONGER_THAN = "longer-than"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """A field of the call has a value that cannot be; `bound` is the limit or the choice it misses, if it has one."""

    code: ClassVar[str] = "invalid"
    field: str
    problem: Flaw
    bound: int | str | None = None


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
class NotKeptApart:
    """The center runs all processes under one uid, so it takes no second institution."""

    code: ClassVar[str] = "not-kept-apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesFollow:
    """The nodes are those of the cluster that the center runs on, and are administered there."""

    code: ClassVar[str] = "nodes-follow"


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLarge:
    """The body of the call is larger or deeper than any real one."""

    code: ClassVar[str] = "too-large"
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadersTooLarge:
    """The headers of the call are larger than any real ones."""

    code: ClassVar[str] = "headers-too-large"
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodNotAllowed:
    """The address exists, but not for this method."""

    code: ClassVar[str] = "method-not-allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongMediaType:
    """The body does not say that it is JSON."""

    code: ClassVar[str] = "wrong-media-type"
    field: ClassVar[str] = "Content-Type"


@dataclass(frozen=True, slots=True, kw_only=True)
class TooManyStreams:
    """The person follows as many requests at once as one person may."""

    code: ClassVar[str] = "too-many-streams"
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTooSoon:
    """The person has just had an estimate, which costs the center what a decision does."""

    code: ClassVar[str] = "asked-too-soon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """The center cannot answer right now; the same call may be made again."""

    code: ClassVar[str] = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The center has made a mistake, which its log tells."""

    code: ClassVar[str] = "broken"


Reason = (
    BeyondLimit
    | BookedAhead
    | BookedWorkRuns
    | BookingNodeUnknown
    | BookingNotOfProject
    | BookingOfOtherPool
    | BookingNotBegun
    | BookingOver
    | BookingOverlaps
    | BookingTooLong
    | BookingTooShort
    | BookingTooSmall
    | BookingWithoutProject
    | Broken
    | ChangedMeanwhile
    | ChildrenPromisedMore
    | ClassShareFull
    | ExtensionTooLong
    | FollowsNodes
    | Forbidden
    | GangNeverFits
    | BeyondClassShare
    | SetAside
    | StartFailed
    | HasEnded
    | HeadersTooLarge
    | HeldByOperator
    | HeldByUser
    | InstitutionWaitsEnough
    | Invalid
    | KeyUsedOtherwise
    | LendingBeyondNominal
    | MaintenanceOfProject
    | MakesWay
    | MethodNotAllowed
    | MinimumAboveMaximum
    | NoCredit
    | NoRate
    | NoShare
    | NodeBusy
    | NodesFull
    | NominalsExceedParent
    | NodesFollow
    | NodesNamedOrCounted
    | NotKeptApart
    | NotPending
    | NotRunning
    | NotThere
    | OnlyMaintenanceDisplaces
    | OutsideWorkerRange
    | OwnAccess
    | ParentWithoutShare
    | PeriodEndsBeforeItBegins
    | PersonAtClassLimit
    | PoolWithoutRule
    | ProcessNeverFits
    | RoleReachMismatch
    | RuleTooDear
    | ShareFull
    | Taken
    | TooEarly
    | TooFewNodesFree
    | TooManyTokens
    | TooLarge
    | TooManyStreams
    | AskedTooSoon
    | TooManyWaiting
    | TooManyWorkers
    | Unauthenticated
    | Unavailable
    | Unknown
    | UnknownEnvironment
    | VersionMissing
    | WalltimeTooLong
    | WouldDelayPromised
    | WouldDelayReserved
    | OthersFirst
    | WrongMediaType
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An answer that is a no, with every reason for it."""

    reasons: tuple[Reason, ...]
