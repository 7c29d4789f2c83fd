"""Where work may go: the nodes of a pool, or those that are booked for it, now and at every known moment to come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from quotas.grants import NOBODY, Grants
from registry.axes import PLACES, Bools, Ints, any_of
from registry.ids import AllocationId, InstitutionId, RequestId, Seconds
from scheduler.arrays import NOWHERE
from scheduler.bookings import Booking, is_over, until
from scheduler.departures import Leaving
from scheduler.dues import Due, Dues
from scheduler.ground import Ground
from scheduler.leaving import running_in
from scheduler.names import Spot
from scheduler.profile import Hold, Timeline
from scheduler.requests import Promise, Request
from scheduler.snapshot import Snapshot

_MOST_IN_VAIN: Final = 8
"""So often others are looked at in one cycle for being seated anew, where nothing comes of it: each time is dear."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Everything that is set aside for the protected start of a request."""

    request: Request
    starts: Seconds
    hold: Hold
    due: Due
    allocation: AllocationId
    soon: bool
    """Whether it waits for no more than a notice to be over: then it is none of the promises that are counted."""
    promise: Promise

    @property
    def is_latest(self) -> bool:
        """Tell whether it is a latest start, before which its request may take its turn."""
        return self.promise.aim is not None

    @property
    def is_next(self) -> bool:
        """Tell whether it is the start of who is next in line: as early as can be, and more than a notice away."""
        return not (self.soon or self.is_latest)


class Floor:
    """One spot while a plan is made: its nodes and its quotas, now and at every known moment to come."""

    def __init__(self, ground: Ground, timeline: Timeline, dues: Dues, lent: tuple[Ints, Ints]) -> None:
        self.lent, self._leaving = lent
        """The sums of what elastic workers hold that were not told to leave, and of what was told before."""
        self.lends = any_of(self.lent) or any_of(self._leaving)
        """Whether anything may be had back within a notice."""
        self.ground: Final = ground
        self.timeline: Final = timeline
        self.dues: Final = dues
        self.kept: list[Kept] = []
        self._kept_for: dict[RequestId, Kept] = {}
        self._promised_to: dict[InstitutionId, Ints] = {}
        self.searched_enough = False
        """Whether so many have looked in vain for what could be free within a notice that nobody else does."""
        self.next_in_line = 0
        """How many of those are for who is next in line."""
        self.latest_starts = 0
        """How many of those are latest starts."""
        self._seated_in_vain = 0
        self.closed = False
        """Whether nobody may start any more, because somebody who was next could not."""

    def take_back(self, amount: Ints) -> None:
        """Know that elastic workers that hold so much altogether were told to leave in this cycle."""
        self.lent = self.lent - amount
        self.lends = any_of(self.lent) or any_of(self._leaving)

    def make_way(self, amount: Ints) -> None:
        """Know that guaranteed work that holds so much has to end in this cycle."""
        self._leaving = self._leaving + amount
        self.lends = any_of(self.lent) or any_of(self._leaving)

    def kept_for(self, request: Request) -> Kept | None:
        """Return what is set aside for a request, if anything is."""
        return self._kept_for.get(request.id)

    def promised_to(self, institution: InstitutionId, apart: Request) -> Ints:
        """Return the sum of what is set aside for requests of an institution, but for one of them.

        Latest starts are none of it: they are there in case nothing better comes, and come long after most claims.
        """
        nothing = self.lent * 0
        own = self._kept_for.get(apart.id)
        return self._promised_to.get(institution, nothing) - (
            nothing if own is None or own.is_latest else own.due.total
        )

    def keep(self, kept: Kept) -> None:
        """Set everything aside for a protected start."""
        self.kept.append(kept)
        self._kept_for[kept.request.id] = kept
        self._count(kept, 1)
        self.timeline.hold(kept.hold)
        self.dues.promise(kept.due)

    def keep_all(self, kept: Sequence[Kept]) -> None:
        """Set everything aside for several protected starts."""
        self.kept += kept
        self._kept_for.update({one.request.id: one for one in kept})
        for one in kept:
            self._count(one, 1)
        self.timeline.hold_all([one.hold for one in kept])
        self.dues.promise_all([one.due for one in kept])

    def let_go(self, kept: Kept) -> None:
        """Set nothing aside for it any more."""
        self.kept.remove(kept)
        del self._kept_for[kept.request.id]
        self._count(kept, -1)
        self.timeline.let_go(kept.hold)
        self.dues.let_go(kept.due)

    def move(self, before: Kept, after: Kept) -> None:
        """Set the same aside for a protected start on other nodes."""
        self.kept[self.kept.index(before)] = after
        self._kept_for[after.request.id] = after
        self.timeline.move(before.hold, after.hold)

    @property
    def may_seat_anew(self) -> bool:
        """Tell whether others could be had on other nodes for somebody, and that was not too often in vain."""
        return len(self.ground.ids) > 1 and len(self.kept) > 0 and self._seated_in_vain < _MOST_IN_VAIN

    def seated_in_vain(self) -> None:
        """Know that it was of no use to look for other nodes for everybody."""
        self._seated_in_vain += 1

    def _count(self, kept: Kept, sign: int) -> None:
        self.latest_starts += sign * kept.is_latest
        self.next_in_line += sign * kept.is_next
        if not kept.is_latest:
            whose = kept.request.institution
            self._promised_to[whose] = self._promised_to.get(whose, 0) + sign * kept.due.total


def floor_of(snapshot: Snapshot, spot: Spot, grants: Grants, now: Seconds) -> Floor:
    """Return a spot as it is before anything is decided.

    Booked nodes are there for work of their booking from its begin until its end, and for nobody else: others see
    them taken from a moment on, and free again once what ran there has ended.
    """
    pool, booking = spot
    ground = snapshot.arrays.ground(pool)
    running = running_in(snapshot.arrays, pool, ground)
    leaving = running.by(now, snapshot.policy.termination_slack_seconds)
    free = ground.free.copy()
    free[:, PLACES] -= running.on_nodes
    dues = Dues(grants, leaving, now)
    lent = running.elastic, running.leaving
    bookings = [one for one in snapshot.bookings.values() if one.pool == pool and not is_over(one, now)]
    bookings.sort(key=lambda one: (one.begins, one.id))
    if not bookings:
        return Floor(ground, Timeline(free, leaving, now), dues, lent)
    slack = snapshot.policy.termination_slack_seconds
    begun = [one for one in bookings if one.begins <= now]
    if booking is not None:
        here = _booked([one for one in begun if one.id == booking], ground)
        nothing = lent[0] * 0
        own = Timeline(np.where(here[:, None], free, 0), _within(leaving, here), now)
        return Floor(ground, own, dues, (nothing, nothing))
    here = ~_booked(begun, ground)
    again = [_given_back(one, ground, slack) for one in begun]
    timeline = Timeline(np.where(here[:, None], free, 0), _merged([_within(leaving, here), *again]), now)
    for one in bookings:
        if one.begins > now:
            timeline.hold(_hold(one, ground, timeline, slack))
    return Floor(ground, timeline, dues, lent)


def _booked(bookings: Iterable[Booking], ground: Ground) -> Bools:
    """Tell which nodes any of the bookings has."""
    booked = np.zeros(len(ground.ids), dtype=bool)
    for one in bookings:
        booked[[ground.row_of[node] for node in one.nodes if node in ground.row_of]] = True
    return booked


def _within(leaving: Leaving, here: Bools) -> Leaving:
    """Return what leaves, where nothing comes back on nodes that are not here."""
    nodes = leaving.nodes
    return replace(leaving, nodes=np.where((nodes >= 0) & here[nodes], nodes, NOWHERE) if len(here) else nodes)


def _given_back(booking: Booking, ground: Ground, slack: int) -> Leaving:
    """Return the booked nodes that take work as something that leaves them, whole, when the booking is over."""
    rows = np.flatnonzero(_booked([booking], ground) & ground.ready)
    times = np.full(len(rows), until(booking) + slack, dtype=np.int64)
    return Leaving(times, rows, np.full(len(rows), NOBODY, dtype=np.int64), ground.capacity[rows])


def _merged(parts: Sequence[Leaving]) -> Leaving:
    times = np.concatenate([part.times for part in parts])
    order = np.argsort(times, kind="stable")
    nodes, shares = (np.concatenate([getattr(part, name) for part in parts])[order] for name in ("nodes", "shares"))
    return Leaving(times[order], nodes, shares, np.concatenate([part.shapes for part in parts])[order])


def _hold(booking: Booking, ground: Ground, timeline: Timeline, slack: int) -> Hold:
    """Return what a booking that is to come takes of its nodes: everything that is free there by then."""
    then = np.maximum(timeline.open_from(booking.begins, Seconds(booking.begins + 1)), 0)
    taken = np.where(_booked([booking], ground)[:, None], then, 0)
    return Hold(booking.begins, Seconds(until(booking) + slack), taken, taken.sum(axis=0))
