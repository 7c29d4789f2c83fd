"""Running clusters that a stronger claim may stop as a whole: which, and in what order, those that lose least first."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from quotas.grants import NOBODY
from registry.axes import PLACES, Bools, Floats, Ints, parts
from registry.ids import PoolId
from scheduler import arrays as columns
from scheduler.arrays import CLASSES, ELASTIC
from scheduler.requests import RequestClass
from scheduler.room import Room

_FEW: Final = 64
"""Of more clusters than these that have to go, nobody looks for one that could stay after all."""


@dataclass(frozen=True, slots=True, eq=False)
class Stoppable:
    """The clusters of a pool that run for longer than a notice and are not urgent, those that lose least first.

    One row each: of `running`, the number of its institution, what is guaranteed to it, whether the time is over for
    which it is, and whether it has to stop since this cycle.
    """

    running: Ints
    owners: Ints
    totals: Ints
    mature: Bools
    stopped: Bools


def stoppable_in(room: Room, pool: PoolId) -> Stoppable:
    """Return the clusters of a pool that could be stopped for somebody.

    What a cluster loses is what it has held until now, times the time: that has to be done again. Who sits at one
    loses more than that, and comes last.
    """
    cells, names = room.arrays.running.cells, room.arrays.names
    runs = (cells[:, columns.ALIVE] == 1) & (cells[:, columns.CLOSING] == 0)
    runs &= cells[:, columns.PLACE] == names.spots.of((pool, None))
    runs &= cells[:, columns.CLASS_OF] != CLASSES.index(RequestClass.URGENT)
    runs &= cells[:, columns.RUNS_UNTIL] + room.policy.termination_slack_seconds > room.after_notice
    rows = np.flatnonzero(runs)
    held = gang_totals(room, cells[rows])
    whole = room.wholes[names.pools.of(pool)]
    since = np.maximum(room.now - cells[rows, columns.PLACED_AT], 0)
    lost: Floats = parts(held, whole) * since if len(rows) else np.zeros(0)
    sat_at = cells[rows, columns.CLASS_OF] == CLASSES.index(RequestClass.INTERACTIVE)
    order = np.array(room.arrays.running.sorted(rows, (lost, sat_at)), dtype=np.int64)
    ordered = cells[order]
    return Stoppable(
        running=order,
        owners=ordered[:, columns.OWNER],
        totals=held[np.searchsorted(rows, order)],
        mature=ordered[:, columns.SURE_UNTIL] <= room.now,
        stopped=np.zeros(len(order), dtype=bool),
    )


def gang_totals(room: Room, cells: Ints) -> Ints:
    """Return what the gang of each running cluster takes."""
    arrays = room.arrays
    return np.asarray(arrays.names.totals(arrays.axes).reshape(-1, arrays.axes.width)[cells[:, columns.GANG]])


def borrowed(room: Room, some: Stoppable, elastic: Ints) -> Bools:
    """Tell which clusters are beyond what their institutions own, if they stop in their order.

    `elastic` is what each vertex holds that leaves before, by its number. The last one of an institution may hold more
    than that has borrowed: it stops as a whole or not at all.
    """
    found = np.zeros(len(some.running), dtype=bool)
    left = some.mature & ~some.stopped
    if not left.any():
        return found
    shares = room.arrays.names.rows_of(room.arrays.structure)
    for owner in np.unique(some.owners[left]):
        rows, row = np.flatnonzero(left & (some.owners == owner)), shares[owner]
        if row == NOBODY:
            found[rows] = True
            continue
        gone = some.totals[some.stopped & (some.owners == owner)].sum(axis=0)
        excess = room.grants.granted[row] - elastic[owner] - gone - room.arrays.structure.effective[row]
        totals = some.totals[rows]
        beyond = excess - (np.cumsum(totals, axis=0) - totals) > 0
        beyond[:, PLACES] = False
        found[rows] = np.minimum.accumulate(beyond.any(axis=1))
    return found


def processes_of(room: Room, running: int) -> Ints:
    """Return the rows of everything that runs of a cluster and was not told to leave."""
    table = room.arrays.processes
    name = room.arrays.running.key(running)
    rows = np.array([table.row((name, ordinal)) for ordinal in room.snapshot.processes.get(name, {})], dtype=np.int64)
    return np.asarray(rows[table.cells[rows, columns.LENT] <= ELASTIC])


def is_owed(room: Room, some: Stoppable, chosen: Sequence[int], elastic: Ints) -> bool:
    """Tell whether of each institution's chosen clusters the last one, too, still stops for something borrowed."""
    shares = room.arrays.names.rows_of(room.arrays.structure)
    for owner in np.unique(some.owners[chosen]):
        own, row = [one for one in chosen if some.owners[one] == owner], shares[owner]
        if row == NOBODY:
            continue
        gone = some.totals[some.stopped & (some.owners == owner)].sum(axis=0) + some.totals[own[:-1]].sum(axis=0)
        excess = room.grants.granted[row] - elastic[owner] - gone - room.arrays.structure.effective[row]
        excess[PLACES] = 0
        if not (excess > 0).any():
            return False
    return True


def fewest(clusters: Sequence[int], suffice: Callable[[Sequence[int]], bool]) -> list[int] | None:
    """Return which of some clusters have to stop so that it suffices, as few as will do; None if all are not enough.

    Twice as many are tried each time, then the least number is found by halving; of those, who could stay stays, the
    last ones first.
    """
    count = 1
    while count < len(clusters) and not suffice(clusters[:count]):
        count *= 2
    count = min(count, len(clusters))
    if not clusters or not suffice(clusters[:count]):
        return None
    low = count // 2 + 1
    count = low + bisect_left(range(low, count), 1, key=lambda many: suffice(clusters[:many]))
    chosen = list(clusters[:count])
    for one in reversed(chosen[:-1] if count <= _FEW else []):
        others = [other for other in chosen if other != one]
        if suffice(others):
            chosen = others
    return chosen
