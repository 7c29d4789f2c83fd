"""Whose turn it is: pending requests in their order, without those of which it is clear that they cannot start."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np

from registry.axes import Bools, Ints, all_of, rows_where
from scheduler import arrays as columns
from scheduler.blocking import may_be_free
from scheduler.fitting import Packing
from scheduler.ordering import Place
from scheduler.promising import Decided
from scheduler.requests import Request

_AT_ONCE: Final = 32
"""How many turns go by before the rest of the queue is looked through again for those that have become hopeless."""


class Turns:
    """Yields the requests that may start, or may be promised a start, each when it is its turn.

    What is placed meanwhile counts as use at once and only ever lowers ranks, and only ever leaves less room: a place
    in the order is at worst too early, and who was found hopeless stays so. Those of institutions that got something
    go back to where they belong now before it is their turn. Who has a latest start has a turn before, too.
    """

    def __init__(self, decided: Decided) -> None:
        room = decided.room
        self._room: Final = room
        self._reclaims: Final = decided.reclaims
        self._standings: Final = decided.standings
        self._queue: Final = room.arrays.queue
        self._cells: Final = room.arrays.queue.cells
        self._too_large: Final[set[int]] = set()
        self._too_long: Final[set[int]] = set()
        self._hopeless: Final[set[int]] = set()
        self._looked_at = room.decisions
        self._latest: Final = frozenset(map(self._queue.row, decided.latest))
        rows = self._queue.alive()
        apart = {one.request.id for one in decided.placements} | decided.waits_for.keys() - decided.latest.keys()
        if apart:
            others = np.ones(len(self._cells), dtype=bool)
            others[[self._queue.row(request) for request in apart]] = False
            rows = rows[others[rows]]
        if len(rows):
            rows = rows[self._hopeful(rows)]
        if len(rows) > 1:
            rows = np.array(self._standings.order_of(rows), dtype=np.int64)
        self._rows: Ints = rows
        self._at = 0
        self._late: list[tuple[Place, int]] = []

    def __iter__(self) -> Iterator[Request]:
        """Yield the requests in turn."""
        promising, since, passed_over = True, 0, 0
        while (row := self._next()) is not None:
            if self._has_become_hopeless(row):
                passed_over += 1
                if passed_over > max(_AT_ONCE, (len(self._rows) - self._at) // _AT_ONCE):
                    passed_over = 0
                    self._leave_out(lambda rows: ~self._is_given_up(rows) | self._have_latest(rows))
                continue
            yield self._room.snapshot.requests[self._queue.key(row)]
            since += 1
            if since >= _AT_ONCE or (promising and not self._room.may_promise):
                since = 0
                self._look_again()
            if promising and not self._room.may_promise:
                promising = False
                if self._room.policy.shortest_fills:
                    self._rows, self._at = self._shortest_first(self._rows[self._at :]), 0

    def _has_become_hopeless(self, row: int) -> bool:
        cells = self._cells[row]
        if not self._room.policy.backfill:
            spot = self._room.arrays.names.spots.key(int(cells[columns.SPOT]))
            if self._room.floor(spot).closed:
                return True
        if row in self._latest:
            return False
        if int(cells[columns.SHAPE]) in self._too_large or int(cells[columns.PRICED]) in self._too_long:
            return True
        if self._hopeless and int(self._kinds(np.array([row]))[0]) in self._hopeless:
            return True
        if self._looked_at == self._room.decisions or not self._room.is_tight:
            return False
        return bool(self._reclaims.stopped(np.array([row]))[0])

    def _is_given_up(self, rows: Ints) -> Bools:
        """Tell which requests are like one that was given up already."""
        result = np.zeros(len(rows), dtype=bool)
        if self._too_large:
            result |= _among(self._queue.column(columns.SHAPE, rows), self._too_large)
        if self._too_long:
            result |= _among(self._queue.column(columns.PRICED, rows), self._too_long)
        if self._hopeless:
            result |= _among(self._kinds(rows), self._hopeless)
        return result

    def _have_latest(self, rows: Ints) -> Bools:
        """Tell who may start before a latest start of their own."""
        return _among(rows, self._latest)

    def give_up(self, request: Request) -> None:
        """Know that a request got nothing, and nobody else who asks for the same will, as room only becomes less.

        Who fits on no nodes at all stands for its shape, who fits but would delay others for its shape and time; if it
        is quota that would be lacking then, or somebody may have back what is lent, only for those of its share.
        """
        row = self._queue.row(request.id)
        kind, cells = int(self._kinds(np.array([row]))[0]), self._cells[row]
        floor, gang = self._room.floor_for(request), self._room.gang(request)
        if self._reclaims.could_help(request):
            self._hopeless.add(kind)
        elif not isinstance(floor.timeline.place(gang, self._room.now), Packing):
            self._too_large.add(int(cells[columns.SHAPE]))
        elif not isinstance(floor.timeline.place(gang, self._room.would_end(request)), Packing):
            self._too_long.add(int(cells[columns.PRICED]))
        else:
            self._hopeless.add(kind)

    def _kinds(self, rows: Ints) -> Ints:
        """Return a number for each request that is the same for those of one share that ask for the same."""
        shares = len(self._room.arrays.names.vertices)
        return np.asarray(self._queue.column(columns.PRICED, rows) * shares + self._queue.column(columns.SHARE, rows))

    def _next(self) -> int | None:
        """Return the row of who is next, as ranks are now."""
        while self._at < len(self._rows) or self._late:
            if self._late and (
                self._at == len(self._rows)
                or self._late[0][0] < self._standings.place_before(int(self._rows[self._at]))
            ):
                stale, row = heapq.heappop(self._late)
            else:
                row, stale = int(self._rows[self._at]), None
                self._at += 1
            if not self._standings.fell(self._cells[row]):
                return row
            fresh = self._standings.place(row)
            if fresh <= (self._standings.place_before(row) if stale is None else stale):
                return row
            heapq.heappush(self._late, (fresh, row))
        return None

    def _hopeful(self, rows: Ints) -> Bools:
        """Tell which rows nothing but nodes stops, and those, too, only if a promise could be had."""
        hopeful = ~self._is_given_up(rows)
        for may in (self._may_start, self._may_fit):
            if all_of(hopeful):
                hopeful = may(rows)
            else:
                hopeful[hopeful] = may(rows[hopeful])
        if self._latest:
            own = rows_where(self._have_latest(rows))
            hopeful[own] = may_be_free(self._room, rows[own])
        return hopeful

    def _may_start(self, rows: Ints) -> Bools:
        return np.asarray(self._reclaims.stopped(rows) == 0)

    def _may_fit(self, rows: Ints) -> Bools:
        return self._reclaims.maybe_fits(rows)

    def _look_again(self) -> None:
        """Leave out who has become hopeless, of those whose rank fell, too."""
        if self._looked_at != self._room.decisions:
            self._looked_at = self._room.decisions
            self._leave_out(self._hopeful)

    def _leave_out(self, is_left: Callable[[Ints], Bools]) -> None:
        if self._at < len(self._rows):
            left = self._rows[self._at :]
            self._rows, self._at = left[is_left(left)], 0
        if self._late:
            keeps = is_left(np.array([row for _, row in self._late], dtype=np.int64))
            self._late = [one for one, keep in zip(self._late, keeps, strict=True) if keep]
            heapq.heapify(self._late)

    def _shortest_first(self, rows: Ints) -> Ints:
        return np.array(self._queue.sorted(rows, (self._cells[rows, columns.WALLTIME],)), dtype=np.int64)


def _among(numbers: Ints, known: AbstractSet[int]) -> Bools:
    """Tell which numbers are among some."""
    if len(numbers) <= _AT_ONCE:
        return np.array([number in known for number in numbers.tolist()], dtype=bool)
    if len(known) > _AT_ONCE:
        return np.isin(numbers, list(known))
    result = np.zeros(len(numbers), dtype=bool)
    for number in known:
        result |= numbers == number
    return result
