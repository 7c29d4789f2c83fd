"""What intake reads and keeps beside requests, in memory: the register, keys, credentials and the journal."""

from collections.abc import Iterable
from itertools import takewhile

from operations.events import Event
from operations.ports.backend import Credentials
from operations.ports.store import KeptLog, UsedKey
from quotas.rates import RateCard
from registry.centers import Environment, Pool
from registry.ids import EnvironmentId, InstitutionId, Mark, PersonId, PoolId, ProcessUid, ProjectId, RequestId, Seconds
from registry.institutions import Project
from store.memory.shelves import History, Shelf
from store.standing import KEPT_SECONDS


class MemoryRegister:
    """`Register` in memory."""

    def __init__(self, history: History) -> None:
        self.projects: Shelf[ProjectId, Project] = Shelf(history)
        self.pools: Shelf[PoolId, Pool] = Shelf(history)
        self.environments: Shelf[EnvironmentId, Environment] = Shelf(history)
        self.cards: Shelf[Seconds, RateCard] = Shelf(history)

    def project(self, project: ProjectId) -> Project | None:
        return self.projects.get(project)

    def pool(self, pool: PoolId) -> Pool | None:
        return self.pools.get(pool)

    def environment(self, environment: EnvironmentId) -> Environment | None:
        return self.environments.get(environment)

    def rate_cards(self) -> tuple[RateCard, ...]:
        return tuple(card for _, card in sorted(self.cards.items()))

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
    """`Logs` in memory."""

    def __init__(self, history: History) -> None:
        self._logs: Shelf[ProcessUid, tuple[KeptLog, str]] = Shelf(history)

    def keep(self, log: KeptLog, text: str) -> None:
        if log.uid not in self._logs:
            self._logs.put(log.uid, (log, text))

    def of(self, request: RequestId) -> tuple[KeptLog, ...]:
        return tuple(sorted((log for log, _ in self._logs if log.request == request), key=_newest_first))

    def text(self, uid: ProcessUid) -> str | None:
        found = self._logs.get(uid)
        return found[1] if found else None

    def drop(self, *, before: Seconds) -> None:
        for log in [log for log, _ in self._logs if log.at < before]:
            self._logs.remove(log.uid)

    def thin(self, institution: InstitutionId, *, newest: int) -> None:
        theirs = sorted((log for log, _ in self._logs if log.institution == institution), key=_newest_first)
        for log in theirs[newest:]:
            self._logs.remove(log.uid)


def _newest_first(log: KeptLog) -> tuple[int, str]:
    return -log.at, log.process


class MemoryJournal:
    """`Journal` in memory."""

    def __init__(self, history: History) -> None:
        self._events: Shelf[int, Event] = Shelf(history)
        self._told = 0

    def add(self, events: Iterable[Event]) -> None:
        for event in events:
            # A number that an undone transaction has used is not used again.
            self._told += 1
            self._events.add(self._told, event)

    def changed(self, since: Mark) -> list[Event]:
        """Return what was told since a mark."""
        return self._events.changed(since)

    def events(self) -> tuple[Event, ...]:
        """Return everything that happened, in its order."""
        return tuple(self._events)
