"""The ledger: appended once, never changed, always balanced; and no account below its floor."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from operations.events import Event, EventKind
from operations.ports.office import BEFORE_ALL, Office
from operations.ports.store import Store, StoreUnavailableError, Work
from quotas.ledger import (
    ABSORBED,
    INCOME,
    AccountId,
    Bearer,
    Entry,
    EntryKey,
    EntryKind,
    Usage,
    held,
    hold_entry,
    release_entry,
)
from quotas.reasons import NoCredit
from registry.ids import AllocationId, MicroCredits, ProjectId
from registry.people import EVERYTHING
from registry.tags import FundingSource, Sector, Topic
from store.capacity import SqlCapacity
from store.memory import MemoryStore
from store.transactions import SqlStore
from tests.builders import NOW, request_id, tags
from tests.seeding import A_POOL, a_project, award, seed

ALLOCATION = AllocationId("alloc-vmu.vision")
TAGS = replace(tags(), funding=FundingSource("city"), sector=Sector("health"), topic=Topic("flood"))
HELD = held(ALLOCATION)
BEARER = Bearer(allocation=ALLOCATION, request=request_id(1), tags=TAGS)


def hold(work: Work, key: str, amount: int) -> NoCredit | None:
    return work.accounts.hold(hold_entry(BEARER, EntryKey(key), MicroCredits(amount), NOW))


def post(work: Work, *entries: Entry) -> bool:
    return work.accounts.post(entries)


def release(key: str, amount: int) -> Entry:
    return release_entry(BEARER, EntryKey(key), MicroCredits(amount), NOW)


def charge(key: str, amount: int, source: AccountId = HELD) -> Entry:
    return Entry(
        key=EntryKey(key),
        kind=EntryKind.CHARGE,
        source=source,
        target=INCOME,
        amount=MicroCredits(amount),
        at=NOW,
        tags=TAGS,
        usage=Usage(core_milliseconds=2**61, mib_seconds=2, gpu_milliseconds=3),
        request=request_id(1),
    )


def standing(work: Work) -> tuple[int, int]:
    allocation = work.accounts.get(ALLOCATION)
    return allocation.available, allocation.held


def entries_of(store: Store[Work]) -> Sequence[Entry]:
    if isinstance(store, MemoryStore):
        return store.entries()
    assert isinstance(store, SqlStore)
    posted = store.read(lambda office: office.books.entries(EVERYTHING, project=None, after=BEFORE_ALL, limit=1000))
    return [one.entry for one in posted]


def balances_of(store: Store[Work]) -> dict[AccountId, int]:
    if isinstance(store, MemoryStore):
        return dict(store.balances())
    assert isinstance(store, SqlStore)
    return dict(store.read(lambda office: office.books.balances()))


def folded(entries: Sequence[Entry]) -> dict[AccountId, int]:
    balances: dict[AccountId, int] = defaultdict(int)
    for entry in entries:
        balances[entry.source] -= entry.amount
        balances[entry.target] += entry.amount
    return dict(balances)


@pytest.fixture
def funded(store: Store[Work]) -> Store[Work]:
    """A project that was given a hundred."""
    seed(store, A_POOL, a_project("vmu.vision"))
    award(store, micro_credits=100)
    return store


def test_an_award_is_available_and_nothing_is_held(funded: Store[Work]) -> None:
    assert funded.read(standing) == (100, 0)
    assert balances_of(funded)[AccountId("source:city")] == -100


def test_a_hold_takes_what_is_there_and_no_more(funded: Store[Work]) -> None:
    assert funded.transact(hold, "a", 60) is None
    assert funded.read(standing) == (40, 60)
    refused = NoCredit(project=ProjectId("vmu.vision"), needed=MicroCredits(41), available=MicroCredits(40))
    assert funded.transact(hold, "b", 41) == refused
    assert funded.read(standing) == (40, 60)
    assert funded.transact(hold, "b", 40) is None, "a refused key is not used up"
    assert funded.read(standing) == (0, 100)


def test_a_hold_of_a_key_that_was_held_changes_nothing(funded: Store[Work]) -> None:
    for _ in range(2):
        assert funded.transact(hold, "a", 60) is None
        assert funded.read(standing) == (40, 60)
    assert len(entries_of(funded)) == 2


def test_entries_land_once(funded: Store[Work]) -> None:
    funded.transact(hold, "a", 60)
    due = charge("c", 50), release("r", 10)
    assert funded.transact(post, *due)
    assert not funded.transact(post, *due)
    assert not funded.transact(post, charge("c", 1))
    assert funded.read(standing) == (50, 0)
    assert tuple(entries_of(funded)[-2:]) == due


def test_no_entries_are_due_is_no_mistake(funded: Store[Work]) -> None:
    assert funded.transact(post)


def test_an_entry_is_read_as_it_was_written(funded: Store[Work]) -> None:
    funded.transact(hold, "a", 60)
    due = charge("c", 50)
    funded.transact(post, due)
    assert entries_of(funded)[-1] == due


def test_an_entry_for_use_alone_moves_nothing(funded: Store[Work]) -> None:
    assert funded.transact(post, charge("c", 0))
    assert funded.read(standing) == (100, 0)


@pytest.mark.parametrize(
    "entries",
    [
        (charge("c", 1), release("r", 60)),
        (release("r", 61),),
        (charge("new", 1), charge("hold", 1)),
        (charge("c", 1, source=held(AllocationId("nobody's"))),),
    ],
    ids=["more than is held", "more at once", "a later key was used", "an account that was never opened"],
)
def test_a_broken_promise_is_an_exception_and_leaves_nothing_behind(
    funded: Store[Work], entries: tuple[Entry, ...]
) -> None:
    funded.transact(hold, "hold", 60)
    before = entries_of(funded), balances_of(funded)
    with pytest.raises((DBAPIError, AssertionError, StoreUnavailableError)):
        funded.transact(post, *entries)
    assert (entries_of(funded), balances_of(funded)) == before


def test_what_the_center_pays_itself_may_run_below_zero(funded: Store[Work]) -> None:
    assert funded.transact(post, charge("absorb:1", 500, source=ABSORBED))
    assert balances_of(funded)[ABSORBED] == -500
    assert balances_of(funded)[INCOME] == 500


def test_every_balance_is_the_fold_of_the_entries_and_all_sum_to_zero(funded: Store[Work]) -> None:
    for number in range(5):
        funded.transact(hold, f"h{number}", 10 + number)
    funded.transact(post, charge("c1", 12), charge("c2", 3, source=ABSORBED), release("r1", 8))
    funded.transact(post, charge("c3", 30))
    assert balances_of(funded) == folded(entries_of(funded))
    assert sum(balances_of(funded).values()) == 0


@pytest.mark.parametrize("table", ["entries", "events"])
@pytest.mark.parametrize("change", ["UPDATE {} SET at = 0", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_what_was_written(sql_store: SqlStore, table: str, change: str) -> None:
    seed(sql_store, A_POOL, a_project("vmu.vision"))
    award(sql_store)
    sql_store.transact(tell)

    def force(office: Office) -> None:
        assert isinstance(office.capacity, SqlCapacity)
        office.capacity.transaction.connection.execute(text(change.format(table)))

    with pytest.raises(DBAPIError, match=f"rows of {table} are never changed"):
        sql_store.transact(force)


def tell(work: Work) -> None:
    work.journal.add([Event(request=request_id(1), at=NOW, kind=EventKind.SUBMITTED)])
