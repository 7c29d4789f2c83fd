"""What one pool has free from now on: on each node now, and at every moment at which something is known to change."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from registry.axes import Ints, all_of, any_of, rows_where, within
from registry.ids import Seconds
from scheduler.departures import Departures, Leaving
from scheduler.fitting import Crowded, Gang, Packing, place


@dataclass(frozen=True, slots=True, eq=False)
class Hold:
    """An amount of each node that is taken from one moment to another: a promise, or what begins in this cycle."""

    starts: Seconds
    ends: Seconds
    taken: Ints
    total: Ints
    rows: Ints = field(init=False)
    """The nodes of which anything is taken: a few of many."""

    def __post_init__(self) -> None:
        """Find those nodes, once for every change that it makes."""
        rows = (
            np.zeros(1, dtype=np.int64)
            if len(self.taken) == 1
            else rows_where(np.logical_or.reduce(self.taken, axis=1))
        )
        object.__setattr__(self, "rows", rows)


class Timeline:
    """The profile of one pool while a plan is made (the "profile" of conservative backfilling, kept per node).

    The sums over all nodes are kept for every moment, as steps; what each node has is worked out where a sum would
    do. Between promises everything only grows, so a gang's first moment is searched by halving.
    """

    def __init__(self, free: Ints, leaving: Leaving, now: Seconds) -> None:
        """Take the free amounts, which are the timeline's own from then on."""
        self.free: Final = free
        self.now: Final = now
        self._departures: Final = Departures(leaving, free)
        times, shapes = self._departures.times, self._departures.shapes
        self._times: Ints = np.empty(len(times) + 1, dtype=np.int64)
        self._times[0], self._times[1:] = now, times
        self._totals: Ints = np.empty((len(times) + 1, free.shape[1]), dtype=np.int64)
        self._totals[0], self._totals[1:] = free.sum(axis=0), shapes
        np.cumsum(self._totals, axis=0, out=self._totals)
        is_last = np.ones(len(self._times), dtype=bool)
        np.not_equal(self._times[1:], self._times[:-1], out=is_last[:-1])
        if not all_of(is_last):
            self._times, self._totals = self._times[is_last], self._totals[is_last]
        self._holds: list[Hold] = []
        self._starts: list[Seconds] = []
        self._begun: list[Hold] = []
        self._early: list[Hold] = []
        self._then: dict[Seconds, Ints] = {}
        self._until: list[Ints] = []
        self._by_starts: tuple[Ints, Ints] | None = None
        self._sums_by_starts: Ints | None = None
        self._lasting: dict[int, Ints] = {}
        self._placed: dict[tuple[int, int], tuple[Gang, Packing | Crowded]] = {}

    @property
    def promised(self) -> tuple[Hold, ...]:
        """Return what is held for later."""
        return tuple(self._holds)

    def begin(self, taken: Ints, total: Ints, ends: Seconds) -> None:
        """Take an amount of each node from now until it is gone."""
        begun = Hold(self.now, ends, taken, total)
        self.free[...] -= taken
        self._placed.clear()
        self._change(begun, -1)
        self._begun.append(begun)

    def leave(self, early: Hold) -> None:
        """Know of an amount that is free of what holds it earlier than was known: from then to when that would end."""
        self._change(early, 1)
        self._early.append(early)

    def hold(self, hold: Hold) -> None:
        """Keep an amount of each node for later."""
        self._change(hold, -1)
        self._holds.append(hold)
        insort(self._starts, hold.starts)

    def hold_all(self, holds: Sequence[Hold]) -> None:
        """Keep amounts of each node for later."""
        starts, ends, totals = (np.array([getattr(one, name) for one in holds]) for name in ("starts", "ends", "total"))
        times = np.unique(np.concatenate((self._times, starts, ends)))
        changes = np.zeros((len(times), self.free.shape[1]), dtype=np.int64)
        np.subtract.at(changes, times.searchsorted(starts), totals)
        np.add.at(changes, times.searchsorted(ends), totals)
        before = self._times.searchsorted(times, "right") - 1
        self._totals = self._totals[before] + np.cumsum(changes, axis=0)
        self._times = times
        self._holds += holds
        self._starts = sorted((*self._starts, *starts.tolist()))
        self._forget()
        self._then.clear()

    @property
    def is_overdrawn(self) -> bool:
        """Tell whether more is held of any node than it has then, or possibly so."""
        if len(self.free) == 1:
            return any_of(self._totals < 0)
        return any(any_of(then < 0) for then in self._thens(sorted(set(self._starts))))

    def may_come_earlier(self, hold: Hold) -> bool:
        """Tell whether sums over all nodes leave room for something held at any moment before its start, too.

        It would either be over by its start, or there is room just before that.
        """
        begin, seconds = int(self._times.searchsorted(hold.starts, "left")), hold.ends - hold.starts
        if not begin:
            return False
        if not (all_of(hold.total <= self._totals[begin - 1]) or all_of(hold.total <= self._best(seconds)[begin - 1])):
            return False
        end = int(self._times.searchsorted(hold.ends, "left"))
        totals = self._totals.copy()
        totals[begin:end] += hold.total
        return len(self._by_sums(hold.total, seconds, Seconds(hold.starts - 1), totals)) > 0

    def _best(self, seconds: int) -> Ints:
        """Return the largest sums that last for so long, or nearly so, from any moment up to each."""
        power = seconds.bit_length() - 1
        if power not in self._lasting:
            rows = self._times.searchsorted(self._times + (1 << power), "left") - np.arange(len(self._times))
            least, step = self._totals.copy(), 1
            lasting = least.copy()
            while step <= int(rows.max()):
                # Of so many rows together, doubled each time: what lasts is the least of two that overlap.
                of = np.flatnonzero((rows >= step) & (rows < 2 * step))
                lasting[of] = np.minimum(least[of], least[of + rows[of] - step])
                least[: len(least) - step] = np.minimum(least[:-step], least[step:])
                step *= 2
            self._lasting[power] = np.maximum.accumulate(lasting, axis=0)
        return self._lasting[power]

    def move(self, before: Hold, after: Hold) -> None:
        """Keep something on other nodes: as much, and at the same times."""
        self._holds[self._holds.index(before)] = after
        self._forget()
        for at, then in self._then.items():
            if before.starts <= at < before.ends:
                then[before.rows] += before.taken[before.rows]
                then[after.rows] -= after.taken[after.rows]

    def let_go(self, hold: Hold) -> None:
        """Keep something no longer."""
        self._change(hold, 1)
        self._holds.remove(hold)
        del self._starts[bisect_left(self._starts, hold.starts)]

    def open_until(self, ends: Seconds) -> Ints:
        """Return what of each node may be taken now by what is gone by `ends` without touching what is held."""
        if not self._starts or ends <= self._starts[0]:
            return self.free
        if len(self.free) == 1:
            return self.open_from(self.now, ends)
        return self._opens()[bisect_left(sorted(set(self._starts)), ends)]

    def place(self, gang: Gang, ends: Seconds) -> Packing | Crowded:
        """Return where a gang goes now that is gone by `ends`, or how much of it would.

        Worked out once for all who are alike, while nothing is taken, or kept for whoever would not be gone by then.
        """
        before = bisect_left(self._starts, ends)
        if before and len(self.free) == 1:
            return place(gang, self.open_until(ends))
        alike = id(gang), before
        if alike not in self._placed:
            # The gang is remembered with it: its identity is nobody else's as long as it is there.
            self._placed[alike] = gang, place(gang, self.open_until(ends))
        return self._placed[alike][1]

    def sums_by_starts(self) -> Ints:
        """Return the sums of `open_by_starts` as they would be if what is held could be on any nodes."""
        if self._sums_by_starts is None:
            rows = self._times.searchsorted(np.array(sorted(set(self._starts)), dtype=np.int64))
            lowest = np.minimum.accumulate(self._totals[: rows[-1] + 1 if len(rows) else 0], axis=0)[rows]
            self._sums_by_starts = np.concatenate((np.maximum(self.free, 0).sum(axis=0)[None], lowest))
        return self._sums_by_starts

    def open_by_starts(self) -> tuple[Ints, Ints]:
        """Return when anything is held from, and the sums over all nodes of what may be taken until then.

        The first sum is of what is free whatever is held, the next of what may be taken beyond the first of the
        starts, and so on.
        """
        if self._by_starts is None:
            self._by_starts = self._open_by_starts()
        return self._by_starts

    def _open_by_starts(self) -> tuple[Ints, Ints]:
        starts = np.array(sorted(set(self._starts)), dtype=np.int64)
        if len(self.free) == 1 and not len(starts):
            return starts, self.free
        if len(self.free) != 1:
            return starts, np.stack([np.maximum(one, 0).sum(axis=0) for one in self._opens()])
        lowest = np.minimum.accumulate(self._totals, axis=0)
        return starts, np.concatenate((self.free, lowest[self._times.searchsorted(starts)]))

    def earliest(
        self, gang: Gang, seconds: int, *, until: Seconds | None = None, allows: Callable[[Seconds], bool]
    ) -> tuple[Seconds, Packing] | None:
        """Return the first moment from which a gang fits for so long, and where; None if there is none.

        `until` is the last moment of interest, `allows` tells whether quotas let it start at a moment.
        """
        for at in self._first_moments(gang, seconds, until):
            packing = self.packing(gang, at, seconds)
            if packing is not None and allows(at):
                return at, packing
        return None

    def latest(
        self, gang: Gang, seconds: int, *, until: Seconds, allows: Callable[[Seconds], bool]
    ) -> tuple[Seconds, Packing] | None:
        """Return the last moment up to `until` from which a gang fits for so long, and where; None if there is none.

        Room becomes less only where something is held: to be tried are `until` and what is over when a hold begins.
        """
        for at in self.last_moments(gang.total, seconds, until):
            packing = self.packing(gang, at, seconds)
            if packing is not None and allows(at):
                return at, packing
        return None

    def last_moments(self, total: Ints, seconds: int, until: Seconds) -> Iterator[Seconds]:
        """Yield the moments that could be that one as far as sums over all nodes tell, the last one first."""
        last = {until} | {Seconds(hold.starts - seconds) for hold in self._holds}
        for at in sorted((at for at in last if self.now <= at <= until), reverse=True):
            if self.has_room(total, at, seconds):
                yield at

    def has_room(self, total: Ints, at: Seconds, seconds: int) -> bool:
        """Tell whether the sum over all nodes is enough from a moment on for so long."""
        begin = int(self._times.searchsorted(at, "right")) - 1
        end = int(self._times.searchsorted(at + seconds, "left"))
        return all_of(within(total, self._totals[begin : max(end, begin + 1)]))

    def _first_moments(self, gang: Gang, seconds: int, until: Seconds | None) -> Iterator[Seconds]:
        """Yield moments at which the gang fits, the first one first; those in between are not gone through twice."""
        moments = self.moments(gang.total, seconds, until)
        if len(self.free) == 1:
            yield from (Seconds(int(at)) for at in moments)
            return
        for run in self._runs(moments, seconds):
            if self.packing(gang, Seconds(int(run[-1])), seconds) is None:
                continue
            low, high = 0, len(run) - 1
            while low < high:
                middle = (low + high) // 2
                fits = self.packing(gang, Seconds(int(run[middle])), seconds) is not None
                low, high = (low, middle) if fits else (middle + 1, high)
            yield from (Seconds(int(at)) for at in run[low:])

    def moments(self, total: Ints, seconds: int, until: Seconds | None) -> Ints:
        """Return the moments from which the sum over all nodes is enough for so long, up to the last of interest."""
        return self._by_sums(total, seconds, until, self._totals)

    def _by_sums(self, total: Ints, seconds: int, until: Seconds | None, totals: Ints) -> Ints:
        """Return the moments from which the sum over all nodes is enough for so long."""
        stop = len(self._times) if until is None else int(self._times.searchsorted(until, "right"))
        enough = within(total, totals)
        first = int(enough.argmax())
        if first >= stop or not enough[first]:
            return self._times[:0]
        if not (self._holds or self._early):
            # Without anything held the sums only grow.
            return self._times[first:stop]
        count = len(enough)
        next_bad = np.where(enough, count, np.arange(count))[::-1]
        next_bad = np.minimum.accumulate(next_bad)[::-1][first:stop]
        moments = self._times[first:stop]
        return np.asarray(moments[next_bad >= self._times.searchsorted(moments + seconds, "left")])

    def _runs(self, moments: Ints, seconds: int) -> Iterable[Ints]:
        """Cut moments where something is held, at its start and so long before: within a run room only grows."""
        starts = set(self._starts)
        cuts = sorted(starts | {at - seconds + 1 for at in starts} | {at + 1 for at in starts})
        return (run for run in np.split(moments, np.searchsorted(moments, np.array(cuts, dtype=np.int64))) if len(run))

    def packing(self, gang: Gang, at: Seconds, seconds: int) -> Packing | None:
        """Return where a gang goes at a moment: first to nodes that are not free now, for the others are of use."""
        first = None if at == self.now or len(self.free) == 1 else np.maximum(self.free, 0)
        packing = place(gang, self.open_from(at, Seconds(at + seconds)), first)
        return packing if isinstance(packing, Packing) else None

    def open_from(self, at: Seconds, ends: Seconds) -> Ints:
        """Return what each node has free all the time from a moment until another."""
        if len(self.free) == 1:
            begin = int(self._times.searchsorted(at, "right")) - 1
            if not (self._holds or self._early):
                return self._totals[begin : begin + 1].copy()
            end = int(self._times.searchsorted(ends, "left"))
            return np.asarray(self._totals[begin : max(end, begin + 1)].min(axis=0)[None])
        free = self.free_at(at)
        first, last = bisect_left(self._starts, at), bisect_left(self._starts, ends)
        for then in self._thens(sorted(set(self._starts[first:last]))):
            free = np.minimum(free, then)
        return free

    def could_hold(self, hold: Hold) -> bool:
        """Tell whether an amount of each node is there all the time from a moment until another."""
        if len(self.free) == 1:
            return all_of(hold.taken <= np.maximum(self.open_from(hold.starts, hold.ends), 0))
        rows, needed = hold.rows, hold.taken[hold.rows]
        first, last = bisect_left(self._starts, hold.starts), bisect_left(self._starts, hold.ends)
        thens = self._thens(sorted(set(self._starts[first:last])))
        return all(all_of(needed <= np.maximum(then[rows], 0)) for then in (self.free_at(hold.starts), *thens))

    def free_at(self, at: Seconds) -> Ints:
        """Return what each node has free at a moment, for looking at it at once."""
        if at == self.now and not (self._starts and self._starts[0] <= at):
            return self.free
        return self._then[at] if at in self._then else self._at([at])[0]

    def _opens(self) -> list[Ints]:
        """Return what of each node may be taken until the first start of what is held, the next one, and so on."""
        if not self._until:
            self._until = [self.free]
            for then in self._thens(sorted(set(self._starts))):
                self._until.append(np.minimum(self._until[-1], then))
        return self._until

    def _thens(self, moments: Sequence[Seconds]) -> Iterator[Ints]:
        """Yield what each node has free at moments, in their order, once worked out as long as nothing changes it."""
        missing = [at for at in moments if at not in self._then]
        self._then.update(zip(missing, self._at(missing), strict=True))
        return (self._then[at] for at in moments)

    def _at(self, moments: Sequence[Seconds]) -> list[Ints]:
        """Return what each node has free at moments, given in their order: each is made of the one before."""
        result: list[Ints] = []
        back = [(one.ends, 1, one) for one in (*self._begun, *self._holds)]
        away = [(one.starts, -1, one) for one in self._holds]
        early = [(at, sign, one) for one in self._early for at, sign in ((one.starts, 1), (one.ends, -1))]
        changes = sorted((*back, *away, *early), key=lambda one: one[0])
        changed, done = self.free.copy(), 0
        for at in moments:
            while done < len(changes) and changes[done][0] <= at:
                _, sign, hold = changes[done]
                changed[hold.rows] += sign * hold.taken[hold.rows]
                done += 1
            result.append(changed + self._departures.by(at))
        return result

    def _change(self, hold: Hold, sign: int) -> None:
        """Change the sums between two moments, and what each node has then."""
        begin, end = self._cut(hold.starts), self._cut(hold.ends)
        self._totals[begin:end] += sign * hold.total
        self._forget()
        if not self._then:
            return
        rows, more = hold.rows, sign * hold.taken[hold.rows]
        for at, then in self._then.items():
            if hold.starts <= at < hold.ends:
                then[rows] += more

    def _forget(self) -> None:
        """Forget what was worked out of how things were."""
        self._until, self._by_starts, self._sums_by_starts = [], None, None
        # Who is gone before anything is held goes where it would have gone.
        self._placed = {alike: placed for alike, placed in self._placed.items() if not alike[1]}
        self._lasting.clear()

    def _cut(self, at: Seconds) -> int:
        """Return the row of a moment, which begins a step from now on."""
        row = int(self._times.searchsorted(at, "left"))
        if row == len(self._times) or self._times[row] != at:
            times, totals = self._times, self._totals
            self._times = np.concatenate((times[:row], (at,), times[row:]))
            self._totals = np.concatenate((totals[:row], totals[row - 1 : row], totals[row:]))
        return row
