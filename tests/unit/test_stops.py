"""Sentences about guaranteed work that has to make way: for whom, whose, how much of it, and what it is told."""

from dataclasses import replace

from registry.ids import InstitutionId, PersonId, Seconds
from scheduler.decide import decide
from scheduler.ordering import Standings
from scheduler.plan import Plan
from scheduler.policy import DAY, DEFAULT_POLICY, HOUR, Policy
from scheduler.requests import Cause, Preemption, Request, RequestClass
from scheduler.snapshot import Snapshot
from tests.builders import NOW, cores, request_id
from tests.properties.worlds import applied, left, overfull
from tests.unit.test_reclaim import AFTER_NOTICE, UIT, VMU, a_center, an_elastic, grown, sizes

LEAST = DEFAULT_POLICY.minimum_run_seconds or 0
LATER = Seconds(NOW + LEAST)
"""When what starts now has run for as long as is guaranteed to it."""
NOTICE = DEFAULT_POLICY.notice_seconds


def a_gang(number: int, project: str, workers: int, **changes: object) -> Request:
    return an_elastic(number, project, least=workers, most=workers, **{"walltime_seconds": 8 * HOUR, **changes})


def running(*gangs: Request, policy: Policy = DEFAULT_POLICY, nodes: int = 1, per_node: int = 8) -> Snapshot:
    """Return a center of two institutions, half of it each, where these have begun one after the other."""
    center = a_center(nodes, VMU, UIT, per_node=per_node, policy=policy)
    for gang in gangs:
        center = center.with_facts([gang])
        center = applied(center, decide(center, NOW), NOW)
    assert sum(sizes(center)) == sum(one.workers_min for one in gangs)
    return center


def asked(center: Snapshot, *requests: Request, at: Seconds = LATER) -> Plan:
    return decide(center.with_facts(requests), at)


def stopped(plan: Plan) -> list[Request]:
    return [center.request for center in plan.stops]


def test_an_owner_has_back_what_others_borrowed_once_it_has_run_for_its_least_time() -> None:
    full = running(a_gang(1, UIT, 4), a_gang(2, UIT, 4))
    waiting = a_gang(3, VMU, 4)
    assert not asked(full, waiting, at=Seconds(LATER - 1)).stops
    plan = asked(full, waiting)
    (stop,) = plan.stops
    assert stop.preemption == Preemption(
        told=LATER, stop_by=Seconds(LATER + NOTICE), cause=Cause.OWNER, by=(InstitutionId("vmu"),)
    )
    assert [(one.request.id, one.promise and one.promise.starts) for one in plan.promises] == [
        (waiting.id, LATER + AFTER_NOTICE - NOW)
    ]


def test_once_it_has_made_way_the_owner_starts_and_it_waits_as_the_first_of_its_class() -> None:
    full = running(a_gang(1, UIT, 4), a_gang(2, UIT, 4)).with_facts([waiting := a_gang(3, VMU, 4)])
    told = applied(full, plan := decide(full, LATER), LATER)
    assert not decide(told, LATER), "what is told is told once"
    then = Seconds(LATER + NOTICE)
    freed = left(told, then)
    (victim,) = stopped(plan)
    again = freed.requests[victim.id]
    assert again.is_requeued
    assert (again.submitted, again.placed, again.deadline) == (victim.submitted, None, None)
    assert again.preempted is not None
    assert again.preempted.requeued == then
    assert [one.request.id for one in decide(freed, then).placements] == [waiting.id]
    before = [replace(a_gang(number, UIT, 4), submitted=Seconds(NOW - 100_000)) for number in (4, 5)]
    crowded = freed.with_facts(before)
    order = Standings(crowded, then).order_of(crowded.arrays.queue.alive())
    waits = [crowded.arrays.queue.key(row) for row in order]
    assert waits.index(victim.id) < min(waits.index(one.id) for one in before)


def test_who_loses_the_least_stops_first_and_only_as_much_as_was_borrowed() -> None:
    full = running(a_gang(1, UIT, 4), a_gang(2, UIT, 2), a_gang(3, UIT, 2))
    assert [one.workers_min for one in stopped(asked(full, a_gang(4, VMU, 2)))] == [2]
    assert [one.workers_min for one in stopped(asked(full, a_gang(4, VMU, 4)))] == [2, 2]
    assert not asked(full, a_gang(4, VMU, 5)).stops, "that would be borrowed, too"


def test_nobody_stops_for_who_would_borrow_or_in_an_institution_within_what_it_owns() -> None:
    full = running(a_gang(1, UIT, 4), a_gang(2, VMU, 4))
    assert not asked(full, a_gang(3, VMU, 1)).stops
    assert not asked(running(a_gang(1, UIT, 4), a_gang(2, UIT, 4)), a_gang(3, UIT, 1)).stops


def test_elastic_workers_leave_before_anybody_stops() -> None:
    center = running(a_gang(1, UIT, 4))
    full = grown(center, an_elastic(2, UIT, least=1, most=4, walltime_seconds=8 * HOUR))
    assert sorted(sizes(full)) == [4, 4]
    few = asked(full, a_gang(3, VMU, 3))
    assert (len(few.stops), [len(one.processes) for one in few.shrinks]) == (0, [3])
    many = asked(full, a_gang(3, VMU, 4))
    assert [one.id for one in stopped(many)] == [request_id(2)]
    assert not many.shrinks, "who ends as a whole gives up nothing besides"


def test_who_stops_is_where_the_gang_fits() -> None:
    """Three nodes of four: what has begun last and is smallest would lose least, but one whole node is needed."""
    full = running(a_gang(1, UIT, 6), a_gang(2, UIT, 1), a_gang(3, UIT, 1), a_gang(4, UIT, 4), nodes=3, per_node=4)
    wide = replace(a_gang(5, VMU, 1), head=cores(0), worker=cores(3.9, 3))
    chosen = stopped(asked(full, wide))
    assert chosen
    freed = [slot.node for one in chosen for slot in full.cluster(one).workers]
    assert max(map(freed.count, freed)) == 4
    assert request_id(1) not in [one.id for one in chosen], "that one is within what its institution owns"


def test_somebody_who_sits_at_a_cluster_is_the_last_to_be_stopped_and_waits_no_more() -> None:
    sits = replace(a_gang(2, UIT, 2), request_class=RequestClass.INTERACTIVE)
    full = running(a_gang(1, UIT, 4), sits, a_gang(3, UIT, 2))
    assert [one.id for one in stopped(asked(full, a_gang(4, VMU, 2)))] == [request_id(3)]
    assert len(stopped(asked(full, a_gang(4, VMU, 4)))) == 2


def test_a_policy_may_let_guaranteed_work_run_to_its_end() -> None:
    never = replace(DEFAULT_POLICY, minimum_run_seconds=None)
    full = running(a_gang(1, UIT, 4), a_gang(2, UIT, 4), policy=never)
    assert not asked(full, a_gang(3, VMU, 4)).stops


def an_urgent(number: int, project: str, workers: int) -> Request:
    return replace(a_gang(number, project, workers), request_class=RequestClass.URGENT)


def test_urgent_work_stops_anybody_but_urgent_work_at_once_and_no_more_than_the_share_of_its_class() -> None:
    full = running(a_gang(1, VMU, 4), a_gang(2, UIT, 4))
    plan = asked(full, an_urgent(3, VMU, 4), at=NOW)
    (stop,) = plan.stops
    assert stop.preemption.cause is Cause.URGENT
    assert not asked(full, an_urgent(3, VMU, 5), at=NOW).stops, "half of the pool is all that the class may hold"
    urgent = running(an_urgent(1, UIT, 4), a_gang(2, UIT, 4))
    assert not asked(urgent, an_urgent(3, VMU, 4), at=NOW).stops


def test_urgent_work_goes_before_what_was_promised_and_the_broken_promise_says_so() -> None:
    soon = running(a_gang(1, UIT, 8, walltime_seconds=600), policy=replace(DEFAULT_POLICY, minimum_run_seconds=None))
    waiting = a_gang(2, UIT, 8, person=PersonId("b" * 26), submitted=Seconds(NOW - 5 * DAY))
    promised = applied(soon.with_facts([waiting]), decide(soon.with_facts([waiting]), NOW), NOW)
    plan = asked(promised, an_urgent(3, VMU, 4), at=NOW)
    assert [stop.request.id for stop in plan.stops] == [request_id(1)]
    changes = {change.request.id: change for change in plan.promises}
    urgent, moved = changes[request_id(3)], changes[waiting.id]
    assert urgent.promise is not None
    assert urgent.promise.starts == AFTER_NOTICE
    assert moved.cause is Cause.URGENT
    assert moved.promise is not None
    assert moved.promise.starts > urgent.promise.starts + urgent.request.walltime_seconds


def test_an_owner_is_promised_a_start_before_who_would_borrow() -> None:
    full = running(a_gang(1, UIT, 8))
    borrower = a_gang(2, UIT, 8, walltime_seconds=4 * HOUR, submitted=Seconds(NOW - 5 * DAY))
    promised = applied(full.with_facts([borrower]), decide(full.with_facts([borrower]), NOW), NOW)
    owner = a_gang(3, VMU, 4)
    plan = asked(promised, owner, at=Seconds(NOW + 1))
    changes = {change.request.id: change for change in plan.promises}
    assert not plan.stops
    assert changes[owner.id].promise is not None
    assert changes[borrower.id].cause is Cause.OWNER
    later = applied(promised.with_facts([owner]), plan, Seconds(NOW + 1))
    assert stopped(decide(later, LATER)), "and has its own back when that may be stopped"


def test_what_stops_is_room_for_one_start_only_and_nothing_is_ever_overfull() -> None:
    full = running(a_gang(1, UIT, 4), a_gang(2, UIT, 4)).with_facts([a_gang(3, VMU, 2), a_gang(4, VMU, 2)])
    plan = decide(full, LATER)
    assert len(plan.stops) == 1
    told = applied(full, plan, LATER)
    then = Seconds(LATER + NOTICE)
    after = applied(left(told, then), decide(left(told, then), then), then)
    assert sorted(sizes(after)) == [2, 2, 4]
    assert not list(overfull(after))


def test_an_owner_whose_work_has_latest_starts_is_an_owner_still() -> None:
    """Five days it has waited, so that all of its work has one: more than it owns altogether, and for later."""
    full = running(a_gang(1, UIT, 8))
    owned = [a_gang(number, VMU, 4, submitted=Seconds(NOW - 5 * DAY + number)) for number in (2, 3, 4)]
    later = applied(crowded := full.with_facts(owned), decide(crowded, NOW), NOW)
    assert sum(one.promise is not None and one.promise.aim is not None for one in later.requests.values()) > 1
    assert stopped(decide(later, LATER)), "what was borrowed makes way for it"


def test_an_institution_that_searches_in_vain_leaves_searches_to_others() -> None:
    """A worker of five cores fits on no node of four, whoever stops; by sums alone it would."""
    third = "hust.climate"
    full = a_center(6, VMU, UIT, third, per_node=4)
    for number in range(1, 7):
        full = full.with_facts([a_gang(number, third, 4)])
        full = applied(full, decide(full, NOW), NOW)
    assert sum(sizes(full)) == 24
    large = {"head": cores(0.001), "worker": cores(5, 1)}
    vain = [a_gang(number, VMU, 1, walltime_seconds=HOUR - number, **large) for number in range(10, 40)]
    owner = a_gang(50, UIT, 4)
    assert not asked(full, *vain).stops
    plan = asked(full, *vain, owner)
    assert [stop.preemption.by for stop in plan.stops] == [(InstitutionId("uit"),)]
