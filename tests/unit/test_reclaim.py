"""Sentences about elastic workers that are given back: to whom, which, how many, and when what they held is free."""

from dataclasses import replace
from typing import Any

import pytest

from registry.ids import InstitutionId, NodeId, Seconds
from scheduler.clusters import Part
from scheduler.decide import decide
from scheduler.facts import Fact
from scheduler.plan import Claim, Plan, Shrink
from scheduler.policy import DEFAULT_POLICY, HOUR, Policy
from scheduler.requests import Request, RequestClass
from scheduler.snapshot import Snapshot
from tests.builders import NOW, a_node, a_request, a_snapshot, cores, facts_of_a_center, request_id
from tests.properties.worlds import applied, left, overfull

VMU, UIT = "vmu.vision", "uit.nlp"
AFTER_NOTICE = NOW + DEFAULT_POLICY.notice_seconds + DEFAULT_POLICY.termination_slack_seconds
BARE = {"head": cores(0.001), "worker": cores(0.999, 1)}
"""A head beside its workers, so that a node of so many cores has room for so many workers."""


def a_center(nodes: int, *projects: str, per_node: int = 1, policy: Policy = DEFAULT_POLICY) -> Snapshot:
    """Return a center of equal nodes, each institution entitled to an equal part, all of it lent."""
    many = nodes * per_node
    names = [a_node(f"n{number:02}", cores(per_node, per_node)) for number in range(nodes)]
    part = cores(many / len(projects), many / len(projects))
    rest = cores(many, many)
    return a_snapshot(facts_of_a_center(names, projects, part, borrowing=rest), policy)


def grown(snapshot: Snapshot, *requests: Request) -> Snapshot:
    """Return the center once these run and have been given all the workers they want, as far as there are any."""
    wanting = [replace(request, workers_wanted=request.workers_max) for request in requests]
    started = applied(snapshot.with_facts(wanting), decide(snapshot.with_facts(wanting), NOW), NOW)
    return applied(started, decide(started, NOW), NOW)


def an_elastic(number: int, project: str = VMU, *, least: int = 1, most: int = 8, **changes: object) -> Request:
    of_course: dict[str, Any] = {"submitted": Seconds(NOW - 100 + number), "walltime_seconds": HOUR}
    return a_request(number, project, **{**BARE, **of_course, "workers_min": least, "workers_max": most, **changes})


def sizes(snapshot: Snapshot) -> list[int]:
    return [sum(one.wanted for one in cluster.workers) for cluster in snapshot.clusters()]


def taken(plan: Plan) -> list[tuple[str, int]]:
    return [(shrink.request.project, len(shrink.processes)) for shrink in plan.shrinks]


def test_own_elastic_workers_yield_to_a_start_of_ones_own_and_its_time_is_promised() -> None:
    running = grown(a_center(1, VMU, per_node=8), an_elastic(1))
    assert sizes(running) == [8]
    waiting = an_elastic(2, least=3, most=3)
    plan = decide(running.with_facts([waiting]), NOW)
    (shrink,) = plan.shrinks
    assert [one.ordinal for one in shrink.processes] == [6, 7, 8], "as few as will do, the youngest"
    assert shrink.by == (InstitutionId("vmu"),)
    assert shrink.stop_by == NOW + DEFAULT_POLICY.notice_seconds
    assert [change.promise and change.promise.starts for change in plan.promises] == [AFTER_NOTICE]
    assert not plan.growths
    later = applied(running.with_facts([waiting]), plan, NOW)
    assert not decide(later, NOW), "what is told is told once"
    freed = left(later, Seconds(NOW + 30))
    assert [one.request.id for one in decide(freed, Seconds(NOW + 30)).placements] == [waiting.id]


def test_nobody_is_shrunk_below_what_is_guaranteed() -> None:
    running = grown(a_center(1, VMU, per_node=8), an_elastic(1, least=5))
    assert not decide(running.with_facts([an_elastic(2, least=4)]), NOW).shrinks
    assert taken(decide(running.with_facts([an_elastic(2, least=3)]), NOW)) == [(VMU, 3)]


def test_who_has_the_most_left_to_do_gives_back_first() -> None:
    long, short = an_elastic(1, walltime_seconds=2 * HOUR, most=4), an_elastic(2, most=4)
    running = grown(a_center(1, VMU, per_node=8), long, short)
    assert sizes(running) == [4, 4]
    assert [one.request.id for one in decide(running.with_facts([an_elastic(3, least=2)]), NOW).shrinks] == [long.id]
    both = decide(running.with_facts([an_elastic(3, least=4)]), NOW).shrinks
    assert [(one.request.id, len(one.processes)) for one in both] == [(long.id, 3), (short.id, 1)]


def test_an_owner_has_back_what_others_borrowed_and_no_more_than_it_owns() -> None:
    running = grown(a_center(1, VMU, UIT, per_node=8), an_elastic(1, UIT))
    assert sizes(running) == [8]
    shrinks = decide(running.with_facts([an_elastic(2, VMU, least=4)]), NOW).shrinks
    assert [(one.request.project, len(one.processes), one.claim) for one in shrinks] == [(UIT, 4, Claim.GUARANTEED)]
    assert not decide(running.with_facts([an_elastic(2, VMU, least=5)]), NOW).shrinks, "that would be borrowed too"


def test_who_would_borrow_has_back_nothing_that_others_own() -> None:
    running = grown(a_center(1, VMU, UIT, per_node=8), an_elastic(1, UIT, most=4), an_elastic(2, VMU, least=4, most=4))
    assert sizes(running) == [4, 4]
    assert not decide(running.with_facts([an_elastic(3, VMU)]), NOW).shrinks


def test_what_is_taken_back_lies_where_the_gang_fits() -> None:
    """Two nodes of four: a worker of three cores needs three of one node, not one here and two there."""
    center = a_center(2, VMU, per_node=4)
    running = grown(center, an_elastic(1, most=8))
    wide = replace(an_elastic(2, least=1, most=1), worker=cores(2.9, 3))
    (shrink,) = decide(running.with_facts([wide]), NOW).shrinks
    assert len({one.node for one in shrink.processes}) == 1
    assert len(shrink.processes) == 3


def test_free_nodes_are_used_before_anybody_gives_back_any() -> None:
    running = grown(a_center(8, VMU), an_elastic(1, most=5))
    (shrink,) = decide(running.with_facts([an_elastic(2, least=4)]), NOW).shrinks
    assert len(shrink.processes) == 1


def test_nothing_is_taken_of_what_ends_by_itself_as_soon() -> None:
    soon = an_elastic(1, walltime_seconds=DEFAULT_POLICY.notice_seconds)
    running = grown(a_center(1, VMU, per_node=8), soon)
    assert not decide(running.with_facts([an_elastic(2, least=3)]), NOW).shrinks


def test_what_is_leaving_for_one_start_is_there_for_no_other() -> None:
    running = grown(a_center(1, VMU, per_node=8), an_elastic(1))
    both = [an_elastic(2, least=3, most=3), an_elastic(3, least=3, most=3)]
    plan = decide(running.with_facts(both), NOW)
    assert taken(plan) == [(VMU, 6)]
    later = left(applied(running.with_facts(both), plan, NOW), Seconds(NOW + 30))
    started = applied(later, decide(later, Seconds(NOW + 30)), Seconds(NOW + 30))
    assert sorted(sizes(started)) == [2, 3, 3]
    assert not list(overfull(started))


def test_quota_that_ones_own_elastic_workers_hold_is_had_back_too() -> None:
    facts: list[Fact] = facts_of_a_center([a_node(capacity=cores(16, 16))], [VMU, UIT], cores(4, 4), borrowing=cores(0))
    running = grown(a_snapshot(facts), an_elastic(1, most=4))
    assert sizes(running) == [4]
    plan = decide(running.with_facts([an_elastic(2, least=2, most=2)]), NOW)
    assert taken(plan) == [(VMU, 2)]
    later = applied(running.with_facts([an_elastic(2, least=2, most=2)]), plan, NOW)
    assert not decide(later, NOW)
    freed = left(later, Seconds(NOW + 30))
    assert decide(freed, Seconds(NOW + 30)).placements


def wanting(snapshot: Snapshot, number: int, workers: int) -> Snapshot:
    request = snapshot.requests[request_id(number)]
    return snapshot.with_facts([replace(request, workers_wanted=workers)])


def test_an_owner_that_wants_more_workers_has_back_what_is_its_own_and_both_are_content_then() -> None:
    center = a_center(1, VMU, UIT, per_node=8)
    running = grown(center, an_elastic(1, VMU, most=1))
    running = grown(running, an_elastic(2, UIT, most=8))
    assert sorted(sizes(running)) == [1, 7]
    asked = wanting(running, 1, 8)
    plan = decide(asked, NOW)
    (shrink,) = plan.shrinks
    assert (shrink.request.project, len(shrink.processes), shrink.claim) == (UIT, 3, Claim.ELASTIC)
    assert not decide(applied(asked, plan, NOW), NOW), "those are on their way"
    later = left(applied(asked, plan, NOW), Seconds(NOW + 30))
    growth = decide(later, Seconds(NOW + 30))
    after = applied(later, growth, Seconds(NOW + 30))
    assert sorted(sizes(after)) == [4, 4]
    assert not decide(after, Seconds(NOW + 31))


def test_who_owns_no_more_waits_until_something_is_idle() -> None:
    running = grown(a_center(1, VMU, UIT, per_node=8), an_elastic(1, VMU, most=4), an_elastic(2, UIT, most=4))
    assert not decide(wanting(running, 1, 8), NOW)


@pytest.mark.parametrize("room", [0, 4])
def test_a_policy_that_promises_nothing_takes_back_all_the_same(room: int) -> None:
    policy = replace(DEFAULT_POLICY, reservations=room)
    running = grown(a_center(1, VMU, per_node=8, policy=policy), an_elastic(1))
    assert taken(decide(running.with_facts([an_elastic(2, least=3)]), NOW)) == [(VMU, 3)]


def a_shrink(plan: Plan) -> Shrink:
    (shrink,) = plan.shrinks
    return shrink


def test_the_workers_that_leave_are_elastic() -> None:
    running = grown(a_center(4, VMU, per_node=2), an_elastic(1, least=3))
    shrink = a_shrink(decide(running.with_facts([an_elastic(2, least=2)]), NOW))
    assert {one.part for one in shrink.processes} == {Part.ELASTIC}
    assert {one.node for one in shrink.processes} <= {NodeId(f"n{number:02}") for number in range(4)}


def test_urgent_work_takes_from_anybody_but_urgent_work_and_no_more_than_its_share() -> None:
    center = a_center(1, VMU, UIT, per_node=8)
    running = grown(center, an_elastic(1, UIT, most=4), an_elastic(2, VMU, most=4))
    urgent = replace(an_elastic(3, VMU, least=4, most=4), request_class=RequestClass.URGENT)
    shrinks = decide(running.with_facts([urgent]), NOW).shrinks
    assert [(one.request.project, len(one.processes)) for one in shrinks] == [(UIT, 1), (VMU, 3)]
    assert {one.claim for one in shrinks} == {Claim.URGENT}
    larger = replace(an_elastic(3, VMU, least=5, most=5), request_class=RequestClass.URGENT)
    assert not decide(running.with_facts([larger]), NOW).shrinks
    others = grown(center, replace(an_elastic(1, UIT), request_class=RequestClass.URGENT))
    assert sizes(others) == [4], "half of the pool is all that the class may hold"
