"""A snapshot that is kept current by reading only what changed."""

from dataclasses import dataclass
from threading import Lock
from typing import Final

from operations.ports.store import Store, Work
from registry.ids import BEGINNING, Mark
from scheduler.policy import Policy
from scheduler.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The state of a store, and the mark from which on there may be more."""

    snapshot: Snapshot
    mark: Mark


class Follower:
    """Follows the store for one reader or several: the loop, explanations, the exporter."""

    def __init__(self, store: Store[Work], policy: Policy) -> None:
        self._store: Final = store
        self._lock: Final = Lock()
        self._mark: Mark = BEGINNING
        self._snapshot = Snapshot(policy=policy)

    def catch_up(self) -> Snapshot:
        """Return the snapshot as committed now. The cost grows with what changed since the last call."""
        return self.look().snapshot

    def look(self) -> Seen:
        """Return the snapshot as committed now, and where to read on from."""
        with self._lock:
            news = self._store.facts(self._mark)
            self._snapshot = self._snapshot.with_facts(news.facts)
            self._mark = news.mark
            return Seen(snapshot=self._snapshot, mark=self._mark)
