"""Sentences about nodes that are to be emptied: workers leave them, but only when others can go on."""

from dataclasses import replace
from typing import Any

import pytest

from registry.centers import NodeState
from registry.ids import AllocationId, NodeId, Seconds
from registry.resources import total
from scheduler.clusters import Part, Process
from scheduler.decide import decide
from scheduler.plan import Plan
from scheduler.policy import DEFAULT_POLICY
from scheduler.requests import End, State
from scheduler.snapshot import Snapshot
from scheduler.troubles import Trouble
from tests.builders import NOW, a_node, a_request, a_slot, a_snapshot, cores, facts_of_a_center

PROJECT = "vmu.vision"
EMPTIED, OTHER = "n1", "n2"
WORKER = cores(1, 2)


def a_center(
    *slots: Process,
    room: int = 8,
    state: NodeState = NodeState.DRAINING,
    **changes: Any,  # noqa: ANN401 - `replace` checks them
) -> Snapshot:
    """Return a center of one cluster whose head and some workers are on a draining node, beside another with room."""
    request = replace(
        a_request(1, PROJECT, workers_min=2),
        state=State.PLACED,
        placed=NOW,
        deadline=Seconds(NOW + 3600),
        allocation=AllocationId(f"alloc-{PROJECT}"),
        workers_wanted=2,
        **changes,
    )
    head = a_slot(1, 0, address="tls://head")
    held = {name: total(slot.shape for slot in (head, *slots) if slot.node == name) for name in (EMPTIED, OTHER)}
    nodes = [
        replace(a_node(EMPTIED, state=state), granted=held[EMPTIED]),
        replace(a_node(OTHER, cores(room, 32)), granted=held[OTHER]),
    ]
    return a_snapshot([*facts_of_a_center(nodes, [PROJECT]), request, head, *slots])


def a_worker(ordinal: int, node: str, **changes: object) -> Process:
    made = a_slot(1, ordinal, node=NodeId(node), shape=WORKER, address=f"tls://{ordinal}", lease_until=None)
    return replace(made, **changes)  # type: ignore[arg-type]


def after(snapshot: Snapshot, plan: Plan, **changes: object) -> Snapshot:
    """Return the snapshot with the plan's new workers, changed as they are by now."""
    (growth,) = plan.growths
    grown = [replace(process, **changes) for process in growth.processes]  # type: ignore[arg-type]
    return snapshot.with_facts([replace(growth.request, next_ordinal=9), *grown])


def leaving(plan: Plan) -> list[int]:
    return [slot.ordinal for retirement in plan.retirements for slot in retirement.processes]


def test_workers_are_replaced_elsewhere_before_they_leave_and_the_head_stays() -> None:
    snapshot = a_center(a_worker(1, EMPTIED), a_worker(2, EMPTIED))
    plan = decide(snapshot, NOW)
    assert [(process.node, process.part) for process in plan.growths[0].processes] == [(OTHER, Part.GUARANTEED)] * 2
    assert leaving(plan) == []
    assert leaving(decide(after(snapshot, plan), NOW)) == [], "they are not ready yet"
    later = decide(after(snapshot, plan, address="tls://new"), NOW)
    assert leaving(later) == [1, 2]
    assert later.retirements[0].stop_by == NOW + DEFAULT_POLICY.evacuation_notice_seconds


def test_those_that_stay_take_over_where_there_is_no_room_for_more() -> None:
    plan = decide(a_center(a_worker(1, EMPTIED), a_worker(2, OTHER), room=1), NOW)
    assert not plan.growths
    assert leaving(plan) == [1]


def test_a_worker_that_is_the_only_one_waits_for_room() -> None:
    assert not decide(a_center(a_worker(1, EMPTIED), room=0), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"ending": End.CANCELLED},
        {"trouble": Trouble.UNSCHEDULABLE, "not_before": Seconds(NOW + 5)},
    ],
)
def test_a_cluster_that_ends_or_is_put_off_gets_nothing(changes: dict[str, Any]) -> None:
    assert not decide(a_center(a_worker(1, EMPTIED), a_worker(2, EMPTIED), **changes), NOW)


def test_a_gang_that_was_never_whole_is_not_moved() -> None:
    plan = decide(a_center(a_worker(1, EMPTIED), a_worker(2, OTHER, address=None), room=1), NOW)
    assert leaving(plan) == []


def test_nobody_leaves_a_node_that_is_short_of_something_and_nobody_starts_there() -> None:
    staying = a_center(a_worker(1, EMPTIED), a_worker(2, EMPTIED), state=NodeState.PRESSED)
    assert not decide(staying, NOW)
    (placement,) = decide(staying.with_facts([a_request(2, PROJECT)]), NOW).placements
    assert {process.node for process in placement.processes} == {OTHER}


def test_who_has_left_is_asked_nothing_more() -> None:
    gone = a_worker(1, EMPTIED, wanted=False, stop_by=NOW)
    assert not decide(a_center(gone, a_worker(2, OTHER), a_worker(3, OTHER)), NOW)


def test_a_request_starts_on_no_node_that_is_emptied() -> None:
    snapshot = a_center(a_worker(1, OTHER), a_worker(2, OTHER)).with_facts([a_request(2, PROJECT)])
    (placement,) = decide(snapshot, NOW).placements
    assert {process.node for process in placement.processes} == {OTHER}
