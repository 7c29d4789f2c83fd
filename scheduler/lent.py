"""Elastic workers that can be taken back, and the order in which they would have to go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from registry.axes import Bools, Ints
from registry.ids import PoolId, Seconds
from scheduler import arrays as columns
from scheduler.arrays import CLASSES, ELASTIC
from scheduler.elastic import expected_seconds, staying_workers, work_left
from scheduler.requests import RequestClass
from scheduler.room import Room
from scheduler.vacating import usable


@dataclass(frozen=True, slots=True, eq=False)
class Lent:
    """The elastic workers of a pool that can be taken back, from the end of their order: the most work left first.

    One row each: of `processes` and of `running`, the row of its node, of its project's share, the number of its
    institution, its shape, and whether it was taken in this cycle.
    """

    processes: Ints
    running: Ints
    nodes: Ints
    shares: Ints
    owners: Ints
    shapes: Ints
    urgent: Bools
    taken: Bools


def lent_in(room: Room, pool: PoolId) -> Lent:
    """Return what can be taken back in a pool: nothing that ends by itself as soon, and of no cluster its smallest."""
    arrays = room.arrays
    cells = arrays.processes.cells
    is_lent = (cells[:, columns.ALIVE] == 1) & (cells[:, columns.LENT] == ELASTIC) & (cells[:, columns.ENDING] == 0)
    rows = np.flatnonzero(is_lent & (cells[:, columns.POOL] == arrays.names.pools.of(pool)))
    rows = rows[usable(room, pool)[cells[rows, columns.NODE]]]
    keys = [arrays.processes.key(int(row)) for row in rows]
    running = np.array([arrays.running.row(request) for request, _ in keys], dtype=np.int64)
    clusters = np.unique(running)
    has = staying_workers(room.snapshot, arrays.running.cells)
    by_work = arrays.running.sorted(clusters, (-work_left(room, clusters, has),))
    place_of = np.zeros(len(arrays.running.cells), dtype=np.int64)
    place_of[by_work] = np.arange(len(by_work))
    order = np.lexsort((-np.array([ordinal for _, ordinal in keys], dtype=np.int64), place_of[running]))
    rows, running = rows[order], running[order]
    first = np.flatnonzero(np.append(True, running[1:] != running[:-1])[: len(running)])
    nth = np.arange(len(running)) - np.repeat(first, np.diff(np.append(first, len(running))))
    spare = has - arrays.running.cells[:, columns.LEAST]
    lasts = expected_seconds(room, clusters, has)
    stays: Bools = np.zeros(len(arrays.running.cells), dtype=bool)
    stays[clusters] = lasts > room.policy.notice_seconds
    can = (nth < spare[running]) & stays[running]
    rows, running = rows[can], running[can]
    return Lent(
        processes=rows,
        running=running,
        nodes=cells[rows, columns.NODE],
        shares=arrays.names.rows_of(arrays.structure)[cells[rows, columns.SHARE]],
        owners=cells[rows, columns.INSTITUTION],
        shapes=cells[rows, columns.SHAPE_OF_PROCESS :],
        urgent=cells[rows, columns.CLASS] == CLASSES.index(RequestClass.URGENT),
        taken=np.zeros(len(rows), dtype=bool),
    )


def released(room: Room, running: int) -> Seconds:
    """Return when a cluster's workers would be gone at the latest if nobody took them."""
    deadline = int(room.arrays.running.cells[running, columns.RUNS_UNTIL])
    return Seconds(max(deadline + room.policy.termination_slack_seconds, room.now + 1))
