"""What a pool's work tells somebody who joins its queue: the signs of a wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from registry.axes import Floats, Ints
from scheduler.estimates import Signs

MOST_PLANNED: Final = 512
"""So many of a queue are planned one by one; what waits beyond them follows at the rate of the whole pool."""
_MOST_STEPS: Final = 512
"""So many ends of running work a plan tells apart: those between two of them count as the later one."""
_DUST: Final = 1e-6
_THOUSAND: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """Work of one pool, a row each: the part of the pool, and for how many more seconds at most and as predicted."""

    parts: Floats
    walltimes: Floats
    predicted: Floats

    @classmethod
    def of(cls, parts: Sequence[float], walltimes: Sequence[int], predicted: Sequence[int] | Floats) -> Load:
        """Return work by its columns."""
        columns = (np.array(one, dtype=np.float64) for one in (parts, walltimes, predicted))
        return cls(*columns)

    @property
    def at_most(self) -> Floats:
        """Return for how many milliseconds each would take the whole pool, by walltimes.

        Whole numbers: a sum of fractions would depend on their order, and two processes would say two things.
        """
        return np.asarray(np.rint(_THOUSAND * self.parts * self.walltimes))

    @property
    def expected(self) -> Floats:
        """Return the same as predicted."""
        return np.asarray(np.rint(_THOUSAND * self.parts * self.predicted))


@dataclass(frozen=True, slots=True, eq=False)
class Queue:
    """What waits in one pool: its work, by how much each ranks, the larger first, and since when it does.

    `in_order` returns some of the rows in the order in which it is their turn.
    """

    load: Load
    ranks: Floats
    submitted: Ints
    in_order: Callable[[Ints], Ints]

    @classmethod
    def of(cls, load: Load, ranks: Floats, submitted: Sequence[int]) -> Queue:
        """Return a queue by its columns, in the order of submission."""
        return cls(
            load, ranks, np.array(submitted, dtype=np.int64), lambda rows: rows[np.lexsort((rows, -ranks[rows]))]
        )

    def before(self, amounts: Floats, firsts: Floats | Ints, rows: Ints) -> Floats:
        """Return for some rows the sum of what comes before each: what is less in `firsts`, then by order.

        Only those that are alike in it are sorted, as most of a long queue is not.
        """
        known = np.unique(firsts[rows])
        at = np.searchsorted(known, firsts)
        are_alike = known[np.minimum(at, len(known) - 1)] == firsts
        less = np.cumsum(np.bincount(at[~are_alike], amounts[~are_alike], minlength=len(known) + 1))
        alike = self.in_order(np.flatnonzero(are_alike))
        alike = alike[np.argsort(at[alike], kind="stable")]
        sums = np.zeros(len(firsts))
        sums[alike] = np.cumsum(amounts[alike]) - amounts[alike]
        return np.asarray(less[at[rows]] + sums[rows])


def signs_of(running: Load, queue: Queue, some: Sequence[int] | Ints) -> Iterator[Signs]:
    """Yield the signs of some of what waits, by their rows."""
    rows = np.array(some, dtype=np.int64)
    at_most, expected = queue.load.at_most, queue.load.expected
    by_walltimes = running.at_most.sum() + queue.before(at_most, queue.submitted, rows)
    by_predictions = running.expected.sum() + queue.before(expected, queue.submitted, rows)
    ahead = queue.before(expected, -queue.ranks, rows)
    first_room = _first_room(running, queue.load.parts[rows])
    planned = _planned(running, queue, rows, by_predictions / _THOUSAND)
    for place, row in enumerate(rows.tolist()):
        yield Signs(
            by_walltimes=round(float(by_walltimes[place]) / _THOUSAND),
            by_predictions=round(float(by_predictions[place]) / _THOUSAND),
            ahead=round(float(ahead[place]) / _THOUSAND),
            first_room=round(float(first_room[place])),
            planned=round(float(planned[place])),
            part_ppm=round(float(queue.load.parts[row]) * 1e6),
            walltime=round(float(queue.load.walltimes[row])),
        )


def _first_room(running: Load, parts: Floats) -> Floats:
    """Return after how long the running work is predicted to leave so much room."""
    times, free = _steps(running)
    return np.asarray(times[np.minimum(np.searchsorted(free, parts - _DUST), len(times) - 1)])


def _steps(running: Load) -> tuple[Floats, Floats]:
    """Return when something of what runs is predicted to end, and how much of the pool is free from then on."""
    order = np.argsort(running.predicted, kind="stable")
    free = 1 - running.parts.sum() + np.concatenate([[0.0], np.cumsum(running.parts[order])])
    return np.concatenate([[0.0], running.predicted[order]]), free


def _planned(running: Load, queue: Queue, rows: Ints, at_the_rate: Floats) -> Floats:
    """Return when some of what waits starts if all start in the order of submission and run as predicted."""
    planned = at_the_rate.copy()
    places = queue.before(np.ones(len(queue.ranks)), queue.submitted, rows)
    soon = np.flatnonzero(places < MOST_PLANNED)
    if not len(soon):
        return planned
    skyline, load = _Skyline(running), queue.load
    first = _first(queue, int(places[soon].max()) + 1)
    starts = [skyline.start(float(load.parts[row]), float(load.predicted[row])) for row in first.tolist()]
    planned[soon] = np.array(starts)[places[soon].astype(np.int64)]
    return planned


def _first(queue: Queue, count: int) -> Ints:
    """Return the rows of the first so many that were submitted, in that order."""
    most = np.partition(queue.submitted, count - 1)[count - 1]
    some = queue.in_order(np.flatnonzero(queue.submitted <= most))
    return some[np.argsort(queue.submitted[some], kind="stable")][:count]


class _Skyline:
    """How much of a pool is free from each moment on, as a plan fills it."""

    def __init__(self, running: Load) -> None:
        times, free = _steps(running)
        kept = np.unique(np.linspace(0, len(times) - 1, min(len(times), _MOST_STEPS)).astype(np.int64))
        # What ends between two moments that are kept counts as running up to the later one.
        self._times: Floats = times[kept]
        self._free: Floats = free[kept]

    def start(self, part: float, seconds: float) -> float:
        """Plan something at its earliest start and return that."""
        fits = self._free >= min(part, 1.0) - _DUST
        until = np.minimum.accumulate(np.where(fits, np.inf, self._times)[::-1])[::-1]
        at = int(np.argmax(fits & (until - self._times >= seconds)))
        start = float(self._times[at])
        end = self._cut(start + seconds)
        self._free[at:end] -= part
        return start

    def _cut(self, time: float) -> int:
        """Let a step begin at a moment and return its place."""
        place = int(np.searchsorted(self._times, time))
        if place == len(self._times) or self._times[place] != time:
            self._times = np.insert(self._times, place, time)
            self._free = np.insert(self._free, place, self._free[place - 1])
        return place
