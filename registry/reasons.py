"""Why the register of what exists says no: one type per reason, its details as fields."""

from dataclasses import dataclass
from typing import ClassVar

from registry.ids import NodeId, PoolId, Seconds
from registry.people import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Something by that id exists already."""

    code: ClassVar[str] = "taken"
    field: ClassVar[str] = "id"
    what: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotThere:
    """What a field of the body names does not exist, or not for the caller."""

    code: ClassVar[str] = "not-there"
    field: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HasEnded:
    """What is named has ended and takes nothing new."""

    code: ClassVar[str] = "has-ended"
    field: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodEndsBeforeItBegins:
    """A period's end is not after its beginning."""

    code: ClassVar[str] = "period-ends-before-it-begins"
    field: ClassVar[str] = "ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class TooEarly:
    """A moment lies before the earliest that it may be."""

    code: ClassVar[str] = "too-early"
    field: str
    earliest: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleReachMismatch:
    """The role does not go with what it is to reach: the center, a whole institution, or one of its projects."""

    code: ClassVar[str] = "role-reach-mismatch"
    field: ClassVar[str] = "reach"
    role: Role
    reach: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAccess:
    """Nobody takes the center from themselves: another of its administrators has to."""

    code: ClassVar[str] = "own-access"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeBusy:
    """Something runs on the node: it moves to another pool when it is empty."""

    code: ClassVar[str] = "node-busy"
    field: ClassVar[str] = "pool"
    node: NodeId
    pool: PoolId


@dataclass(frozen=True, slots=True, kw_only=True)
class TooManyTokens:
    """A person has as many good tokens as one may have."""

    code: ClassVar[str] = "too-many-tokens"
    most: int
