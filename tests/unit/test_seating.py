"""Promises are of times: whoever was promised a start makes way on nodes for who delays nobody by sums."""

from dataclasses import replace

import pytest

from operations.cycle import apply
from operations.events import EventKind
from operations.requests import submit
from registry.ids import NodeId, RequestId, Seconds
from scheduler.aside import keep_all, promised
from scheduler.decide import decide
from scheduler.extension import extension_faults
from scheduler.facts import Fact
from scheduler.plan import Plan, PromiseChange
from scheduler.policies import NAMED
from scheduler.policy import DEFAULT_POLICY
from scheduler.requests import Promise, Request
from scheduler.room import Room
from scheduler.seating import packing_now
from scheduler.seats import Reseated
from scheduler.snapshot import Snapshot
from tests.builders import NOW, POOL, a_booking, a_draft, a_node, a_request, a_snapshot, cores, facts_of_a_center
from tests.properties.worlds import applied, ended
from tests.seeding import award
from tests.unit.test_metering import PROJECT, SmallCenter

LATER = Seconds(NOW + 300)
SOON = Seconds(NOW + 600)
WIDE, LONG = 4, 5


def a_job(number: int, size: int, seconds: int) -> Request:
    """Return a request for so many cores, each of which may be on another node."""
    workers = size - 1
    return a_request(
        number, head=cores(1), worker=cores(1), workers_min=workers, workers_max=workers, walltime_seconds=seconds
    )


def id_of(number: int) -> RequestId:
    return a_job(number, 1, 1).id


def promise_of(snapshot: Snapshot, number: int) -> Promise:
    promise = snapshot.requests[id_of(number)].promise
    assert promise is not None
    return promise


def nodes_of(promise: Promise) -> set[NodeId]:
    return {promise.head, *(node for node, _ in promise.workers)}


@pytest.fixture
def center() -> Snapshot:
    """Return three nodes of one core of which one is free by now, and that two are promised to somebody for soon.

    One of those two is the one that is free. The others will be free soon.
    """
    nodes = [a_node(f"n{number}", cores(1, 9)) for number in range(3)]
    jobs = [a_job(number, 1, 600) for number in (1, 2, 3)]
    center = a_snapshot(
        [*facts_of_a_center(nodes, ["vmu.vision"]), *jobs, a_job(WIDE, 2, 600)], NAMED["fcfs-conservative"]
    )
    center = applied(center, decide(center, NOW), NOW)
    promise = promise_of(center, WIDE)
    assert promise.starts == SOON
    (first,) = (one.request for one in center.clusters() if one.processes[0].node == promise.head)
    center = ended(center, first, LATER)
    return applied(center, decide(center, LATER), LATER)


def asked(center: Snapshot, *facts: Fact) -> Plan:
    return decide(center.with_facts(facts), LATER)


def test_whoever_delays_nobody_by_sums_starts_at_once_and_the_promise_is_had_on_other_nodes(center: Snapshot) -> None:
    long = a_job(LONG, 1, 900)
    before = promise_of(center, WIDE)
    plan = asked(center, long)
    (placement,) = plan.placements
    assert (placement.request, placement.processes[0].node) == (long, before.head)
    (change,) = plan.promises
    assert change.promise is not None
    assert nodes_of(change.promise) == {NodeId(f"n{number}") for number in range(3)} - {before.head}
    assert change == PromiseChange(
        request=center.requests[change.request.id],
        promise=replace(before, head=change.promise.head, workers=change.promise.workers),
    )
    after = applied(center.with_facts([long]), plan, LATER)
    for one in after.clusters():
        after = after if one.request.id == long.id else ended(after, one.request, SOON)
    assert [one.request.id for one in decide(after, SOON).placements] == [id_of(WIDE)]


def test_a_promise_is_no_excuse_for_moving_another_into_a_booking(center: Snapshot) -> None:
    others = {NodeId(f"n{number}") for number in range(3)} - nodes_of(promise_of(center, WIDE))
    booked = a_booking(nodes=tuple(others), begins=Seconds(NOW + 900), ends=Seconds(NOW + 2000))
    plan = asked(center, booked, a_job(LONG, 1, 900))
    assert not plan.placements
    assert [change.request.id for change in plan.promises] == [id_of(LONG)]


def test_what_is_short_starts_where_it_is_in_nobodys_way_and_nobody_is_moved(center: Snapshot) -> None:
    plan = asked(center, short := a_job(LONG, 1, 300))
    assert [one.request for one in plan.placements] == [short]
    assert not plan.promises


def test_a_promise_may_be_had_elsewhere_so_that_a_cluster_goes_on_but_nobody_else_is_moved_for_it(
    center: Snapshot,
) -> None:
    """A cycle to come would have to find those seats again, whatever else has changed by then."""
    assert not any(extension_faults(center, one.request.id, 60, LATER) for one in center.clusters())
    room = Room(center.with_facts([long := a_job(LONG, 1, 900)]), LATER)
    assert keep_all(room, promised(center))
    assert isinstance(packing_now(room, long, room.gang(long)), Reseated)
    room.seats_stay = True
    assert packing_now(room, long, room.gang(long)) is None


def test_a_promise_whose_node_is_lost_is_had_at_the_same_time_elsewhere(center: Snapshot) -> None:
    before = promise_of(center, WIDE)
    smaller = replace(center.nodes[before.head], capacity=cores(0.5, 9))
    (change,) = asked(center, smaller).promises
    assert change.promise is not None
    assert change.promise.starts == before.starts
    assert before.head not in nodes_of(change.promise)


def test_to_have_a_promise_on_other_nodes_frees_nothing(center: Snapshot) -> None:
    request = center.requests[id_of(WIDE)]
    assert request.promise is not None
    elsewhere = replace(request.promise, head=NodeId("n2"))
    assert not center.with_facts([replace(request, promise=elsewhere)]).freed
    later = replace(elsewhere, starts=Seconds(elsewhere.starts + 1))
    assert center.with_facts([replace(request, promise=later)]).freed == {POOL}


def test_that_only_nodes_of_a_promise_changed_is_kept_and_told_nobody() -> None:
    small = SmallCenter()
    award(small.store, PROJECT)
    small.store.transact(submit, a_draft(1, PROJECT), None, DEFAULT_POLICY, now=small.clock.now())
    promise = Promise(given=NOW, starts=SOON, head=NodeId("n1"), workers=((NodeId("n1"), 1),))
    for given in (promise, replace(promise, head=NodeId("n9"))):
        snapshot = small.follower.catch_up()
        (waiting,) = snapshot.pending()
        plan = Plan(promises=(PromiseChange(request=waiting, promise=given),))
        small.store.transact(apply, plan, snapshot, now=small.clock.now())
        (after,) = small.follower.catch_up().pending()
        assert after.promise == given
    assert [event.kind for event in small.store.events()].count(EventKind.PROMISED) == 1
