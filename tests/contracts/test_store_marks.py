"""The order of commits is not the order of sequences: whoever follows marks loses nothing."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

import pytest
from sqlalchemy import func, select

from operations.events import Event, EventKind
from operations.ports.office import BEFORE_ALL, Office, Place, Posted
from operations.ports.store import Work
from quotas.ledger import Bearer, EntryKey, hold_entry
from registry.ids import BEGINNING, AllocationId, MicroCredits
from registry.people import EVERYTHING
from scheduler.requests import Request
from store.capacity import SqlCapacity
from store.journal import EVENTS
from store.transactions import SqlStore
from tests.builders import NOW, a_request, request_id, tags
from tests.seeding import A_POOL, a_project, award, seed

WAIT_SECONDS = 20
PROJECTS = ("vmu.vision", "vmu.sound", "hcmut.wind", "hcmut.tide")

T = TypeVar("T")


def add(work: Work, request: Request) -> None:
    work.requests.add(request)
    work.journal.add([Event(request=request.id, at=NOW, kind=EventKind.SUBMITTED)])


class Slow(Generic[T]):
    """An operation that has written and does not commit before it is let go."""

    def __init__(self, write: Callable[[Work, T], None]) -> None:
        self.write = write
        self.has_written = threading.Event()
        self.may_commit = threading.Event()

    def __call__(self, work: Work, thing: T) -> None:
        self.write(work, thing)
        self.has_written.set()
        assert self.may_commit.wait(WAIT_SECONDS)


@contextmanager
def slow_writer(store: SqlStore, write: Callable[[Work, T], None], thing: T) -> Iterator[threading.Event]:
    """Keep a transaction open that wrote first and commits when it is let go, at the latest at the end."""
    slow = Slow(write)
    with ThreadPoolExecutor(1) as thread:
        commit = thread.submit(store.transact, slow, thing)
        try:
            assert slow.has_written.wait(WAIT_SECONDS)
            yield slow.may_commit
        finally:
            slow.may_commit.set()
        commit.result(WAIT_SECONDS)


def told(office: Office, number: int) -> list[EventKind]:
    events = office.request_views.events(EVERYTHING, request_id(number), since=BEGINNING, limit=10)
    return [one.event.kind for one in events]


def newest_number(office: Office) -> int:
    assert isinstance(office.capacity, SqlCapacity)
    return int(office.capacity.transaction.connection.execute(select(func.max(EVENTS.c.number))).scalar_one())


def numbers_after(office: Office, number: int) -> list[str]:
    assert isinstance(office.capacity, SqlCapacity)
    query = select(EVENTS.c.request).where(EVENTS.c.number > number)
    return list(office.capacity.transaction.connection.execute(query).scalars())


def test_a_reader_of_marks_sees_what_commits_late_and_a_reader_of_numbers_does_not(postgresql_store: SqlStore) -> None:
    store = postgresql_store
    with slow_writer(store, add, a_request(1)):
        store.transact(add, a_request(2))
        early = store.facts(BEGINNING)
        number = store.read(newest_number)
        assert early.facts == (a_request(2),), "the later one has committed, the earlier one has not"
    assert a_request(1) in store.facts(early.mark).facts
    assert request_id(1) not in store.read(numbers_after, number), "its number was drawn before: lost for ever"


def test_events_are_told_only_up_to_what_can_no_longer_be_overtaken(postgresql_store: SqlStore) -> None:
    store = postgresql_store
    with slow_writer(store, add, a_request(1)):
        store.transact(add, a_request(2))
        assert store.read(told, 2) == [], "an earlier event of it may still commit"
        horizon = store.read(lambda office: office.request_views.horizon())
    assert store.read(told, 2) == [EventKind.SUBMITTED]
    assert store.read(told, 1) == [EventKind.SUBMITTED]
    assert store.read(lambda office: office.request_views.horizon()) > horizon


def test_a_follower_that_reads_between_any_two_commits_ends_with_everything(sql_store: SqlStore) -> None:
    seen: dict[str, Request] = {}
    mark = BEGINNING
    done = threading.Event()

    def follow() -> None:
        nonlocal mark
        while True:
            last = done.is_set()
            told = sql_store.facts(mark)
            seen.update({fact.id: fact for fact in told.facts if isinstance(fact, Request)})
            mark = told.mark
            if last:
                return

    with ThreadPoolExecutor(5) as threads:
        follower = threads.submit(follow)
        list(threads.map(lambda number: sql_store.transact(add, a_request(number)), range(1, 101)))
        done.set()
        follower.result(WAIT_SECONDS)
    assert set(seen) == {request_id(number) for number in range(1, 101)}


def test_on_sqlite_writers_take_turns(sqlite_store: SqlStore) -> None:
    with ThreadPoolExecutor(1) as other:
        with slow_writer(sqlite_store, add, a_request(1)):
            second = other.submit(sqlite_store.transact, add, a_request(2))
            with pytest.raises(TimeoutError):
                second.result(0.2)
            assert sqlite_store.facts(BEGINNING).facts == (), "while readers see what was committed"
        second.result(WAIT_SECONDS)
    assert set(sqlite_store.facts(BEGINNING).facts) == {a_request(1), a_request(2)}


# The ledger


def set_aside(work: Work, number: int) -> None:
    """Post three entries, in no hurry: of projects in turn, since two transactions of one project would take turns."""
    project = PROJECTS[number % len(PROJECTS)]
    bearer = Bearer(allocation=AllocationId(f"alloc-{project}"), request=request_id(1), tags=tags(project))
    for part in range(3):
        assert work.accounts.hold(hold_entry(bearer, EntryKey(f"{number}.{part}"), MicroCredits(1), NOW)) is None
        time.sleep(0.001)


def begin_and_set_aside(work: Work, number: int) -> None:
    """Write something else first: the mark is drawn before the numbers."""
    add(work, a_request(number))
    time.sleep(0.02)
    set_aside(work, number)


def give_credit(store: SqlStore) -> Place:
    """Make the projects, with credit; return where the ledger goes on."""
    seed(store, A_POOL, *map(a_project, PROJECTS))
    for project in PROJECTS:
        award(store, project)
    return place_after(pages(store, BEFORE_ALL), BEFORE_ALL)


def pages(store: SqlStore, place: Place) -> list[Posted]:
    """Read the ledger from a place on, to its end."""
    found: list[Posted] = []
    while page := store.read(a_page, place):
        found += page
        place = place_after(page, place)
    return found


def a_page(office: Office, place: Place) -> tuple[Posted, ...]:
    return office.books.entries(EVERYTHING, project=None, after=place, limit=2)


def place_after(read: Sequence[Posted], place: Place) -> Place:
    return Place(mark=read[-1].mark, number=read[-1].number) if read else place


def test_pages_of_the_ledger_lose_no_entry_that_commits_late(postgresql_store: SqlStore) -> None:
    store = postgresql_store
    place = give_credit(store)
    with slow_writer(store, set_aside, 1):
        store.transact(set_aside, 2)
        early = pages(store, place)
    late = pages(store, place_after(early, place))
    assert [one.entry.key for one in (*early, *late)] == ["1.0", "1.1", "1.2", "2.0", "2.1", "2.2"]
    assert early == [], "what committed first could still be overtaken"


def test_pages_of_the_ledger_lose_nothing_however_transactions_overlap(sql_store: SqlStore) -> None:
    place = give_credit(sql_store)
    seen: list[Posted] = []
    done = threading.Event()

    def read_on() -> None:
        while True:
            last = done.is_set()
            seen.extend(pages(sql_store, place_after(seen, place)))
            if last:
                return

    with ThreadPoolExecutor(5) as threads:
        reader = threads.submit(read_on)
        numbers = range(1, 61)
        writes = [begin_and_set_aside if number % 3 else set_aside for number in numbers]
        list(threads.map(sql_store.transact, writes, numbers))
        done.set()
        reader.result(WAIT_SECONDS)
    keys = [one.entry.key for one in seen]
    assert sorted(keys) == sorted(f"{number}.{part}" for number in numbers for part in range(3)), "each once"
    places = [(one.mark, one.number) for one in seen]
    assert places == sorted(places)
