"""Sentences about the steps from what is seen to what is wanted."""

from __future__ import annotations

from dataclasses import replace

from registry.ids import ProcessUid, Seconds
from scheduler.clusters import Cluster, Part, Process
from scheduler.diff import diff
from scheduler.observed import Observed, ObservedProcess
from scheduler.policy import DEFAULT_POLICY, HOUR
from scheduler.requests import State
from scheduler.steps import ClearCluster, DeleteProcesses, DrainWorkers, StartProcesses
from tests.builders import NOW, a_request, a_slot, an_allocation, request_id


def a_cluster(workers: int) -> Cluster:
    request = replace(
        a_request(1), state=State.PLACED, placed=NOW, deadline=Seconds(NOW + HOUR), allocation=an_allocation().id
    )
    slots = [a_slot(1, ordinal, part=Part.ELASTIC) if ordinal else a_slot(1) for ordinal in range(workers + 1)]
    return Cluster(request=request, processes=tuple(replace(slot, address="tls://somewhere:1") for slot in slots))


def seen(slot: Process) -> ObservedProcess:
    return ObservedProcess(
        name=slot.name,
        uid=ProcessUid(f"uid of {slot.ordinal}"),
        request=slot.request,
        ordinal=slot.ordinal,
        incarnation=slot.incarnation,
        address=slot.address,
        started=NOW,
    )


def test_all_that_leave_a_cluster_are_asked_for_at_once_each_with_the_time_it_has_left() -> None:
    cluster = a_cluster(3)
    leaving = [
        replace(slot, wanted=False, stop_by=Seconds(NOW + 10 * slot.ordinal)) if slot.ordinal else slot
        for slot in cluster.processes
    ]
    cluster = replace(cluster, processes=tuple(leaving))
    observed = Observed(processes=tuple(map(seen, leaving)), heads={})
    names = [slot.name for slot in leaving]
    assert diff([cluster], observed, DEFAULT_POLICY, NOW) == (
        DrainWorkers(
            request=cluster.request.id,
            head_name=names[0],
            deadlines={names[1]: 10, names[2]: 20, names[3]: 30},
        ),
    )
    late = diff([cluster], observed, DEFAULT_POLICY, Seconds(NOW + 20))
    assert late == (
        DrainWorkers(request=cluster.request.id, head_name=names[0], deadlines={names[3]: 10}),
        DeleteProcesses(request=cluster.request.id, names=(names[1], names[2])),
    )


def test_what_remains_of_a_cluster_that_nobody_wants_is_cleared_once_no_process_is_left() -> None:
    cluster, orphan = a_cluster(1), request_id(2)
    processes = tuple(map(seen, cluster.processes))
    remains = frozenset({cluster.request.id, orphan})
    agreeing = Observed(processes=processes, heads={}, remains=remains)
    assert diff([cluster], agreeing, DEFAULT_POLICY, NOW) == (ClearCluster(request=orphan),)
    (step,) = diff(
        [], Observed(processes=processes, heads={}, remains=frozenset({cluster.request.id})), DEFAULT_POLICY, NOW
    )
    assert isinstance(step, DeleteProcesses), "first the processes, which are billed"


def test_what_waits_for_a_gang_is_ended_when_nobody_wants_it_any_more_and_left_alone_otherwise() -> None:
    cluster = a_cluster(2)
    given_up = [replace(slot, wanted=slot.ordinal != 2) for slot in cluster.processes]
    cluster = replace(cluster, processes=tuple(given_up))
    names = [slot.name for slot in given_up]
    processes = (seen(given_up[0]),)
    unbegun = {cluster.request.id: frozenset(names[1:]), request_id(2): frozenset({"of a stranger"})}
    steps = diff([cluster], Observed(processes=processes, heads={}, unbegun=unbegun), DEFAULT_POLICY, NOW)
    ended = [step for step in steps if isinstance(step, DeleteProcesses)]
    assert ended == [DeleteProcesses(request=cluster.request.id, names=(names[2],))]


def test_a_cluster_is_started_with_what_lasts_however_much_longer_it_may_run() -> None:
    cluster = a_cluster(1)
    rule = DEFAULT_POLICY.classes[cluster.request.request_class]
    (start,) = diff([cluster], Observed(processes=(), heads={}), DEFAULT_POLICY, NOW)
    assert isinstance(start, StartProcesses)
    assert start.last_second == NOW + rule.longest_walltime_seconds + DEFAULT_POLICY.termination_slack_seconds
