"""Time fixed in advance on whole nodes of a pool, for the work of one project or for nobody's."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from registry.centers import Node
from registry.ids import BookingId, NodeId, PersonId, PoolId, ProjectId, Seconds
from registry.reasons import PeriodEndsBeforeItBegins, TooEarly
from scheduler.fitting import Crowded, place_when_empty
from scheduler.policy import DAY
from scheduler.reasons import (
    BookingNodeUnknown,
    BookingNotOfProject,
    BookingOfOtherPool,
    BookingOver,
    BookingOverlaps,
    BookingTooLong,
    BookingTooShort,
    BookingTooSmall,
    BookingWithoutProject,
    MaintenanceOfProject,
    OnlyMaintenanceDisplaces,
)
from scheduler.requests import Draft

LONGEST_BOOKING_SECONDS: Final = 30 * DAY
MOST_BOOKED_NODES: Final = 1000

Misfit = BookingOver | BookingOfOtherPool | BookingNotOfProject | BookingTooShort | BookingTooSmall
PeriodFault = TooEarly | PeriodEndsBeforeItBegins | BookingTooLong
PurposeFault = BookingWithoutProject | MaintenanceOfProject | OnlyMaintenanceDisplaces


class BookingKind(StrEnum):
    """What nodes are booked for. Under maintenance nobody uses them."""

    COURSE = "course"
    COMPETITION = "competition"
    MAINTENANCE = "maintenance"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """Nodes, sorted, that only a project's own work may use from `begins` until `ends`; without a project, nobody's.

    One that `displaces` ends what still runs there when it begins. `released` is when somebody gave the nodes back:
    before it began there was no booking at all. `version` counts its changes: a change is written only over the
    version that it was made from.
    """

    id: BookingId
    name: str
    pool: PoolId
    nodes: tuple[NodeId, ...]
    begins: Seconds
    ends: Seconds
    project: ProjectId | None
    kind: BookingKind
    made_by: PersonId
    made: Seconds
    displaces: bool = False
    released: Seconds | None = None
    released_by: PersonId | None = None
    version: int = 1

    def __post_init__(self) -> None:
        """Hold our own code to bookings that can be."""
        assert self.nodes == tuple(sorted(set(self.nodes))) != (), self
        assert self.begins < self.ends, self
        assert (self.kind is BookingKind.MAINTENANCE) == (self.project is None), self
        assert self.kind is BookingKind.MAINTENANCE or not self.displaces, self
        assert (self.released is None) == (self.released_by is None), self


def until(booking: Booking) -> Seconds:
    """Return when the nodes are everybody's again: at its end, or when they were given back."""
    return booking.ends if booking.released is None else min(booking.ends, booking.released)


def is_over(booking: Booking, now: Seconds) -> bool:
    """Tell whether the booking holds its nodes no longer, and never will."""
    return until(booking) <= now


def overlaps(booking: Booking, begins: Seconds, ends: Seconds) -> bool:
    """Tell whether the booking holds its nodes at any moment from `begins` until `ends`, which is none of them."""
    return max(booking.begins, begins) < min(until(booking), ends)


def left_seconds(booking: Booking, now: Seconds) -> int:
    """Return how much of the booking's time is still to come."""
    return max(0, until(booking) - max(booking.begins, now))


def period_faults(begins: Seconds, ends: Seconds, now: Seconds) -> Iterator[PeriodFault]:
    """Yield why nodes cannot be booked from `begins` until `ends`."""
    if begins < now:
        yield TooEarly(field="begins", earliest=now)
    if ends <= begins:
        yield PeriodEndsBeforeItBegins()
    if ends - begins > LONGEST_BOOKING_SECONDS:
        yield BookingTooLong(asked=ends - begins, longest=LONGEST_BOOKING_SECONDS)


def purpose_faults(kind: BookingKind, project: ProjectId | None, *, displaces: bool) -> Iterator[PurposeFault]:
    """Yield why nodes cannot be booked for a purpose, for that project or for nobody."""
    if kind is BookingKind.MAINTENANCE:
        if project is not None:
            yield MaintenanceOfProject()
        return
    if project is None:
        yield BookingWithoutProject()
    if displaces:
        yield OnlyMaintenanceDisplaces()


def unknown_nodes(pool: PoolId, wanted: Iterable[NodeId], nodes: Iterable[Node]) -> tuple[BookingNodeUnknown, ...]:
    """Return which of the nodes that are wanted the pool does not have."""
    missing = set(wanted) - {node.id for node in nodes}
    return tuple(BookingNodeUnknown(node=node, pool=pool) for node in sorted(missing))


def collisions(
    wanted: Collection[NodeId], begins: Seconds, ends: Seconds, bookings: Iterable[Booking]
) -> tuple[BookingOverlaps, ...]:
    """Return which other bookings have any of the nodes in that time, each with the first of them, by their begin."""
    others = sorted((one for one in bookings if overlaps(one, begins, ends)), key=lambda one: (one.begins, one.id))
    shared = ((other, next((node for node in other.nodes if node in wanted), None)) for other in others)
    return tuple(
        BookingOverlaps(booking=other.id, node=node, begins=other.begins, until=until(other))
        for other, node in shared
        if node is not None
    )


def misfits(draft: Draft, booking: Booking, nodes: Iterable[Node], now: Seconds) -> tuple[Misfit, ...]:
    """Return every reason why a request that names a booking could never run in it."""
    if is_over(booking, now):
        return (BookingOver(booking=booking.id),)
    return tuple(_misfits(draft, booking, nodes, now))


def too_short(draft: Draft, booking: Booking, now: Seconds) -> BookingTooShort | None:
    """Return that a request's walltime does not fit into what is left of the booking, if it does not."""
    left = left_seconds(booking, now)
    asked = draft.walltime_seconds
    return BookingTooShort(booking=booking.id, asked=asked, left=left) if asked > left else None


def crosses(booking: Booking, draft: Draft, nodes: Collection[NodeId], begins: Seconds, ends: Seconds) -> bool:
    """Tell whether work on nodes from `begins` until `ends` would use what is booked for other work."""
    return draft.booking != booking.id and overlaps(booking, begins, ends) and not set(nodes).isdisjoint(booking.nodes)


def _misfits(draft: Draft, booking: Booking, nodes: Iterable[Node], now: Seconds) -> Iterator[Misfit]:
    if draft.pool != booking.pool:
        yield BookingOfOtherPool(booking=booking.id, pool=booking.pool)
    if draft.project != booking.project:
        yield BookingNotOfProject(booking=booking.id, project=draft.project)
    if short := too_short(draft, booking, now):
        yield short
    booked = [node for node in nodes if node.id in booking.nodes]
    packing = place_when_empty(draft, booked)
    if draft.pool == booking.pool and isinstance(packing, Crowded):
        yield BookingTooSmall(booking=booking.id, processes=draft.workers_min + 1, placeable=packing.placeable)
