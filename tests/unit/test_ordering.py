"""Sentences about who takes turns before whom."""

from dataclasses import replace

from registry.ids import InstitutionId, RequestId, Seconds
from scheduler.ordering import Standings
from scheduler.policy import DAY, DEFAULT_POLICY, HOUR, Order
from scheduler.requests import Cause, Preemption, RequestClass
from scheduler.room import Room
from scheduler.snapshot import Snapshot
from tests.builders import NOW, a_node, a_request, a_snapshot, cores, facts_of_a_center, request_id


def order_of(snapshot: Snapshot) -> list[RequestId]:
    queue = snapshot.arrays.queue
    return [queue.key(row) for row in Standings(snapshot, NOW).order_of(queue.alive())]


def test_the_order_that_fills_up_takes_the_rigid_first_the_wide_earlier_then_the_smallest() -> None:
    asked = [
        a_request(1, workers_min=2, workers_max=4, walltime_seconds=HOUR),
        a_request(2, workers_min=2, workers_max=3, walltime_seconds=HOUR // 2),
        a_request(3, workers_min=1, workers_max=1),
        a_request(4, workers_min=3, workers_max=3),
    ]
    arrived = [replace(one, submitted=Seconds(NOW - (9 - at) * HOUR)) for at, one in enumerate(asked)]
    snapshot = a_snapshot(
        [*facts_of_a_center([a_node(capacity=cores(16, 64))], ["vmu.vision"]), *arrived],
        replace(DEFAULT_POLICY, order=Order.FILL),
    )
    assert order_of(snapshot) == [request_id(one) for one in (4, 3, 2, 1)]


def test_who_would_borrow_comes_after_all_of_its_class_who_would_not_however_short() -> None:
    center = facts_of_a_center([a_node(capacity=cores(16, 64))], ["vmu.vision", "uit.nlp"], cores(8, 32))
    quick = a_request(1, head=cores(1, 1), worker=cores(4, 4), workers_min=2, walltime_seconds=60)
    owner = a_request(2, "uit.nlp", head=cores(1, 1), worker=cores(1, 1), workers_min=1, walltime_seconds=30 * DAY)
    urgent = replace(quick, id=request_id(3), request_class=RequestClass.URGENT)
    snapshot = a_snapshot([*center, quick, owner, urgent])
    assert order_of(snapshot) == [request_id(one) for one in (3, 2, 1)]
    ranks = [Standings(snapshot, NOW).rank(one) for one in (quick, owner)]
    assert [one.owned for one in ranks] == [0, DEFAULT_POLICY.owner_weight]


def test_what_a_cycle_places_is_owned_no_more() -> None:
    center = facts_of_a_center([a_node(capacity=cores(16, 64))], ["vmu.vision", "uit.nlp"], cores(8, 32))
    some = [a_request(one, head=cores(1, 1), worker=cores(4, 4), workers_min=1) for one in (1, 2)]
    snapshot = a_snapshot([*center, *some])
    standings, row = Standings(snapshot, NOW), snapshot.arrays.queue.row(some[1].id)
    before = standings.place(row)
    standings.use(some[0], Room(snapshot, NOW).gang(some[0]).total, some[0].walltime_seconds)
    assert standings.fell(snapshot.arrays.queue.cells[row])
    assert standings.place(row)[1] > before[1] + DEFAULT_POLICY.owner_weight - 2


def test_who_had_to_make_way_goes_before_its_own_institution_and_no_other() -> None:
    center = facts_of_a_center([a_node(capacity=cores(16, 64))], ["vmu.vision", "uit.nlp"], cores(8, 32))
    told = Preemption(told=NOW, stop_by=NOW, cause=Cause.OWNER, by=(InstitutionId("vmu"),), requeued=NOW)
    large = a_request(1, "uit.nlp", head=cores(1, 1), worker=cores(4, 4), workers_min=3, walltime_seconds=DAY)
    own = a_request(2, "uit.nlp", workers_min=1)
    others = a_request(3, workers_min=1, walltime_seconds=HOUR)
    snapshot = a_snapshot([*center, replace(large, preempted=told), own, replace(others, walltime_seconds=60)])
    assert order_of(snapshot) == [request_id(one) for one in (3, 1, 2)]
