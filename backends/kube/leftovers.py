"""Pods that are kept for a bill that nobody will write any more, because their center is gone."""

from dataclasses import dataclass

from backends.kube import manifests
from backends.kube.calls import CallRefusedError, Calls, Json
from backends.kube.naming import SETTLED, ours
from registry.ids import CenterId


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPod:
    """A pod that the finalizer of bills keeps, and for whom and how long it ran, as far as it says."""

    namespace: str
    name: str
    uid: str
    started: str
    ended: str


def kept_pods(calls: Calls, center: CenterId) -> tuple[KeptPod, ...]:
    """Return all pods of a center that its finalizer keeps."""
    pods, _ = calls.items("/api/v1/pods", selector=ours(center))
    return tuple(_kept(pod) for pod in pods if SETTLED in pod["metadata"].get("finalizers", ()))


def let_go(calls: Calls, pod: KeptPod) -> None:
    """Delete a pod without waiting for its bill."""
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
    calls.delete(path, uid=pod.uid)
    try:
        calls.merge(path, manifests.settled(pod.uid))
    except CallRefusedError as error:
        if not (error.is_absent or error.is_conflict):
            raise


def _kept(pod: Json) -> KeptPod:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    state = statuses[0].get("state", {})
    lived = state.get("terminated") or state.get("running") or {}
    return KeptPod(
        namespace=pod["metadata"]["namespace"],
        name=pod["metadata"]["name"],
        uid=pod["metadata"]["uid"],
        started=lived.get("startedAt", ""),
        ended=lived.get("finishedAt", ""),
    )
