"""The simulated cluster is one: a real control plane, and nodes of which it cannot tell that nothing runs there."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry.resources import GIB
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.kubelets import Kubelets
from tests.kubernetes.wire import Json, RefusedError
from tests.ordered import until


class Pods:
    """The pods of one namespace."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._wire = plane.wire
        self._path = f"/api/v1/namespaces/{namespace}/pods"

    def make(self, name: str, *, finalizers: tuple[str, ...] = (), **spec: object) -> None:
        container = {"name": "main", "image": "program:1", "resources": {"requests": {"cpu": "100m"}}}
        self._wire.create(
            self._path,
            {
                "metadata": {"name": name, "finalizers": list(finalizers)},
                "spec": {"restartPolicy": "Never", "containers": [container], **spec},
            },
        )

    def get(self, name: str) -> Json:
        return self._wire.get(f"{self._path}/{name}")

    def all(self) -> list[Json]:
        found: list[Json] = self._wire.get(self._path)["items"]
        return found

    def phase(self, name: str) -> str:
        return str(self.get(name)["status"]["phase"])

    def state(self, name: str) -> Json:
        """The state of its container, as far as anything was reported."""
        (container,) = self.get(name)["status"].get("containerStatuses", [{"state": {}}])
        found: Json = container["state"]
        return found

    def change(self, name: str, change: Json) -> None:
        self._wire.patch(f"{self._path}/{name}", change)

    def delete(self, name: str) -> None:
        self._wire.delete(f"{self._path}/{name}")

    def is_gone(self, name: str) -> bool:
        try:
            self.get(name)
        except RefusedError as refused:
            return refused.status == 404
        return False


@pytest.fixture
def pods(plane: ControlPlane, namespace: str) -> Pods:
    return Pods(plane, namespace)


@pytest.fixture
def node(kubelets: Kubelets) -> str:
    kubelets.add("node-1", cores=64, memory_bytes=64 * GIB)
    return "node-1"


def is_ready(plane: ControlPlane, node: str) -> Callable[[], bool]:
    def look() -> bool:
        conditions = plane.wire.get(f"/api/v1/nodes/{node}")["status"]["conditions"]
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    return look


def test_a_pod_is_bound_by_the_real_scheduler_and_runs(pods: Pods, node: str) -> None:
    pods.make("a")
    until(lambda: pods.phase("a") == "Running")
    found = pods.get("a")
    assert found["spec"]["nodeName"] == node
    assert found["status"]["podIP"].startswith("10.")
    assert pods.state("a")["running"]["startedAt"].endswith("Z")
    assert {one["type"] for one in found["status"]["conditions"] if one["status"] == "True"} >= {
        "Ready",
        "PodScheduled",
    }


def test_two_hundred_pods_run_at_once_each_with_an_address_of_its_own(
    pods: Pods, node: str, kubelets: Kubelets
) -> None:
    kubelets.add("node-2", cores=64, memory_bytes=64 * GIB)
    names = [f"many-{number}" for number in range(200)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(pods.make, names))
    until(lambda: all(pod["status"]["phase"] == "Running" for pod in pods.all()), seconds=60)
    assert len({pod["status"]["podIP"] for pod in pods.all()}) == len(names)


def test_an_extended_resource_is_had_only_where_a_node_offers_it(pods: Pods, node: str, kubelets: Kubelets) -> None:
    kubelets.add("with-gpu", cores=8, memory_bytes=GIB, labels={"kind": "a100"}, extended={"nvidia.com/gpu": 1})
    asks = {"name": "main", "image": "program:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    pods.make("a", containers=[asks])
    until(lambda: pods.phase("a") == "Running")
    assert pods.get("a")["spec"]["nodeName"] == "with-gpu"


def test_a_gated_pod_stays_unbound_until_its_gate_is_removed(pods: Pods, node: str) -> None:
    pods.make("gated", schedulingGates=[{"name": "haidang.vn/gang"}])
    pods.make("other")
    until(lambda: pods.phase("other") == "Running")
    assert "nodeName" not in pods.get("gated")["spec"]
    pods.change("gated", {"spec": {"schedulingGates": [{"name": "haidang.vn/gang", "$patch": "delete"}]}})
    until(lambda: pods.phase("gated") == "Running")


def test_a_deleted_pod_is_gone_once_its_containers_are(pods: Pods, node: str) -> None:
    pods.make("a")
    until(lambda: pods.phase("a") == "Running")
    pods.delete("a")
    until(lambda: pods.is_gone("a"))


def test_a_deleted_pod_with_a_finalizer_stays_and_says_how_it_ended(pods: Pods, node: str) -> None:
    pods.make("kept", finalizers=("haidang.vn/accounted",))
    until(lambda: pods.phase("kept") == "Running")
    pods.delete("kept")
    ended = until(lambda: pods.state("kept").get("terminated"))
    assert (ended["exitCode"], ended["reason"]) == (143, "Error")
    assert ended["startedAt"] <= ended["finishedAt"]
    until(lambda: pods.get("kept")["metadata"]["deletionGracePeriodSeconds"] == 0)
    assert pods.phase("kept") == "Failed"
    pods.change("kept", {"metadata": {"finalizers": None}})
    until(lambda: pods.is_gone("kept"))


def test_a_pod_ends_as_a_test_lets_it_end(pods: Pods, node: str, kubelets: Kubelets) -> None:
    for name in ("well", "badly", "large"):
        pods.make(name)
    kubelets.end("well")
    kubelets.fail("badly", exit_code=3)
    kubelets.fail("large", "OOMKilled")
    for name, phase, code, reason in (
        ("well", "Succeeded", 0, "Completed"),
        ("badly", "Failed", 3, "Error"),
        ("large", "Failed", 137, "OOMKilled"),
    ):
        until(lambda name=name, phase=phase: pods.phase(name) == phase)  # type: ignore[misc]  # bound per round
        assert pods.state(name)["terminated"].items() >= {"exitCode": code, "reason": reason}.items()


def test_a_refused_image_keeps_a_pod_waiting_until_it_is_allowed(pods: Pods, node: str, kubelets: Kubelets) -> None:
    kubelets.refuse_image("hd-")
    pods.make("hd-1")
    until(lambda: pods.state("hd-1").get("waiting", {}).get("reason") == "ImagePullBackOff")
    assert pods.phase("hd-1") == "Pending"
    kubelets.allow_image("hd-")
    until(lambda: pods.phase("hd-1") == "Running")


def test_of_a_pod_that_never_ran_nothing_is_known_when_it_is_deleted(pods: Pods, node: str, kubelets: Kubelets) -> None:
    kubelets.refuse_image("hd-")
    pods.make("hd-1", finalizers=("haidang.vn/accounted",))
    until(lambda: pods.state("hd-1").get("waiting"))
    pods.delete("hd-1")
    ended = until(lambda: pods.state("hd-1").get("terminated"))
    assert ended["reason"] == "ContainerStatusUnknown"
    assert ended["startedAt"] is None


def test_a_pod_that_hangs_does_not_go_until_it_responds(pods: Pods, node: str, kubelets: Kubelets) -> None:
    for name in ("hanging", "other"):
        pods.make(name)
        until(lambda name=name: pods.phase(name) == "Running")  # type: ignore[misc]  # bound per round
    kubelets.hang("hanging")
    for name in ("hanging", "other"):
        pods.delete(name)
    until(lambda: pods.is_gone("other"))
    assert pods.phase("hanging") == "Running"
    kubelets.respond("hanging")
    until(lambda: pods.is_gone("hanging"))


def test_a_lost_node_is_not_ready_and_its_pods_do_not_go_until_it_is_found(
    plane: ControlPlane, pods: Pods, node: str, kubelets: Kubelets
) -> None:
    kubelets.add("node-2", cores=8, memory_bytes=GIB)
    pods.make("a", nodeName=node)
    until(lambda: pods.phase("a") == "Running")
    kubelets.lose(node)
    pods.delete("a")
    until(lambda: not is_ready(plane, node)(), seconds=60)
    assert is_ready(plane, "node-2")()
    assert pods.phase("a") == "Running"
    kubelets.find(node)
    until(lambda: pods.is_gone("a"))
    until(is_ready(plane, node))


def test_a_removed_node_is_no_longer_there(plane: ControlPlane, node: str, kubelets: Kubelets) -> None:
    until(is_ready(plane, node))
    kubelets.remove(node)
    assert node not in {one["metadata"]["name"] for one in plane.wire.get("/api/v1/nodes")["items"]}


def test_everything_is_still_there_when_the_api_server_returns(
    plane: ControlPlane, pods: Pods, node: str, kubelets: Kubelets
) -> None:
    pods.make("before")
    until(lambda: pods.phase("before") == "Running")
    plane.stop_apiserver()
    kubelets.end("before")
    plane.start_apiserver()
    pods.make("after")
    until(lambda: pods.phase("before") == "Succeeded")
    until(lambda: pods.phase("after") == "Running", seconds=60)  # kube-scheduler takes ever longer to look again
    until(is_ready(plane, node))


def test_kubectl_speaks_to_it(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl(
        "apply",
        "-f",
        "-",
        given=f'{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"a","namespace":"{namespace}"}}}}',
    )
    assert plane.kubectl("get", "configmap", "a", "-n", namespace, "-o", "name") == "configmap/a\n"
    with pytest.raises(RuntimeError, match="NotFound"):
        plane.kubectl("get", "configmap", "b", "-n", namespace)
