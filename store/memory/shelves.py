"""Things kept in memory so that every change can be undone until it is committed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

from registry.ids import BEGINNING, Mark

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_ABSENT: Final[Any] = object()


class History:
    """What the open transaction has changed, with what was there before, and the mark of the last commit."""

    def __init__(self) -> None:
        self.mark = BEGINNING
        self._undo: list[tuple[Shelf[Any, Any], Any, Any]] | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Allow changes, and undo them all if an exception leaves."""
        self._undo = []
        try:
            with self.trial():
                yield
        finally:
            self._undo = None

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Undo what is changed inside if an exception leaves."""
        begin = len(self._changes)
        try:
            yield
        except BaseException:
            while len(self._changes) > begin:
                shelf, key, before = self._changes.pop()
                shelf.restore(key, before)
            raise

    def note(self, shelf: Shelf[Any, Any], key: Hashable, before: object) -> None:
        """Remember what a change replaces."""
        self._changes.append((shelf, key, before))

    def commit(self) -> bool:
        """Give what was changed the next mark; tell whether anything was."""
        if not self._changes:
            return False
        self.mark = Mark(self.mark + 1)
        for shelf, key, _ in self._changes:
            shelf.stamp(key, self.mark)
        return True

    @property
    def _changes(self) -> list[tuple[Shelf[Any, Any], Any, Any]]:
        if self._undo is None:
            raise RuntimeError("a query tried to write")
        return self._undo


class Shelf(Generic[K, V]):
    """Immutable things by key, and when each was last changed."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._things: dict[K, V] = {}
        self._marks: dict[K, Mark] = {}

    def __contains__(self, key: K) -> bool:
        return key in self._things

    def __iter__(self) -> Iterator[V]:
        return iter(self._things.values())

    def items(self) -> Iterator[tuple[K, V]]:
        """Yield everything with its key, in the order in which the keys came."""
        return iter(self._things.items())

    def get(self, key: K) -> V | None:
        """Return the thing by that key."""
        return self._things.get(key)

    def add(self, key: K, thing: V) -> None:
        """Keep a thing by a key that must be new."""
        assert key not in self._things, key
        self.put(key, thing)

    def put(self, key: K, thing: V) -> None:
        """Keep a thing in place of the one by that key."""
        self._history.note(self, key, self._things.get(key, _ABSENT))
        self._things[key] = thing

    def remove(self, key: K) -> None:
        """Keep nothing by that key."""
        if key in self._things:
            self._history.note(self, key, self._things.pop(key))

    def changed(self, since: Mark) -> list[V]:
        """Return what changed since a mark, oldest change first. It costs what changed, not what there is."""
        found: list[V] = []
        for key, mark in reversed(self._marks.items()):
            if mark < since:
                break
            found.append(self._things[key])
        return found[::-1]

    def restore(self, key: K, before: V) -> None:
        """Put back what a change had replaced."""
        if before is _ABSENT:
            del self._things[key]
        else:
            self._things[key] = before

    def stamp(self, key: K, mark: Mark) -> None:
        """Make a key the last that changed."""
        self._marks.pop(key, None)
        if key in self._things:
            self._marks[key] = mark
