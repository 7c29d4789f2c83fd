"""Facts as tables of numbers: one row each, kept current row by row, so that a question is asked of all at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from operator import is_
from threading import Lock
from typing import Any, Final, Generic, TypeVar, cast

import numpy as np

from registry.axes import Bools, Floats, Ints, rows_where

Name = str | tuple[str | int, ...]
"""What a row stands for: it has an order."""
K = TypeVar("K", bound=Name)

_FEW: Final = 64
H = TypeVar("H", bound=Hashable)
V = TypeVar("V")
ALIVE: Final = 0
"""The first column of every table: 1 in a row that stands for something, 0 in one that is free."""


class Table(Generic[K]):
    """Rows of integers by key. A copy costs as much as the table is large, a change of a row nothing besides."""

    def __init__(self, columns: int) -> None:
        self._cells: Ints = np.zeros((8, columns), dtype=np.int64, order="F")
        self._keys: list[K | None] = []
        self._rows: dict[K, int] = {}
        self._holes: list[int] = []
        self._found: dict[Hashable, tuple[tuple[object, ...], Any]] = {}

    def __len__(self) -> int:
        """Return how many rows stand for something."""
        return len(self._rows)

    @property
    def cells(self) -> Ints:
        """Return all rows, the free ones too, which are all zeros: look at the column ALIVE."""
        return self._cells[: len(self._keys)]

    def column(self, column: int, rows: Ints) -> Ints:
        """Return one number of each of some rows: of many, copies of whole rows cost far more."""
        return np.asarray(self._cells[:, column][rows])

    def columns(self, first: int, rows: Ints) -> Ints:
        """Return the numbers of some rows from a column on, one row each."""
        return np.asarray(self._cells[:, first:][rows])

    def alive(self) -> Ints:
        """Return the numbers of the rows that stand for something, for reading only."""
        return self.found("alive", (), lambda: rows_where(self.cells[:, ALIVE]))

    def key(self, row: int) -> K:
        """Return what a row stands for."""
        key = self._keys[row]
        assert key is not None, row
        return key

    def row(self, key: K) -> int:
        """Return the row of a key that has one."""
        return self._rows[key]

    def __contains__(self, key: K) -> bool:
        """Tell whether a key has a row."""
        return key in self._rows

    def sorted(self, rows: Ints, by: Sequence[Ints | Floats | Bools]) -> list[int]:
        """Return some rows in the order of several numbers each, the last of them first of all; by key among equals."""
        if len(rows) <= _FEW:
            # In Python's own way as long as that is faster.
            ranked = zip(*(one.tolist() for one in reversed(by)), map(self.key, rows), rows.tolist(), strict=True)
            return [row for *_, row in sorted(ranked)]
        order = np.lexsort(by)
        result: list[int] = rows[order].tolist()
        alike = np.ones(len(rows) - 1, dtype=bool)
        for one in by:
            ranked_by = one[order]
            alike &= ranked_by[1:] == ranked_by[:-1]
        edges = np.flatnonzero(np.diff(alike, prepend=False, append=False))
        for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            result[first : last + 1] = sorted(result[first : last + 1], key=self.key)
        return result

    def found(self, name: Hashable, given: tuple[object, ...], find: Callable[[], V]) -> V:
        """Return what was worked out of these rows under a name and still holds, or work it out.

        It holds as long as the rows are the same and the very same things are `given`, of which it was worked out, too.
        """
        known = self._found.get(name)
        if known is not None and all(map(is_, known[0], given)):
            return cast(V, known[1])
        result = find()
        self._found[name] = given, result
        return result

    def put(self, key: K, values: Sequence[int]) -> None:
        """Write the row of a key: all columns but the first."""
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = self._new_row()
            self._keys[row] = key
        self._cells[row] = (1, *values)
        self._found.clear()

    def add(self, key: K, column: int, amount: int) -> None:
        """Change a number in the row of a key, if it has one."""
        row = self._rows.get(key)
        if row is not None:
            self._cells[row, column] += amount
            self._found.clear()

    def drop(self, key: K) -> None:
        """Free the row of a key, if it has one."""
        row = self._rows.pop(key, None)
        if row is not None:
            self._cells[row] = 0
            self._found.clear()
            self._keys[row] = None
            self._holes.append(row)

    def copy(self) -> Table[K]:
        """Return a table of its own with the same rows, without the free ones once they are most of it."""
        twin: Table[K] = Table.__new__(Table)
        twin._found = {}
        if len(self._holes) > max(_FEW, len(self._keys) // 2):
            rows = self.alive()
            twin._cells = np.asfortranarray(self._cells[rows])
            twin._keys = [self._keys[row] for row in rows]
            twin._rows = {self.key(row): at for at, row in enumerate(rows)}
            twin._holes = []
        else:
            twin._cells = self._cells.copy(order="F")
            twin._keys, twin._rows, twin._holes = self._keys.copy(), self._rows.copy(), self._holes.copy()
        return twin

    def _new_row(self) -> int:
        if self._holes:
            return self._holes.pop()
        if len(self._keys) == len(self._cells):
            more = np.zeros((max(_FEW, 2 * len(self._cells)), self._cells.shape[1]), dtype=np.int64, order="F")
            more[: len(self._cells)] = self._cells
            self._cells = more
        self._keys.append(None)
        return len(self._keys) - 1


class Numbers(Generic[H]):
    """Small numbers for keys, in the order of their first mention: never taken back, so that snapshots share them.

    Threads do, too: one decides while another explains.
    """

    def __init__(self) -> None:
        self._numbers: Final[dict[H, int]] = {}
        self._keys: Final[list[H]] = []
        self._growing: Final = Lock()

    def apart(self) -> Numbers[H]:
        """Return the same numbers for somebody who adds some that nobody else is to know."""
        twin: Numbers[H] = Numbers()
        with self._growing:
            twin._numbers.update(self._numbers)
            twin._keys.extend(self._keys)
        return twin

    def __len__(self) -> int:
        """Return how many keys have a number."""
        return len(self._keys)

    def of(self, key: H) -> int:
        """Return the number of a key; of a new one, whoever asks at the same time."""
        number = self._numbers.get(key)
        if number is not None:
            return number
        with self._growing:
            if key not in self._numbers:
                self._keys.append(key)
                self._numbers[key] = len(self._keys) - 1
            return self._numbers[key]

    def __iter__(self) -> Iterator[H]:
        """Yield the keys in the order of their numbers."""
        return iter(self._keys)

    def since(self, number: int) -> tuple[H, ...]:
        """Return the keys from a number on."""
        return tuple(self._keys[number:])

    def key(self, number: int) -> H:
        """Return what a number stands for."""
        return self._keys[number]
