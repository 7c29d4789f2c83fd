"""What a pod tells of the process in it: when it lived, how it ended, and where it answers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from backends.kube.calls import Json
from backends.kube.measuring import Measured
from backends.kube.naming import (
    COMM_PORT,
    GANG,
    INCARNATION,
    INSTITUTION,
    ORDINAL,
    REQUEST,
    STATE_PORT,
    head_address,
)
from registry.ids import InstitutionId, ProcessUid, RequestId, Seconds
from scheduler.clusters import HEAD_ORDINAL
from scheduler.observed import Cause, ObservedProcess
from scheduler.troubles import Trouble

LONGEST_DETAIL: Final = 500
_OUT_OF_MEMORY: Final = "OOMKilled"
_EVICTED: Final = "Evicted"
_IMAGE: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "ImageInspectError",
        "InvalidImageName",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONTAINER: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError", "CrashLoopBackOff"}
)
_UNSCHEDULABLE: Final = "Unschedulable"
NO_TROUBLE: Final[tuple[None, str]] = (None, "")
_FINISHED: Final = frozenset({"Succeeded", "Failed"})
_UNKNOWN: Final = "ContainerStatusUnknown"
_DISRUPTION: Final = "DisruptionTarget"
SLOW_SECONDS: Final = 300
"""How long a node may be busy with a pod, as with its image, before that it has not begun is told as a trouble."""


def is_gated(pod: Json) -> bool:
    """Tell whether a pod still waits for its gang: it has not begun, cannot run and is nobody's bill."""
    return any(gate["name"] == GANG for gate in pod["spec"].get("schedulingGates", ()))


def observed(pod: Json, lost: Mapping[str, Seconds], now: Seconds, measured: Measured | None = None) -> ObservedProcess:
    """Return what is seen of a pod that has begun.

    `lost` are the nodes that are gone, each with the last moment at which it was heard of. Start and end are those of
    the container, by its node's clock: `deletionTimestamp` lies in the future and is rewritten.
    """
    labels, metadata = pod["metadata"]["labels"], pod["metadata"]
    ordinal, request = int(labels[ORDINAL]), RequestId(labels[REQUEST])
    container = _container(pod)
    ended, cause, detail = _end(pod, container, lost, now)
    started = _started(pod, container)
    trouble, said = (None, "") if started or ended else _trouble(pod, container, now)
    if cause is Cause.MEMORY and measured is not None:
        detail += f"; {measured.peak_memory} bytes were used when that was last measured"
    return ObservedProcess(
        name=metadata["name"],
        uid=ProcessUid(metadata["uid"]),
        request=request,
        ordinal=ordinal,
        incarnation=int(labels[INCARNATION]),
        address=_address(pod, container, ordinal),
        started=started,
        ended=None if ended is None else Seconds(max(ended, started or ended)),
        cause=cause,
        trouble=trouble,
        detail=(detail or said)[:LONGEST_DETAIL],
        cpu_milliseconds=None if measured is None else measured.cpu_milliseconds,
        peak_memory=None if measured is None else measured.peak_memory,
    )


def door(pod: Json) -> tuple[str, int] | None:
    """Return where the state of a running head can be asked for."""
    address = pod.get("status", {}).get("podIP")
    is_head = pod["metadata"]["labels"][ORDINAL] == str(HEAD_ORDINAL)
    return (address, STATE_PORT) if address and is_running(pod) and is_head else None


def is_running(pod: Json) -> bool:
    """Tell whether a pod's container runs."""
    return "running" in _container(pod).get("state", {})


def seconds(text: str) -> Seconds:
    """Return a time of the API as seconds since 1970, rounded down."""
    return Seconds(int(datetime.fromisoformat(text).timestamp()))


def _container(pod: Json) -> Json:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    found: Json = statuses[0]
    return found


def _started(pod: Json, container: Json) -> Seconds | None:
    """Return when a container started, and never a moment before its pod was made.

    Of one that could not be started containerd says 1970: that has not started at all.
    """
    state = container.get("state", {})
    at = state.get("running", {}).get("startedAt") or state.get("terminated", {}).get("startedAt")
    if not at or not seconds(at):
        return None
    return Seconds(max(seconds(at), seconds(pod["metadata"]["creationTimestamp"])))


def _address(pod: Json, container: Json, ordinal: int) -> str | None:
    """Return where a process answers, once its startup probe has seen that it does."""
    address = pod.get("status", {}).get("podIP")
    if not address or not container.get("started") or not container.get("ready"):
        return None
    if ordinal == HEAD_ORDINAL:
        labels = pod["metadata"]["labels"]
        return head_address(InstitutionId(labels[INSTITUTION]), RequestId(labels[REQUEST]))
    return f"tls://{address}:{COMM_PORT}"


def _trouble(pod: Json, container: Json, now: Seconds) -> tuple[Trouble | None, str]:
    """Return what keeps a pod from starting, if its node or kube-scheduler has said so, and in which words."""
    waiting = container.get("state", {}).get("waiting", {})
    if waiting.get("reason") in _IMAGE:
        return Trouble.IMAGE, _words(waiting)
    if waiting.get("reason") in _CONTAINER:
        return Trouble.CONTAINER, _words(waiting)
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("reason") == _UNSCHEDULABLE:
        return Trouble.UNSCHEDULABLE, _words(scheduled)
    if scheduled.get("status") == "True" and now - seconds(scheduled["lastTransitionTime"]) >= SLOW_SECONDS:
        return Trouble.CONTAINER, f"its node has not begun it for {SLOW_SECONDS} seconds: {_words(waiting)}"
    return NO_TROUBLE


def _condition(pod: Json, kind: str) -> Json:
    conditions = pod.get("status", {}).get("conditions", ())
    return next((one for one in conditions if one["type"] == kind), {})


def _end(
    pod: Json, container: Json, lost: Mapping[str, Seconds], now: Seconds
) -> tuple[Seconds | None, Cause | None, str]:
    """Return when, how and why the process of a pod ended, as far as it has."""
    status, node = pod.get("status", {}), pod["spec"].get("nodeName")
    if terminated := container.get("state", {}).get("terminated"):
        return _terminated(pod, terminated, now)
    if status.get("reason") == _EVICTED:
        return now, Cause.EVICTED, str(status.get("message", ""))
    if status.get("phase") in _FINISHED:
        return _finished(pod, container, lost, now)
    if node in lost:
        return lost[node], Cause.UNSEEN, f"its node {node} is lost"
    if pod["metadata"].get("deletionTimestamp") and node is None:
        return now, Cause.NEVER_STARTED, "it was ended before it had a node"
    return None, None, ""


def _finished(pod: Json, container: Json, lost: Mapping[str, Seconds], now: Seconds) -> tuple[Seconds, Cause, str]:
    """Return the end of a pod that is finished although its container is not said to have ended.

    Either it was refused by its node, or its node is gone and whoever cleans up after nodes has finished it.
    """
    if "running" not in container.get("state", {}):
        return now, Cause.NEVER_STARTED, _words(pod["status"])
    node, condition = pod["spec"].get("nodeName"), _condition(pod, _DISRUPTION)
    cleaned_up = seconds(condition["lastTransitionTime"]) if condition else now
    return min(cleaned_up, lost.get(node, now)), Cause.UNSEEN, f"its node {node} is gone"


def _terminated(pod: Json, terminated: Json, now: Seconds) -> tuple[Seconds, Cause, str]:
    at = terminated.get("finishedAt")
    ended = (seconds(at) if at else None) or now
    return (ended, *_cause(pod, terminated))


def _cause(pod: Json, terminated: Json) -> tuple[Cause, str]:
    """Return why a container ended, what its node did to it before what its process said."""
    reason, status = terminated.get("reason"), pod.get("status", {})
    if status.get("reason") == _EVICTED:
        return Cause.EVICTED, str(status.get("message", ""))
    if reason == _UNKNOWN:  # it may well have run: what was seen of that before is what counts
        return Cause.UNSEEN, _words(terminated)
    if _started(pod, {"state": {"terminated": terminated}}) is None:
        return Cause.NEVER_STARTED, _words(terminated)
    if reason == _OUT_OF_MEMORY:
        return Cause.MEMORY, f"its memory limit of {_memory_limit(pod)} bytes was exceeded"
    return _own_end(pod, terminated)


def _own_end(pod: Json, terminated: Json) -> tuple[Cause, str]:
    if pod["metadata"].get("deletionTimestamp"):
        return Cause.STOPPED, ""
    if terminated.get("exitCode"):
        return Cause.KILLED if terminated.get("signal") else Cause.EXITED, _exit(terminated)
    return Cause.EXITED, ""


def _exit(terminated: Json) -> str:
    return f"exit status {terminated['exitCode']}" + (f": {words}" if (words := terminated.get("message")) else "")


def _memory_limit(pod: Json) -> str:
    return str(pod["spec"]["containers"][0]["resources"]["limits"]["memory"])


def _words(status: Json) -> str:
    return ": ".join(word for word in (status.get("reason"), status.get("message")) if word)
