"""Who is next: one printed score of class, fair share, what is owned, length and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import Final, assert_never, cast

import numpy as np

from registry.axes import Bools, Floats, Ints, any_of, parts, within
from registry.ids import PoolId, Seconds, ShareId
from registry.resources import MILLI
from scheduler import arrays as columns
from scheduler.policy import DAY, HOUR, Order, Policy
from scheduler.requests import Request
from scheduler.snapshot import Snapshot

_WITHIN_INSTITUTION: Final = 0.1
"""How much the standing of a project counts beside that of its institution: it orders equals."""
_AHEAD_SECONDS: Final = 20 * HOUR
"""How much earlier the whole pool would have been asked for than a small part of it, by the order that fills up."""
_FAR_OFF: Final = 1e12
Place = tuple[bool, float, bool, int, str]
"""The first one goes first: who is overdue, then by score, who was requeued, by time of submission, by id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """Every factor of a request's place in the order, in doublings of its length to 1.3: the larger total goes first.

    `fair_share` is weight x 2^-(use / entitlement), the form of Slurm's multifactor plugin, of the institution and, at
    a tenth, of the project. `owned` is what is gained where the whole gang is within what the institution owns beside
    what it is guaranteed by now, under a policy by which owners have theirs back: who would borrow comes later, as it
    would only have to make way again (Kueue lines up its workloads that way, too). `length` and `size` are what is lost
    for being long and for being large: together the logarithm of 1 / (walltime^1.3 x log2(1 + n)), UNICEF's wait /
    (walltime x log2(n)) of Tang et al., "Fault-aware, utility-based job scheduling on Blue Gene/P systems" (Cluster
    2009), with more weight on the length, which is bounded from below, and without the wait: who waits for long is
    promised a start instead of a better rank, so that who is next does not change with time. n is the gang's dominant
    part of its pool in cores of that pool: many small workers weigh what few large ones do.
    """

    class_weight: float
    fair_share: float
    owned: float
    length: float
    size: float

    @property
    def total(self) -> float:
        """Return the score."""
        return self.class_weight + self.fair_share + self.owned + self.length + self.size


class Standings:
    """How much of its entitlement each share has used, with what this cycle has placed already."""

    def __init__(self, snapshot: Snapshot, now: Seconds) -> None:
        self.now: Final = now
        self._policy: Final = snapshot.policy
        self._arrays: Final = snapshot.arrays
        self._wholes: Final = snapshot.arrays.wholes()
        self._fell: set[int] = set()
        if self._looks_at_use:
            self._entitled: Floats = self._entitlements()
            self._used: Floats = np.zeros(len(self._entitled))
            self._count_days()
            self._count_running()
            self._factors: Floats = self._factors_of(np.arange(len(self._entitled)))

    @cached_property
    def _first(self) -> tuple[Floats, Bools]:
        """Return the score of each row of the queue, and whether it is overdue, before this cycle used anything."""
        cells = self._arrays.queue.cells
        scores, overdue = self.scores(cells), self.overdue(cells)
        if any_of(cells[:, columns.REQUEUED]):
            _lift_requeued(cells, scores, overdue)
        return scores, overdue

    @property
    def _looks_at_use(self) -> bool:
        return self._policy.order is Order.SCORE and self._policy.fair_share_weight > 0

    def fell(self, row: Ints) -> bool:
        """Tell whether a pending request, a row of the queue, ranks lower than before: its people got something."""
        if not self._fell:
            return False
        return not self._fell.isdisjoint((int(row[columns.SHARE]), int(row[columns.INSTITUTION])))

    def use(self, request: Request, amount: Ints, seconds: int) -> None:
        """Count an amount held for a time as used by the request's project and institution."""
        if self._policy.order is not Order.SCORE:
            return
        _ = self._first  # Found before anything was used.
        names = self._arrays.names
        used = np.rint(parts(amount, self._wholes[names.pools.of(request.pool)]) * seconds)
        whose = [
            names.vertices.of((share, request.pool))
            for share in (ShareId(request.institution), ShareId(request.project))
        ]
        self._fell.update(whose)
        if self._policy.minimum_run_seconds is not None:
            self._own_left[whose[0]] -= amount
        for vertex in whose if self._looks_at_use else ():
            self._used[vertex] += used
            self._factors[vertex] = self._factors_of(np.array([vertex]))[0]

    def factor(self, share: ShareId, pool: PoolId) -> float:
        """Return 2^-(use / entitlement): 1 for no use, 1/2 for use at exactly the entitlement, toward 0 beyond.

        Use is the mean over the half-life's window; the entitlement is the nominal quota as a part of the pool.
        """
        return float(self._factors[self._arrays.names.vertices.of((share, pool))]) if self._looks_at_use else 0.0

    def order_of(self, rows: Ints) -> list[int]:
        """Return pending requests, rows of the queue, in their order; who is overdue goes by time alone."""
        if len(rows) <= 1:
            return cast(list[int], rows.tolist())
        cells, (scores, overdue) = self._arrays.queue.cells, self._first
        submitted, is_new = cells[:, columns.SUBMITTED][rows], cells[:, columns.REQUEUED][rows] == 0
        overdue = overdue[rows]
        return self._arrays.queue.sorted(rows, (submitted, is_new, np.where(overdue, 0.0, -scores[rows]), ~overdue))

    def ranks_of(self, rows: Ints) -> Floats:
        """Return a number for pending requests, rows of the queue, by which the larger goes first, overdue or not."""
        scores, overdue = self._first
        return np.asarray(np.where(overdue[rows], np.inf, scores[rows]))

    def place_before(self, row: int) -> Place:
        """Return the place of a row of the queue in the order before anything was used in this cycle."""
        return self._place(row, float(self._first[0][row]))

    def place(self, row: int) -> Place:
        """Return the place of a row of the queue as it is by now."""
        cells = self._arrays.queue.cells[[row]]
        return self._place(row, float(self._first[0][row] if cells[0, columns.REQUEUED] else self.scores(cells)[0]))

    def rank(self, request: Request) -> Rank:
        """Return the factors of a pending request's place."""
        row = self._arrays.queue.cells[[self._arrays.queue.row(request.id)]]
        return Rank(
            class_weight=self._policy.classes[request.request_class].weight,
            fair_share=float(self._fair_shares(row)[0]),
            owned=float(self._owned(row)[0]),
            length=float(self._lengths(row)[0]),
            size=float(self._sizes(row)[0]),
        )

    def scores(self, cells: Ints) -> Floats:
        """Return the score of each pending request, one row of the queue each: the larger goes first."""
        match self._policy.order:
            case Order.SCORE:
                weights = np.array([self._policy.classes[one].weight for one in columns.CLASSES])
                asked = self._lengths(cells) + self._sizes(cells)
                ours = self._fair_shares(cells) + self._owned(cells)
                return np.asarray(weights[cells[:, columns.CLASS]] + ours + asked)
            case Order.ARRIVAL:
                return np.asarray(-cells[:, columns.SUBMITTED], dtype=np.float64)
            case Order.FILL:
                return self._by_filling(cells)
            case Order.UNICEF:
                cores = cells[:, columns.TOTAL] / MILLI
                waited = self.now - cells[:, columns.SUBMITTED]
                with np.errstate(divide="ignore"):
                    # Free rows ask for nothing.
                    return np.asarray((waited + 1e-15) / (np.log2(cores + 1e-15) * cells[:, columns.WALLTIME]))
            case _:
                assert_never(self._policy.order)

    def overdue(self, cells: Ints) -> Bools:
        """Tell of each pending request whether it goes first: it has waited for longer than its class may be overtaken.

        By the center's own score nobody does: there who waits for long is promised a start (`scheduler.overtaking`).
        """
        if self._policy.order is not Order.FILL:
            return np.zeros(len(cells), dtype=bool)
        limits = np.array([self._policy.classes[one].overtaking_seconds for one in columns.CLASSES])
        return np.asarray(self.now - cells[:, columns.SINCE] > limits[cells[:, columns.CLASS]])

    def _by_filling(self, cells: Ints) -> Floats:
        """Return scores by which who needs all of its workers comes before who can do with fewer."""
        total = cells[:, columns.TOTAL : columns.TOTAL + self._arrays.axes.width]
        part = parts(total, self._wholes[cells[:, columns.POOL]]) / 1_000_000
        area = part * cells[:, columns.WALLTIME]
        since = cells[:, columns.SUBMITTED] - _AHEAD_SECONDS * part
        return np.asarray(np.where(cells[:, columns.GROWS] == 1, -_FAR_OFF - area, -since))

    def _place(self, row: int, score: float) -> Place:
        overdue, queue = bool(self._first[1][row]), self._arrays.queue
        cells = queue.cells[row]
        is_new = not cells[columns.REQUEUED]
        return not overdue, 0.0 if overdue else -score, is_new, int(cells[columns.SUBMITTED]), queue.key(row)

    def _fair_shares(self, cells: Ints) -> Floats:
        if not self._looks_at_use:
            return np.zeros(len(cells))
        institution, project = (self._factors[cells[:, one]] for one in (columns.INSTITUTION, columns.SHARE))
        return np.asarray(self._policy.fair_share_weight * (institution + _WITHIN_INSTITUTION * project))

    def _owned(self, cells: Ints) -> Floats:
        if self._policy.minimum_run_seconds is None:
            return np.zeros(len(cells))
        owned = within(cells[:, columns.TOTAL :], self._own_left[cells[:, columns.INSTITUTION]])
        return np.asarray(np.where(owned, self._policy.owner_weight, 0.0))

    @cached_property
    def _own_left(self) -> Ints:
        """Return by vertex what an institution owns and is not guaranteed by now, elastic workers apart."""
        return self._arrays.own_left(self._arrays.granted, self._arrays.held_by_lent())

    def _lengths(self, cells: Ints) -> Floats:
        return length_scores(self._policy, cells[:, columns.WALLTIME])

    def _sizes(self, cells: Ints) -> Floats:
        whole = self._wholes[cells[:, columns.POOL]]
        total = cells[:, columns.TOTAL : columns.TOTAL + self._arrays.axes.width]
        return size_scores(parts(total, whole) * 1e-6 * whole[:, 0] / MILLI)

    def _entitlements(self) -> Floats:
        """Return for each vertex that was mentioned its nominal quota as a part of its pool."""
        arrays = self._arrays
        rows = arrays.names.rows_of(arrays.structure)
        known = np.flatnonzero(rows >= 0)
        pools = np.array([arrays.names.pools.of(arrays.structure.keys[row][1]) for row in rows[known]], dtype=np.int64)
        entitled = np.zeros(len(rows))
        entitled[known] = parts(arrays.structure.nominal[rows[known]], self._wholes[pools])
        return entitled

    def _count_days(self) -> None:
        cells = self._arrays.days.cells
        cells = cells[cells[:, columns.ALIVE] == 1]
        age = np.maximum(self.now - (cells[:, 2] * DAY + DAY // 2), 0)
        # Whole numbers: a sum of fractions would depend on their order, and with it who is next.
        left = np.rint(cells[:, 3] * 2.0 ** (-age / self._policy.half_life_seconds))
        self._used += np.bincount(cells[:, 1], weights=left, minlength=len(self._used))

    def _count_running(self) -> None:
        cells = self._arrays.processes.cells
        cells = cells[(cells[:, columns.ALIVE] == 1) & (cells[:, columns.COUNTED_SINCE] > 0)]
        shapes = cells[:, columns.SHAPE_OF_PROCESS :]
        seconds = np.maximum(self.now - cells[:, columns.COUNTED_SINCE], 0)
        used = np.rint(parts(shapes, self._wholes[cells[:, columns.POOL]]) * seconds)
        for column in (columns.SHARE, columns.INSTITUTION):
            self._used += np.bincount(cells[:, column], weights=used, minlength=len(self._used))

    def _factors_of(self, vertices: Ints) -> Floats:
        entitled = self._entitled[vertices]
        mean = self._used[vertices] * log(2) / self._policy.half_life_seconds
        with np.errstate(under="ignore"):
            return np.where(entitled > 0, 2.0 ** -(mean / np.where(entitled > 0, entitled, 1)), 0.0)


def length_scores(policy: Policy, walltimes: Sequence[int] | Ints) -> Floats:
    """Return what is lost of a score for being long."""
    return np.asarray(-policy.length_weight * np.log2(np.maximum(walltimes, policy.slowdown_bound_seconds)))


def size_scores(cores: Sequence[int] | Floats) -> Floats:
    """Return what is lost of a score for being large."""
    return np.asarray(-np.log2(np.log2(1 + np.maximum(cores, 1.0))))


def _lift_requeued(cells: Ints, scores: Floats, overdue: Bools) -> None:
    """Give who had to make way the place of the first of its class and institution, before it.

    Of no other institution: else who has borrowed and was stopped for an owner would go before that owner.
    """
    requeued = (cells[:, columns.ALIVE] == 1) & (cells[:, columns.REQUEUED] == 1)
    for one, whose in np.unique(cells[requeued][:, [columns.CLASS, columns.INSTITUTION]], axis=0):
        own = (cells[:, columns.ALIVE] == 1) & (cells[:, columns.CLASS] == one)
        own &= cells[:, columns.INSTITUTION] == whose
        scores[own & requeued] = scores[own].max()
        overdue[own & requeued] = overdue[own].any()
