"""One consistent, immutable picture of everything a cycle decides from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from quotas.allocations import Allocation
from quotas.rates import RateCard, RateRule, card_at
from quotas.tree import Share
from registry.centers import Node
from registry.ids import AllocationId, NodeId, PoolId, RequestId, Seconds, ShareId
from registry.resources import Resources
from scheduler.clusters import Cluster, Process
from scheduler.facts import DayOfUse, Fact
from scheduler.policy import DEFAULT_POLICY, Policy
from scheduler.requests import Request, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Current values by key. Ended requests and released slots are not in it."""

    policy: Policy = DEFAULT_POLICY
    nodes: Mapping[NodeId, Node] = field(default_factory=dict)
    shares: Mapping[tuple[ShareId, PoolId], Share] = field(default_factory=dict)
    requests: Mapping[RequestId, Request] = field(default_factory=dict)
    processes: Mapping[RequestId, Mapping[int, Process]] = field(default_factory=dict)
    allocations: Mapping[AllocationId, Allocation] = field(default_factory=dict)
    days: Mapping[tuple[ShareId, PoolId, int], DayOfUse] = field(default_factory=dict)
    rate_cards: Mapping[Seconds, RateCard] = field(default_factory=dict)

    def with_facts(self, facts: Iterable[Fact]) -> Snapshot:
        """Return the snapshot with each fact in place of the value it had before."""
        news = tuple(facts)
        if not news:
            return self
        draft = _Draft(self)
        for fact in news:
            draft.put(fact)
        return draft.finished()

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

    def wholes(self) -> dict[PoolId, Resources]:
        """Return what the center has in each pool: the nominal quota of its own share."""
        return {share.pool: share.quota.nominal for share in self.shares.values() if share.parent is None}

    def rule(self, pool: PoolId, now: Seconds) -> RateRule | None:
        """Return the rate rule of a pool at a moment."""
        card = card_at(self.rate_cards.values(), now)
        return card.rule(pool) if card else None


class _Draft:
    """A snapshot in the making: its mappings are copied once, however many facts come."""

    def __init__(self, before: Snapshot) -> None:
        self.before = before
        self.nodes = dict(before.nodes)
        self.shares = dict(before.shares)
        self.requests = dict(before.requests)
        self.processes = dict(before.processes)
        self.allocations = dict(before.allocations)
        self.days = dict(before.days)
        self.rate_cards = dict(before.rate_cards)

    def put(self, fact: Fact) -> None:
        match fact:
            case Request():
                self._put_request(fact)
            case Process():
                self._put_process(fact)
            case Node():
                self.nodes[fact.id] = fact
            case Share():
                self.shares[fact.id, fact.pool] = fact
            case Allocation():
                self.allocations[fact.id] = fact
            case DayOfUse():
                self.days[fact.share, fact.pool, fact.day] = fact
            case RateCard():
                self.rate_cards[fact.since] = fact
            case _:
                assert_never(fact)

    def _put_request(self, request: Request) -> None:
        if request.state is State.ENDED:
            self.requests.pop(request.id, None)
            self.processes.pop(request.id, None)
        else:
            self.requests[request.id] = request

    def _put_process(self, process: Process) -> None:
        others = dict(self.processes.get(process.request, {}))
        others.pop(process.ordinal, None)
        if process.released is None:
            others[process.ordinal] = process
        self.processes[process.request] = others
        if not others:
            del self.processes[process.request]

    def finished(self) -> Snapshot:
        return replace(
            self.before,
            nodes=self.nodes,
            shares=self.shares,
            requests=self.requests,
            processes=self.processes,
            allocations=self.allocations,
            days=self.days,
            rate_cards=self.rate_cards,
        )
