"""Why the engine lets a request wait, or says that it could never run: one type per reason, numbers as fields."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from registry.ids import BookingId, EnvironmentId, InstitutionId, NodeId, PoolId, ProjectId, Seconds
from registry.resources import ResourceName
from scheduler.requests import RequestClass
from scheduler.troubles import Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldByUser:
    """Its owner asked it to wait."""

    code: ClassVar[str] = "held-by-user"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldByOperator:
    """The center asked it to wait."""

    code: ClassVar[str] = "held-by-operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFailed:
    """It was started, but the outside world did not let it; it is not tried again before `until`."""

    code: ClassVar[str] = "start-failed"
    trouble: Trouble
    until: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAtClassLimit:
    """The person already runs as many requests of the class as one person may."""

    code: ClassVar[str] = "person-at-class-limit"
    request_class: RequestClass
    running: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TooManyWaiting:
    """As many of the person's requests of the class wait as one person may have waiting."""

    code: ClassVar[str] = "too-many-waiting"
    request_class: RequestClass
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstitutionWaitsEnough:
    """As many requests of the class wait as one institution may have waiting, whoever of it asked for them."""

    code: ClassVar[str] = "institution-waits-enough"
    institution: InstitutionId
    request_class: RequestClass
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassShareFull:
    """The class already holds its share of the pool."""

    code: ClassVar[str] = "class-share-full"
    request_class: RequestClass
    pool: PoolId
    resource: ResourceName
    needed: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesFull:
    """No set of nodes has room for the whole gang now; `expected` is the earliest declared moment that has."""

    code: ClassVar[str] = "nodes-full"
    pool: PoolId
    processes: int
    placeable: int
    expected: Seconds | None = None


class Kept(StrEnum):
    """What else than nodes and quota is kept for a protected start."""

    TURN = "kept-turn"
    CLASS_SHARE = "kept-class-share"
    CREDIT = "kept-credit"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """There is enough of something, but what is left is kept for an earlier request that starts soon."""

    code: ClassVar[str] = "set-aside"
    what: Kept
    reserved_from: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldDelayReserved:
    """The gang fits now, but would still run when an earlier request's protected start, or a booking, needs nodes."""

    code: ClassVar[str] = "would-delay-reserved"
    pool: PoolId
    reserved_from: Seconds
    would_end: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class OthersFirst:
    """It would fit now, but by the policy nobody starts before an earlier request that does not."""

    code: ClassVar[str] = "others-first"
    pool: PoolId


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessNeverFits:
    """A process is larger than every node of the pool."""

    code: ClassVar[str] = "process-never-fits"
    field: str
    pool: PoolId
    resource: ResourceName
    needed: int
    largest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GangNeverFits:
    """The head and the guaranteed workers do not fit on the pool's nodes even when all are empty."""

    code: ClassVar[str] = "gang-never-fits"
    field: ClassVar[str] = "workers"
    pool: PoolId
    processes: int
    placeable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BeyondClassShare:
    """The head and the guaranteed workers need more than the class may ever hold of the pool."""

    code: ClassVar[str] = "beyond-class-share"
    field: ClassVar[str] = "workers"
    request_class: RequestClass
    pool: PoolId
    resource: ResourceName
    needed: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WalltimeTooLong:
    """The class allows less time."""

    code: ClassVar[str] = "walltime-too-long"
    field: ClassVar[str] = "walltime_seconds"
    request_class: RequestClass
    asked: int
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionTooLong:
    """The cluster cannot go on for so much longer; for `longest` it could now, which may be no time at all."""

    code: ClassVar[str] = "extension-too-long"
    field: ClassVar[str] = "walltime_seconds"
    asked: int
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldDelayPromised:
    """If the cluster went on, somebody else could not start when they were promised to."""

    code: ClassVar[str] = "would-delay-promised"
    pool: PoolId
    promised_from: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedAhead:
    """A node of the cluster is booked for others before the cluster would be gone."""

    code: ClassVar[str] = "booked-ahead"
    booking: BookingId
    begins: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class TooManyWorkers:
    """The class allows fewer workers."""

    code: ClassVar[str] = "too-many-workers"
    field: ClassVar[str] = "workers"
    request_class: RequestClass
    asked: int
    largest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumAboveMaximum:
    """More workers are guaranteed than there may ever be."""

    code: ClassVar[str] = "minimum-above-maximum"
    field: ClassVar[str] = "workers.min"
    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRate:
    """The rate card in force has no rule for the pool."""

    code: ClassVar[str] = "no-rate"
    field: ClassVar[str] = "pool"
    pool: PoolId


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEnvironment:
    """The center offers no environment by that name."""

    code: ClassVar[str] = "unknown-environment"
    field: ClassVar[str] = "environment"
    environment: EnvironmentId


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesNamedOrCounted:
    """A booking either names its nodes or says how many it takes."""

    code: ClassVar[str] = "nodes-named-or-counted"
    field: ClassVar[str] = "nodes"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingWithoutProject:
    """Nodes that are booked for anything but maintenance are booked for a project."""

    code: ClassVar[str] = "booking-without-project"
    field: ClassVar[str] = "project"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceOfProject:
    """Nodes that are booked for maintenance are nobody's to use."""

    code: ClassVar[str] = "maintenance-of-project"
    field: ClassVar[str] = "project"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyMaintenanceDisplaces:
    """Running work makes way for maintenance alone."""

    code: ClassVar[str] = "only-maintenance-displaces"
    field: ClassVar[str] = "displace"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingTooLong:
    """Nodes are booked for less time at once."""

    code: ClassVar[str] = "booking-too-long"
    field: ClassVar[str] = "ends"
    asked: int
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingNodeUnknown:
    """The pool has no node by that name."""

    code: ClassVar[str] = "booking-node-unknown"
    field: ClassVar[str] = "nodes"
    node: NodeId
    pool: PoolId


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingOverlaps:
    """Another booking has one of the nodes in some of that time."""

    code: ClassVar[str] = "booking-overlaps"
    field: ClassVar[str] = "nodes"
    booking: BookingId
    node: NodeId
    begins: Seconds
    until: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class TooFewNodesFree:
    """Fewer nodes take new work and have no other booking in that time."""

    code: ClassVar[str] = "too-few-nodes-free"
    field: ClassVar[str] = "node_count"
    pool: PoolId
    asked: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedWorkRuns:
    """Clusters on the nodes may still run when the booking would begin; from `earliest` on none does."""

    code: ClassVar[str] = "booked-work-runs"
    field: ClassVar[str] = "begins"
    clusters: int
    earliest: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingNotBegun:
    """The booking that it names has not begun."""

    code: ClassVar[str] = "booking-not-begun"
    booking: BookingId
    begins: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingOver:
    """The booking has ended, or its nodes were given back before."""

    code: ClassVar[str] = "booking-over"
    field: ClassVar[str] = "booking"
    booking: BookingId


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingOfOtherPool:
    """The nodes of the booking are in another pool than the request asks for."""

    code: ClassVar[str] = "booking-of-other-pool"
    field: ClassVar[str] = "pool"
    booking: BookingId
    pool: PoolId


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingNotOfProject:
    """The nodes are booked for others than the request's project."""

    code: ClassVar[str] = "booking-not-of-project"
    field: ClassVar[str] = "booking"
    booking: BookingId
    project: ProjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingTooShort:
    """The walltime does not fit into what is left of the booking."""

    code: ClassVar[str] = "booking-too-short"
    field: ClassVar[str] = "walltime_seconds"
    booking: BookingId
    asked: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingTooSmall:
    """The head and the guaranteed workers do not fit on the booked nodes even when all are empty."""

    code: ClassVar[str] = "booking-too-small"
    field: ClassVar[str] = "workers"
    booking: BookingId
    processes: int
    placeable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MakesWay:
    """The cluster was told to end, to make way for a stronger claim."""

    code: ClassVar[str] = "makes-way"
    stop_by: Seconds
