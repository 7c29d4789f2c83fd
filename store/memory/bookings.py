"""Bookings in memory."""

from collections.abc import Collection
from dataclasses import replace

from operations.ports.store import BookingFilter
from registry.ids import BookingId, Mark, NodeId, Seconds
from scheduler.bookings import Booking, is_over, overlaps, until
from store.memory.shelves import FollowedShelf, History
from store.standing import BOOKED_SECONDS_THAT_MATTER


class MemoryBookings:
    """`Bookings` in memory, where a transaction has everything for itself."""

    def __init__(self, history: History) -> None:
        self._bookings: FollowedShelf[BookingId, Booking] = FollowedShelf(history)

    def add(self, booking: Booking) -> None:
        assert not self.during(booking.nodes, booking.begins, until(booking)), booking
        self._bookings.add(booking.id, booking)

    def get(self, booking: BookingId) -> Booking | None:
        return self._bookings.get(booking)

    def swap(self, before: Booking, after: Booking) -> bool:
        key = (before.id, before.version, before.nodes, before.begins)
        assert key == (after.id, after.version, after.nodes, after.begins), (before, after)
        now = self._bookings.get(before.id)
        if now is None or now.version != before.version:
            return False
        self._bookings.put(before.id, replace(after, version=before.version + 1))
        return True

    def during(self, nodes: Collection[NodeId], begins: Seconds, ends: Seconds) -> tuple[Booking, ...]:
        return tuple(
            one for one in self._in_order() if overlaps(one, begins, ends) and not set(nodes).isdisjoint(one.nodes)
        )

    def page(self, wanted: BookingFilter, *, after: str, limit: int) -> tuple[Booking, ...]:
        begins, _, booking = after.partition("/")
        place = (int(begins), booking) if after else (-1, "")
        found = (one for one in self._in_order() if (one.begins, one.id) > place and _meets(one, wanted))
        return tuple(found)[:limit]

    def live(self) -> list[Booking]:
        """Return the bookings without those that were long over when the last one was made."""
        newest = max((one.made for one in self._bookings), default=0)
        return [one for one in self._bookings if until(one) > newest - BOOKED_SECONDS_THAT_MATTER]

    def changed(self, since: Mark) -> list[Booking]:
        """Return the bookings that changed since a mark."""
        return self._bookings.changed(since)

    def _in_order(self) -> list[Booking]:
        return sorted(self._bookings, key=lambda one: (one.begins, one.id))


def _meets(booking: Booking, wanted: BookingFilter) -> bool:
    if wanted.pool not in {None, booking.pool}:
        return False
    return wanted.since is None or not is_over(booking, wanted.since)
