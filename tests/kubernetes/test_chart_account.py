"""The account that the chart gives the center: everything the center does passes, and nothing of another shape."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from backends.kube import manifests
from backends.kube.backend import KubeBackend
from backends.kube.calls import CallRefusedError, Calls, Pace
from backends.kube.grounds import KubeGrounds
from backends.kube.manifests import Site
from backends.kube.naming import FIRST_UID, UIDS, namespace_of, uid_of
from operations.ports.grounds import Tenant
from registry.ids import CenterId, InstitutionId, NodeId, Seconds
from registry.resources import GIB, Resources
from scheduler.clusters import process_name
from scheduler.steps import NewProcess, StartProcesses
from server.clock import SystemClock
from tests.contracts import test_backend as contract
from tests.kubernetes.charts import CHART, NAMESPACE, RELEASE, account, installed
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.heads import Heads
from tests.kubernetes.kubelets import Kubelets
from tests.kubernetes.wire import Json
from tests.ordered import HERE, VISION, OrderedCluster, until

# The contract itself, asked of the backend below.
for sentence in (name for name in dir(contract) if name.startswith("test_")):
    globals()[sentence] = getattr(contract, sentence)
cluster = contract.cluster

IMAGE: Final = "images.example/dask:1"
HUST: Final = InstitutionId("hust")
LAX: Final = InstitutionId("lax")
OURS: Final = {"haidang/center": "haiphong"}
SITE: Final = Site(
    center=CenterId("haiphong"), images={HERE: IMAGE}, priority_class=f"{NAMESPACE}-{RELEASE}", namespace=NAMESPACE
)
BARE: Final = {
    "metadata": {"name": "x", "labels": OURS},
    "spec": {"schedulingGates": [{"name": "example/gate"}], "containers": [{"name": "x", "image": IMAGE}]},
}
VALUES: Final = {
    "center": "haiphong",
    "environments": {"here": {"image": IMAGE, "version": "1", "python": "3.11", "distributed": "2026.8.0"}},
    "admissionPolicy": {"enabled": True},
}


@pytest.fixture(scope="module")
def calls(started_plane: ControlPlane) -> Iterator[Calls]:
    minimal = f"--values={CHART / 'ci' / 'minimal-values.yaml'}"
    with (
        installed(started_plane, VALUES, minimal, "--set=admissionPolicy.enabled=true"),
        account(started_plane) as api,
    ):
        yield Calls(api, Pace(per_second=200, burst=200))
        # The center's own pods may be bound to the node that is gone by now: nobody would report their end in time.
        started_plane.kubectl("delete", "pods", "--all", f"--namespace={NAMESPACE}", "--force")


@pytest.fixture(scope="module")
def place(calls: Calls, started_plane: ControlPlane) -> Iterator[str]:
    """The namespace of an institution, as the center makes it under this account."""
    grounds = KubeGrounds(calls, SITE)
    grounds.start()
    grounds.keep([Tenant(institution=HUST, ceiling=Resources(millicores=64_000, memory=256 * GIB))])
    quota = f"/api/v1/namespaces/{namespace_of(HUST)}/resourcequotas/haidang"
    until(lambda: started_plane.wire.get(quota).get("status", {}).get("hard"))
    until(lambda: started_plane.wire.get(f"/api/v1/namespaces/{namespace_of(HUST)}/serviceaccounts")["items"])
    yield namespace_of(HUST)
    assert list(until(lambda: [list(grounds.clear())])[0]) == []
    grounds.close()


@pytest.fixture(scope="module")
def backend(
    calls: Calls, place: str, started_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KubeBackend]:
    assert place
    with started_plane.api() as api:
        kubelets = Kubelets(api)
        kubelets.add("n1", 64, 256 * GIB)
        heads = Heads(started_plane, kubelets, tmp_path_factory.mktemp("heads"))
        backend = KubeBackend(calls, SITE, now=SystemClock().now)
        backend.prepare()
        yield backend
        backend.leave()
        heads.close()
        kubelets.close()


def test_a_node_that_is_not_well_may_be_asked_about(calls: Calls, backend: KubeBackend) -> None:
    assert backend.observe() is not None
    lease = calls.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1")
    assert lease["spec"]["renewTime"]


def step() -> StartProcesses:
    cluster = OrderedCluster(backend=None)  # type: ignore[arg-type] # for its id alone
    shape = Resources(millicores=500, memory=GIB)
    process = NewProcess(
        name=process_name(cluster.request, 1, 1), ordinal=1, incarnation=1, node=NodeId("n1"), shape=shape
    )
    return StartProcesses(
        request=cluster.request,
        institution=LAX,
        project=VISION,
        environment=HERE,
        head_name=process_name(cluster.request, 0, 1),
        processes=(process,),
        last_second=Seconds(2**31),
    )


@pytest.fixture(scope="module")
def lax(calls: Calls, started_plane: ControlPlane) -> Iterator[str]:
    """A place of the center's without any other wall: whatever is refused here, the policy has refused."""
    assert isinstance(calls, Calls), "the chart is there"
    name = namespace_of(LAX)
    started_plane.wire.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": OURS}})
    accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
    started_plane.wire.create(accounts, {"metadata": {"name": "builder"}})
    until(lambda: "default" in [one["metadata"]["name"] for one in started_plane.wire.get(accounts)["items"]])
    until(lambda: is_in_force(calls, f"/api/v1/namespaces/{name}"))
    yield name
    started_plane.kubectl("delete", "namespace", name, "--wait=true")


def is_in_force(calls: Calls, place: str) -> bool:
    """Tell whether the API server heeds the policies: it takes a moment to learn of one."""
    refused = 0
    for kind, body in (("configmaps", {"metadata": {"name": "x"}}), ("pods", BARE)):
        try:
            made = calls.create(f"{place}/{kind}", body)
            calls.delete(f"{place}/{kind}/x", uid=made["metadata"]["uid"], grace_seconds=0)
        except CallRefusedError:
            refused += 1
    return refused == 2


@pytest.fixture
def pod(calls: Calls, lax: str) -> Iterator[Json]:
    """A pod as the center makes them, of a cluster whose anchor is there."""
    wanted = step()
    anchors = f"/api/v1/namespaces/{lax}/configmaps"
    owner = calls.create(anchors, manifests.anchor(SITE, wanted))
    yield manifests.pod(SITE, wanted, wanted.processes[0], owner)
    calls.delete(f"{anchors}/{owner['metadata']['name']}", uid=owner["metadata"]["uid"])


def spec(change: Callable[[Json], object]) -> Callable[[Json], object]:
    return lambda pod: change(pod["spec"])


def box(change: Callable[[Json], object]) -> Callable[[Json], object]:
    return lambda pod: change(pod["spec"]["containers"][0])


def confined(**changes: object) -> Callable[[Json], object]:
    return box(lambda one: one["securityContext"].update(changes))


def user(uid: int) -> Callable[[Json], object]:
    return spec(lambda one: one["securityContext"].update(runAsUser=uid, runAsGroup=uid, fsGroup=uid))


DEVIATIONS: Final[dict[str, Callable[[Json], object]]] = {
    "another image": box(lambda one: one.update(image="images.example/miner:1")),
    "another command": box(lambda one: one.update(command=["sh", "-c", "id"])),
    "a second container": spec(lambda one: one["containers"].append({"name": "more", "image": IMAGE})),
    "an init container": spec(lambda one: one.update(initContainers=[{"name": "first", "image": IMAGE}])),
    "a hook": box(lambda one: one.update(lifecycle={"preStop": {"exec": {"command": ["id"]}}})),
    "a liveness probe": box(lambda one: one.update(livenessProbe={"exec": {"command": ["id"]}})),
    "another startup probe": box(lambda one: one["startupProbe"].update(exec={"command": ["id"]})),
    "no startup probe": box(lambda one: one.pop("startupProbe")),
    "more environment": box(lambda one: one["env"].append({"name": "LD_PRELOAD", "value": "x"})),
    "a secret in its environment": box(
        lambda one: one.update(env=[{"name": "POD_IP", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}])
    ),
    "environment from a secret": box(lambda one: one.update(envFrom=[{"secretRef": {"name": "x"}}])),
    "a port of the node": box(lambda one: one.update(ports=[{"containerPort": 80, "hostPort": 80}])),
    "the network of the node": spec(lambda one: one.update(hostNetwork=True)),
    "the processes of the node": spec(lambda one: one.update(hostPID=True)),
    "the memory of the node": spec(lambda one: one.update(hostIPC=True)),
    "one process namespace": spec(lambda one: one.update(shareProcessNamespace=True)),
    "other names of hosts": spec(lambda one: one.update(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["x"]}])),
    "a token": spec(lambda one: one.update(automountServiceAccountToken=True)),
    "a token by silence": spec(lambda one: one.pop("automountServiceAccountToken")),
    "an account": spec(lambda one: one.update(serviceAccountName="builder")),
    "links to services": spec(lambda one: one.pop("enableServiceLinks")),
    "restarts": spec(lambda one: one.update(restartPolicy="Always")),
    "root by silence": spec(lambda one: one["securityContext"].pop("runAsNonRoot")),
    "the center's user": user(10001),
    "a user below institutions'": user(FIRST_UID - 1),
    "a user above institutions'": user(FIRST_UID + UIDS),
    "another group": spec(lambda one: one["securityContext"].update(runAsGroup=uid_of(HUST))),
    "another group of files": spec(lambda one: one["securityContext"].update(fsGroup=uid_of(HUST))),
    "more groups": spec(lambda one: one["securityContext"].update(supplementalGroups=[0])),
    "no seccomp": spec(lambda one: one["securityContext"].pop("seccompProfile")),
    "seccomp of its own": spec(lambda one: one["securityContext"].update(seccompProfile={"type": "Unconfined"})),
    "settings of the kernel": spec(
        lambda one: one["securityContext"].update(sysctls=[{"name": "kernel.shm_rmid_forced", "value": "0"}])
    ),
    "escalation": confined(allowPrivilegeEscalation=True),
    "privileges": confined(privileged=True, allowPrivilegeEscalation=True),
    "a root that can be written": confined(readOnlyRootFilesystem=False),
    "a capability": confined(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
    "capabilities by silence": confined(capabilities={}),
    "a user of its own": confined(runAsUser=2000),
    "a folder of the node": spec(lambda one: one["volumes"].append({"name": "node", "hostPath": {"path": "/"}})),
    "another secret": spec(lambda one: one["volumes"][0]["secret"].update(secretName="h-other-head")),
    "a volume in memory": spec(lambda one: one["volumes"][1]["emptyDir"].update(medium="Memory")),
    "scratch without end": spec(lambda one: one["volumes"][1]["emptyDir"].pop("sizeLimit")),
    "less held than may be used": box(lambda one: one["resources"].update(requests={"cpu": "1m", "memory": "1Gi"})),
    "no limit of memory": box(lambda one: one.update(resources={"requests": {"cpu": "1"}, "limits": {"cpu": "1"}})),
    "any node": spec(lambda one: one.pop("affinity")),
    "a node by its labels": spec(lambda one: one.update(affinity={}, nodeSelector={"a": "b"})),
    "a node without being scheduled": spec(lambda one: one.update(nodeName="n1", schedulingGates=[])),
    "nodes that are kept apart": spec(lambda one: one["tolerations"].append({"operator": "Exists"})),
    "another priority": spec(lambda one: one.update(priorityClassName="system-node-critical")),
    "another scheduler's gate": spec(lambda one: one.update(schedulingGates=[{"name": "example/gate"}])),
    "no gate": spec(lambda one: one.pop("schedulingGates")),
    "another name": lambda pod: pod["metadata"].update(name="innocent"),
    "no role": lambda pod: pod["metadata"]["labels"].pop("haidang/role"),
    "another center": lambda pod: pod["metadata"]["labels"].update({"haidang/center": "other"}),
}


def test_a_pod_of_the_centers_shape_is_taken_and_may_be_let_go(calls: Calls, pod: Json, lax: str) -> None:
    path = f"/api/v1/namespaces/{lax}/pods"
    made = calls.create(path, pod)
    own, uid = f"{path}/{made['metadata']['name']}", made["metadata"]["uid"]
    calls.merge(own, manifests.begun())
    calls.delete(own, uid=uid)
    calls.merge(own, manifests.settled(uid))


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_a_pod_of_any_other_shape_is_refused(calls: Calls, pod: Json, lax: str, deviation: str) -> None:
    other = copy.deepcopy(pod)
    DEVIATIONS[deviation](other)
    assert json.dumps(other) != json.dumps(pod)
    with pytest.raises(CallRefusedError) as refused:
        calls.create(f"/api/v1/namespaces/{lax}/pods", other)
    assert "ValidatingAdmissionPolicy" in str(refused.value), "the policy itself has to see it"


CHANGES: Final[dict[str, Callable[[Json], object]]] = {
    "an image of the center's": box(lambda one: one.update(image=IMAGE)),
    "any other image": box(lambda one: one.update(image="images.example/miner:1")),
    "an end": spec(lambda one: one.update(activeDeadlineSeconds=5)),
    "nodes that are kept apart": spec(lambda one: one["tolerations"].append({"operator": "Exists"})),
    "a node by its labels": spec(lambda one: one.update(nodeSelector={"a": "b"})),
    "another role": lambda pod: pod["metadata"]["labels"].update({"haidang/role": "head"}),
}


@pytest.fixture
def outdated(pod: Json, lax: str, started_plane: ControlPlane) -> Json:
    """A pod as the center made them before its values were others: the policy no longer knows its image."""
    pod["spec"]["containers"][0]["image"] = "images.example/dask:0"
    pod["spec"]["priorityClassName"] = "system-cluster-critical"
    return started_plane.wire.create(f"/api/v1/namespaces/{lax}/pods", pod)


def test_a_pod_of_an_image_that_is_no_longer_offered_may_be_let_go(
    calls: Calls, outdated: Json, lax: str, started_plane: ControlPlane
) -> None:
    own, uid = f"/api/v1/namespaces/{lax}/pods/{outdated['metadata']['name']}", outdated["metadata"]["uid"]
    calls.merge(own, manifests.begun())
    calls.delete(own, uid=uid, grace_seconds=0)
    assert started_plane.wire.get(own)["metadata"]["deletionTimestamp"]
    calls.merge(own, manifests.settled(uid))
    with pytest.raises(CallRefusedError, match="404"):
        calls.get(own)


@pytest.mark.parametrize("change", CHANGES)
def test_a_pod_that_is_made_stays_as_it_was(calls: Calls, outdated: Json, lax: str, change: str) -> None:
    other = copy.deepcopy(outdated)
    CHANGES[change](other)
    with pytest.raises(CallRefusedError, match="haidang-system-center-changes") as refused:
        calls.merge(f"/api/v1/namespaces/{lax}/pods/{outdated['metadata']['name']}", other)
    assert "ValidatingAdmissionPolicy" in str(refused.value), "Kubernetes itself would have let it be"


FORBIDDEN: Final[dict[str, tuple[str, Json]]] = {
    "a Secret in a place of others": (
        "default/secrets",
        {"metadata": {"name": "h-x", "labels": {"haidang/center": "haiphong"}}},
    ),
    "a ConfigMap in a place of others": ("kube-system/configmaps", {"metadata": {"name": "x", "labels": OURS}}),
    "a Secret that is an account's": (
        "haidang-hust/secrets",
        {
            "metadata": {
                "name": "h-x",
                "labels": OURS,
                "annotations": {"kubernetes.io/service-account.name": "default"},
            },
            "type": "kubernetes.io/service-account-token",
        },
    ),
    "a ConfigMap without a label": ("haidang-hust/configmaps", {"metadata": {"name": "x"}}),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_account_makes_nothing_but_what_is_the_centers(calls: Calls, place: str, what: str) -> None:
    assert place
    path, body = FORBIDDEN[what]
    with pytest.raises(CallRefusedError, match=r"the center|everything of the center"):
        calls.create(f"/api/v1/namespaces/{path}", body)


def test_the_account_takes_no_namespace_of_others_for_its_own(
    calls: Calls, place: str, started_plane: ControlPlane
) -> None:
    assert place
    labels = {"labels": {**OURS, "haidang/institution": "x"}}
    uid = started_plane.wire.create("/api/v1/namespaces", {"metadata": {"name": "others"}})["metadata"]["uid"]
    with pytest.raises(CallRefusedError, match="only in the namespaces of its own"):
        calls.merge("/api/v1/namespaces/kube-system", {"metadata": labels})
    with pytest.raises(CallRefusedError, match="only in the namespaces of its own"):
        calls.delete("/api/v1/namespaces/others", uid=uid)
    started_plane.wire.delete("/api/v1/namespaces/others")
    with pytest.raises(CallRefusedError, match="begin with haidang-"):
        calls.create("/api/v1/namespaces", {"metadata": {"name": "other", **labels}})


@pytest.mark.parametrize("path", ["secrets/papers", "secrets"])
def test_the_account_reads_no_secret(calls: Calls, place: str, path: str) -> None:
    with pytest.raises(CallRefusedError) as refused:
        calls.get(f"/api/v1/namespaces/{place}/{path}")
    assert refused.value.status == 403
