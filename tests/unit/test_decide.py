"""Sentences about single decisions of a cycle."""

import sys
from collections import Counter
from dataclasses import replace
from itertools import count

import pytest
from haidang.inside.runs import ProcessName

from registry.centers import NodeState
from registry.ids import NodeId, PersonId, PoolId, Seconds, ShareId
from scheduler.clusters import LAST_ORDINAL, Part
from scheduler.decide import decide
from scheduler.explain import explain
from scheduler.facts import DayOfUse, Fact
from scheduler.plan import Placement
from scheduler.policy import DAY, DEFAULT_POLICY, HOUR
from scheduler.reasons import Kept, NodesFull, PersonAtClassLimit, SetAside, WouldDelayReserved
from scheduler.requests import Request, RequestClass, State
from scheduler.snapshot import Snapshot
from tests.builders import NOW, POOL, a_node, a_request, a_snapshot, cores, facts_of_a_center

LONG_AGO = NOW - 4 * DAY
"""A request that waits since then is promised the first start that can be had."""


def placed(snapshot: Snapshot, now: Seconds = NOW) -> Snapshot:
    """Return the snapshot as it is once a plan is applied."""
    plan = decide(snapshot, now)
    return snapshot.with_facts([fact for placement in plan.placements for fact in outcome(snapshot, placement, now)])


def outcome(snapshot: Snapshot, placement: Placement, now: Seconds) -> list[Fact]:
    request = replace(
        placement.request,
        state=State.PLACED,
        placed=now,
        deadline=placement.deadline,
        allocation=placement.allocation,
    )
    nodes = {process.node: snapshot.nodes[process.node] for process in placement.processes}
    for process in placement.processes:
        nodes[process.node] = replace(nodes[process.node], granted=nodes[process.node].granted + process.shape)
    return [request, *placement.processes, *nodes.values()]


def test_a_request_that_fits_is_placed_with_its_head_and_its_guaranteed_workers() -> None:
    snapshot = a_snapshot([*facts_of_a_center([a_node()], ["vmu.vision"]), a_request(workers_min=2)])
    (placement,) = decide(snapshot, NOW).placements
    assert [process.part for process in placement.processes] == [Part.HEAD, Part.GUARANTEED, Part.GUARANTEED]
    assert placement.deadline == NOW + HOUR


def test_a_gang_counts_its_dask_scheduler() -> None:
    nodes = [a_node(capacity=cores(2, 32))]
    snapshot = a_snapshot([*facts_of_a_center(nodes, ["vmu.vision"]), a_request(workers_min=2)])
    (wait,) = decide(snapshot, NOW).waits
    assert NodesFull.code in wait.codes


def test_the_head_goes_where_it_displaces_no_worker() -> None:
    nodes = [a_node("n1", cores(2, 32)), a_node("n2", cores(2.5, 32))]
    snapshot = a_snapshot([*facts_of_a_center(nodes, ["vmu.vision"]), a_request(workers_min=4)])
    (placement,) = decide(snapshot, NOW).placements
    assert placement.processes[0].node == "n2"


def test_a_waiting_request_carries_all_its_reasons() -> None:
    facts = facts_of_a_center([a_node(capacity=cores(1, 1))], ["vmu.vision"], nominal=cores(0.5, 1))
    request = replace(a_request(workers_min=3), user_hold=True)
    explanation = explain(a_snapshot([*facts, request]), request.id, NOW)
    assert explanation is not None
    assert {reason.code for reason in explanation.reasons} == {"held-by-user", "share-full", "nodes-full"}


def test_an_answer_that_has_not_changed_is_not_in_the_plan() -> None:
    facts = facts_of_a_center([a_node(capacity=cores(1, 1))], ["vmu.vision"])
    waiting = a_request(workers_min=3)
    (wait,) = decide(a_snapshot([*facts, waiting]), NOW).waits
    assert not decide(a_snapshot([*facts, replace(waiting, reasons=wait.codes)]), NOW)


def test_a_draining_node_takes_no_new_work() -> None:
    node = a_node(state=NodeState.DRAINING)
    snapshot = a_snapshot([*facts_of_a_center([node], ["vmu.vision"]), a_request()])
    assert not decide(snapshot, NOW).placements


def test_a_node_that_was_given_to_another_pool_is_room_there_and_here_no_more() -> None:
    facts = facts_of_a_center([a_node("n1", cores(2, 8)), a_node("n2", cores(2, 8))], ["vmu.vision"])
    wide = a_request(1, head=cores(2, 4), worker=cores(2, 4), workers_min=1)
    before = a_snapshot([*facts, wide])
    assert decide(before, NOW).placements
    moved = replace(before.nodes[NodeId("n2")], pool=PoolId("other"))
    after = before.with_facts([moved])
    assert not decide(after, NOW).placements
    assert decide(after.with_facts([replace(moved, pool=POOL)]), NOW) == decide(before, NOW)


def test_a_node_takes_no_more_processes_than_it_has_places_for_however_small_they_are() -> None:
    nodes = [replace(a_node("n1", cores(8, 64)), places=2), replace(a_node("n2", cores(8, 64)), places=3)]
    tiny = [
        a_request(number, head=cores(0.1, 1), worker=cores(0.1, 1), workers_min=1, submitted=LONG_AGO)
        for number in (1, 2, 3)
    ]
    snapshot = a_snapshot([*facts_of_a_center(nodes, ["vmu.vision"]), *tiny])
    plan = decide(snapshot, NOW)
    taken = Counter(process.node for placement in plan.placements for process in placement.processes)
    assert len(plan.placements) == 2
    assert all(taken[node.id] <= (node.places or 0) for node in nodes)
    assert [wait.codes for wait in plan.waits] == [(NodesFull.code,)]
    later = placed(snapshot)
    assert not decide(later, NOW).placements, "what runs has its place"
    explained = explain(later, tiny[2].id, NOW)
    assert explained is not None
    assert explained.expected is not None, "and gives it back"


def test_a_short_request_runs_beside_a_protected_start_and_a_long_one_waits() -> None:
    facts = facts_of_a_center([a_node(capacity=cores(4, 64))], ["vmu.vision", "uit.nlp"])
    running = placed(a_snapshot([*facts, a_request(1, workers_min=2, walltime_seconds=HOUR)]))
    wide = a_request(2, workers_min=3, submitted=LONG_AGO)
    short = a_request(3, "uit.nlp", workers_min=1, walltime_seconds=600)
    long = a_request(4, "uit.nlp", workers_min=1, walltime_seconds=2 * HOUR, submitted=NOW + 1)
    crowded = running.with_facts([wide, long])
    assert not decide(crowded, NOW).placements
    explanation = explain(crowded, long.id, NOW)
    assert explanation is not None
    assert [type(reason) for reason in explanation.reasons] == [WouldDelayReserved]
    assert [one.request.id for one in decide(running.with_facts([wide, short]), NOW).placements] == [short.id]


def test_the_protected_start_of_a_blocked_request_is_told() -> None:
    facts = facts_of_a_center([a_node(capacity=cores(4, 64))], ["vmu.vision"])
    running = placed(a_snapshot([*facts, a_request(1, workers_min=2, walltime_seconds=HOUR)]))
    blocked = a_request(2, workers_min=3, submitted=LONG_AGO)
    explanation = explain(running.with_facts([blocked]), blocked.id, NOW)
    assert explanation is not None
    assert explanation.expected == NOW + HOUR + DEFAULT_POLICY.termination_slack_seconds


def test_the_institution_that_has_used_less_goes_first() -> None:
    facts = facts_of_a_center(
        [a_node(capacity=cores(1.5, 64))], ["vmu.vision", "uit.nlp"], nominal=cores(0.75, 32), borrowing=cores(2, 64)
    )
    mine, theirs = a_request(1), a_request(2, "uit.nlp", submitted=NOW + 1)
    today = NOW // DAY
    use = DayOfUse(share=ShareId("vmu"), pool=POOL, day=today, ppm_seconds=10**10)
    assert [one.request.id for one in decide(a_snapshot([*facts, mine, theirs]), NOW).placements] == [mine.id]
    assert [one.request.id for one in decide(a_snapshot([*facts, use, mine, theirs]), NOW).placements] == [theirs.id]


def test_a_placement_counts_as_use_at_once_so_that_nobody_takes_everything() -> None:
    facts = facts_of_a_center(
        [a_node(capacity=cores(6, 64))], ["vmu.vision", "uit.nlp"], nominal=cores(3, 32), borrowing=cores(3, 32)
    )
    mine = [a_request(number) for number in range(1, 5)]
    theirs = [a_request(number, "uit.nlp", submitted=NOW + 1) for number in range(5, 9)]
    placements = decide(a_snapshot([*facts, *mine, *theirs]), NOW).placements
    assert [one.request.institution for one in placements] == ["vmu", "uit", "vmu", "uit"]


def test_an_overdue_request_goes_before_everything_that_came_later() -> None:
    facts = facts_of_a_center([a_node(capacity=cores(1.5, 64))], ["vmu.vision"])
    overdue = a_request(1, submitted=NOW - 31 * 24 * HOUR, request_class=RequestClass.SCAVENGER)
    urgent = a_request(2, submitted=NOW, request_class=RequestClass.INTERACTIVE)
    assert [one.request.id for one in decide(a_snapshot([*facts, urgent, overdue]), NOW).placements] == [overdue.id]


def test_a_person_runs_no_more_of_a_class_than_one_person_may() -> None:
    facts = facts_of_a_center([a_node(capacity=cores(64, 256))], ["vmu.vision"])
    many = [a_request(number, request_class=RequestClass.INTERACTIVE) for number in range(1, 8)]
    others: Request = a_request(9, request_class=RequestClass.INTERACTIVE, person=PersonId("b" * 26))
    plan = decide(a_snapshot([*facts, *many, others]), NOW)
    limit = DEFAULT_POLICY.classes[RequestClass.INTERACTIVE].most_per_person
    assert len(plan.placements) == limit + 1
    assert {wait.codes for wait in plan.waits} == {("person-at-class-limit",)}


def test_a_cluster_that_was_scaled_until_its_numbers_ran_out_gets_no_worker_that_cannot_be_named() -> None:
    facts = facts_of_a_center([a_node(capacity=cores(64, 256))], ["vmu.vision"])
    running = placed(a_snapshot([*facts, a_request(1, workers_min=1, workers_max=9)]))
    cluster = next(iter(running.clusters()))
    tired = replace(cluster.request, workers_wanted=9, next_ordinal=LAST_ORDINAL)
    growths = decide(running.with_facts([tired]), NOW).growths
    names = [process.name for growth in growths for process in growth.processes]
    assert [ProcessName.parse(name).ordinal for name in names] == [LAST_ORDINAL]


def test_what_is_kept_for_a_protected_start_is_told_as_kept_and_not_as_used() -> None:
    """One course request runs, one waits for nodes with a protected start, and a third asks for what that one keeps."""
    facts = facts_of_a_center([a_node(capacity=cores(4, 64))], ["vmu.vision"])
    normal = a_request(1, workers_min=2, walltime_seconds=HOUR, person=PersonId("b" * 26))
    first = a_request(2, request_class=RequestClass.COURSE, head=cores(0.1, 1), worker=cores(0.1, 1))
    running = placed(a_snapshot([*facts, normal, first]))
    second = a_request(
        3, request_class=RequestClass.COURSE, head=cores(1.2, 1), worker=cores(0.5, 1), submitted=LONG_AGO
    )
    third = a_request(4, request_class=RequestClass.COURSE, head=cores(0.1, 1), worker=cores(0.1, 1), submitted=NOW + 1)
    explanation = explain(running.with_facts([second, third]), third.id, NOW)
    assert explanation is not None
    turn = SetAside(what=Kept.TURN, reserved_from=Seconds(NOW + HOUR + DEFAULT_POLICY.termination_slack_seconds))
    assert turn in explanation.reasons
    assert not [reason for reason in explanation.reasons if isinstance(reason, PersonAtClassLimit)]


@pytest.mark.parametrize("gang", [1, 1000], ids=["for a turn", "for what there will never be"])
def test_a_long_queue_is_decided_in_a_time_that_grows_with_it_alone(gang: int) -> None:
    assert calls_to_decide(200, gang) < 5 * calls_to_decide(50, gang)


def calls_to_decide(size: int, gang: int) -> int:
    """Return how many calls a cycle makes that has as many running clusters, waiting requests and projects."""
    projects, crowd = [f"vmu.p{number}" for number in range(size)], RequestClass.SCAVENGER
    facts = facts_of_a_center([a_node(capacity=cores(1.5 * size, 64 * size))], projects)
    running = placed(
        a_snapshot([*facts, *(a_request(1 + n, one, request_class=crowd) for n, one in enumerate(projects))])
    )
    waiting = [a_request(1 + size + n, one, request_class=crowd, workers_min=gang) for n, one in enumerate(projects)]
    greedy = [replace(cluster.request, workers_wanted=4) for cluster in running.clusters()]
    full = running.with_facts([*waiting, *greedy])
    assert len(full.clusters()) == size
    calls = count()
    sys.setprofile(lambda _frame, event, _argument: next(calls) if event == "call" else None)
    try:
        decide(full, NOW)
    finally:
        sys.setprofile(None)
    return next(calls)
