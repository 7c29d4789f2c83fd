"""Elastic workers within an institution's nominal quota come before what others have borrowed of it."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from quotas.grants import NOBODY
from registry.axes import PLACES, PLENTY, Ints
from registry.ids import PoolId, RequestId
from scheduler import arrays as columns
from scheduler.elastic import with_growths, work_left
from scheduler.fitting import times
from scheduler.plan import Growth
from scheduler.reclaim import Reclaims
from scheduler.room import Room


def call_back(room: Room, reclaims: Reclaims, growths: Sequence[Growth]) -> None:
    """Take back what others have borrowed for clusters that still want more, as far as their institution owns it.

    In the order in which workers are shared out, and only as many as will find a place. Nobody is held to it: once the
    others have left, those who hold the least of their own are given first.
    """
    cells = room.arrays.running.cells
    has = with_growths(room, growths)
    given = Counter({growth.request.id: len(growth.processes) for growth in growths})
    hungry = (cells[:, columns.ALIVE] == 1) & (cells[:, columns.CLOSING] == 0) & (cells[:, columns.WANTED] > has)
    if not hungry.any():
        return
    for owner in np.unique(cells[hungry, columns.OWNER]):
        _, pool = room.arrays.names.vertices.key(int(owner))
        row = int(room.arrays.names.rows_of(room.arrays.structure)[owner])
        if row != NOBODY and reclaims.lends_to_others(pool, int(owner)):
            place = room.arrays.names.spots.of((pool, None))
            rows = np.flatnonzero(hungry & (cells[:, columns.OWNER] == owner) & (cells[:, columns.PLACE] == place))
            rows = np.array(room.arrays.running.sorted(rows, (work_left(room, rows, has),)), dtype=np.int64)
            _call_back(room, reclaims, (pool, int(owner), row), (rows, has), given)


def _call_back(
    room: Room,
    reclaims: Reclaims,
    whose: tuple[PoolId, int, int],
    wanting: tuple[Ints, Ints],
    busy: Counter[RequestId],
) -> None:
    pool, owner, share = whose
    rows, has = wanting
    # What its own elastic workers hold counts, but for those that were told to leave.
    own = room.grants.granted[share] - reclaims.leaving_of(pool, owner)
    left = room.arrays.structure.effective[share] - own
    left[PLACES] = PLENTY
    for row in rows:
        request = room.snapshot.requests[room.arrays.running.key(int(row))]
        worker = room.gang(request).worker
        count = int(min(room.arrays.running.cells[row, columns.WANTED] - has[row], times(left[None], worker)[0]))
        while count > 0 and not reclaims.call_back(request, count, busy.keys()):
            count //= 2
        if count <= 0:
            return
        left = left - worker * count
