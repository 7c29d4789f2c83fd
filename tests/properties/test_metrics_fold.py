"""Sums that are continued equal sums from the beginning, however transactions overlap, commit or come to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Concatenate, ParamSpec, TypeVar, cast

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, rule
from prometheus_client.metrics_core import Metric

from exporters.collector import Collector
from exporters.families import families
from exporters.totals import WAIT_BOUNDS, Totals
from operations.follower import Follower
from operations.ports.office import EntrySum, Office, WaitCount
from operations.ports.store import Facts
from quotas.ledger import EntryKind, Usage
from registry.ids import Mark, Seconds
from registry.people import Scope
from scheduler.policy import DEFAULT_POLICY
from tests.builders import NOW
from tests.scrapes import Series, a_picture, a_scrape, a_wait_count, an_entry_sum, series_in

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Written:
    """What one transaction writes. Its mark is drawn when it begins; who looks sees nothing of it until it commits."""

    mark: Mark
    committed: bool = False
    entries: list[EntrySum] = field(default_factory=list)
    waits: list[WaitCount] = field(default_factory=list)


class Overlapping:
    """A store whose transactions overlap as PostgreSQL's do, as far as the collector reads it."""

    def __init__(self) -> None:
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

    def office(self) -> Office:
        nothing = SimpleNamespace(center=lambda: None, pools=tuple, page=lambda *_, **__: ())
        office = SimpleNamespace(books=self, waits=self, request_views=self, facilities=nothing, institutions=nothing)
        return cast("Office", office)

    def read(self, query: Callable[Concatenate[Office, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        return query(self.office(), *args, **kwargs)

    def transact(self, operation: Callable[Concatenate[Office, P], R], *_args: P.args, **_kwargs: P.kwargs) -> R:
        raise AssertionError(operation)

    def facts(self, _since: Mark) -> Facts:
        return Facts(mark=self.horizon(), facts=())

    def subscribe(self, _wake: Callable[[], None]) -> None:
        """Wake nobody."""


class Standing:
    """A clock that stands."""

    def now(self) -> Seconds:
        return NOW


def a_collector(store: Overlapping) -> Collector:
    return Collector(
        store,
        Follower(store, DEFAULT_POLICY),
        clock=Standing(),
        nanoseconds=lambda: 0,
        last_cycle=lambda: None,
        last_reconcile=lambda: None,
    )


def growing(metrics: Iterable[Metric]) -> Series:
    """Return the series that only grow."""
    return series_in(metric for metric in metrics if metric.type != "gauge")


USAGES = st.builds(Usage, core_milliseconds=st.integers(0, 10**9), mib_seconds=st.integers(0, 10**9))
ENTRIES = st.builds(
    an_entry_sum,
    st.sampled_from(["vmu.vision", "vmu.robots", "port.traffic"]),
    kind=st.sampled_from(EntryKind),
    amount=st.integers(5, 10**9),
    absorbed=st.integers(0, 5),
    usage=USAGES,
)
WAITS = st.builds(
    a_wait_count,
    up_to=st.sampled_from([*WAIT_BOUNDS, None]),
    placed=st.integers(1, 3),
    waited_seconds=st.integers(0, 9),
)


class Scraping(RuleBasedStateMachine):
    """Transactions come and go, and somebody scrapes."""

    transactions: Bundle[Written] = Bundle("transactions")

    def __init__(self) -> None:
        super().__init__()
        self.store = Overlapping()
        self.collector = a_collector(self.store)
        self.shown: Series = {}

    @rule(target=transactions)
    def begin(self) -> Written:
        return self.store.begin()

    @rule(one=transactions, entry=ENTRIES)
    def post(self, one: Written, entry: EntrySum) -> None:
        one.entries.append(entry)

    @rule(one=transactions, wait=WAITS)
    def place(self, one: Written, wait: WaitCount) -> None:
        one.waits.append(wait)

    @rule(one=consumes(transactions))
    def commit(self, one: Written) -> None:
        self.store.end(one, committed=True)

    @rule(one=consumes(transactions))
    def roll_back(self, one: Written) -> None:
        self.store.end(one, committed=False)

    @rule()
    def start_again(self) -> None:
        self.collector = a_collector(self.store)

    @rule()
    def scrape(self) -> None:
        before, self.shown = self.shown, growing(self.collector.collect())
        assert self.shown == self.expected(), "each entry that was committed counts once"
        assert self.shown == growing(a_collector(self.store).collect()), "beginning anew changes nothing"
        assert all(self.shown[series] >= amount for series, amount in before.items()), "nothing goes back"

    def expected(self) -> Series:
        """Return what a sum of all that was committed shows."""
        committed = [one for one in self.store.ended if one.committed]
        totals = Totals().plus(
            [entry for one in committed for entry in one.entries], [wait for one in committed for wait in one.waits]
        )
        nothing_else = replace(a_picture(totals=totals), center=None, pools=(), institutions=())
        return growing(families(a_scrape(nothing_else)))


TestScraping = Scraping.TestCase
