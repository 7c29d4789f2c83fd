"""What a pod tells of its process: start and end by the node's clock, whoever ends it and however."""

from __future__ import annotations

from typing import Any, Final

import pytest

from backends.kube.manifests import begun, pod
from backends.kube.naming import GANG, STATE_PORT
from backends.kube.reading import SLOW_SECONDS, door, is_gated, observed
from registry.ids import ProcessUid, Seconds
from registry.resources import GIB, Resources
from scheduler.observed import Cause
from scheduler.troubles import Trouble
from tests.unit.test_kube_manifests import OWNER, REQUEST, SITE, a_process, a_step

NOW: Final = Seconds(1_800_000_000)
CREATED: Final = "2027-01-15T06:59:58Z"
STARTED: Final = "2027-01-15T07:00:00Z"
FINISHED: Final = "2027-01-15T07:10:00.250Z"
LATER: Final = "2027-01-15T09:00:00Z"
AT: Final = (Seconds(1_799_996_400), Seconds(1_799_997_000))


def a_pod(
    state: dict[str, Any] | None = None, *, ordinal: int = 1, ready: bool = True, **status: str
) -> dict[str, Any]:
    made = pod(SITE, a_step(), a_process(ordinal, Resources(millicores=1000, memory=GIB)), OWNER)
    made["metadata"] |= {"uid": "the-uid", "creationTimestamp": CREATED, **begun()["metadata"]}
    made["spec"] |= {**begun()["spec"], "nodeName": "node-1"}
    container = {"name": "dask", "state": state, "started": ready, "ready": ready} if state else None
    made["status"] = {"podIP": "10.0.0.7", "phase": "Running", **status}
    made["status"] |= {"containerStatuses": [container]} if container else {}
    return made


def test_a_pod_of_an_unfinished_gang_has_not_begun() -> None:
    gated = pod(SITE, a_step(), a_process(1, Resources(millicores=1000, memory=GIB)), OWNER)
    assert gated["spec"]["schedulingGates"] == [{"name": GANG}]
    assert is_gated(gated)
    assert not is_gated(a_pod())


def test_a_running_pod_has_started_when_its_container_did_and_answers_once_its_probe_succeeded() -> None:
    running = {"running": {"startedAt": STARTED}}
    seen = observed(a_pod(running), {}, NOW)
    assert (seen.uid, seen.request, seen.ordinal, seen.incarnation) == (ProcessUid("the-uid"), REQUEST, 1, 1)
    assert (seen.started, seen.ended, seen.address) == (AT[0], None, "tls://10.0.0.7:8786")
    assert observed(a_pod(running, ready=False), {}, NOW).address is None


def test_the_owner_finds_the_head_by_name_and_the_center_by_address() -> None:
    head = a_pod({"running": {"startedAt": STARTED}}, ordinal=0)
    assert observed(head, {}, NOW).address == f"tls://h-{REQUEST}.haidang-vmu.svc:8786"
    assert door(head) == ("10.0.0.7", STATE_PORT)
    assert door(a_pod({"running": {"startedAt": STARTED}})) is None, "a worker has no state"
    assert door(a_pod({"waiting": {"reason": "ContainerCreating"}}, ordinal=0)) is None


@pytest.mark.parametrize(
    ("terminated", "deleting", "cause", "detail"),
    [
        ({"exitCode": 0}, None, Cause.EXITED, ""),
        ({"exitCode": 71}, None, Cause.EXITED, "exit status 71"),
        ({"exitCode": 137, "signal": 9}, None, Cause.KILLED, "exit status 137"),
        ({"exitCode": 137, "reason": "OOMKilled"}, None, Cause.MEMORY, "its memory limit of 1073741824 bytes"),
        ({"exitCode": 137, "reason": "OOMKilled"}, LATER, Cause.MEMORY, "its memory limit of 1073741824 bytes"),
        ({"exitCode": 143}, LATER, Cause.STOPPED, ""),
    ],
)
def test_an_end_is_that_of_the_container_with_its_cause(
    terminated: dict[str, Any], deleting: str | None, cause: Cause, detail: str
) -> None:
    ended = a_pod({"terminated": {"startedAt": STARTED, "finishedAt": FINISHED, **terminated}}, phase="Failed")
    if deleting:
        ended["metadata"]["deletionTimestamp"] = deleting
    seen = observed(ended, {}, NOW)
    assert (seen.started, seen.ended, seen.cause) == (*AT, cause)
    assert seen.detail.startswith(detail)


def test_a_deletion_that_is_asked_for_ends_nothing_yet() -> None:
    leaving = a_pod({"running": {"startedAt": STARTED}})
    leaving["metadata"]["deletionTimestamp"] = "2027-01-15T07:00:30Z"
    assert observed(leaving, {}, NOW).ended is None


def test_what_its_node_evicts_is_told_in_its_nodes_words_whether_it_ran_or_not() -> None:
    evicted: dict[str, Any] = {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "The node was low on resource: memory.",
    }
    seen = observed(a_pod(**evicted), {}, NOW)
    assert (seen.started, seen.cause, seen.detail) == (None, Cause.EVICTED, evicted["message"])
    ran = {"terminated": {"startedAt": STARTED, "finishedAt": FINISHED, "exitCode": 137}}
    seen = observed(a_pod(ran, **evicted), {}, NOW)
    assert (seen.started, seen.ended, seen.cause, seen.detail) == (*AT, Cause.EVICTED, evicted["message"])


@pytest.mark.parametrize(
    ("reason", "trouble"),
    [
        ("ImagePullBackOff", Trouble.IMAGE),
        ("ErrImageNeverPull", Trouble.IMAGE),
        ("CreateContainerConfigError", Trouble.CONTAINER),
        ("ContainerCreating", None),
        ("PodInitializing", None),
    ],
)
def test_what_keeps_a_container_from_starting_is_told(reason: str, trouble: Trouble | None) -> None:
    seen = observed(a_pod({"waiting": {"reason": reason, "message": "in its words"}}, ready=False), {}, NOW)
    assert (seen.started, seen.ended, seen.trouble) == (None, None, trouble)
    assert seen.detail == (f"{reason}: in its words" if trouble else "")


def test_what_has_no_place_on_its_node_is_told_as_kube_scheduler_says_it() -> None:
    homeless = a_pod(phase="Pending")
    del homeless["spec"]["nodeName"]
    for reason, trouble in (("Unschedulable", Trouble.UNSCHEDULABLE), ("SchedulingGated", None)):
        condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": "1 Insufficient cpu."}
        homeless["status"]["conditions"] = [condition]
        assert observed(homeless, {}, NOW).trouble is trouble


def test_what_never_ran_used_nothing_and_says_why() -> None:
    refused = a_pod(phase="Failed", reason="UnexpectedAdmissionError", message="Allocate failed.")
    seen = observed(refused, {}, NOW)
    assert (seen.started, seen.cause) == (None, Cause.NEVER_STARTED)
    assert seen.detail == "UnexpectedAdmissionError: Allocate failed."
    homeless = a_pod(phase="Pending")
    del homeless["spec"]["nodeName"]
    assert observed(homeless, {}, NOW).ended is None
    homeless["metadata"]["deletionTimestamp"] = STARTED
    assert observed(homeless, {}, NOW).cause is Cause.NEVER_STARTED


def test_what_could_not_be_started_has_not_lived_since_1970() -> None:
    nothing = "1970-01-01T00:00:00Z"
    failed = {"startedAt": nothing, "finishedAt": FINISHED, "reason": "StartError", "message": "no memory"}
    seen = observed(a_pod({"terminated": {"exitCode": 128, **failed}}, phase="Failed"), {}, NOW)
    assert (seen.started, seen.ended, seen.cause) == (None, AT[1], Cause.NEVER_STARTED)
    assert seen.detail == "StartError: no memory"
    early = a_pod({"running": {"startedAt": "2027-01-15T06:00:00Z"}})
    assert observed(early, {}, NOW).started == AT[0] - 2, "no process lives before its pod"


def test_of_a_container_that_its_node_has_lost_nobody_says_that_it_never_started() -> None:
    unknown = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": "not found"}}
    seen = observed(a_pod(unknown, phase="Failed"), {}, NOW)
    assert (seen.started, seen.ended, seen.cause) == (None, NOW, Cause.UNSEEN)
    evicted = observed(a_pod(unknown, phase="Failed", reason="Evicted", message="full"), {}, NOW)
    assert (evicted.cause, evicted.detail) == (Cause.EVICTED, "full")


def test_what_is_finished_because_its_node_is_gone_ended_at_the_latest_when_that_was_noticed() -> None:
    gone = a_pod({"running": {"startedAt": STARTED}}, phase="Failed")
    assert observed(gone, {}, NOW).ended == NOW
    gone["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "lastTransitionTime": FINISHED}]
    seen = observed(gone, {}, NOW)
    assert (seen.started, seen.ended, seen.cause) == (*AT, Cause.UNSEEN)
    assert seen.detail == "its node node-1 is gone"
    assert observed(gone, {"node-1": Seconds(AT[1] - 60)}, NOW).ended == AT[1] - 60


def test_what_its_node_does_not_begin_for_minutes_is_a_trouble() -> None:
    waiting = a_pod({"waiting": {"reason": "ContainerCreating"}}, ready=False, phase="Pending")
    waiting["status"]["conditions"] = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": FINISHED}]
    assert observed(waiting, {}, Seconds(AT[1] + SLOW_SECONDS - 1)).trouble is None
    seen = observed(waiting, {}, Seconds(AT[1] + SLOW_SECONDS))
    assert seen.trouble is Trouble.CONTAINER
    assert seen.detail == "its node has not begun it for 300 seconds: ContainerCreating"


def test_on_a_lost_node_a_pod_ended_when_that_was_last_heard_of() -> None:
    running = a_pod({"running": {"startedAt": STARTED}})
    seen = observed(running, {"node-1": AT[1]}, NOW)
    assert (seen.ended, seen.cause) == (AT[1], Cause.UNSEEN)
    early = observed(running, {"node-1": Seconds(AT[0] - 5)}, NOW)
    assert early.ended == AT[0], "no bill is negative"
    dead = a_pod({"terminated": {"startedAt": STARTED, "finishedAt": FINISHED, "exitCode": 0}})
    assert observed(dead, {"node-1": NOW}, NOW).ended == AT[1], "what its kubelet said in time holds"
