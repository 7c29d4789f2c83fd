"""A snapshot that is kept current by reading only what changed."""

from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

from operations.ports.store import Store, Work
from registry.ids import BEGINNING, Mark, PoolId
from scheduler.policy import Policy
from scheduler.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The state of a store, and the mark from which on there may be more."""

    snapshot: Snapshot
    mark: Mark


class Follower:
    """Follows the store for one reader or several: the loop, explanations, the exporter.

    The pools in which room was made are told until they were told to the one who decides: others only look.
    """

    def __init__(self, store: Store[Work], policy: Policy) -> None:
        self._store: Final = store
        self._lock: Final = Lock()
        self._mark: Mark = BEGINNING
        self._snapshot = Snapshot(policy=policy)
        self._is_decided = False

    def catch_up(self) -> Snapshot:
        """Return the snapshot as committed now, to decide on. The cost grows with what changed since the last call."""
        with self._lock:
            self._read()
            self._is_decided = True
            return self._snapshot

    def look(self) -> Seen:
        """Return the snapshot as committed now, and where to read on from, to whoever decides nothing."""
        with self._lock:
            self._read()
            return Seen(snapshot=self._snapshot, mark=self._mark)

    def _read(self) -> None:
        news = self._store.facts(self._mark)
        self._mark = news.mark
        known = frozenset[PoolId]() if self._is_decided else self._snapshot.freed
        after = self._snapshot.with_facts(news.facts)
        freed = known | (after.freed if news.facts else known)
        self._snapshot = after if freed == after.freed else replace(after, freed=freed)
        self._is_decided = False
