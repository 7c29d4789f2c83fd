"""Administrators at once: no quota is given twice, no right slips past another, and a center is founded once."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final, TypeVar

import pytest

from operations.bookings import BookingPlan, BookingView, book
from operations.callers import Caller, authenticate, digest_of
from operations.cycle import Applied, apply
from operations.facilities import NodePlan, put_node, put_pool, set_node_state
from operations.founding import Admin, Founding, found_center
from operations.people import add_person, put_grant
from operations.ports.office import Office, ShareVersion
from operations.ports.store import BookingFilter
from operations.reasons import Forbidden, Refused
from operations.shares import ABSENT, Version, set_quota
from operations.tokens import issue_token
from quotas.reasons import ChildrenPromisedMore, NominalsExceedParent
from quotas.tree import Quota, Share
from registry.centers import Center, NodeState
from registry.ids import BEGINNING, NodeId, PersonId, PoolId, ProjectId, Seconds, ShareId, TokenId
from registry.people import EVERYTHING, Person, Role, RoleGrant, Token
from registry.resources import Resources, total
from scheduler.bookings import Booking, BookingKind
from scheduler.decide import decide
from scheduler.plan import Plan
from scheduler.policy import DEFAULT_POLICY, HOUR
from scheduler.reasons import BookedWorkRuns, BookingOverlaps, TooFewNodesFree
from scheduler.requests import State
from scheduler.snapshot import Snapshot
from store.transactions import SqlStore
from tests.builders import CENTER, NOW, POOL, a_node, a_rate_card, a_request, a_share, booking_id, cores, request_id
from tests.seeding import A_POOL, AN_ENVIRONMENT, a_project, an_institution, award, seed

R = TypeVar("R")

THREADS: Final = 8
MEMBERS: Final = tuple(f"member-{letter}" for letter in "abcdefgh")
ROOT: Final = PersonId("root")


def center_admin() -> Caller:
    grant = RoleGrant(person=ROOT, role=Role.CENTER_ADMIN, reach=CENTER)
    return Caller(person=ROOT, center=CENTER, grants=(grant,))


def admin_of(institution: str) -> Caller:
    person = PersonId(f"admin-of-{institution}")
    grant = RoleGrant(person=person, role=Role.INSTITUTION_ADMIN, reach=institution)
    return Caller(person=person, center=CENTER, grants=(grant,))


def at_once(work: Callable[[int], R], times: int = THREADS) -> list[R]:
    """Run the same thing in many threads that begin together; raise what any of them raised."""
    ready = threading.Barrier(times)

    def run(number: int) -> R:
        with suppress(threading.BrokenBarrierError):
            ready.wait(5)
        return work(number)

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(run, range(times)))


@contextmanager
def held_open(store: SqlStore, operation: Callable[[Office], R]) -> Iterator[Future[R]]:
    """Run an operation and keep its transaction open until the block ends."""
    done, go_on = threading.Event(), threading.Event()

    def slowly(office: Office) -> R:
        outcome = operation(office)
        done.set()
        go_on.wait(10)
        return outcome

    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(store.transact, slowly)
        assert done.wait(10)
        try:
            yield future
        finally:
            go_on.set()


def in_the_meantime(store: SqlStore, first: Callable[[Office], R], second: Callable[[Office], R]) -> tuple[R, R]:
    """Begin the second operation while the first is done but not committed."""
    with ThreadPoolExecutor(1) as thread:
        with held_open(store, first) as earlier:
            later = thread.submit(store.transact, second)
            with suppress(TimeoutError):
                later.result(0.15)  # long enough to read what it will be wrong about
        return earlier.result(10), later.result(10)


def quota_of(office: Office, share: str) -> Resources | None:
    found = office.shares.get(EVERYTHING, ShareId(share), POOL)
    return found.share.quota.nominal if found else None


def give(caller: Caller, share: str, amount: Resources, version: int) -> Callable[[Office], ShareVersion | Refused]:
    quota = Quota(nominal=amount)
    return lambda office: set_quota(office, caller, ShareId(share), POOL, quota, version=Version(version))


@pytest.fixture
def members(sql_store: SqlStore) -> SqlStore:
    """A center of ten cores with eight members that have no quota yet."""
    seed(sql_store, A_POOL, a_node("n1", cores(10, 10)), a_share(CENTER, cores(10, 10), parent=None))
    seed(sql_store, *(a_project(f"{member}.project") for member in MEMBERS))
    return sql_store


def test_siblings_that_are_given_quotas_at_once_never_get_more_than_there_is(members: SqlStore) -> None:
    outcomes = at_once(lambda one: members.transact(give(center_admin(), MEMBERS[one], cores(3, 1), ABSENT)))
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(refusals) == len(MEMBERS) - 3
    assert all(isinstance(refusal.reasons[0], NominalsExceedParent) for refusal in refusals)
    children = members.read(lambda office: office.shares.children(ShareId(CENTER), POOL))
    given = total(share.quota.nominal for share in children)
    assert given == cores(9, 3)


def test_a_quota_is_not_taken_back_while_it_is_passed_on(members: SqlStore) -> None:
    parent, child = MEMBERS[0], f"{MEMBERS[0]}.project"
    members.transact(give(center_admin(), parent, cores(6, 6), ABSENT))
    taken, passed = in_the_meantime(
        members,
        give(center_admin(), parent, cores(2, 2), 1),
        give(admin_of(parent), child, cores(5, 5), ABSENT),
    )
    assert isinstance(taken, ShareVersion)
    assert isinstance(passed, Refused)
    assert isinstance(passed.reasons[0], NominalsExceedParent)
    members.transact(give(center_admin(), parent, cores(6, 6), 2))
    passed, taken = in_the_meantime(
        members,
        give(admin_of(parent), child, cores(5, 5), ABSENT),
        give(center_admin(), parent, cores(2, 2), 3),
    )
    assert isinstance(passed, ShareVersion)
    assert isinstance(taken, Refused)
    assert isinstance(taken.reasons[0], ChildrenPromisedMore)


def test_of_many_who_read_one_version_one_changes_it(members: SqlStore) -> None:
    outcomes = at_once(lambda one: members.transact(give(center_admin(), MEMBERS[0], cores(one, 1), ABSENT)))
    assert sum(isinstance(outcome, ShareVersion) for outcome in outcomes) == 1


def test_a_pool_that_many_make_at_once_has_one_share_that_counts_every_node(members: SqlStore) -> None:
    pool = replace(A_POOL, id=PoolId("new"))

    def build(number: int) -> None:
        members.transact(put_pool, pool)
        plan = NodePlan(id=NodeId(f"node-{number}"), pool=pool.id, capacity=cores(number + 1, 1))
        members.transact(put_node, plan)
        if number % 2:
            members.transact(set_node_state, plan.id, NodeState.DRAINING)

    at_once(build)
    share = members.read(lambda office: office.shares.get(EVERYTHING, ShareId(CENTER), pool.id))
    assert share is not None
    assert share.share.quota == Quota(nominal=cores(1 + 3 + 5 + 7, 4)), "on the others nothing runs"


def test_a_node_that_is_put_into_two_pools_at_once_is_in_one(members: SqlStore) -> None:
    other = replace(A_POOL, id=PoolId("other"))
    members.transact(put_pool, other)
    pools = (POOL, other.id)

    def put(number: int) -> None:
        members.transact(put_node, NodePlan(id=NodeId("n2"), pool=pools[number % 2], capacity=cores(4, 4)))

    at_once(put)

    def sums(office: Office) -> list[bool]:
        shares = [office.shares.get(EVERYTHING, ShareId(CENTER), pool) for pool in pools]
        nodes = [total(node.capacity for node in office.capacity.nodes(pool)) for pool in pools]
        return [
            share is not None and share.share.quota.nominal == sum_ for share, sum_ in zip(shares, nodes, strict=True)
        ]

    assert members.read(sums) == [True, True]


def hire(office: Office) -> None:
    """Make somebody of one member, as its administrator does."""
    grant = RoleGrant(person=PersonId("bob"), role=Role.RESEARCHER, reach=MEMBERS[0])
    hired = add_person(office, admin_of(MEMBERS[0]), Person(id=grant.person, name="Bob"), grant, None, now=NOW)
    assert not isinstance(hired, Refused)


def keep_a_secret(office: Office) -> Token | Refused:
    token = Token(id=TokenId("kept"), person=PersonId("bob"), label="", made=NOW)
    return issue_token(office, admin_of(MEMBERS[0]), token, digest_of("kept"), now=NOW)


def raise_elsewhere(office: Office) -> object:
    grant = RoleGrant(person=PersonId("bob"), role=Role.INSTITUTION_ADMIN, reach=MEMBERS[1])
    return put_grant(office, center_admin(), grant, now=NOW)


def test_who_rises_while_a_secret_of_theirs_is_made_leaves_that_secret_worthless(members: SqlStore) -> None:
    members.transact(hire)
    made, _risen = in_the_meantime(members, keep_a_secret, raise_elsewhere)
    assert isinstance(made, Token)
    assert members.read(authenticate, "kept", now=Seconds(NOW + 1)) is None


def test_no_secret_is_made_of_somebody_who_is_just_rising(members: SqlStore) -> None:
    members.transact(hire)
    _risen, made = in_the_meantime(members, raise_elsewhere, keep_a_secret)
    assert isinstance(made, Refused)
    assert isinstance(made.reasons[0], Forbidden)
    assert members.read(authenticate, "kept", now=Seconds(NOW + 1)) is None


# Bookings


@pytest.fixture
def machines(sql_store: SqlStore) -> SqlStore:
    """A center of four nodes with a project that may use them all."""
    nodes = [a_node(f"n{number}", cores(4, 4)) for number in range(1, 5)]
    seed(sql_store, A_POOL, *nodes, AN_ENVIRONMENT, a_rate_card(), a_project("vmu.vision"))
    seed(sql_store, a_share(CENTER, cores(16, 16), parent=None), a_share("vmu", cores(0), borrowing=cores(16, 16)))
    seed(sql_store, a_share("vmu.vision", cores(0), borrowing=cores(16, 16), parent="vmu"))
    award(sql_store)
    return sql_store


def booking_of(number: int, *nodes: str, begins: int = NOW + HOUR) -> Callable[[Office], BookingView | Refused]:
    """Book the nodes, or any one of the pool's, for an hour."""
    plan = BookingPlan(
        id=booking_id(number),
        name="",
        pool=POOL,
        nodes=tuple(map(NodeId, nodes)),
        node_count=None if nodes else 1,
        begins=Seconds(begins),
        ends=Seconds(begins + HOUR),
        project=ProjectId("vmu.vision"),
        kind=BookingKind.COURSE,
        displaces=False,
    )
    return lambda office: book(office, center_admin(), plan, None, DEFAULT_POLICY, now=NOW)


def kept(store: SqlStore) -> list[Booking]:
    return list(store.read(lambda office: office.bookings.page(BookingFilter(), after="", limit=100)))


def refusals(outcomes: list[BookingView | Refused]) -> list[type]:
    return [type(reason) for outcome in outcomes if isinstance(outcome, Refused) for reason in outcome.reasons]


def test_of_many_who_book_a_node_at_once_one_gets_it(machines: SqlStore) -> None:
    outcomes = at_once(lambda one: machines.transact(booking_of(one + 1, "n1", f"n{one % 3 + 2}", begins=NOW + one)))
    assert refusals(outcomes) == [BookingOverlaps] * (THREADS - 1)
    assert len(kept(machines)) == 1


def test_many_who_book_any_node_at_once_get_one_each_while_there_are_some(machines: SqlStore) -> None:
    outcomes = at_once(lambda one: machines.transact(booking_of(one + 1)))
    assert refusals(outcomes) == [TooFewNodesFree] * (THREADS - 4)
    assert sorted(booking.nodes for booking in kept(machines)) == [(f"n{number}",) for number in range(1, 5)]


def planned(store: SqlStore) -> tuple[Plan, Snapshot]:
    """Have a request wait that takes all nodes for two hours; return the plan to place it, and what it was made of."""
    request = a_request(1, worker=cores(3, 2), workers_min=4, walltime_seconds=2 * HOUR)
    store.transact(lambda office: office.requests.add(request))
    snapshot = Snapshot().with_facts(store.facts(BEGINNING).facts)
    plan = decide(snapshot, NOW)
    assert [placement.request.id for placement in plan.placements] == [request.id]
    return plan, snapshot


def test_what_is_just_being_placed_is_in_the_way_of_a_booking(machines: SqlStore) -> None:
    plan, snapshot = planned(machines)

    def place(office: Office) -> object:
        return apply(office, plan, snapshot, now=NOW)

    def reserve(office: Office) -> object:
        return booking_of(1, "n2")(office)

    placed, booked = in_the_meantime(machines, place, reserve)
    assert isinstance(placed, Applied)
    assert placed.placed == (request_id(1),)
    assert isinstance(booked, Refused)
    gone = NOW + 2 * HOUR + DEFAULT_POLICY.termination_slack_seconds
    assert booked.reasons == (BookedWorkRuns(clusters=1, earliest=Seconds(gone)),)


def test_nothing_is_placed_on_nodes_that_were_booked_after_the_plan_was_made(machines: SqlStore) -> None:
    plan, snapshot = planned(machines)

    def place(office: Office) -> object:
        return apply(office, plan, snapshot, now=NOW)

    def reserve(office: Office) -> object:
        return booking_of(1, "n2")(office)

    booked, placed = in_the_meantime(machines, reserve, place)
    assert isinstance(booked, BookingView)
    assert placed == Applied(turned_away=(request_id(1),))
    request = machines.read(lambda office: office.requests.get(request_id(1)))
    assert request is not None
    assert request.state is State.PENDING


def test_a_booking_after_the_end_of_what_is_being_placed_is_not_in_its_way(machines: SqlStore) -> None:
    plan, snapshot = planned(machines)
    gone = NOW + 2 * HOUR + DEFAULT_POLICY.termination_slack_seconds
    assert isinstance(machines.transact(booking_of(1, "n2", begins=gone)), BookingView)
    assert machines.transact(apply, plan, snapshot, now=NOW).placed == (request_id(1),)


def a_machine(capacity: Resources) -> NodePlan:
    return NodePlan(id=NodeId("n1"), pool=POOL, capacity=capacity)


def a_founding(number: int) -> Founding:
    person = Person(id=PersonId(f"first-{number}"), name="First")
    token = Token(id=TokenId(f"token-{number}"), person=person.id, label="first", made=NOW)
    return Founding(
        center=Center(id=CENTER, name="Center"),
        pool=A_POOL,
        node=a_machine(cores(8, 32)),
        environments=(AN_ENVIRONMENT,),
        rates=a_rate_card(),
        admin=Admin(person=person, token=token, digest=digest_of(f"secret-{number}")),
    )


def test_of_many_first_starts_one_founds_the_center_and_its_token_is_good(sql_store: SqlStore) -> None:
    founded = at_once(lambda number: sql_store.transact(found_center, a_founding(number)))
    assert founded.count(True) == 1
    callers = [sql_store.read(authenticate, f"secret-{number}", now=NOW) for number in range(THREADS)]
    assert [caller is not None and caller.is_center_admin for caller in callers] == founded
    share = sql_store.read(lambda office: office.shares.get(EVERYTHING, ShareId(CENTER), POOL))
    assert share is not None
    assert share.share == Share(
        id=ShareId(CENTER), pool=POOL, parent=None, quota=Quota(nominal=cores(8, 32)), granted=share.share.granted
    )


def test_a_later_start_keeps_what_there_is_and_learns_where_its_environment_lies(sql_store: SqlStore) -> None:
    assert sql_store.transact(found_center, a_founding(1))
    sql_store.transact(lambda office: office.institutions.add(an_institution("vmu")))
    sql_store.transact(set_node_state, NodeId("n1"), NodeState.DRAINING)
    moved = replace(AN_ENVIRONMENT, path="elsewhere")
    later = replace(a_founding(2), environments=(moved,), node=a_machine(cores(1, 1)))
    assert not sql_store.transact(found_center, later)
    assert sql_store.read(lambda office: office.register.environment(moved.id)) == moved
    node = sql_store.read(lambda office: office.nodes.get(NodeId("n1")))
    assert node is not None
    assert (node.capacity, node.state) == (cores(8, 32), NodeState.DRAINING)
    assert sql_store.read(authenticate, "secret-2", now=NOW) is None
