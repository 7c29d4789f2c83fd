"""The door of the store in memory: one transaction at a time, undone by an exception."""

import threading
from collections.abc import Callable, Collection
from itertools import chain
from typing import Concatenate, ParamSpec, TypeVar

from operations.events import Event
from operations.ports.store import Facts, Listener, Work
from quotas.ledger import AccountId, Entry
from quotas.rates import RateCard
from quotas.tree import Share
from registry.centers import Environment, Node, Pool
from registry.ids import BEGINNING, Mark, MicroCredits, RequestId
from registry.institutions import Project
from scheduler.facts import Fact
from store.doors import alone
from store.memory.accounts import MemoryAccounts
from store.memory.bookings import MemoryBookings
from store.memory.capacity import MemoryCapacity
from store.memory.intake import MemoryJournal, MemoryKeys, MemoryLogs, MemoryRegister, MemoryVault
from store.memory.outcomes import MemoryOutcomes
from store.memory.requests import MemoryClusters, MemoryRequests
from store.memory.runs import MemoryRuns
from store.memory.shelves import History

P = ParamSpec("P")
R = TypeVar("R")

Thing = Project | Pool | Environment | Node | Share | RateCard
"""What exists before anybody asks for anything."""


class MemoryStore:
    """`Store` in memory, with the work of loops and intake; any number of threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._history = history = History()
        self._requests = MemoryRequests(history)
        self._clusters = MemoryClusters(history, self._requests)
        self._capacity = MemoryCapacity(history)
        self._bookings = MemoryBookings(history)
        self._accounts = MemoryAccounts(history)
        self._runs = MemoryRuns(history)
        self._outcomes = MemoryOutcomes(history)
        self._register = MemoryRegister(history)
        self._journal = MemoryJournal(history)
        self._work = Work(
            requests=self._requests,
            clusters=self._clusters,
            capacity=self._capacity,
            bookings=self._bookings,
            accounts=self._accounts,
            runs=self._runs,
            outcomes=self._outcomes,
            keys=MemoryKeys(history),
            vault=MemoryVault(history),
            register=self._register,
            journal=self._journal,
            logs=MemoryLogs(history),
            trial=history.trial,
            news=self._news,
        )

    def transact(self, operation: Callable[Concatenate[Work, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run an operation with everything for itself; tell the listeners if it wrote."""
        with alone(), self._lock:
            before = self._journal.count
            self._history.begin()
            try:
                outcome = operation(self._work, *args, **kwargs)
                wrote = self._history.commit()
            except BaseException:
                self._history.undo()
                raise
            finally:
                self._history.end()
            told = self._journal.told_since(before) if wrote else []
        if wrote:
            for hear in self._listeners:
                hear(told)
        return outcome

    def read(self, query: Callable[Concatenate[Work, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query with everything for itself, unable to write."""
        with alone(), self._lock:
            return query(self._work, *args, **kwargs)

    def facts(self, since: Mark) -> Facts:
        """Return what changed since a mark, with the mark to go on from."""
        with alone(), self._lock:
            return self._news(since)

    def subscribe(self, hear: Listener) -> None:
        """Call `hear` after each commit that wrote."""
        self._listeners.append(hear)

    def seed(self, *things: Thing) -> None:
        """Keep what exists: the administration's part, which the work of this store does not have."""

        def put_all(_: Work) -> None:
            for thing in things:
                self._put(thing)

        self.transact(put_all)

    def forget(self, requests: Collection[RequestId]) -> None:
        """Leave nothing of requests that have ended, but what they moved of money: for whoever runs millions of them.

        Whoever follows the facts must have seen their ends.
        """
        gone = frozenset(requests)
        with alone(), self._lock:
            for noun in (self._clusters, self._requests, self._accounts, self._journal):
                noun.forget(gone)

    def entries(self) -> tuple[Entry, ...]:
        """Return the ledger in the order of posting."""
        return self.read(lambda _: self._accounts.entries())

    def balances(self) -> tuple[tuple[AccountId, MicroCredits], ...]:
        """Return every account's balance, by account; they sum to zero."""
        return self.read(lambda _: self._accounts.balances())

    def events(self) -> tuple[Event, ...]:
        """Return everything that happened to requests, in its order."""
        return self.read(lambda _: self._journal.events())

    def _news(self, since: Mark) -> Facts:
        found: chain[Fact] = chain(
            self._capacity.changed_nodes(since),
            self._capacity.changed_shares(since),
            self._register.changed_cards(since),
            self._accounts.changed_allocations(since),
            self._accounts.changed_days(since),
            self._bookings.changed(since) if since > BEGINNING else self._bookings.live(),
            self._runs.changed(since),
            self._outcomes.changed(since),
            self._requests.changed(since) if since > BEGINNING else self._requests.live(),
            self._clusters.changed(since) if since > BEGINNING else self._clusters.held(),
        )
        return Facts(mark=Mark(self._history.mark + 1), facts=tuple(found))

    def _put(self, thing: Thing) -> None:
        match thing:
            case Node():
                self._capacity.put_node(thing)
            case Share():
                self._capacity.put_share(thing)
            case Project():
                self._register.projects.put(thing.id, thing)
            case Pool():
                self._register.pools.put(thing.id, thing)
            case Environment():
                self._register.environments.put(thing.id, thing)
            case RateCard():
                self._register.put_card(thing)
