"""One consistent, immutable picture of everything a cycle decides from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar, assert_never, cast

from quotas.allocations import Allocation
from quotas.rates import RateCard, RateRule, card_at
from quotas.tree import Share
from registry.axes import Axes
from registry.centers import Node
from registry.ids import AllocationId, BookingId, NodeId, PersonId, PoolId, ProjectId, RequestId, Seconds, ShareId
from registry.resources import Resources
from scheduler.arrays import HAS, Arrays, works
from scheduler.bookings import Booking
from scheduler.clusters import Cluster, Process
from scheduler.estimates import Outcome
from scheduler.facts import DayOfUse, Fact, RunRatios
from scheduler.policy import DEFAULT_POLICY, Policy
from scheduler.requests import Request, State

K = TypeVar("K")
V = TypeVar("V")

_TABLES: Final[Mapping[type, tuple[str, ...]]] = {
    Request: ("queue", "running", "processes"),
    Process: ("processes", "running"),
    Node: ("processes", "running", "queue"),
    Allocation: ("credit",),
    DayOfUse: ("days",),
    Outcome: ("outcomes",),
}
"""Which tables a kind of fact is written to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Current values by key. Ended requests and released slots are not in it.

    `arrays` are the same facts as tables. `freed` are the pools in which the last facts have made room, beside what
    decisions on the snapshot before made themselves: a promise moves earlier only there. Bookings that are over are in
    it: a rebuild leaves out those that have long been, which say nothing of any later moment.
    """

    policy: Policy = DEFAULT_POLICY
    nodes: Mapping[NodeId, Node] = field(default_factory=dict)
    shares: Mapping[tuple[ShareId, PoolId], Share] = field(default_factory=dict)
    requests: Mapping[RequestId, Request] = field(default_factory=dict)
    processes: Mapping[RequestId, Mapping[int, Process]] = field(default_factory=dict)
    allocations: Mapping[AllocationId, Allocation] = field(default_factory=dict)
    credit: Mapping[ProjectId, Mapping[AllocationId, Allocation]] = field(default_factory=dict)
    days: Mapping[tuple[ShareId, PoolId, int], DayOfUse] = field(default_factory=dict)
    rate_cards: Mapping[Seconds, RateCard] = field(default_factory=dict)
    bookings: Mapping[BookingId, Booking] = field(default_factory=dict)
    run_ratios: Mapping[PersonId, RunRatios] = field(default_factory=dict)
    outcomes: Mapping[tuple[PoolId, int], Outcome] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=lambda: Arrays(Axes()), compare=False, repr=False)
    freed: frozenset[PoolId] = field(default=frozenset(), compare=False, repr=False)

    def with_facts(self, facts: Iterable[Fact]) -> Snapshot:
        """Return the snapshot with each fact in place of the value it had before."""
        news = tuple(facts)
        if not news:
            return self
        axes = self.arrays.axes.with_models_of(_amounts(news))
        if axes is not self.arrays.axes:
            # A model of GPU that was never heard of: every row gets a column more.
            return Snapshot(policy=self.policy, arrays=Arrays(axes)).with_facts((*self.facts(), *news))
        draft = _Draft(self, news)
        for fact in news:
            draft.put(fact)
        return draft.finished(news)

    def facts(self) -> Iterator[Fact]:
        """Yield every fact, as a store would hand it over."""
        for kind in (
            self.nodes,
            self.shares,
            self.rate_cards,
            self.allocations,
            self.days,
            self.bookings,
            self.run_ratios,
            self.outcomes,
            self.requests,
        ):
            yield from kind.values()
        for slots in self.processes.values():
            yield from slots.values()

    def pending(self) -> tuple[Request, ...]:
        """Return the requests that wait."""
        return tuple(one for one in self.requests.values() if one.state is State.PENDING)

    def clusters(self) -> tuple[Cluster, ...]:
        """Return the placed requests with their slots."""
        return tuple(self.cluster(one) for one in self.requests.values() if one.state is State.PLACED)

    def cluster(self, request: Request) -> Cluster:
        """Return a placed request with its slots, by ordinal."""
        slots = self.processes.get(request.id, {})
        return Cluster(request=request, processes=tuple(slots[ordinal] for ordinal in sorted(slots)))

    def rule(self, pool: PoolId, now: Seconds) -> RateRule | None:
        """Return the rate rule of a pool at a moment."""
        card = card_at(self.rate_cards.values(), now)
        return card.rule(pool) if card else None


class _Draft:
    """A snapshot in the making: its mappings and tables are copied once, however many facts come."""

    def __init__(self, before: Snapshot, news: Sequence[Fact]) -> None:
        self.before = before
        kinds = {type(fact) for fact in news}
        self.nodes = _own(before.nodes, Node in kinds)
        self.shares = _own(before.shares, Share in kinds)
        self.requests = _own(before.requests, Request in kinds)
        self.processes = _own(before.processes, Request in kinds or Process in kinds)
        self.allocations = _own(before.allocations, Allocation in kinds)
        self.credit = _own(before.credit, Allocation in kinds)
        self.days = _own(before.days, DayOfUse in kinds)
        self.rate_cards = _own(before.rate_cards, RateCard in kinds)
        self.bookings = _own(before.bookings, Booking in kinds)
        self.run_ratios = _own(before.run_ratios, RunRatios in kinds)
        self.outcomes = _own(before.outcomes, Outcome in kinds)
        self.freed: set[PoolId] = set()
        self.arrays = before.arrays.branch(*dict.fromkeys(table for kind in kinds for table in _TABLES.get(kind, ())))

    def put(self, fact: Fact) -> None:
        match fact:
            case Request():
                self._put_request(fact)
            case Process():
                self._put_process(fact)
            case Share():
                self.shares[fact.id, fact.pool] = fact
            case DayOfUse():
                self.days[fact.share, fact.pool, fact.day] = fact
                self.arrays.put_day(fact)
            case RateCard():
                self.rate_cards[fact.since] = fact
            case Outcome():
                self.outcomes[fact.pool, fact.slot] = fact
                self.arrays.put_outcome(fact)
            case Node() | Allocation() | Booking() | RunRatios():
                self._put_by_id(fact)
            case _:
                assert_never(fact)

    def _put_by_id(self, fact: Node | Allocation | Booking | RunRatios) -> None:
        match fact:
            case Node():
                if _has_more(self.nodes.get(fact.id), fact):
                    self.freed.add(fact.pool)
                self.nodes[fact.id] = fact
            case Allocation():
                self._put_allocation(fact)
            case Booking():
                self.bookings[fact.id] = fact
                self.freed.add(fact.pool)
            case RunRatios():
                self.run_ratios[fact.person] = fact
                self.arrays.put_ratios(fact.person, fact.mean)
            case _:
                assert_never(fact)

    def _put_request(self, request: Request) -> None:
        before = self.requests.get(request.id)
        if request.state is State.ENDED:
            self.requests.pop(request.id, None)
            for ordinal in self.processes.pop(request.id, {}):
                self.arrays.processes.drop((request.id, ordinal))
        else:
            self.requests[request.id] = request
        if before is not None and _gives_up(before, request):
            self.freed.add(request.pool)
        self.arrays.put_request(request, self.processes.get(request.id, {}).values())

    def _put_process(self, process: Process) -> None:
        others = dict(self.processes.get(process.request, {}))
        before = others.pop(process.ordinal, None)
        key = process.request, process.ordinal
        if process.released is None:
            others[process.ordinal] = process
            request = self.requests.get(process.request)
            if request is not None and request.state is State.PLACED:
                self.arrays.put_process(request, process)
        else:
            self.arrays.processes.drop(key)
        if process.node in self.nodes and (process.released is not None or not process.wanted):
            # Even where a start took as much since: of a node only the sum is told.
            self.freed.add(self.nodes[process.node].pool)
        worked, goes_on = before is not None and works(before), process.released is None and works(process)
        if worked != goes_on:
            self.arrays.running.add(process.request, HAS, 1 if goes_on else -1)
        self.processes[process.request] = others
        if not others:
            del self.processes[process.request]

    def _put_allocation(self, allocation: Allocation) -> None:
        self.allocations[allocation.id] = allocation
        self.credit[allocation.project] = {**self.credit.get(allocation.project, {}), allocation.id: allocation}
        self.arrays.put_allocation(allocation)

    def finished(self, news: Sequence[Fact]) -> Snapshot:
        new_nodes = self.arrays.put_nodes([fact for fact in news if isinstance(fact, Node)])
        self.arrays.put_shares(self.shares, [fact for fact in news if isinstance(fact, Share)])
        if new_nodes:
            # Rows of nodes have moved: what runs on them says so by their numbers.
            for request in self.requests.values():
                if request.state is State.PLACED:
                    self.arrays.put_request(request, self.processes.get(request.id, {}).values())
        return Snapshot(
            policy=self.before.policy,
            nodes=self.nodes,
            shares=self.shares,
            requests=self.requests,
            processes=self.processes,
            allocations=self.allocations,
            credit=self.credit,
            days=self.days,
            rate_cards=self.rate_cards,
            bookings=self.bookings,
            run_ratios=self.run_ratios,
            outcomes=self.outcomes,
            arrays=self.arrays,
            freed=frozenset(self.freed),
        )


def _gives_up(before: Request, after: Request) -> bool:
    """Tell whether a request gives up anything that it holds, or was promised.

    Whose promise was as early as can be starts earlier only where it moved: that is no room that others missed.
    """
    if after.state is State.ENDED or before.state is State.PLACED:
        return after.state is not State.PLACED or _leaves_earlier(before, after)
    was, promise = before.promise, after.promise
    if was is None:
        return False
    if after.state is State.PLACED:
        return was.aim is not None and after.placed is not None and after.placed < was.starts
    return promise is None or promise.starts > was.starts


def _leaves_earlier(before: Request, after: Request) -> bool:
    is_told = before.ending is None and after.ending is not None
    return is_told or (after.deadline or 0) < (before.deadline or 0)


def _has_more(before: Node | None, after: Node) -> bool:
    """Tell whether a node may take anything that it could not."""
    if before is None or (before.places, before.state, before.pool) != (after.places, after.state, after.pool):
        return True
    return not after.free.within(before.free)


def _own(mapping: Mapping[K, V], is_written: bool) -> dict[K, V]:  # noqa: FBT001 - one of ten that are alike
    """Return a copy to write to, if anything is to be written."""
    return dict(mapping) if is_written else cast(dict[K, V], mapping)


def _amounts(facts: Iterable[Fact]) -> Iterator[Resources]:
    """Yield every amount that facts speak of."""
    for fact in facts:
        match fact:
            case Request():
                yield from (fact.head, fact.worker)
            case Process():
                yield fact.shape
            case Node():
                yield from (fact.capacity, fact.granted)
            case Share():
                yield from (fact.quota.nominal, fact.quota.borrowing, fact.quota.lending, fact.granted)
            case _:
                pass
