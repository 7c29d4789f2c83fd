"""What a pool's work tells somebody who joins its queue: the signs of a wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from registry.axes import Floats, Ints
from scheduler.estimates import Signs

MOST_PLANNED: Final = 512
"""So many of a queue are planned one by one; what waits beyond them follows at the rate of the whole pool."""
_SHORTEST_SECONDS: Final = 60.0
_DUST: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """Work of one pool, a row each: the part of the pool, and for how many more seconds at most and as predicted."""

    parts: Floats
    walltimes: Floats
    predicted: Floats

    @classmethod
    def of(cls, rows: Sequence[tuple[float, float, float]]) -> Load:
        """Return work by its rows."""
        table = np.array(rows, dtype=np.float64).reshape(-1, 3)
        return cls(parts=table[:, 0], walltimes=table[:, 1], predicted=table[:, 2])

    @property
    def at_most(self) -> Floats:
        """Return the seconds that each would take the whole pool, by walltimes."""
        return np.asarray(self.parts * self.walltimes)

    @property
    def expected(self) -> Floats:
        """Return the seconds that each would take the whole pool, as predicted."""
        return np.asarray(self.parts * self.predicted)


def signs_of(running: Load, waiting: Load, rows: Sequence[int]) -> Iterator[Signs]:
    """Yield the signs of some of what waits, by their rows in ascending order; `waiting` is in order of submission."""
    new = np.array(rows, dtype=np.int64)
    at_most = running.at_most.sum() + _before(waiting.at_most)
    expected = running.expected.sum() + _before(waiting.expected)
    shorter = _shorter(waiting)
    first_room = _first_room(running, waiting.parts[new])
    planned = _planned(running, waiting, new)
    for row, room, start in zip(new, first_room, planned, strict=True):
        yield Signs(
            by_walltimes=round(float(at_most[row])),
            by_predictions=round(float(expected[row])),
            shorter=round(float(shorter[row])),
            first_room=round(float(room)),
            planned=round(start),
            part_ppm=round(float(waiting.parts[row]) * 1e6),
            walltime=round(float(waiting.walltimes[row])),
        )


def _before(amounts: Floats) -> Floats:
    return np.asarray(np.cumsum(amounts) - amounts)


def _shorter(waiting: Load) -> Floats:
    """Return the predicted work of the others that wait and weigh no more, as the slowdown term of a rank weighs."""
    weights = np.log2(1 + np.maximum(100 * waiting.parts, 1)) * np.maximum(waiting.walltimes, _SHORTEST_SECONDS)
    order = np.argsort(weights, kind="stable")
    sums = np.cumsum(waiting.expected[order])
    last = np.searchsorted(weights[order], weights, side="right") - 1
    return np.asarray(sums[last] - waiting.expected)


def _first_room(running: Load, parts: Floats) -> Floats:
    """Return after how long the running work is predicted to leave so much room."""
    order = np.argsort(running.predicted, kind="stable")
    free = 1 - running.parts.sum() + np.concatenate([[0.0], np.cumsum(running.parts[order])])
    times = np.concatenate([[0.0], running.predicted[order]])
    return np.asarray(times[np.minimum(np.searchsorted(free, parts - _DUST), len(times) - 1)])


def _planned(running: Load, waiting: Load, new: Ints) -> Iterator[float]:
    """Yield when some of what waits starts if all start in their order and run as predicted."""
    skyline, wanted = _Skyline(running), {int(row) for row in new}
    last = max(wanted, default=-1)
    for row in range(min(last + 1, MOST_PLANNED)):
        start = skyline.start(float(waiting.parts[row]), float(waiting.predicted[row]))
        if row in wanted:
            yield start
    if last >= MOST_PLANNED:
        beyond = _before(waiting.expected[MOST_PLANNED:])
        begin = skyline.mean_end()
        yield from (begin + float(beyond[row - MOST_PLANNED]) for row in sorted(wanted) if row >= MOST_PLANNED)


class _Skyline:
    """How much of a pool is free from each moment on, as a plan fills it."""

    def __init__(self, running: Load) -> None:
        order = np.argsort(running.predicted, kind="stable")
        self._times: Floats = np.concatenate([[0.0], running.predicted[order]])
        self._free: Floats = 1 - running.parts.sum() + np.concatenate([[0.0], np.cumsum(running.parts[order])])

    def start(self, part: float, seconds: float) -> float:
        """Plan something at its earliest start and return that."""
        fits = self._free >= min(part, 1.0) - _DUST
        until = np.minimum.accumulate(np.where(fits, np.inf, self._times)[::-1])[::-1]
        at = int(np.argmax(fits & (until - self._times >= seconds)))
        start = float(self._times[at])
        end = self._cut(start + seconds)
        self._free[at:end] -= part
        return start

    def mean_end(self) -> float:
        """Return when everything planned would have ended, were it spread over the whole pool."""
        lengths = np.diff(self._times)
        return float((np.maximum(1 - self._free[:-1], 0) * lengths).sum())

    def _cut(self, time: float) -> int:
        """Let a step begin at a moment and return its place."""
        place = int(np.searchsorted(self._times, time))
        if place == len(self._times) or self._times[place] != time:
            self._times = np.insert(self._times, place, time)
            self._free = np.insert(self._free, place, self._free[place - 1])
        return place
