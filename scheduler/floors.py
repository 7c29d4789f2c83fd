"""Where work may go: the nodes of a pool, or those that are booked for it, now and at every known moment to come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from quotas.grants import NOBODY, Grants
from registry.axes import PLACES, Bools, Ints
from registry.ids import AllocationId, PoolId, Seconds
from scheduler import arrays as columns
from scheduler.arrays import NOWHERE, Ground, Spot
from scheduler.bookings import Booking, is_over, until
from scheduler.dues import Due, Dues
from scheduler.leaving import leaving_of
from scheduler.profile import Hold, Leaving, Timeline
from scheduler.requests import Request
from scheduler.snapshot import Snapshot


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


class Floor:
    """One spot while a plan is made: its nodes and its quotas, now and at every known moment to come."""

    def __init__(self, ground: Ground, timeline: Timeline, dues: Dues, lent: tuple[Ints, Ints]) -> None:
        self.lent, self.leaving = lent
        """The sums of what elastic workers hold that were not told to leave, and of what was told before."""
        self.ground: Final = ground
        self.timeline: Final = timeline
        self.dues: Final = dues
        self.kept: list[Kept] = []
        self.closed = False
        """Whether nobody may start any more, because somebody who was next could not."""

    @property
    def lends(self) -> bool:
        """Tell whether anything may be had back within a notice."""
        return bool(self.lent.any() or self.leaving.any())


def floor_of(snapshot: Snapshot, spot: Spot, grants: Grants, now: Seconds) -> Floor:
    """Return a spot as it is before anything is decided.

    Booked nodes are there for work of their booking from its begin until its end, and for nobody else: others see
    them taken from a moment on, and free again once what ran there has ended.
    """
    pool, booking = spot
    ground = snapshot.arrays.grounds.get(pool) or Ground((), snapshot.arrays.axes)
    leaving = leaving_of(snapshot, pool, now)
    free = ground.free.copy()
    free[:, PLACES] -= np.bincount(leaving.nodes[leaving.nodes >= 0], minlength=len(free))
    dues = Dues(grants, leaving, now)
    bookings = [one for one in snapshot.bookings.values() if one.pool == pool and not is_over(one, now)]
    bookings.sort(key=lambda one: (one.begins, one.id))
    lent = _lent(snapshot, pool)
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


def _lent(snapshot: Snapshot, pool: PoolId) -> tuple[Ints, Ints]:
    """Return the sums of what elastic workers hold in a pool, and of what was told to leave."""
    arrays = snapshot.arrays
    cells = arrays.processes.cells
    back = (cells[:, columns.LENT] > 0) & (cells[:, columns.ALIVE] == 1)
    if back.any():
        back &= cells[:, columns.POOL] == arrays.names.pools.of(pool)
    cells = cells[back]
    elastic = cells[:, columns.LENT] == columns.ELASTIC
    shapes = cells[:, columns.SHAPE_OF_PROCESS :]
    return np.asarray(shapes[elastic].sum(axis=0)), np.asarray(shapes[~elastic].sum(axis=0))


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
