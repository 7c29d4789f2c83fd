"""What intake reads and keeps beside requests, in memory: the register, keys, credentials and the journal."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import takewhile

from operations.events import Event
from operations.ports.backend import Credentials
from operations.ports.store import KeptLog, UsedKey
from quotas.rates import RateCard
from registry.centers import Environment, Pool
from registry.ids import EnvironmentId, InstitutionId, Mark, PersonId, PoolId, ProcessUid, ProjectId, RequestId, Seconds
from registry.institutions import Project
from store.memory.shelves import FollowedShelf, History, Line, Notes, Shelf
from store.standing import KEPT_SECONDS

_Ends = Line[tuple[Seconds, str, ProcessUid]]


class MemoryRegister:
    """`Register` in memory."""

    def __init__(self, history: History) -> None:
        self.projects: Shelf[ProjectId, Project] = Shelf(history)
        self.pools: Shelf[PoolId, Pool] = Shelf(history)
        self.environments: Shelf[EnvironmentId, Environment] = Shelf(history)
        self.cards: FollowedShelf[Seconds, RateCard] = FollowedShelf(history)
        self._sorted: Notes[None, tuple[RateCard, ...]] = Notes(history)

    def project(self, project: ProjectId) -> Project | None:
        return self.projects.get(project)

    def pool(self, pool: PoolId) -> Pool | None:
        return self.pools.get(pool)

    def environment(self, environment: EnvironmentId) -> Environment | None:
        return self.environments.get(environment)

    def rate_cards(self) -> tuple[RateCard, ...]:
        known = self._sorted.get(None)
        if known is None:
            known = tuple(card for _, card in sorted(self.cards.items()))
            self._sorted.know(None, known)
        return known

    def put_card(self, card: RateCard) -> None:
        """Keep a rate card."""
        self.cards.put(card.since, card)
        self._sorted.forget(None)

    def changed_cards(self, since: Mark) -> list[RateCard]:
        """Return the rate cards that were added since a mark."""
        return self.cards.changed(since)


class MemoryKeys:
    """`Keys` in memory."""

    def __init__(self, history: History) -> None:
        self._kept: Shelf[tuple[PersonId, str], tuple[UsedKey, Seconds]] = Shelf(history)

    def used(self, person: PersonId, key: str) -> UsedKey | None:
        kept = self._kept.get((person, key))
        return kept[0] if kept else None

    def keep(self, person: PersonId, key: str, use: UsedKey, *, now: Seconds) -> None:
        self._kept.add((person, key), (use, now))
        old = takewhile(lambda item: item[1][1] < now - KEPT_SECONDS, self._kept.items())
        for place, _ in list(old):
            self._kept.remove(place)


class MemoryVault:
    """`Vault` in memory, where nothing rests and nothing is sealed."""

    def __init__(self, history: History) -> None:
        self._credentials: Shelf[RequestId, Credentials] = Shelf(history)

    def keep(self, request: RequestId, credentials: Credentials) -> None:
        if request not in self._credentials:
            self._credentials.put(request, credentials)

    def get(self, request: RequestId) -> Credentials | None:
        return self._credentials.get(request)

    def destroy(self, request: RequestId) -> None:
        self._credentials.remove(request)


class MemoryLogs:
    """`Logs` in memory, in the order of their ends for the whole center and for each institution."""

    def __init__(self, history: History) -> None:
        self._logs: Shelf[ProcessUid, tuple[KeptLog, str]] = Shelf(history)
        self._of: Shelf[RequestId, tuple[ProcessUid, ...]] = Shelf(history)
        self._all: _Ends = Line(history)
        self._by_institution: dict[InstitutionId, _Ends] = defaultdict(lambda: Line(history))

    def keep(self, log: KeptLog, text: str) -> None:
        if log.uid in self._logs:
            return
        self._logs.put(log.uid, (log, text))
        self._of.put(log.request, (*(self._of.get(log.request) or ()), log.uid))
        for line in (self._all, self._by_institution[log.institution]):
            line.add(_place(log))

    def of(self, request: RequestId) -> tuple[KeptLog, ...]:
        found = (self._logs.get(uid) for uid in self._of.get(request) or ())
        return tuple(sorted((one[0] for one in found if one), key=_newest_first))

    def text(self, uid: ProcessUid) -> str | None:
        found = self._logs.get(uid)
        return found[1] if found else None

    def drop(self, *, before: Seconds) -> None:
        while (oldest := self._all.first()) and oldest[0] < before:
            self._remove(oldest[2])

    def thin(self, institution: InstitutionId, *, newest: int) -> None:
        line = self._by_institution[institution]
        while len(line) > newest and (oldest := line.first()):
            self._remove(oldest[2])

    def _remove(self, uid: ProcessUid) -> None:
        found = self._logs.get(uid)
        assert found is not None, uid
        log, _ = found
        self._logs.remove(uid)
        rest = tuple(one for one in self._of.get(log.request) or () if one != uid)
        if rest:
            self._of.put(log.request, rest)
        else:
            self._of.remove(log.request)
        for line in (self._all, self._by_institution[log.institution]):
            line.remove(_place(log))


def _place(log: KeptLog) -> tuple[Seconds, str, ProcessUid]:
    return log.at, log.process, log.uid


def _newest_first(log: KeptLog) -> tuple[int, str]:
    return -log.at, log.process


class MemoryJournal:
    """`Journal` in memory."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._events: list[Event] = []

    def add(self, events: Iterable[Event]) -> None:
        for event in events:
            self._history.note(self, None, None)
            self._events.append(event)

    def told_since(self, count: int) -> list[Event]:
        """Return what was told after the first so many events."""
        return self._events[count:]

    @property
    def count(self) -> int:
        """Return how many events were told."""
        return len(self._events)

    def forget(self, requests: Collection[RequestId]) -> None:
        """Leave nothing of what happened to requests."""
        self._events = [event for event in self._events if event.request not in requests]

    def events(self) -> tuple[Event, ...]:
        """Return everything that happened, in its order."""
        return tuple(self._events)

    def restore(self, _key: None, _before: None) -> None:
        """Take back the event that was told last."""
        self._events.pop()

    def stamp(self, _key: None, _mark: Mark) -> None:
        """Do nothing: nobody asks when an event was told."""
