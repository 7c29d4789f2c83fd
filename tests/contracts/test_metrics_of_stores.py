"""The metrics of a real store are its ledger and its snapshot, to the unit, whatever overlaps."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import pytest

from backends.authority import ClusterAuthority
from backends.simulated import SimulatedBackend
from operations.cycle import run_cycle
from operations.events import Event, EventKind
from operations.follower import Follower
from operations.ports import Ports
from operations.ports.office import BEFORE_ALL, Office
from operations.ports.store import Work
from operations.reconcile import reconcile_once
from operations.requests import cancel, submit
from quotas.ledger import ABSORBED, INCOME, Entry, EntryKey, EntryKind, Usage
from registry.ids import MicroCredits, Seconds
from registry.people import EVERYTHING
from registry.resources import MIB
from scheduler.policy import DEFAULT_POLICY
from scheduler.requests import Request
from server.ids import RandomIds
from store.transactions import SqlStore
from tests.builders import CREDIT, NOW, POOL, a_draft, a_node, a_request, cores, facts_of_a_center, request_id, tags
from tests.overlapping import SteppedClock, a_collector
from tests.scrapes import Series, growing, series_in, value
from tests.seeding import A_POOL, AN_ENVIRONMENT, a_pool, a_project, award, seed

PROJECTS = ("vmu.vision", "vmu.robots", "port.traffic")
WAIT_SECONDS = 20


def ledger(office: Office) -> tuple[Entry, ...]:
    """Return every entry there is."""
    return tuple(
        posted.entry for posted in office.books.entries(EVERYTHING, project=None, after=BEFORE_ALL, limit=100_000)
    )


class Center:
    """A center on a real store whose loops run when a test says so, on processes that are simulated."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.clock = SteppedClock()
        self.backend = SimulatedBackend(self.clock)
        self.ports: Ports[Work] = Ports(
            store=store, backend=self.backend, authority=ClusterAuthority(), clock=self.clock, ids=RandomIds()
        )
        self.follower = Follower(store, DEFAULT_POLICY)
        self.collector = a_collector(store, self.clock)
        facts = facts_of_a_center([a_node("n1", cores(16, 64))], PROJECTS, cores(4, 16), borrowing=cores(8, 32))
        things = [fact for fact in facts if not hasattr(fact, "available")]
        seed(store, A_POOL, a_pool("fog"), AN_ENVIRONMENT, *(a_project(name) for name in PROJECTS), *things)  # type: ignore[arg-type]
        for name, awarded in zip(PROJECTS, (100, 50, 3), strict=True):
            award(store, name, awarded * CREDIT)

    def submit(self, number: int, project: str, **asked: int) -> None:
        draft = a_draft(number, project, **asked)
        assert isinstance(self.store.transact(submit, draft, None, DEFAULT_POLICY, now=self.clock.now()), Request)

    def pass_by(self, seconds: int = 0) -> None:
        self.clock.time = Seconds(self.clock.time + seconds)
        run_cycle(self.ports, self.follower)
        reconcile_once(self.ports, DEFAULT_POLICY)
        reconcile_once(self.ports, DEFAULT_POLICY)

    def metrics(self) -> Series:
        return series_in(self.collector.collect())


@pytest.fixture
def center(sql_store: SqlStore) -> Center:
    return Center(sql_store)


def busy(center: Center) -> None:
    """Let requests start, run past full hours, be cancelled, overrun their holds and wait in vain."""
    center.submit(1, "vmu.vision", walltime_seconds=20_000)
    center.submit(2, "port.traffic", workers_max=1)
    center.pass_by()
    center.submit(3, "vmu.robots", workers_min=3, walltime_seconds=4000)
    center.pass_by(77)
    center.submit(4, "port.traffic", workers_min=8, workers_max=8)
    center.metrics()
    center.pass_by(3723)
    center.pass_by(9000)
    center.store.transact(cancel, request_id(1), now=center.clock.now())
    center.pass_by(1)


def shown_as(series: Series, name: str, parts: int) -> Counter[tuple[str, str]]:
    """Return a metric by institution and pool in the units of the ledger, of which `parts` make one of the metric's."""
    found: Counter[tuple[str, str]] = Counter()
    for (called, labels), amount in series.items():
        if called == name:
            said = dict(labels)
            found[said["institution"], said.get("pool", "")] += round(amount * parts)
    return +found


def sums(entries: tuple[Entry, ...], amount: Callable[[Entry], int]) -> Counter[tuple[str, str]]:
    """Return what the ledger says, entry by entry."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        found[entry.tags.institution, entry.tags.pool or ""] += amount(entry)
    return +found


def test_what_was_used_is_what_the_ledger_says_to_the_unit(center: Center) -> None:
    busy(center)
    entries, shown = center.store.read(ledger), center.metrics()
    used = sums(entries, lambda entry: entry.usage.core_milliseconds)
    assert set(used) == {("port", POOL), ("vmu", POOL)}
    assert shown_as(shown, "haidang_used_core_seconds_total", 1000) == used
    memory = sums(entries, lambda entry: entry.usage.mib_seconds * MIB)
    assert shown_as(shown, "haidang_used_memory_byte_seconds_total", 1) == memory
    assert shown_as(shown, "haidang_used_gpu_seconds_total", 1000) == Counter()


def test_what_was_paid_is_what_the_ledger_says_to_the_unit(center: Center) -> None:
    busy(center)
    entries, shown = center.store.read(ledger), center.metrics()

    def of(condition: Callable[[Entry], bool]) -> Counter[tuple[str, str]]:
        return sums(entries, lambda entry: entry.amount if condition(entry) else 0)

    absorbed = of(lambda entry: entry.source == ABSORBED)
    assert absorbed, "something ran past its hold"
    assert shown_as(shown, "haidang_credits_absorbed_total", CREDIT) == absorbed
    paid = of(lambda entry: entry.target == INCOME and entry.source != ABSORBED)
    assert shown_as(shown, "haidang_credits_charged_total", CREDIT) == paid
    for institution, awarded in (("port", 3), ("vmu", 150)):
        assert value(shown, "haidang_credits_granted_total", institution=institution) == awarded
    kinds = Counter((entry.tags.institution, entry.kind.value) for entry in entries)
    for (institution, kind), count in kinds.items():
        assert value(shown, "haidang_ledger_entries_total", institution=institution, kind=kind) == count


def test_what_was_awarded_is_paid_held_or_available(center: Center) -> None:
    busy(center)
    shown = center.metrics()
    for institution in ("port", "vmu"):
        granted, charged, held, available = (
            round(value(shown, f"haidang_credits_{what}", institution=institution) * CREDIT)
            for what in ("granted_total", "charged_total", "held", "available")
        )
        assert granted == charged + held + available


def test_the_queue_the_clusters_and_the_waits_are_those_of_the_requests(center: Center) -> None:
    center.submit(1, "vmu.vision")
    center.submit(2, "port.traffic", workers_min=8, workers_max=8)
    queued = center.metrics()
    assert value(queued, "haidang_queued_requests") == 2
    assert value(queued, "haidang_queued_cores") == 1.5 + 8.5
    center.pass_by(40)
    placed = center.metrics()
    assert value(placed, "haidang_queued_requests", institution="vmu") == 0
    assert value(placed, "haidang_clusters", institution="vmu", state="running") == 1
    assert value(placed, "haidang_wait_seconds_sum", institution="vmu", pool=POOL) == 40
    assert value(placed, "haidang_wait_seconds_bucket", institution="vmu", pool=POOL, le="15.0") == 0
    assert value(placed, "haidang_wait_seconds_bucket", institution="vmu", pool=POOL, le="60.0") == 1
    assert value(placed, "haidang_wait_seconds_count", pool="fog") == 0
    held = sum(slot.shape.millicores for slot in center.follower.catch_up().processes[request_id(1)].values())
    assert value(placed, "haidang_granted", institution="vmu", resource="cpu") * 1000 == held


def test_a_restart_shows_what_was_shown_before(center: Center) -> None:
    busy(center)
    assert growing(a_collector(center.store).collect()) == growing(center.collector.collect())


def use(number: int, project: str = "vmu.vision") -> Entry:
    """Return the charge of some use; no two numbers use the same."""
    return Entry(
        key=EntryKey(f"charge:{number}"),
        kind=EntryKind.CHARGE,
        source=ABSORBED,
        target=INCOME,
        amount=MicroCredits(2**number % 10**9),
        at=NOW,
        tags=tags(project),
        usage=Usage(core_milliseconds=3**number % 10**9),
    )


def charge_and_place(work: Work, number: int) -> None:
    """Write an entry and a placement: one of each thing that is summed."""
    work.accounts.post([use(number)])
    work.requests.add(a_request(number, submitted=NOW - number))
    work.journal.add([Event(request=request_id(number), at=NOW, kind=EventKind.PLACED)])


class Slow:
    """An operation that has written and does not commit before it is let go."""

    def __init__(self) -> None:
        self.has_written = threading.Event()
        self.may_commit = threading.Event()

    def __call__(self, work: Work, number: int) -> None:
        work.requests.add(a_request(number, submitted=NOW - number))
        work.journal.add([Event(request=request_id(number), at=NOW, kind=EventKind.PLACED)])
        self.has_written.set()
        assert self.may_commit.wait(WAIT_SECONDS)
        work.accounts.post([use(number)])


@contextmanager
def slow_writer(store: SqlStore, number: int) -> Iterator[None]:
    """Keep a transaction open that began to write first and commits at the end."""
    slow = Slow()
    with ThreadPoolExecutor(1) as thread:
        commit = thread.submit(store.transact, slow, number)
        try:
            assert slow.has_written.wait(WAIT_SECONDS)
            yield
        finally:
            slow.may_commit.set()
        commit.result(WAIT_SECONDS)


def counted(series: Series) -> tuple[float, float, float]:
    """Return how many entries and placements are shown, and the use."""
    used = value(series, "haidang_used_core_seconds_total")
    placed = value(series, "haidang_wait_seconds_count")
    return value(series, "haidang_ledger_entries_total", kind="charge"), placed, round(used * 1000)


def test_what_commits_late_beneath_what_was_seen_counts_once(postgresql_store: SqlStore) -> None:
    store = postgresql_store
    seed(store, A_POOL, a_project("vmu.vision"))
    collector = a_collector(store)

    def look() -> tuple[float, float, float]:
        shown = counted(series_in(collector.collect()))
        assert shown == counted(series_in(a_collector(store).collect())), "as if begun now"
        return shown

    store.transact(charge_and_place, 1)
    assert look() == (1, 1, 3)
    with slow_writer(store, 2):
        store.transact(charge_and_place, 3)
        assert look() == (2, 2, 3 + 27), "the earlier one is not there yet, the later one is"
        assert look() == (2, 2, 3 + 27), "and does not count again"
        store.transact(charge_and_place, 4)
        assert look() == (3, 3, 3 + 27 + 81)
    assert look() == (4, 4, 3 + 9 + 27 + 81), "the late one is neither lost nor counted twice"
    store.transact(charge_and_place, 5)
    assert look() == (5, 5, 3 + 9 + 27 + 81 + 243)
    assert look() == (5, 5, 3 + 9 + 27 + 81 + 243)


def test_nothing_goes_back_while_many_write(sql_store: SqlStore) -> None:
    seed(sql_store, A_POOL, a_project("vmu.vision"))
    collector = a_collector(sql_store)
    done = threading.Event()
    shown: list[Series] = []

    def scrape() -> None:
        while not done.is_set():
            shown.append(growing(collector.collect()))

    with ThreadPoolExecutor(5) as threads:
        scraping = threads.submit(scrape)
        list(threads.map(lambda number: sql_store.transact(charge_and_place, number), range(1, 61)))
        done.set()
        scraping.result(WAIT_SECONDS)
    shown.append(growing(collector.collect()))
    for before, after in pairwise(shown):
        assert all(after[series] >= amount for series, amount in before.items())
    assert shown[-1] == growing(a_collector(sql_store).collect())
    used = sum(entry.usage.core_milliseconds for entry in sql_store.read(ledger))
    assert counted(shown[-1]) == (60, 60, used)
