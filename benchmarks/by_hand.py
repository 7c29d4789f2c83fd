"""The objects of clusters without a center: what somebody would make by hand, and how soon calls alone make them."""

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from backends.authority import ClusterAuthority
from backends.kube import manifests
from backends.kube.calls import Calls, Pace
from backends.kube.manifests import Site
from backends.kube.naming import HEAD, REQUEST, WORKER, namespace_of
from benchmarks import kube
from operations.ports.backend import Credentials
from registry.ids import CenterId, EnvironmentId, InstitutionId, NodeId, ProjectId, RequestId, Seconds
from registry.resources import Resources
from scheduler.clusters import process_name
from scheduler.steps import NewProcess, StartProcesses
from server.ids import RandomIds
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.wire import Json

ENVIRONMENT: Final = EnvironmentId("default")
INSTITUTION: Final = InstitutionId(kube.INSTITUTION)
NAMESPACE: Final = f"/api/v1/namespaces/{namespace_of(INSTITUTION)}"
THREADS: Final = 16
_SHAPE: Final = Resources(millicores=kube.SHAPE["millicores"], memory=kube.SHAPE["memory"])
_COLLECTIONS: Final = {"ConfigMap": "configmaps", "Secret": "secrets", "Service": "services", "Pod": "pods"}
_UNBOUNDED: Final = 10**6

Q = TypeVar("Q")


def a_site(image: str) -> Site:
    """Return a site whose objects the center beside takes for somebody else's."""
    return Site(center=CenterId("by-hand"), images={ENVIRONMENT: image}, pull="Never")


def a_start(workers: int, shape: Resources, nodes: Iterable[str]) -> StartProcesses:
    """Return the start of a new cluster, each process on the next of the nodes."""
    request = RandomIds().request()
    processes = tuple(
        NewProcess(
            name=process_name(request, ordinal, 1), ordinal=ordinal, incarnation=1, node=NodeId(node), shape=shape
        )
        for ordinal, node in zip(range(workers + 1), nodes, strict=False)
    )
    return StartProcesses(
        request=request,
        institution=INSTITUTION,
        project=ProjectId(kube.PROJECT),
        environment=ENVIRONMENT,
        head_name=processes[0].name,
        processes=processes,
        last_second=Seconds(2**31),
    )


def papers_of(request: RequestId) -> Credentials:
    """Return the credentials of a new cluster, for an hour."""
    now = int(time.time())
    return ClusterAuthority().issue(request, now=Seconds(now), until=Seconds(now + 3600))


def furniture(site: Site, step: StartProcesses, owner: Json, papers: Credentials) -> list[Json]:
    """Return all objects of a cluster but its owner, as the center makes them."""
    secrets = [manifests.secret(site, step, owner, role, papers) for role in (HEAD, WORKER)]
    pods = [manifests.pod(site, step, process, owner) for process in step.processes]
    return [*secrets, manifests.service(site, step, owner), *pods]


def calls_alone_seconds(plane: ControlPlane, clusters: int, workers: int, runs: int = 3) -> list[float]:
    """Return the seconds until all pods of some clusters are bound that nothing but calls makes, for each of some runs.

    The calls are those that the center makes, of several threads: who owns, then what is owned, then each pod is let
    go. What no call needs to wait for is there before: where the pods go, and the credentials.
    """
    with plane.api() as api:
        calls = Calls(api, Pace(per_second=_UNBOUNDED, burst=_UNBOUNDED))
        return [_once(plane, calls, clusters, workers) for _ in range(runs)]


def _once(plane: ControlPlane, calls: Calls, clusters: int, workers: int) -> float:
    nodes = itertools.cycle(f"n{number}" for number in range(kube.NODES))
    steps = [a_start(workers, _SHAPE, nodes) for _ in range(clusters)]
    papers = [papers_of(step.request) for step in steps]
    with kube.Bound(plane) as bound:
        began = time.monotonic()
        owners = _start(calls, steps, papers)
        kube.until(lambda: len(bound.at) == clusters * (workers + 1))
        seconds = max(bound.at.values()) - began
    _at_once(lambda owner: calls.delete(f"{NAMESPACE}/configmaps/{owner['metadata']['name']}", uid=_uid(owner)), owners)
    pods = plane.wire.get(f"{NAMESPACE}/pods?labelSelector={REQUEST}")["items"]
    _at_once(lambda pod: calls.merge(_path(pod), manifests.settled(_uid(pod))), pods)
    kube.until(lambda: not plane.wire.get(f"{NAMESPACE}/pods?labelSelector={REQUEST}")["items"])
    return seconds


def _start(calls: Calls, steps: Sequence[StartProcesses], papers: Sequence[Credentials]) -> list[Json]:
    """Make all objects; return who owns them."""
    site = a_site("images.example/dask:1")
    owners = _at_once(lambda step: calls.create(f"{NAMESPACE}/configmaps", manifests.anchor(site, step)), steps)
    made = _at_once(
        lambda one: calls.create(f"{NAMESPACE}/{_COLLECTIONS[one['kind']]}", one),
        [
            one
            for step, owner, own in zip(steps, owners, papers, strict=True)
            for one in furniture(site, step, owner, own)
        ],
    )
    _at_once(lambda pod: calls.merge(_path(pod), manifests.begun()), [one for one in made if one["kind"] == "Pod"])
    return owners


def _at_once(act: Callable[[Q], Json | None], items: Iterable[Q]) -> list[Json]:
    with ThreadPoolExecutor(THREADS) as pool:
        return [answer for answer in pool.map(act, items) if answer is not None]


def _path(pod: Json) -> str:
    return f"{NAMESPACE}/pods/{pod['metadata']['name']}"


def _uid(item: Json) -> str:
    uid: str = item["metadata"]["uid"]
    return uid
