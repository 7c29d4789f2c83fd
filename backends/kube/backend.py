"""The cluster backend on Kubernetes: steps become a few objects, pods tell what lives and what has ended."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Final, assert_never

import structlog

from backends.heads import Heads
from backends.kube import manifests, reading
from backends.kube.calls import CallRefusedError, Calls, Json
from backends.kube.losses import Losses
from backends.kube.manifests import Site
from backends.kube.measuring import Kubelets, Measuring
from backends.kube.naming import HEAD, REQUEST, WORKER, ours
from backends.kube.tails import Tails
from backends.kube.watching import Watched
from operations.ports.backend import BackendUnavailableError, Credentials, StartRefusedError
from registry.ids import ProcessUid, RequestId, Seconds
from scheduler.observed import Observed
from scheduler.steps import ClearCluster, DeleteProcesses, DrainWorkers, StartProcesses, Step
from scheduler.troubles import Trouble

CORE: Final = "/api/v1"
WRITERS: Final = 16
PATIENCE_SECONDS: Final = 10.0
"""How long the garbage collector is given to begin with what its owner left, before each pod is deleted by itself."""

log = structlog.get_logger()


class KubeBackend:
    """Clusters as plain pods, each cluster owned by one anchor, each pod kept by a finalizer until it is billed.

    `calls` go to one API server. Several processes may have a backend on it at once: names are the same for all, and
    each step meets what another has done already.
    """

    def __init__(self, calls: Calls, site: Site, *, now: Callable[[], Seconds]) -> None:
        self._calls = calls
        self._site = site
        self._now = now
        self._listeners: list[Callable[[], None]] = []
        self._heads = Heads(self._wake)
        self._pods = Watched(calls, f"{CORE}/pods", kind="Pod", selector=ours(site.center), changed=self._wake)
        self._anchors = Watched(
            calls, f"{CORE}/configmaps", kind="ConfigMap", selector=ours(site.center), changed=self._wake
        )
        self._losses = Losses(calls, self._wake, now=now)
        self._tails = Tails(calls)
        authority = site.kubelet_authority or calls.api.configuration.ssl_ca_cert
        self._measuring = Measuring(
            Kubelets(calls.api, authority).summary, nodes=self._losses.nodes, pods=self._pods.objects
        )
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="pods")
        self._asked: dict[str, float] = {}

    def prepare(self) -> None:
        """Begin to follow the cluster."""
        for watched in (self._pods, self._anchors):
            watched.start()
        self._losses.start()
        self._measuring.start()

    def leave(self) -> None:
        """Let go of threads and connections; clusters that run go on."""
        for watched in (self._pods, self._anchors, self._losses, self._measuring):
            watched.close()
        self._writers.shutdown(wait=True, cancel_futures=True)
        self._heads.close()

    # What was seen

    def observe(self) -> Observed:
        """Return every pod that has begun, and what heads answered lately."""
        pods, now = self._pods.objects(), self._now()
        lost = self._losses.among({pod["spec"].get("nodeName") for pod in pods})
        begun = [pod for pod in pods if not reading.is_gated(pod)]
        processes = tuple(reading.observed(pod, lost, now, self._measuring.of(pod["metadata"]["uid"])) for pod in begun)
        doors = {RequestId(pod["metadata"]["labels"][REQUEST]): door for pod in pods if (door := reading.door(pod))}
        remains = frozenset(_of(anchor) for anchor in self._anchors.objects())
        unbegun = _names_by_request(pod for pod in pods if reading.is_gated(pod))
        return Observed(processes=processes, heads=self._heads.look(doors), remains=remains, unbegun=unbegun)

    # What is to be done

    def carry_out(self, step: Step, credentials: Credentials | None) -> None:
        """Write the objects of a step, or ask the head that it concerns."""
        if credentials is not None:
            self._heads.know(step.request, credentials)
        try:
            match step:
                case StartProcesses():
                    assert credentials is not None, step.request
                    self._start(step, credentials)
                case DrainWorkers():
                    self._drain(step)
                case DeleteProcesses():
                    self._delete(step)
                case ClearCluster():
                    self._delete_anchor(step.request)
                case _:
                    assert_never(step)
        except CallRefusedError as error:
            # A place that is not there yet is being made; whatever else is refused to start would be refused again.
            if isinstance(step, StartProcesses) and not error.is_absent:
                trouble = Trouble.OUTSIDE_QUOTA if error.is_over_quota else Trouble.OUTSIDE_REFUSAL
                raise StartRefusedError(error.message, trouble) from error
            raise BackendUnavailableError(f"Kubernetes refuses: {error}") from error

    def _start(self, step: StartProcesses, credentials: Credentials) -> None:
        """Create a gang whole and let it go, or take back what of it could be created."""
        if step.environment not in self._site.images:
            raise StartRefusedError(f"there is no environment {step.environment}")
        begun = {pod["metadata"]["name"] for pod in self._pods.objects() if not reading.is_gated(pod)}
        step = replace(step, processes=tuple(one for one in step.processes if one.name not in begun))
        if not step.processes:
            return
        owner = self._anchor(step)
        gated = self._create_gang(step, owner, self._furniture(step, owner, credentials))
        self._at_once(self._let_go, gated)

    def _anchor(self, step: StartProcesses) -> Json:
        """Return the anchor of a cluster, made if there is none yet."""
        found = next((one for one in self._anchors.objects() if _of(one) == step.request), None)
        if found is None:
            found = self._create(manifests.anchor(self._site, step))
        if _is_leaving(found):
            raise BackendUnavailableError("what is left of the cluster is still being removed")
        self._anchors.put(found)
        return found

    def _furniture(self, step: StartProcesses, owner: Json, credentials: Credentials) -> list[Json]:
        """Return what pods mount and find each other by: with the head, and again if it is not there."""
        if not any(process.name == step.head_name for process in step.processes):
            return []
        secrets = [manifests.secret(self._site, step, owner, role, credentials) for role in (HEAD, WORKER)]
        return [*secrets, manifests.service(self._site, step, owner)]

    def _create_gang(self, step: StartProcesses, owner: Json, furniture: Iterable[Json]) -> list[Json]:
        """Return the pods of a step that are gated, created with what they need; all of them, or none are left."""
        pods = [manifests.pod(self._site, step, process, owner) for process in step.processes]
        created: list[Json] = []
        refused: list[CallRefusedError] = []

        def create(wanted: Json) -> None:
            make = self._make_equal if wanted["kind"] == "Secret" else self._create
            try:
                created.append(make(wanted))
            except CallRefusedError as error:
                refused.append(error)

        self._at_once(create, [*furniture, *pods])
        gated = [one for one in created if one["kind"] == "Pod" and reading.is_gated(one)]
        if refused:
            self._at_once(self._delete_pod, gated)
            raise refused[0]
        return gated

    def _let_go(self, pod: Json) -> None:
        self._pods.put(self._calls.merge(_path(pod), manifests.begun()))

    def _drain(self, step: DrainWorkers) -> None:
        doors = [
            door
            for pod in self._pods.objects()
            if pod["metadata"]["name"] == step.head_name and (door := reading.door(pod))
        ]
        if not doors or not self._heads.drain(step.request, doors[0], step.deadlines):
            raise BackendUnavailableError("the head cannot be asked: it is not there")

    def _delete(self, step: DeleteProcesses) -> None:
        """End pods; the end of a whole cluster is one call, and Kubernetes' own collector does the rest."""
        pods = [pod for pod in self._pods.objects() if _of(pod) == step.request]
        named = [pod for pod in pods if pod["metadata"]["name"] in step.names]
        self._at_once(self._hear, [pod for pod in named if not _is_leaving(pod)])
        is_of_one_that_runs = any(not reading.is_gated(pod) for pod in named)
        if is_of_one_that_runs and self._is_all_that_lives(pods, named) and self._delete_anchor(step.request):
            return
        self._at_once(self._delete_pod, [pod for pod in named if not _is_leaving(pod)])

    def _hear(self, pod: Json) -> None:
        """Read the last words of a pod that is about to be deleted: its node removes them with its container."""
        if reading.is_running(pod):
            self._tails.hear(_path(pod), pod)

    def _is_all_that_lives(self, pods: Sequence[Json], named: Sequence[Json]) -> bool:
        begun = (pod for pod in pods if not reading.is_gated(pod))
        alive = {pod["metadata"]["name"] for pod in begun if reading.observed(pod, {}, self._now()).ended is None}
        return alive <= {pod["metadata"]["name"] for pod in named}

    def _delete_anchor(self, request: RequestId) -> bool:
        """Delete a cluster's anchor; False where that has not led to anything for a while."""
        for anchor in self._anchors.objects():
            if _of(anchor) == request:
                self._calls.delete(_path(anchor), uid=anchor["metadata"]["uid"])
                self._anchors.drop(anchor["metadata"]["uid"])
                self._asked[request] = time.monotonic()
        return time.monotonic() - self._asked.get(request, float("-inf")) < PATIENCE_SECONDS

    def _delete_pod(self, pod: Json) -> None:
        self._calls.delete(_path(pod), uid=pod["metadata"]["uid"])

    def tail(self, name: str, uid: ProcessUid) -> bytes | None:
        """Return the end of a pod's log, if its node answers soon."""
        pod = self._pods.get(uid)
        if pod is None or pod["metadata"]["name"] != name or self._losses.among({pod["spec"].get("nodeName")}):
            return None
        return self._tails.of(_path(pod), pod)

    def forget(self, name: str, uid: ProcessUid) -> None:
        """Let a settled pod go: its finalizer is the last that keeps it."""
        pod = self._pods.get(uid)
        if pod is None or pod["metadata"]["name"] != name:
            return
        try:
            self._release(pod)
        except CallRefusedError as error:
            if not (error.is_absent or error.is_conflict):
                raise BackendUnavailableError(f"Kubernetes refuses: {error}") from error
        self._pods.drop(uid)
        self._tails.forget(uid)

    def _release(self, pod: Json) -> None:
        if not _is_leaving(pod):
            self._calls.delete(_path(pod), uid=pod["metadata"]["uid"], grace_seconds=0)
        self._calls.merge(_path(pod), manifests.settled(pod["metadata"]["uid"]))
        if self._losses.among({pod["spec"].get("nodeName")}):
            # Its kubelet will never say that it is gone.
            self._calls.delete(_path(pod), uid=pod["metadata"]["uid"], grace_seconds=0)

    def know(self, request: RequestId, credentials: Credentials) -> None:
        """Learn how to reach a cluster that was started before this backend was."""
        self._heads.know(request, credentials)

    # Hints

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` from a thread of this backend whenever something may have changed."""
        self._listeners.append(wake)

    def _wake(self) -> None:
        for wake in self._listeners:
            wake()

    # Writing

    def _create(self, wanted: Json) -> Json:
        """Create an object, or return the one of its name if that has the same owner."""
        collection = _collection(wanted)
        try:
            return self._calls.create(collection, wanted)
        except CallRefusedError as error:
            if not error.is_conflict:
                raise
        found = self._calls.get(f"{collection}/{wanted['metadata']['name']}")
        if _of(found) != _of(wanted) or _owner(found) != _owner(wanted):
            raise BackendUnavailableError(f"another {wanted['kind']} has the name {wanted['metadata']['name']}")
        return found

    def _make_equal(self, wanted: Json) -> Json:
        """Create an object, or put it in place of the one of its name: what the store has is what holds."""
        try:
            return self._calls.create(_collection(wanted), wanted)
        except CallRefusedError as error:
            if not error.is_conflict:
                raise
            return self._calls.replace(_path(wanted), wanted)

    def _at_once(self, act: Callable[[Json], None], items: Iterable[Json]) -> None:
        """Do one call each for some objects, a few at a time; the first failure is raised when all are done."""
        begun = [self._writers.submit(act, item) for item in items]
        wait(begun)
        for one in begun:
            one.result()


_COLLECTIONS: Final[Mapping[str, str]] = {
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "Service": "services",
    "Pod": "pods",
}


def _collection(item: Json) -> str:
    return f"{CORE}/namespaces/{item['metadata']['namespace']}/{_COLLECTIONS[item['kind']]}"


def _path(item: Json) -> str:
    return f"{_collection(item)}/{item['metadata']['name']}"


def _owner(item: Json) -> str | None:
    return next((one["uid"] for one in item["metadata"].get("ownerReferences", ())), None)


def _is_leaving(item: Json) -> bool:
    return "deletionTimestamp" in item["metadata"]


def _names_by_request(pods: Iterable[Json]) -> dict[RequestId, frozenset[str]]:
    found: dict[RequestId, frozenset[str]] = {}
    for pod in pods:
        found[_of(pod)] = found.get(_of(pod), frozenset()) | {pod["metadata"]["name"]}
    return found


def _of(item: Json) -> RequestId:
    return RequestId(item["metadata"].get("labels", {}).get(REQUEST, ""))
