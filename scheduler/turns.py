"""Whose turn it is: pending requests in their order, without those of which it is clear that they cannot start."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from typing import Final

import numpy as np

from registry.axes import Bools, Ints
from registry.ids import RequestId
from scheduler import arrays as columns
from scheduler.fitting import Packing, place
from scheduler.ordering import Place
from scheduler.promising import Decided
from scheduler.requests import Request

_AT_ONCE: Final = 32
"""How many turns go by before the rest of the queue is looked through again for those that have become hopeless."""


class Turns:
    """Yields the requests that may start, or may be promised a start, each when it is its turn.

    What is placed meanwhile counts as use at once and only ever lowers ranks, and only ever leaves less room: a place
    in the order is at worst too early, and who was found hopeless stays so. Those of institutions that got something
    go back to where they belong now before it is their turn.
    """

    def __init__(self, decided: Decided, *, apart: Collection[RequestId]) -> None:
        room = decided.room
        self._room: Final = room
        self._reclaims: Final = decided.reclaims
        self._standings: Final = decided.standings
        self._queue: Final = room.arrays.queue
        self._too_large: Final[set[int]] = set()
        self._too_long: Final[set[int]] = set()
        self._hopeless: Final[set[int]] = set()
        self._looked_at = room.decisions
        rows = self._queue.alive()
        if apart:
            rows = rows[~np.isin(rows, [self._queue.row(request) for request in apart])]
        rows = rows[self._hopeful(rows)]
        self._rows: list[int] = self._standings.order_of(rows)[::-1]
        self._late: list[tuple[Place, int]] = []

    def __iter__(self) -> Iterator[Request]:
        """Yield the requests in turn."""
        promising, since = True, 0
        while (row := self._next()) is not None:
            if self._has_become_hopeless(row):
                continue
            yield self._room.snapshot.requests[self._queue.key(row)]
            since += 1
            if since >= _AT_ONCE or (promising and not self._room.may_promise):
                since = 0
                self._look_again()
            if promising and not self._room.may_promise:
                promising = False
                self._rows = self._shortest_first(self._rows) if self._room.policy.shortest_fills else self._rows

    def _has_become_hopeless(self, row: int) -> bool:
        cells = self._queue.cells[[row]]
        if self._room.floor(self._room.arrays.names.spots.key(int(cells[0, columns.SPOT]))).closed:
            return True
        if any(int(kinds[0]) in known for known, kinds in self._given_up(cells)):
            return True
        if self._looked_at == self._room.decisions or not self._room.is_tight:
            return False
        return bool(self._reclaims.stopped(np.array([row]))[0])

    def _given_up(self, cells: Ints) -> Iterator[tuple[set[int], Ints]]:
        """Yield what was given up already, and which of it each request would be."""
        if self._too_large:
            yield self._too_large, cells[:, columns.SHAPE]
        if self._too_long:
            yield self._too_long, cells[:, columns.PRICED]
        if self._hopeless:
            yield self._hopeless, self._kinds(cells)

    def give_up(self, request: Request) -> None:
        """Know that a request got nothing, and nobody else who asks for the same will, as room only becomes less.

        Who fits on no nodes at all stands for its shape, who fits but would delay others for its shape and time; if it
        is quota that would be lacking then, or somebody may have back what is lent, only for those of its share.
        """
        cells = self._queue.cells[[self._queue.row(request.id)]]
        floor, gang = self._room.floor_for(request), self._room.gang(request)
        if self._reclaims.could_help(request):
            self._hopeless.add(int(self._kinds(cells)[0]))
        elif not isinstance(place(gang, floor.timeline.free), Packing):
            self._too_large.add(int(cells[0, columns.SHAPE]))
        elif not isinstance(place(gang, floor.timeline.open_until(self._room.would_end(request))), Packing):
            self._too_long.add(int(cells[0, columns.PRICED]))
        else:
            self._hopeless.add(int(self._kinds(cells)[0]))

    def _kinds(self, cells: Ints) -> Ints:
        """Return a number for each request that is the same for those of one share that ask for the same."""
        shares = len(self._room.arrays.names.vertices)
        return np.asarray(cells[:, columns.PRICED] * shares + cells[:, columns.SHARE])

    def _next(self) -> int | None:
        """Return the row of who is next, as ranks are now."""
        while self._rows or self._late:
            if self._late and (not self._rows or self._late[0][0] < self._standings.place_before(self._rows[-1])):
                stale, row = heapq.heappop(self._late)
            else:
                row = self._rows.pop()
                stale = self._standings.place_before(row)
            if not self._standings.fell(self._queue.cells[row]):
                return row
            fresh = self._standings.place(row)
            if fresh <= stale:
                return row
            heapq.heappush(self._late, (fresh, row))
        return None

    def _hopeful(self, rows: Ints) -> Bools:
        """Tell which rows nothing but nodes stops, and those, too, only if a promise could be had."""
        cells = self._queue.cells[rows]
        hopeful = self._reclaims.stopped(rows) == 0
        for known, kinds in self._given_up(cells):
            hopeful &= ~np.isin(kinds, list(known))
        hopeful[hopeful] = self._reclaims.maybe_fits(cells[hopeful])
        return np.asarray(hopeful)

    def _look_again(self) -> None:
        """Leave out who has become hopeless, of those whose rank fell, too."""
        if self._looked_at == self._room.decisions:
            return
        self._looked_at = self._room.decisions
        keeps = self._hopeful(np.array(self._rows, dtype=np.int64))
        self._rows = [row for row, keep in zip(self._rows, keeps, strict=True) if keep]
        keeps = self._hopeful(np.array([row for _, row in self._late], dtype=np.int64))
        self._late = [one for one, keep in zip(self._late, keeps, strict=True) if keep]
        heapq.heapify(self._late)

    def _shortest_first(self, rows: list[int]) -> list[int]:
        some = np.array(rows, dtype=np.int64)
        return self._queue.sorted(some, (self._queue.cells[some, columns.WALLTIME],))[::-1]
