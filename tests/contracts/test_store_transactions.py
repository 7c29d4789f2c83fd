"""The door of every store: all or nothing, one at a time, again on a conflict, and a hint to the loops."""

from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from operations.events import Event, EventKind
from operations.ports.office import Office
from operations.ports.store import Store, StoreUnavailableError, UsedKey, Work
from registry.ids import BEGINNING, RequestId
from scheduler.requests import Request
from store.capacity import SqlCapacity
from store.transactions import SqlStore
from tests.builders import ALICE, NOW, a_request, request_id
from tests.databases import SEALING_KEY, opened


class Boom(Exception):
    """What an operation may run into."""


def add(work: Work, request: Request) -> Request:
    work.requests.add(request)
    work.journal.add([Event(request=request.id, at=NOW, kind=EventKind.SUBMITTED)])
    return request


def get(work: Work, request: RequestId) -> Request | None:
    return work.requests.get(request)


def add_then_raise(work: Work, request: Request) -> None:
    add(work, request)
    raise Boom


def test_what_an_operation_returns_is_returned_and_what_it_did_stays(store: Store[Work]) -> None:
    assert store.transact(add, a_request()) == a_request()
    assert store.read(get, request_id(1)) == a_request()


def test_an_operation_that_raises_leaves_nothing_behind(store: Store[Work]) -> None:
    with pytest.raises(Boom):
        store.transact(add_then_raise, a_request())
    assert store.facts(BEGINNING).facts == ()
    assert store.read(get, request_id(1)) is None
    assert store.transact(add, a_request()) == a_request()


def test_a_trial_that_raises_is_undone_alone(store: Store[Work]) -> None:
    def work_on(work: Work) -> None:
        add(work, a_request(1))
        with pytest.raises(Boom), work.trial():
            add_then_raise(work, a_request(2))
        with work.trial():
            add(work, a_request(3))

    store.transact(work_on)
    assert {fact.id for fact in store.facts(BEGINNING).facts if isinstance(fact, Request)} == {
        request_id(1),
        request_id(3),
    }


def test_a_trial_inside_a_trial_is_undone_with_it(store: Store[Work]) -> None:
    def add_then_raise_outside(work: Work) -> None:
        with work.trial():
            with work.trial():
                add(work, a_request(1))
            raise Boom

    def work_on(work: Work) -> None:
        with pytest.raises(Boom):
            add_then_raise_outside(work)
        add(work, a_request(2))

    store.transact(work_on)
    assert [fact for fact in store.facts(BEGINNING).facts if isinstance(fact, Request)] == [a_request(2)]


def test_a_query_cannot_write(store: Store[Work]) -> None:
    with pytest.raises((DBAPIError, RuntimeError)):
        store.read(add, a_request())
    assert store.read(get, request_id(1)) is None


@pytest.mark.parametrize("enter", ["transact", "read", "facts"])
def test_nobody_opens_a_second_transaction_inside_the_first(store: Store[Work], enter: str) -> None:
    doors: dict[str, Callable[[], object]] = {
        "transact": partial(store.transact, add, a_request(2)),
        "read": partial(store.read, get, request_id(2)),
        "facts": partial(store.facts, BEGINNING),
    }

    def nested(work: Work) -> None:
        add(work, a_request(1))
        doors[enter]()

    with pytest.raises(RuntimeError, match="second transaction"):
        store.transact(nested)
    assert store.facts(BEGINNING).facts == ()


def test_the_loops_are_woken_by_a_commit_that_wrote_and_by_nothing_else(store: Store[Work]) -> None:
    woken: list[Request | None] = []
    store.subscribe(lambda _told: woken.append(store.read(get, request_id(1))))
    store.read(get, request_id(1))
    store.facts(BEGINNING)
    store.transact(get, request_id(1))
    with pytest.raises(Boom):
        store.transact(add_then_raise, a_request())
    assert woken == []
    store.transact(add, a_request())
    assert woken == [a_request()], "and what woke them can be seen"


def refuse_once(office: Office, code: str, seen: list[int]) -> int:
    """Write, then meet what another transaction would have caused, the first time."""
    add(office, a_request())
    seen.append(1)
    if len(seen) == 1:
        assert isinstance(office.capacity, SqlCapacity)
        refusal = f"DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '{code}'; END $$"
        office.capacity.transaction.connection.execute(text(refusal))
    return len(seen)


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_conflict_runs_the_whole_operation_again(postgresql_store: SqlStore, code: str) -> None:
    assert postgresql_store.transact(refuse_once, code, []) == 2
    assert postgresql_store.read(get, request_id(1)) == a_request()


def test_a_conflict_that_never_ends_is_told_as_such(sql_store: SqlStore) -> None:
    use = UsedKey(fingerprint="f", made=request_id(1))

    def keep_twice(work: Work) -> None:
        work.keys.keep(ALICE, "k", use, now=NOW)
        work.keys.keep(ALICE, "k", use, now=NOW)

    with pytest.raises(StoreUnavailableError):
        sql_store.transact(keep_twice)
    assert sql_store.read(lambda work: work.keys.used(ALICE, "k")) is None


def test_any_other_refusal_of_the_database_is_our_fault_and_told_at_once(sql_store: SqlStore) -> None:
    sql_store.transact(add, a_request())
    with pytest.raises(DBAPIError, match=r"(?i)unique"):
        sql_store.transact(add, a_request())


def test_a_database_that_is_not_there_is_told_as_such() -> None:
    with opened("postgresql://127.0.0.1:1/nothing?connect_timeout=2") as store, pytest.raises(StoreUnavailableError):
        store.transact(get, request_id(1))


def test_a_store_takes_only_a_key_that_seals(sqlite_store: SqlStore) -> None:
    with pytest.raises(ValueError, match="32"):
        SqlStore("sqlite://", sealing_key=SEALING_KEY[:20])
