"""What quotas allow at a moment to come: what is granted now, less what has left by then, with what was promised."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from quotas.grants import NOBODY, Grants
from registry.axes import Ints, all_of
from registry.ids import Seconds
from scheduler.departures import Leaving


@dataclass(frozen=True, slots=True, eq=False)
class Due:
    """An amount that a share will hold from one moment to another."""

    row: int
    total: Ints
    starts: Seconds
    ends: Seconds


class Dues:
    """The quota tree at moments to come, for one pool while a plan is made."""

    def __init__(self, grants: Grants, leaving: Leaving, now: Seconds) -> None:
        self._grants: Final = grants
        self._leaving: Final = leaving
        self._now: Final = now
        self._promised: list[Due] = []
        self._needed: Ints | None = None
        """The sum of all that."""
        self._begun: list[Due] = []
        self._early: list[Due] = []
        self._then: dict[Due, Grants] = {}

    def begin(self, row: int, total: Ints, ends: Seconds) -> None:
        """Know of an amount that is granted from now until a moment."""
        self._begun.append(Due(row, total, self._now, ends))
        for due, then in self._then.items():
            if due.starts < ends:
                then.grant(row, total)

    def leave(self, early: Due) -> None:
        """Know of an amount that leaves earlier than was known: at its start, not only at its end."""
        self._early.append(early)
        for other, then in self._then.items():
            if early.starts <= other.starts < early.ends:
                then.grant(early.row, -early.total)

    def promise(self, due: Due) -> None:
        """Set an amount aside from a moment on."""
        self._promised.append(due)
        self._needed = due.total if self._needed is None else self._needed + due.total
        for other, then in self._then.items():
            if due.starts <= other.starts < due.ends:
                then.grant(due.row, due.total)

    def promise_all(self, dues: Sequence[Due]) -> None:
        """Set amounts aside, each from a moment on."""
        needed = np.array([due.total for due in dues]).sum(axis=0)
        self._needed = needed if self._needed is None else self._needed + needed
        self._promised += dues
        self._then.clear()

    def let_go(self, due: Due) -> None:
        """Set something aside no longer."""
        self._promised.remove(due)
        assert self._needed is not None, due
        self._needed = self._needed - due.total
        self._then.clear()

    def allows(self, row: int, total: Ints, at: Seconds, ends: Seconds) -> bool:
        """Tell whether a share may hold an amount from a moment until another beside everything promised."""
        if self._ample(row, total):
            return True
        if not all_of(total <= self._at(at).claimable(row)):
            return False
        return self.delayed(row, total, at, ends) is None

    def allows_without(
        self, row: int, total: Ints, when: tuple[Seconds, Seconds], less: Iterable[tuple[int, Ints]]
    ) -> bool:
        """Tell the same of a time, from its begin to its end, by which other shares hold so much less."""
        at, ends = when
        if self._ample(row, total):
            return True
        then = self._at(at)
        for other, amount in less:
            then.grant(other, -amount)
        return all_of(total <= then.claimable(row)) and self.delayed(row, total, at, ends) is None

    def delayed(self, row: int, total: Ints, at: Seconds, ends: Seconds) -> Due | None:
        """Return the first thing promised that would lack quota if a share held an amount over its start."""
        if self._ample(row, total):
            return None
        early = sorted((due for due in self._promised if at < due.starts < ends), key=lambda due: due.starts)
        return next((due for due in early if not all_of(total <= self._at_start(due).claimable(row))), None)

    def _ample(self, row: int, total: Ints) -> bool:
        """Tell whether quotas allow it whatever has left by then: what the root lacks, the nodes lack, too."""
        structure = self._grants.structure
        if not structure.withholds_any:
            return True
        if structure.keeps_any:
            return False
        path = structure.path_rows[row]
        needed = total if self._needed is None else self._needed + total
        return all_of(self._grants.granted[path] + needed <= structure.limit[path])

    def _at_start(self, due: Due) -> Grants:
        if due not in self._then:
            self._then[due] = self._at(due.starts)
        return self._then[due]

    def _at(self, at: Seconds) -> Grants:
        """Return the tree as it will be at a moment."""
        structure, gone = self._grants.structure, int(np.searchsorted(self._leaving.times, at, "right"))
        granted = self._grants.granted.copy()
        shares, shapes = self._leaving.shares[:gone], self._leaving.shapes[:gone]
        known = shares != NOBODY
        lost = self._leaving.nodes[:gone] < 0
        for depth in range(structure.ancestors.shape[1]):
            # The root gets nothing back of what runs where no new work goes.
            counts = known if depth else known & ~lost
            rows = structure.ancestors[shares[counts], depth]
            np.subtract.at(granted, rows[rows >= 0], shapes[counts][rows >= 0])
        grants = Grants.of(structure, granted)
        for due in self._begun:
            if due.ends <= at:
                grants.grant(due.row, -due.total)
        for due in self._promised:
            if due.starts <= at < due.ends:
                grants.grant(due.row, due.total)
        for due in self._early:
            if due.starts <= at < due.ends:
                grants.grant(due.row, -due.total)
        return grants
