"""What one pool has free from now on: on each node now, and at every moment at which something is known to change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from registry.axes import Ints, within
from registry.ids import Seconds
from scheduler.fitting import Gang, Packing, place


@dataclass(frozen=True, slots=True)
class Leaving:
    """What runs in a pool and when each process is gone at the latest, in the order of time.

    One row each: the moment, the row of its node, the row of its share, and its shape. What runs where no new work
    goes has no node: nothing comes back there.
    """

    times: Ints
    nodes: Ints
    shares: Ints
    shapes: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Hold:
    """An amount of each node that is taken from one moment to another: a promise, or what begins in this cycle."""

    starts: Seconds
    ends: Seconds
    taken: Ints
    total: Ints


class Timeline:
    """The profile of one pool while a plan is made (the "profile" of conservative backfilling, kept per node).

    The sums over all nodes are kept for every moment, as steps; what each node has is worked out where a sum would
    do. Between promises everything only grows, so a gang's first moment is searched by halving.
    """

    def __init__(self, free: Ints, leaving: Leaving, now: Seconds) -> None:
        self.free: Final = free.copy()
        self._now: Final = now
        self._leaving: Final = leaving
        here = leaving.nodes >= 0
        times = np.concatenate(((now,), leaving.times[here]))
        totals = np.concatenate((free.sum(axis=0)[None], leaving.shapes[here])).cumsum(axis=0)
        is_last = np.concatenate((times[1:] != times[:-1], (True,)))
        self._times: Ints = times[is_last]
        self._totals: Ints = totals[is_last]
        self._holds: list[Hold] = []
        self._begun: list[Hold] = []
        self._early: list[Hold] = []
        self._tight: dict[Hold, Ints] = {}

    @property
    def promised(self) -> tuple[Hold, ...]:
        """Return what is held for later."""
        return tuple(self._holds)

    def begin(self, taken: Ints, total: Ints, ends: Seconds) -> None:
        """Take an amount of each node from now until it is gone."""
        begun = Hold(self._now, ends, taken, total)
        self.free[...] -= taken
        self._step(begun, -1)
        self._begun.append(begun)
        for hold in self._tight:
            if hold.starts < ends:
                self._tight[hold] -= taken

    def leave(self, early: Hold) -> None:
        """Know of an amount that is free of what holds it earlier than was known: from then to when that would end."""
        self._step(early, 1)
        self._change_then(early, 1)
        self._early.append(early)

    def hold(self, hold: Hold) -> None:
        """Keep an amount of each node for later."""
        self._step(hold, -1)
        self._change_then(hold, -1)
        self._holds.append(hold)
        if len(self.free) > 1:
            self._tight[hold] = self._at(hold.starts)

    def let_go(self, hold: Hold) -> None:
        """Keep something no longer."""
        self._step(hold, 1)
        self._holds.remove(hold)
        self._tight.pop(hold, None)
        self._change_then(hold, 1)

    def open_until(self, ends: Seconds) -> Ints:
        """Return what of each node may be taken now by what is gone by `ends` without touching what is held."""
        return self.open_from(self._now, ends)

    def earliest(
        self, gang: Gang, seconds: int, *, until: Seconds | None = None, allows: Callable[[Seconds], bool]
    ) -> tuple[Seconds, Packing] | None:
        """Return the first moment from which a gang fits for so long, and where; None if there is none.

        `until` is the last moment of interest, `allows` tells whether quotas let it start at a moment.
        """
        for at in self._first_moments(gang, seconds, until):
            packing = self._packing(gang, at, seconds)
            if packing is not None and allows(at):
                return at, packing
        return None

    def _first_moments(self, gang: Gang, seconds: int, until: Seconds | None) -> Iterator[Seconds]:
        """Yield moments at which the gang fits, the first one first; those in between are not gone through twice."""
        moments = self._by_sums(gang.total, seconds, until)
        if len(self.free) == 1:
            yield from (Seconds(int(at)) for at in moments)
            return
        for run in self._runs(moments, seconds):
            if self._packing(gang, Seconds(int(run[-1])), seconds) is None:
                continue
            low, high = 0, len(run) - 1
            while low < high:
                middle = (low + high) // 2
                fits = self._packing(gang, Seconds(int(run[middle])), seconds) is not None
                low, high = (low, middle) if fits else (middle + 1, high)
            yield from (Seconds(int(at)) for at in run[low:])

    def _by_sums(self, total: Ints, seconds: int, until: Seconds | None) -> Ints:
        """Return the moments from which the sum over all nodes is enough for so long."""
        stop = len(self._times) if until is None else int(np.searchsorted(self._times, until, "right"))
        enough = within(total, self._totals)
        if not enough[:stop].any():
            return self._times[:0]
        count = len(enough)
        bad = np.where(enough, count, np.arange(count))
        next_bad = np.minimum.accumulate(bad[::-1])[::-1]
        gone = np.searchsorted(self._times, self._times[:stop] + seconds, "left")
        return np.asarray(self._times[:stop][next_bad[:stop] >= gone])

    def _runs(self, moments: Ints, seconds: int) -> Iterable[Ints]:
        """Cut moments where something is held, at its start and so long before: within a run room only grows."""
        starts = {hold.starts for hold in self._holds}
        cuts = sorted(starts | {at - seconds + 1 for at in starts} | {at + 1 for at in starts})
        return (run for run in np.split(moments, np.searchsorted(moments, np.array(cuts, dtype=np.int64))) if len(run))

    def _packing(self, gang: Gang, at: Seconds, seconds: int) -> Packing | None:
        """Return where a gang goes at a moment: first to nodes that are not free now, for the others are of use."""
        first = None if at == self._now or len(self.free) == 1 else np.maximum(self.free, 0)
        packing = place(gang, self.open_from(at, Seconds(at + seconds)), first)
        return packing if isinstance(packing, Packing) else None

    def open_from(self, at: Seconds, ends: Seconds) -> Ints:
        """Return what each node has free all the time from a moment until another."""
        if len(self.free) == 1:
            begin = int(np.searchsorted(self._times, at, "right")) - 1
            end = int(np.searchsorted(self._times, ends, "left"))
            return np.asarray(self._totals[begin : max(end, begin + 1)].min(axis=0)[None])
        free = self.free if at == self._now else self._at(at)
        for hold, then in self._tight.items():
            if at <= hold.starts < ends:
                free = np.minimum(free, then)
        return free

    def _at(self, at: Seconds) -> Ints:
        """Return what each node has free at a moment."""
        free = self.free.copy()
        gone = int(np.searchsorted(self._leaving.times, at, "right"))
        nodes, shapes = self._leaving.nodes[:gone], self._leaving.shapes[:gone]
        here = nodes >= 0
        for column in range(free.shape[1]):
            # Bytes on a machine are far fewer than the 2^53 that sums of floats are exact to.
            back = np.bincount(nodes[here], weights=shapes[here, column], minlength=len(free))
            free[:, column] += back.astype(np.int64)
        for begun in self._begun:
            if begun.ends <= at:
                free += begun.taken
        for hold in self._holds:
            if hold.starts <= at < hold.ends:
                free -= hold.taken
        for early in self._early:
            if early.starts <= at < early.ends:
                free += early.taken
        return free

    def _change_then(self, hold: Hold, sign: int) -> None:
        for other in self._tight:
            if hold.starts <= other.starts < hold.ends:
                self._tight[other] += sign * hold.taken

    def _step(self, hold: Hold, sign: int) -> None:
        """Change the sums between two moments."""
        begin, end = self._cut(hold.starts), self._cut(hold.ends)
        self._totals[begin:end] += sign * hold.total

    def _cut(self, at: Seconds) -> int:
        """Return the row of a moment, which begins a step from now on."""
        row = int(np.searchsorted(self._times, at, "left"))
        if row == len(self._times) or self._times[row] != at:
            times, totals = self._times, self._totals
            self._times = np.concatenate((times[:row], (at,), times[row:]))
            self._totals = np.concatenate((totals[:row], totals[row - 1 : row], totals[row:]))
        return row
