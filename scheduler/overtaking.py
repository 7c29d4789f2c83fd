"""For how long those that came later may go before a request, by what it asks for and by how much work waits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import floor
from typing import Final

import numpy as np

from registry.axes import Bools, Floats, Ints, parts
from registry.ids import Seconds
from scheduler import arrays as columns
from scheduler.blocking import stopped
from scheduler.requests import Request
from scheduler.room import Room
from scheduler.snapshot import Snapshot

_PROMISED_FROM: Final = 0.45
"""The part of the time for which a request may be overtaken after which it is promised a latest start."""
_PART_OF_BACKLOG: Final = 0.6
"""The part of the time that all that waits and runs would take by which everybody may be overtaken for longer."""
_DEEP: Final = 8.0
"""From how deep a backlog on everybody may be overtaken for longer again, in proportion."""
_LENGTHS_OF_WAIT: Final = 16.0
"""How many times what it would keep the whole pool busy a request waits before it may be next in line."""
_DEEP_FOR_NEXT: Final = 3.0
"""From how deep a backlog on that takes longer, by its square."""
_MILLION: Final = 1_000_000
_THOUSAND: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Overtakable:
    """Until when those that came later may go before a request that has no protected start yet.

    It is promised a latest start from `promised_from` on, which `is_due` once that is over: it gets it when nothing but
    nodes stops it and fewer of its pool than the policy says have one.
    """

    until: Seconds
    promised_from: Seconds
    is_due: bool


class Overtaking:
    """For how long each pending request may be overtaken, under a policy that goes by its own score.

    The backlog of a pool is what runs there and what waits for nodes alone: for how long it would keep the whole pool
    busy. What waits of it is so deep as that is longer than the run time of its typical request, the mean weighted by
    work. A request may be overtaken for D = (its class's `overtaking_seconds` + 0.6 x backlog) x max(1, depth / 8):
    the longer the queue, the more is gained by letting short work pass, and the fewer can be promised that they wait
    for a few days only. D is found once, when a request begins to wait: what comes later puts nobody off.

    Predicted is the walltime times the mean of what the person's latest clusters used of theirs (`RunRatios`), never
    more than the walltime: predictions order and inform, they admit nobody anywhere.
    """

    def __init__(self, room: Room) -> None:
        self._room: Final = room
        self._cells: Final = room.arrays.queue.cells

    @cached_property
    def seconds(self) -> Ints:
        """Return for each row of the queue for how long its request may be overtaken."""
        known = self._cells[:, columns.OVERTAKING]
        return np.asarray(np.where(known == columns.UNKNOWN, self._seconds_now, known)) if self._any_new else known

    @property
    def _any_new(self) -> bool:
        is_new = self._cells[:, columns.OVERTAKING] == columns.UNKNOWN
        return bool((is_new & (self._cells[:, columns.ALIVE] == 1)).any())

    @property
    def _seconds_now(self) -> Ints:
        """Return the same for who begins to wait now."""
        limits = np.array([self._room.policy.classes[one].overtaking_seconds for one in columns.CLASSES])
        spots = self._cells[:, columns.SPOT]
        backlog = (self._waiting_for_spots[0] + self._running_in_spots)[spots]
        short = limits[self._cells[:, columns.CLASS]] + _PART_OF_BACKLOG * backlog
        return np.asarray((short * np.maximum(1.0, self._depths / _DEEP)).astype(np.int64))

    @cached_property
    def is_long_overtaken(self) -> Bools:
        """Tell of each row whether it has waited for so long that it is promised a latest start."""
        return np.asarray(self._waited > _PROMISED_FROM * self.seconds)

    def of(self, request: Request) -> Overtakable | None:
        """Return until when a pending request may be overtaken; None where its time stands still or nobody is promised.

        The time of what is held does not count.
        """
        if request.held_since is not None or not self._room.policy.promises_latest_starts:
            return None
        row = self._room.arrays.queue.row(request.id)
        since, seconds = int(self._cells[row, columns.SINCE]), int(self.seconds[row])
        return Overtakable(
            until=Seconds(since + seconds),
            promised_from=Seconds(since + floor(_PROMISED_FROM * seconds) + 1),
            is_due=bool(self.is_long_overtaken[row]),
        )

    @cached_property
    def may_be_next(self) -> Bools:
        """Tell of each row whether it may hold the protected start of who is next in line: what is small soon."""
        patience = _LENGTHS_OF_WAIT * np.maximum(1.0, (self._depths / _DEEP_FOR_NEXT) ** 2)
        return np.asarray(self._waited > patience * self._predicted * self._parts)

    @cached_property
    def _waited(self) -> Ints:
        return np.maximum(self._room.now - self._cells[:, columns.SINCE], 0)

    @cached_property
    def _predicted(self) -> Floats:
        """Return for how long each request is likely to run."""
        return likely_seconds(self._room.snapshot, self._cells[:, columns.BY_PERSON], self._cells[:, columns.WALLTIME])

    @cached_property
    def _parts(self) -> Floats:
        """Return which part of its pool each request takes."""
        return self._parts_of(self._cells[:, columns.TOTAL :], self._cells[:, columns.POOL])

    def _parts_of(self, totals: Ints, pools: Ints) -> Floats:
        width = self._room.arrays.axes.width
        return np.asarray(parts(totals[:, :width], self._room.wholes[pools]) / _MILLION)

    @property
    def _depths(self) -> Floats:
        """Return for each row how deep the backlog of its spot is."""
        return self._waiting_for_spots[1][self._cells[:, columns.SPOT]]

    @cached_property
    def _waiting_for_spots(self) -> tuple[Floats, Floats]:
        """Return for how many seconds what waits for each spot keeps its pool busy, and how deep that is.

        Whole numbers are added: a sum of fractions would depend on their order.
        """
        rows = self._room.arrays.queue.alive()
        rows = rows[stopped(self._room, rows) == 0]
        spots, predicted = self._cells[rows, columns.SPOT], self._predicted[rows]
        work = _work(self._parts[rows], predicted)
        weighted = np.rint(work * predicted / _THOUSAND).astype(np.int64)
        here, whole = (self._by_spots(spots, amounts) for amounts in (work, weighted))
        seconds = here * _THOUSAND / _MILLION
        return seconds, seconds * here / (np.maximum(whole, 1) * _THOUSAND)

    @cached_property
    def _running_in_spots(self) -> Floats:
        """Return for how many seconds what is likely left of the gangs that run in each spot keeps its pool busy."""
        arrays = self._room.arrays
        cells = arrays.running.cells[arrays.running.alive()]
        placed = cells[:, columns.PLACED_AT]
        likely = likely_seconds(self._room.snapshot, cells[:, columns.PERSON_OF], cells[:, columns.RUNS_UNTIL] - placed)
        left = np.maximum(placed + likely - self._room.now, 0)
        totals = arrays.names.totals(arrays.axes)[cells[:, columns.GANG]]
        work = _work(self._parts_of(totals, cells[:, columns.POOL]), left)
        return self._by_spots(cells[:, columns.PLACE], work) * _THOUSAND / _MILLION

    def _by_spots(self, spots: Ints, amounts: Ints) -> Ints:
        sums = np.zeros(len(self._room.arrays.names.spots), dtype=np.int64)
        np.add.at(sums, spots, amounts)
        return sums


def _work(share: Floats, seconds: Floats) -> Ints:
    """Return parts of a pool for some time in whole millionths of the pool times a thousand seconds."""
    return np.asarray(np.rint(share * _MILLION * seconds / _THOUSAND).astype(np.int64))


def likely_seconds(snapshot: Snapshot, by_person: Ints, walltimes: Ints) -> Floats:
    """Return for how long work of somebody is likely to run that asked for some walltime."""
    used = snapshot.arrays.ratios_of(by_person) / _THOUSAND
    return np.maximum(walltimes * np.minimum(used, 1.0), snapshot.policy.slowdown_bound_seconds)
