"""Workers that pass from clusters of an institution to those of it that are done sooner with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from registry.axes import Ints, parts
from registry.ids import RequestId, Seconds
from scheduler import arrays as columns
from scheduler.clusters import LAST_ORDINAL, Part
from scheduler.elastic import (
    Spender,
    expected_seconds,
    fractions,
    sharing,
    with_growths,
    worth_the_same,
)
from scheduler.fitting import times
from scheduler.names import Spot
from scheduler.plan import Growth
from scheduler.reclaim import Reclaims
from scheduler.requests import Request
from scheduler.room import Room


def level(
    room: Room,
    reclaims: Reclaims,
    growths: Sequence[Growth],
    apart: Collection[RequestId],
    later: Collection[Spender],
) -> None:
    """Have clusters all of whose work can be shared give up what others of their institution are done sooner with.

    Which of them has the workers is all the same to how much is done, and matters most for who waits. For others a
    price says how many they should have, and moving them to and fro costs what it gains. Nobody gives up or gets
    anything who is `apart` or of an institution that is asked `later`; nobody gives up anything who was given
    something, and nothing moves to who could not be given it.
    """
    cells = room.arrays.running.cells
    has = with_growths(room, growths)
    hungry = (cells[:, columns.ALIVE] == 1) & (cells[:, columns.CLOSING] == 0) & (cells[:, columns.WANTED] > has)
    hungry[hungry] = fractions(room, cells[hungry]) >= 1
    for owner in np.unique(cells[hungry, columns.OWNER]):
        name, pool = room.arrays.names.vertices.key(int(owner))
        if (name, pool) not in later and room.floor((pool, None)).lends:
            busy = apart, {growth.request.id for growth in growths}
            _level(room, reclaims, (int(owner), (pool, None)), has, busy)


def _level(
    room: Room,
    reclaims: Reclaims,
    whose: tuple[int, Spot],
    has: Ints,
    busy: tuple[Collection[RequestId], Collection[RequestId]],
) -> None:
    (owner, spot), (apart, grew) = whose, busy
    rows = sharing(room, owner, spot, has, np.zeros(0, dtype=np.int64))
    goals = worth_the_same(room, rows, has, _free_after_notice(room, spot))
    keys = [room.arrays.running.key(int(row)) for row in rows]
    lasts, notice = expected_seconds(room, rows, has), room.policy.notice_seconds
    moves = np.array([key not in apart for key in keys], dtype=bool)
    moves &= (fractions(room, room.arrays.running.cells[rows]) >= 1) & (lasts > notice)
    gives = moves & (goals < has[rows]) & np.array([key not in grew for key in keys], dtype=bool)
    beyond = {int(row): int(has[row] - goal) for row, goal in zip(rows[gives], goals[gives], strict=True)}
    if not beyond:
        return
    for at in np.flatnonzero(moves & (goals > has[rows])):
        request = room.snapshot.requests[keys[at]]
        if _could_grow(room, request):
            _pass_on(room, reclaims, request, int(goals[at] - has[rows[at]]), beyond)


def _pass_on(room: Room, reclaims: Reclaims, request: Request, count: int, beyond: dict[int, int]) -> None:
    """Have a cluster given as many of so many workers as there will be room for."""
    floor = room.floor_for(request)
    then = floor.timeline.open_from(room.after_notice, Seconds(room.after_notice + 1))
    count = min(count, int(times(then, room.gang(request).worker).sum()) + sum(beyond.values()))
    while count > 0 and not reclaims.pass_on(request, count, beyond):
        count //= 2


def _could_grow(room: Room, request: Request) -> bool:
    """Tell whether a running cluster could be given a worker if there were room for it."""
    assert request.allocation is not None, request
    lease = room.lease(request, Part.ELASTIC)
    if lease is None or request.next_ordinal > LAST_ORDINAL or not room.rule_of(request).takes_all:
        return False
    return room.promised.left(request, request.allocation, room.now) >= lease[1]


def _free_after_notice(room: Room, spot: Spot) -> float:
    then = room.floor(spot).timeline.open_from(room.after_notice, Seconds(room.after_notice + 1))
    return float(parts(np.maximum(then, 0).sum(axis=0), room.wholes[room.arrays.names.pools.of(spot[0])]))
