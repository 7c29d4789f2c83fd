"""A store whose transactions overlap as PostgreSQL's do, as far as the exporter reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Concatenate, ParamSpec, TypeVar, cast

from exporters.app import Condition
from exporters.collector import Collector
from exporters.totals import WAIT_BOUNDS
from operations.follower import Follower
from operations.ports.office import EntrySum, HitCount, Office, WaitCount
from operations.ports.outside import Pulse
from operations.ports.store import Facts, Listener, Store, StoreUnavailableError
from registry.ids import Mark, Seconds
from registry.people import Scope
from scheduler.policy import DEFAULT_POLICY
from tests.builders import NOW

WELL = Condition(is_well=lambda: True, is_alive=lambda: True)
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Written:
    """What one transaction writes. Its mark is drawn when it begins; who looks sees nothing of it until it commits."""

    mark: Mark
    committed: bool = False
    entries: list[EntrySum] = field(default_factory=list)
    waits: list[WaitCount] = field(default_factory=list)
    hits: list[HitCount] = field(default_factory=list)


class Overlapping:
    """The ledger and the journal of a store in which nothing else ever happens; it can be cut off."""

    def __init__(self) -> None:
        self.answers = True
        self.next = 1
        self.open: list[Written] = []
        self.ended: list[Written] = []

    def begin(self) -> Written:
        new = Written(Mark(self.next))
        self.next += 1
        self.open.append(new)
        return new

    def end(self, one: Written, *, committed: bool) -> None:
        self.open.remove(one)
        one.committed = committed
        self.ended.append(one)

    def visible(self, since: Mark, until: Mark | None) -> Iterator[Written]:
        return (
            one for one in self.ended if one.committed and since <= one.mark and (until is None or one.mark < until)
        )

    def horizon(self) -> Mark:
        return min((one.mark for one in self.open), default=Mark(self.next))

    def sums(self, _scope: Scope, *, since: Mark, until: Mark | None) -> tuple[EntrySum, ...]:
        return tuple(entry for one in self.visible(since, until) for entry in one.entries)

    def counts(self, bounds: tuple[int, ...], *, since: Mark, until: Mark | None) -> tuple[WaitCount, ...]:
        assert bounds == WAIT_BOUNDS
        return tuple(wait for one in self.visible(since, until) for wait in one.waits)

    def hits(self, *, since: Mark, until: Mark | None) -> tuple[HitCount, ...]:
        return tuple(hit for one in self.visible(since, until) for hit in one.hits)

    def office(self) -> Office:
        nothing = SimpleNamespace(center=lambda: None, pools=tuple, page=lambda *_, **__: ())
        office = SimpleNamespace(books=self, waits=self, request_views=self, facilities=nothing, institutions=nothing)
        return cast("Office", office)

    def read(self, query: Callable[Concatenate[Office, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        if not self.answers:
            raise StoreUnavailableError
        return query(self.office(), *args, **kwargs)

    def transact(self, operation: Callable[Concatenate[Office, P], R], *_args: P.args, **_kwargs: P.kwargs) -> R:
        raise AssertionError(operation)

    def facts(self, _since: Mark) -> Facts:
        return Facts(mark=self.horizon(), facts=())

    def subscribe(self, _hear: Listener) -> None:
        """Wake nobody."""


class SteppedClock:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> Seconds:
        return self.time


def a_collector(store: Store[Office], clock: SteppedClock | None = None) -> Collector:
    return Collector(
        store,
        Follower(store, DEFAULT_POLICY),
        clock=clock or SteppedClock(),
        nanoseconds=lambda: 0,
        pulse=Pulse,
    )
