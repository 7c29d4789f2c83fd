"""The quota tree as arrays: what every share may still take, kept current while a plan is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from quotas.claims import Level, Tree, withheld
from quotas.reasons import ShareFull
from quotas.tree import Share
from registry.axes import PLACES, PLENTY, Axes, Bools, Ints, within
from registry.ids import PoolId, ProjectId, ShareId

Vertex = tuple[ShareId, PoolId]
NOBODY: Final = -1


class Structure:
    """Everything of the shares that grants do not change: who is whose child, and what was promised to whom.

    Rows are the shares in their given order. `levels` are the rows at each depth, the roots first; `ancestors` has the
    path to each row from its root, NOBODY beneath it.
    """

    def __init__(self, shares: Sequence[Share], axes: Axes) -> None:
        self.axes: Final = axes
        self.keys: Final = tuple((share.id, share.pool) for share in shares)
        self.row_of: Final = {key: row for row, key in enumerate(self.keys)}
        self.parent: Final = np.array(
            [self.row_of.get((share.parent, share.pool), NOBODY) if share.parent else NOBODY for share in shares],
            dtype=np.int64,
        )
        self.paths: Final = tuple(self._path(row) for row in range(len(shares)))
        self.path_rows: Final = tuple(np.array(path, dtype=np.int64) for path in self.paths)
        depth = max(map(len, self.paths), default=1)
        beneath = ((*path, *(NOBODY,) * (depth - len(path))) for path in self.paths)
        self.ancestors: Final = np.array(list(beneath), dtype=np.int64).reshape(len(shares), depth)
        depths = np.array([len(path) for path in self.paths], dtype=np.int64)
        self.levels: Final = tuple(np.flatnonzero(depths == one + 1) for one in range(depth))
        self.nominal: Final = _rows((axes.row(share.quota.nominal) for share in shares), axes)
        self.limit: Final = _rows((axes.row(share.limit, PLENTY) for share in shares), axes)
        lending = _rows((axes.row(share.quota.lending) for share in shares), axes)
        self.effective, self.keeps, self.siblings_keep = self._promise(self.nominal - lending)
        self.keeps_any: Final = bool(self.keeps[self.parent >= 0].any())
        self.nothing: Final = np.zeros_like(self.nominal)
        self.withholds_any: Final = self.keeps_any or bool((self.limit < self.limit[self.ancestors[:, 0]]).any())
        """Whether any share could lack quota while its pool has room."""

    def _path(self, row: int) -> tuple[int, ...]:
        """Return the rows from the root down to a row."""
        path: list[int] = []
        while row != NOBODY and row not in path:
            path.append(row)
            row = int(self.parent[row])
        return tuple(reversed(path))

    def _promise(self, kept: Ints) -> tuple[Ints, Ints, Ints]:
        """Return what each share effectively has of its nominal quota, what it keeps of that, and its siblings do."""
        own, siblings = kept.copy(), np.zeros_like(kept)
        effective = self.nominal.copy()
        for level in self.levels[1:]:
            parent = self.parent[level]
            promised, kept_by_all = np.zeros_like(kept), np.zeros_like(kept)
            np.add.at(promised, parent, self.nominal[level])
            np.add.at(kept_by_all, parent, kept[level])
            has, said = effective[parent], promised[parent]
            own[level] = _scaled(kept[level], has, said)
            siblings[level] = _scaled(kept_by_all[parent] - kept[level], has, said)
            effective[level] = _scaled(self.nominal[level], has, said)
        return effective, own, siblings


class Grants:
    """What is granted of each share, and what follows for the others: the array form of `quotas.claims.Tree`.

    A grant costs the depth of the tree, a question about every share a few passes over the arrays.
    """

    def __init__(self, structure: Structure, granted: Ints, kept: Ints, unused: Ints) -> None:
        """Take arrays that are its own: what is granted, what children keep unused, what each keeps itself."""
        self.structure: Final = structure
        self.granted: Final = granted
        self._kept: Final = kept
        self._unused: Final = unused

    @classmethod
    def of(cls, structure: Structure, granted: Ints) -> Grants:
        """Return what follows from what is granted of each share."""
        if not structure.keeps_any:
            # Nobody's children keep anything, then as now.
            return cls(structure, granted.copy(), structure.nothing, structure.nothing)
        unused, kept = np.maximum(structure.keeps - granted, 0), np.zeros_like(granted)
        children = structure.parent >= 0
        np.add.at(kept, structure.parent[children], unused[children])
        return cls(structure, granted.copy(), kept, unused)

    def copy(self) -> Grants:
        """Return grants of their own that are the same."""
        if not self.structure.keeps_any:
            return Grants.of(self.structure, self.granted)
        return Grants(self.structure, self.granted.copy(), self._kept.copy(), self._unused.copy())

    def row(self, project: ProjectId, pool: PoolId) -> int:
        """Return the row of a project's share in a pool, or NOBODY."""
        return self.structure.row_of.get((ShareId(project), pool), NOBODY)

    def grant(self, row: int, amount: Ints, *, lost: bool = False) -> None:
        """Grant an amount to a share and all above it; a negative one gives back, a `lost` one not to the root."""
        path = self.structure.path_rows[row]
        if not self.structure.keeps_any:
            self.granted[path[1:] if lost else path] += amount
            return
        for one in path[1:] if lost else path:
            self.granted[one] += amount
            unused = np.maximum(self.structure.keeps[one] - self.granted[one], 0)
            if (parent := self.structure.parent[one]) >= 0:
                self._kept[parent] += unused - self._unused[one]
            self._unused[one] = unused

    def claimable(self, row: int) -> Ints:
        """Return what new work of one share may take of each resource, never negative."""
        s = self.structure
        result: Ints | None = None
        for one in s.paths[row]:
            left = s.limit[one] - self.granted[one]
            if result is not None:
                np.minimum(left, result - self._kept[s.parent[one]] + self._unused[one], out=left)
            result = left
        assert result is not None, row
        return np.asarray(np.maximum(result, 0))

    def claimable_by_all(self) -> Ints:
        """Return for every share what new work of it may take, never negative."""
        s = self.structure
        claims = s.limit - self.granted
        for level in s.levels[1:]:
            parent = s.parent[level]
            room = claims[parent] - self._kept[parent] + self._unused[level]
            claims[level] = np.minimum(claims[level], room)
        return np.asarray(np.maximum(claims, 0))

    def withheld(self, rows: Ints, amounts: Ints) -> Bools:
        """Tell for each pair of a share and an amount whether a quota withholds it, however much room the pool has.

        As `quotas.claims.withheld`, which also tells by whom.
        """
        s, left = self.structure, self.structure.limit - self.granted
        if not s.withholds_any:
            return np.zeros(len(rows), dtype=bool)
        room, idle = left.copy(), s.nominal.copy()
        bounds = []
        for level in s.levels[1:]:
            parent = s.parent[level]
            to_child = room[parent] - self._kept[parent] + self._unused[level]
            at_best = idle[parent] - s.siblings_keep[level]
            bounds.append((level, to_child, room[parent], at_best, idle[parent]))
            room[level], idle[level] = np.minimum(to_child, left[level]), np.minimum(at_best, s.limit[level])
        found = np.zeros(len(rows), dtype=bool)
        ancestors = s.ancestors[rows]
        slot = np.zeros(len(s.parent), dtype=np.int64)
        for depth, (level, to_child, room_above, at_best, idle_above) in enumerate(bounds, start=1):
            slot[level] = np.arange(len(level))
            of = ancestors[:, depth]
            asks, one = np.flatnonzero(of >= 0), of[of >= 0]
            at, amount = slot[one], amounts[of >= 0]
            whole = s.limit[ancestors[asks, 0]]
            limited = (s.limit[one] < whole) & (amount > left[one])
            held = (to_child[at] < amount) & (amount <= room_above[at])
            never = (at_best[at] < amount) & (amount <= idle_above[at])
            found[asks] |= (limited | held | never).any(axis=1)
        return np.asarray(found & ~within(amounts, self.claimable_by_all()[rows]))

    def reasons(self, shares: Sequence[Share], row: int, amount: Ints) -> tuple[ShareFull, ...]:
        """Return what `withheld` found, with its numbers; `shares` are those of the structure, in its order."""
        path = self.structure.paths[row]
        if not path:
            return ()
        return withheld(self.levels(shares, row), self.structure.axes.amount(amount))

    def levels(self, shares: Sequence[Share], row: int) -> tuple[Level, ...]:
        """Return the path from the center down to a share, as it stands now."""
        now = [
            replace(share, granted=self.structure.axes.amount(granted))
            for share, granted in zip(shares, self.granted, strict=True)
        ]
        leaf = shares[row]
        return Tree(now).path(ProjectId(leaf.id), leaf.pool)


def _rows(rows: Iterable[tuple[int, ...]], axes: Axes) -> Ints:
    return np.array(list(rows), dtype=np.int64).reshape(-1, axes.width)


def _scaled(amount: Ints, has: Ints, promised: Ints) -> Ints:
    """Return promised amounts, lessened as far as more is promised of a resource than there is.

    In Python's own numbers: bytes times bytes do not fit in 64 bits, and this happens only when quotas change.
    """
    short = promised > has
    short[..., PLACES] = False
    if not short.any():
        return amount
    result = amount.copy()
    for at in zip(*np.nonzero(short), strict=True):
        result[at] = int(amount[at]) * int(has[at]) // int(promised[at])
    return result
