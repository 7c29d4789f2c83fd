"""What estimates of starts came to, in memory."""

from registry.ids import Mark, PoolId, Seconds
from scheduler.estimates import Estimate, Outcome
from store.memory.shelves import FollowedShelf, History, Shelf


class MemoryOutcomes:
    """`Outcomes` in memory, which keeps those alone that are learnt from."""

    def __init__(self, history: History) -> None:
        self._outcomes: FollowedShelf[tuple[PoolId, int], Outcome] = FollowedShelf(history)
        self._last: Shelf[PoolId, int] = Shelf(history)

    def add(self, pool: PoolId, estimate: Estimate, placed: Seconds) -> None:
        new = Outcome(pool=pool, number=(self._last.get(pool) or 0) + 1, estimate=estimate, placed=placed)
        self._last.put(pool, new.number)
        self._outcomes.put((pool, new.slot), new)

    def changed(self, since: Mark) -> list[Outcome]:
        """Return what came out since a mark, as far as it is learnt from."""
        return self._outcomes.changed(since)
