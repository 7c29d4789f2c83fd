"""The order of commits is not the order of sequences: whoever follows marks loses nothing."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select

from operations.events import Event, EventKind
from operations.ports.office import Office
from operations.ports.store import Work
from registry.ids import BEGINNING
from registry.people import EVERYTHING
from scheduler.requests import Request
from store.capacity import SqlCapacity
from store.journal import EVENTS
from store.transactions import SqlStore
from tests.builders import NOW, a_request, request_id

WAIT_SECONDS = 20


def add(work: Work, request: Request) -> None:
    work.requests.add(request)
    work.journal.add([Event(request=request.id, at=NOW, kind=EventKind.SUBMITTED)])


class Slow:
    """An operation that has written and does not commit before it is let go."""

    def __init__(self) -> None:
        self.has_written = threading.Event()
        self.may_commit = threading.Event()

    def __call__(self, work: Work, request: Request) -> None:
        add(work, request)
        self.has_written.set()
        assert self.may_commit.wait(WAIT_SECONDS)


@contextmanager
def slow_writer(store: SqlStore, request: Request) -> Iterator[threading.Event]:
    """Keep a transaction open that wrote first and commits when it is let go, at the latest at the end."""
    slow = Slow()
    with ThreadPoolExecutor(1) as thread:
        commit = thread.submit(store.transact, slow, request)
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
    with slow_writer(store, a_request(1)):
        store.transact(add, a_request(2))
        early = store.facts(BEGINNING)
        number = store.read(newest_number)
        assert early.facts == (a_request(2),), "the later one has committed, the earlier one has not"
    assert a_request(1) in store.facts(early.mark).facts
    assert request_id(1) not in store.read(numbers_after, number), "its number was drawn before: lost for ever"


def test_events_are_told_only_up_to_what_can_no_longer_be_overtaken(postgresql_store: SqlStore) -> None:
    store = postgresql_store
    with slow_writer(store, a_request(1)):
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
        with slow_writer(sqlite_store, a_request(1)):
            second = other.submit(sqlite_store.transact, add, a_request(2))
            with pytest.raises(TimeoutError):
                second.result(0.2)
            assert sqlite_store.facts(BEGINNING).facts == (), "while readers see what was committed"
        second.result(WAIT_SECONDS)
    assert set(sqlite_store.facts(BEGINNING).facts) == {a_request(1), a_request(2)}
