"""Things kept in memory so that every change can be undone until it is committed."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, Protocol, TypeVar

from registry.ids import BEGINNING, Mark

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T", bound=tuple[Any, ...])

_ABSENT: Final[Any] = object()


class History:
    """What the open transaction has changed, with what was there before, and the mark of the last commit."""

    def __init__(self) -> None:
        self.mark = BEGINNING
        self._undo: list[tuple[_Undoable, Any, Any]] | None = None

    def begin(self) -> None:
        """Allow changes."""
        self._undo = []

    def end(self) -> None:
        """Allow no more changes."""
        self._undo = None

    def undo(self, begin: int = 0) -> None:
        """Undo all changes but the first so many."""
        changes = self._changes
        while len(changes) > begin:
            shelf, key, before = changes.pop()
            shelf.restore(key, before)

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Undo what is changed inside if an exception leaves."""
        begin = len(self._changes)
        try:
            yield
        except BaseException:
            self.undo(begin)
            raise

    def note(self, shelf: _Undoable, key: Hashable, before: object) -> None:
        """Remember what a change replaces."""
        if self._undo is None:
            raise RuntimeError("a query tried to write")
        self._undo.append((shelf, key, before))

    def commit(self) -> bool:
        """Give what was changed the next mark; tell whether anything was."""
        changes = self._changes
        if not changes:
            return False
        mark = self.mark = Mark(self.mark + 1)
        for shelf, key, _ in changes:
            shelf.stamp(key, mark)
        return True

    @property
    def _changes(self) -> list[tuple[_Undoable, Any, Any]]:
        if self._undo is None:
            raise RuntimeError("a query tried to write")
        return self._undo


class _Undoable(Protocol):
    """What changes are noted of."""

    def restore(self, key: Any, before: Any) -> None:  # noqa: ANN401 - its own key, and what it noted
        """Put back what a change had replaced."""
        ...

    def stamp(self, key: Any, mark: Mark) -> None:  # noqa: ANN401
        """Hear that a change was committed."""
        ...


class Notes(Generic[K, V]):
    """What was worked out from other things, until one of them changes or such a change is undone."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._known: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Return what is known by that key."""
        return self._known.get(key)

    def know(self, key: K, value: V) -> None:
        """Keep what was worked out: no change of anything, so a query may do it."""
        self._known[key] = value

    def doubt(self, key: K) -> None:
        """Keep what is known, and forget it should what changes now be undone."""
        self._history.note(self, key, None)

    def forget(self, key: K) -> None:
        """Forget what is known, for what it was worked out from changes; also once that is undone."""
        self.doubt(key)
        self._known.pop(key, None)

    def drop(self, key: K) -> None:
        """Forget what is known of something that is no more."""
        self._known.pop(key, None)

    def restore(self, key: K, _before: object) -> None:
        """Forget what was worked out from what is just undone."""
        self._known.pop(key, None)

    def stamp(self, key: K, mark: Mark) -> None:
        """Nobody asks when notes changed."""


class Shelf(Generic[K, V]):
    """Immutable things by key."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._things: dict[K, V] = {}

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

    def drop(self, keys: Iterable[K]) -> None:
        """Leave nothing of things by those keys, also not that they were: no change, and never undone."""
        for key in keys:
            self._things.pop(key, None)

    def restore(self, key: K, before: V) -> None:
        """Put back what a change had replaced."""
        if before is _ABSENT:
            del self._things[key]
        else:
            self._things[key] = before

    def stamp(self, key: K, mark: Mark) -> None:
        """Nobody asks when these changed."""


class FollowedShelf(Shelf[K, V]):
    """Immutable things by key, and when each was last changed, for whoever follows them."""

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._marks: dict[K, Mark] = {}

    def drop(self, keys: Iterable[K]) -> None:
        """Leave nothing of things by those keys, also not that they were: no change, and never undone."""
        for key in keys:
            self._things.pop(key, None)
            self._marks.pop(key, None)

    def changed(self, since: Mark) -> list[V]:
        """Return what changed since a mark, oldest change first. It costs what changed, not what there is."""
        found: list[V] = []
        for key, mark in reversed(self._marks.items()):
            if mark < since:
                break
            found.append(self._things[key])
        return found[::-1]

    def stamp(self, key: K, mark: Mark) -> None:
        """Make a key the last that changed."""
        self._marks.pop(key, None)
        if key in self._things:
            self._marks[key] = mark


class Line(Generic[T]):
    """Things in their order, each once: the first is found at once, and any is put in or taken out quickly."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._things: list[T] = []

    def __len__(self) -> int:
        return len(self._things)

    def first(self) -> T | None:
        """Return the first thing, if there is any."""
        return self._things[0] if self._things else None

    def add(self, thing: T) -> None:
        """Put in a thing that is not there."""
        self._history.note(self, thing, True)  # noqa: FBT003 - that it came
        insort(self._things, thing)

    def remove(self, thing: T) -> None:
        """Take out a thing that is there."""
        self._history.note(self, thing, False)  # noqa: FBT003 - that it went
        self._take_out(thing)

    def restore(self, thing: T, came: bool) -> None:  # noqa: FBT001 - what was noted
        """Take out what came, or put back what went."""
        if came:
            self._take_out(thing)
        else:
            insort(self._things, thing)

    def stamp(self, thing: T, mark: Mark) -> None:
        """Nobody asks when something came."""

    def _take_out(self, thing: T) -> None:
        place = bisect_left(self._things, thing)
        assert self._things[place] == thing, thing
        del self._things[place]
