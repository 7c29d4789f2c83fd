"""Many threads at once: nothing is granted twice, nobody is locked out, and a cut connection does nothing by halves."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Final

import pytest
from sqlalchemy import text

from operations.ports.office import Office
from operations.ports.store import Claim, Store, StoreUnavailableError, UsedKey, Work
from quotas.ledger import INCOME, Bearer, Entry, EntryKey, EntryKind, held, hold_entry, release_entry
from registry.ids import BEGINNING, AllocationId, MicroCredits, NodeId, ProjectId, RequestId, Seconds
from registry.resources import NOTHING, Resources
from scheduler.requests import End, Request, State
from store.capacity import SqlCapacity
from store.transactions import SqlStore
from tests.builders import ALICE, CENTER, NOW, POOL, a_node, a_request, a_share, a_slot, cores, request_id, tags
from tests.databases import PostgresqlServer
from tests.seeding import A_POOL, a_project, award, seed

THREADS: Final = 16
PROJECTS: Final = ("vmu.vision", "hcmut.wind")
NODES: Final = ("n1", "n2", "n3")


class Refused(Exception):
    """Leaves a trial whose claim or hold was refused."""


def at_once(work: Callable[[int], object], times: int = THREADS) -> list[object]:
    """Run the same thing in many threads that begin together; raise what any of them raised."""
    ready = threading.Barrier(THREADS)

    def run(number: int) -> object:
        with suppress(threading.BrokenBarrierError):
            ready.wait(5)
        return work(number)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(run, range(times)))


def furnish(store: Store[Work]) -> None:
    """Make three nodes of four cores for two projects, whose institutions may each use ten of the twelve."""
    four, six = cores(4, 4), cores(6, 6)
    members = [a_share(name, four, borrowing=six, lending=cores(3, 3)) for name in ("vmu", "hcmut")]
    projects = [a_share(name, four, borrowing=six, parent=name.partition(".")[0]) for name in PROJECTS]
    nodes = [a_node(name, four) for name in NODES]
    center = a_share(CENTER, cores(12, 12), parent=None)
    seed(store, A_POOL, *map(a_project, PROJECTS), *nodes, center, *members, *projects)
    for project in PROJECTS:
        award(store, project, 1000)


@pytest.fixture
def center(store: Store[Work]) -> Store[Work]:
    """A furnished center on each kind of store."""
    furnish(store)
    return store


def claim(project: str, node: str, amount: Resources) -> Claim:
    return Claim(project=ProjectId(project), pool=POOL, nodes=((NodeId(node), amount),))


def take(work: Work, wanted: Claim) -> bool:
    with suppress(Refused), work.trial():
        if work.capacity.take(wanted) is not None:
            raise Refused
        return True
    return False


def granted(work: Work) -> tuple[Resources, Resources, list[Resources]]:
    levels = [work.capacity.path(ProjectId(project), POOL) for project in PROJECTS]
    nodes = [node.granted for node in work.capacity.nodes(POOL)]
    return levels[0][0].share.granted, levels[0][-1].share.granted + levels[1][-1].share.granted, nodes


def test_nothing_is_ever_granted_twice(center: Store[Work]) -> None:
    """Half a core at a time: 24 of 64 claims fit on the nodes, 20 of one member alone within what the other keeps."""

    def run(number: int) -> bool:
        return center.transact(take, claim(PROJECTS[0], NODES[number % 3], cores(0.5, 0.1)))

    assert sum(map(bool, at_once(run, 64))) == 20
    at_center, of_projects, nodes = center.read(granted)
    assert at_center == of_projects == sum(nodes, NOTHING) == cores(0.5, 0.1) * 20
    assert all(node.within(cores(4, 4)) for node in nodes)


def test_one_of_many_changes_is_written(center: Store[Work]) -> None:
    before = a_request()
    center.transact(lambda work: work.requests.add(before))

    def run(number: int) -> bool:
        after = replace(before, name=str(number))
        return center.transact(lambda work: work.requests.swap(before, after))

    assert sorted(map(bool, at_once(run))) == [False] * (THREADS - 1) + [True]


def test_one_key_makes_one_request(center: Store[Work]) -> None:
    def submit(work: Work, request: Request) -> RequestId:
        if earlier := work.keys.used(ALICE, "same"):
            return RequestId(earlier.made)
        work.requests.add(request)
        work.keys.keep(ALICE, "same", UsedKey(fingerprint="f", made=request.id), now=NOW)
        return request.id

    answers = at_once(lambda number: center.transact(submit, a_request(number + 1)))
    (first,) = set(answers)
    assert [fact.id for fact in center.facts(BEGINNING).facts if isinstance(fact, Request)] == [first]


def bearer(project: str, number: int) -> Bearer:
    return Bearer(allocation=AllocationId("alloc-" + project), request=request_id(number), tags=tags(project))


def test_credit_is_held_once(center: Store[Work]) -> None:
    def run(number: int) -> bool:
        entry = hold_entry(bearer(PROJECTS[0], 1), EntryKey(f"h{number}"), MicroCredits(100), NOW)
        return center.transact(lambda work: work.accounts.hold(entry)) is None

    assert sum(map(bool, at_once(run))) == 10


def test_the_same_hold_by_many_is_one(center: Store[Work]) -> None:
    entry = hold_entry(bearer(PROJECTS[0], 1), EntryKey("h"), MicroCredits(600), NOW)
    answers = at_once(lambda _: center.transact(lambda work: work.accounts.hold(entry)))
    assert answers == [None] * THREADS
    assert center.read(lambda work: work.accounts.get(AllocationId("alloc-" + PROJECTS[0]))).held == 600


def test_the_same_entries_by_many_land_once(center: Store[Work]) -> None:
    project = bearer(PROJECTS[0], 1)
    center.transact(lambda work: work.accounts.hold(hold_entry(project, EntryKey("h"), MicroCredits(9), NOW)))
    due = [release_entry(project, EntryKey(f"r{number}"), MicroCredits(3), NOW) for number in range(3)]
    answers = at_once(lambda _: center.transact(lambda work: work.accounts.post(due)))
    assert sorted(map(bool, answers)) == [False] * (THREADS - 1) + [True]


# Applies against settles, in the one order of locks


def place(work: Work, number: int) -> bool:
    """Do what the application of a plan does with one request."""
    project, node = PROJECTS[number % 2], NODES[number % 3]
    work.requests.lock([request_id(number)])
    work.capacity.lock([POOL])
    before = work.requests.get(request_id(number))
    assert before is not None
    after = replace(
        before,
        state=State.PLACED,
        placed=NOW,
        deadline=Seconds(NOW + 9),
        allocation=bearer(project, number).allocation,
    )
    entry = hold_entry(bearer(project, number), EntryKey(f"hold:{number}"), MicroCredits(10), NOW)
    with suppress(Refused), work.trial():
        if not work.requests.swap(before, after) or work.capacity.take(claim(project, node, cores(1, 1))):
            raise Refused
        if work.accounts.hold(entry):
            raise Refused
        work.clusters.add([a_slot(number, node=NodeId(node), hold=MicroCredits(10))])
        return True
    return False


def settle(work: Work, number: int) -> None:
    """Do what the settling of an ended process does."""
    project, node = PROJECTS[number % 2], NODES[number % 3]
    before = work.requests.get(request_id(number))
    assert before is not None
    (slot,) = work.clusters.slots(before.id)
    if slot.released is not None:
        return
    assert work.clusters.swap(slot, replace(slot, released=NOW))
    work.capacity.give_back(claim(project, node, cores(1, 1)))
    owner = bearer(project, number)
    charge = Entry(
        key=EntryKey(f"charge:{number}"),
        kind=EntryKind.CHARGE,
        source=held(owner.allocation),
        target=INCOME,
        amount=MicroCredits(4),
        at=NOW,
        tags=owner.tags,
    )
    assert work.accounts.post([charge, release_entry(owner, EntryKey(f"release:{number}"), MicroCredits(6), NOW)])
    assert work.requests.swap(before, replace(before, state=State.ENDED, end=End.IDLE, ended=NOW))


def live(store: Store[Work], numbers: Iterator[int]) -> None:
    """Submit a request, place it when there is room, and settle it twice, as after a crash."""
    number = next(numbers)
    store.transact(lambda work: work.requests.add(a_request(number, PROJECTS[number % 2])))
    while not store.transact(place, number):
        pass
    for _ in range(2):
        store.transact(settle, number)


def churn(store: Store[Work]) -> None:
    numbers = itertools.count(1)
    at_once(lambda _: live(store, numbers), 48)


def test_applies_and_settles_end_with_nothing_lost_and_nothing_left(center: Store[Work]) -> None:
    churn(center)
    at_center, of_projects, nodes = center.read(granted)
    assert [at_center, of_projects, *nodes] == [NOTHING] * 5
    for project in PROJECTS:
        allocation = center.read(lambda work, name: work.accounts.get(AllocationId("alloc-" + name)), project)
        assert (allocation.available, allocation.held) == (1000 - 24 * 4, 0)


def test_applies_and_settles_never_lock_each_other_out(
    postgresql_store: SqlStore, postgresql_server: PostgresqlServer
) -> None:
    def deadlocks() -> list[tuple[object, ...]]:
        postgresql_store.close()  # a connection reports what it met when it ends
        return postgresql_server.run("SELECT deadlocks FROM pg_stat_database WHERE datname = 'tests'")

    furnish(postgresql_store)
    before = deadlocks()
    churn(postgresql_store)
    assert deadlocks() == before


# Connections that are cut


class Cut:
    """Places a request, and has its connection cut in the middle some times, as by a crash."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, office: Office, number: int) -> bool:
        done = place(office, number)
        if self.left:
            self.left -= 1
            assert isinstance(office.capacity, SqlCapacity)
            office.capacity.transaction.connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return done


@pytest.fixture
def waiting(postgresql_store: SqlStore) -> SqlStore:
    """A center where one request waits."""
    furnish(postgresql_store)
    postgresql_store.transact(lambda work: work.requests.add(a_request()))
    return postgresql_store


def test_a_transaction_that_is_cut_in_the_middle_runs_again_as_a_whole(waiting: SqlStore) -> None:
    assert waiting.transact(Cut(times=2), 1)
    at_center, _, _ = waiting.read(granted)
    assert at_center == cores(1, 1)
    (cluster,) = waiting.read(lambda work: work.clusters.live())
    assert len(cluster.processes) == 1


def test_a_transaction_that_is_always_cut_leaves_nothing_half_done(waiting: SqlStore) -> None:
    before = waiting.facts(BEGINNING).facts
    with pytest.raises(StoreUnavailableError):
        waiting.transact(Cut(times=1000), 1)
    assert waiting.facts(BEGINNING).facts == before
    assert waiting.transact(place, 1), "and the store goes on"


def test_connections_that_were_cut_while_nobody_used_them_are_made_anew(
    waiting: SqlStore, postgresql_server: PostgresqlServer
) -> None:
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'tests'"
    before = waiting.facts(BEGINNING)
    postgresql_server.run(others)
    assert waiting.facts(BEGINNING).facts == before.facts
    postgresql_server.run(others)
    assert waiting.transact(place, 1)
    postgresql_server.run(others)
    assert waiting.read(granted)[0] == cores(1, 1)
