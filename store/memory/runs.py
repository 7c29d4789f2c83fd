"""How much of what they had asked for people's latest clusters ran, in memory."""

from registry.ids import Mark, PersonId
from scheduler.facts import RunRatios
from store.memory.shelves import FollowedShelf, History


class MemoryRuns:
    """`Runs` in memory."""

    def __init__(self, history: History) -> None:
        self._ratios: FollowedShelf[PersonId, RunRatios] = FollowedShelf(history)

    def add(self, person: PersonId, permille: int) -> None:
        earlier = self._ratios.get(person)
        self._ratios.put(person, RunRatios(person=person, last=permille, before=earlier.last if earlier else None))

    def changed(self, since: Mark) -> list[RunRatios]:
        """Return whose latest runs are others than at a mark."""
        return self._ratios.changed(since)
