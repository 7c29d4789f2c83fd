"""For how long those that came later may go before a request, by what it asks for and by how much work waits."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np

from registry.axes import Bools, Floats, Ints, parts
from scheduler import arrays as columns
from scheduler.blocking import stopped
from scheduler.room import Room

_PROMISED_FROM: Final = 0.35
"""The part of the time for which a request may be overtaken after which it is promised a latest start."""
_PART_OF_BACKLOG: Final = 0.5
"""The part of the time that all that waits would take by which everybody may be overtaken for longer."""
_DEEP: Final = 7.5
"""From how deep a backlog on everybody may be overtaken for longer again, in proportion."""
_LENGTHS_OF_WAIT: Final = 16.0
"""How many times what it would keep the whole pool busy a request waits before it may be next in line."""
_DEEP_FOR_NEXT: Final = 3.0
"""From how deep a backlog on that takes longer, by its square."""
_MILLION: Final = 1_000_000
_THOUSAND: Final = 1000


class Overtaking:
    """For how long each pending request may be overtaken, under a policy that goes by its own score.

    The backlog of a pool is what waits there for nodes alone: for how long it would keep the whole pool busy, and how
    deep that is in run times of its typical request, the mean weighted by work. A request may be overtaken for D =
    (its class's `overtaking_seconds` + half the backlog's) x max(1, depth / 7.5): the longer the queue, the more is
    gained by letting short work pass, and the fewer can be promised that they wait for a few days only.

    Predicted is the walltime times the mean of what the person's latest clusters used of theirs (`RunRatios`), never
    more than the walltime: predictions order and inform, they admit nobody anywhere.
    """

    def __init__(self, room: Room) -> None:
        self._room: Final = room
        self._cells: Final = room.arrays.queue.cells

    @cached_property
    def seconds(self) -> Ints:
        """Return for each row of the queue for how long its request may be overtaken."""
        limits = np.array([self._room.policy.classes[one].overtaking_seconds for one in columns.CLASSES])
        backlog, depth = self._backlogs
        short = limits[self._cells[:, columns.CLASS]] + _PART_OF_BACKLOG * backlog
        return np.asarray((short * np.maximum(1.0, depth / _DEEP)).astype(np.int64))

    @cached_property
    def is_long_overtaken(self) -> Bools:
        """Tell of each row whether it has waited for so long that it is promised a latest start."""
        return np.asarray(self._waited > _PROMISED_FROM * self.seconds)

    @cached_property
    def may_be_next(self) -> Bools:
        """Tell of each row whether it may hold the protected start of who is next in line: what is small soon."""
        patience = _LENGTHS_OF_WAIT * np.maximum(1.0, (self._backlogs[1] / _DEEP_FOR_NEXT) ** 2)
        return np.asarray(self._waited > patience * self._predicted * self._parts)

    @cached_property
    def _waited(self) -> Ints:
        return np.maximum(self._room.now - self._cells[:, columns.SINCE], 0)

    @cached_property
    def _predicted(self) -> Floats:
        """Return for how long each request is likely to run."""
        used = self._room.arrays.ratios_of(self._cells[:, columns.BY_PERSON]) / _THOUSAND
        shortest = self._room.policy.slowdown_bound_seconds
        return np.maximum(self._cells[:, columns.WALLTIME] * np.minimum(used, 1.0), shortest)

    @cached_property
    def _parts(self) -> Floats:
        """Return which part of its pool each request takes."""
        total = self._cells[:, columns.TOTAL : columns.TOTAL + self._room.arrays.axes.width]
        return parts(total, self._room.wholes[self._cells[:, columns.POOL]]) / _MILLION

    @property
    def _backlogs(self) -> tuple[Floats, Floats]:
        """Return for each row for how many seconds what waits in its spot keeps the pool busy, and how deep it is."""
        seconds, depths = self._backlogs_of_spots
        return seconds[self._cells[:, columns.SPOT]], depths[self._cells[:, columns.SPOT]]

    @cached_property
    def _backlogs_of_spots(self) -> tuple[Floats, Floats]:
        """Return the same by the number of the spot. Whole numbers: a sum of fractions would depend on their order."""
        rows = self._room.arrays.queue.alive()
        rows = rows[stopped(self._room, rows) == 0]
        spots, predicted = self._cells[rows, columns.SPOT], self._predicted[rows]
        work = np.rint(self._parts[rows] * _MILLION * predicted / _THOUSAND).astype(np.int64)
        weighted = np.rint(work * predicted / _THOUSAND).astype(np.int64)
        seconds, depths = np.zeros((2, len(self._room.arrays.names.spots)))
        for spot in np.unique(spots[work > 0]):
            here = int(work[spots == spot].sum())
            seconds[spot] = here * _THOUSAND / _MILLION
            depths[spot] = seconds[spot] * here / (max(int(weighted[spots == spot].sum()), 1) * _THOUSAND)
        return seconds, depths
