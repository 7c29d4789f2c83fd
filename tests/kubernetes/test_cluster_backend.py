"""The cluster backend on Kubernetes keeps the contract of every backend, on a real control plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from backends.kube import manifests
from backends.kube.backend import KubeBackend
from backends.kube.calls import Calls, Pace
from backends.kube.grounds import KubeGrounds
from backends.kube.machines import POOL
from backends.kube.manifests import Device, Site
from backends.kube.naming import REQUEST, namespace_of
from operations.ports.backend import StartRefusedError
from registry.ids import CenterId, InstitutionId, NodeId
from registry.resources import GIB, GpuModel
from scheduler.steps import ClearCluster, DeleteProcesses, StartProcesses
from scheduler.troubles import Trouble
from server.clock import SystemClock
from tests.contracts import test_backend as contract
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.heads import Heads
from tests.kubernetes.kubelets import Kubelets
from tests.ordered import HERE, OrderedCluster, until

# The contract itself, asked of the backend below.
for sentence in (name for name in dir(contract) if name.startswith("test_")):
    globals()[sentence] = getattr(contract, sentence)
cluster = contract.cluster

GPU = "nvidia.com/gpu"
PRODUCT = "nvidia.com/gpu.product"
A100, L40 = GpuModel("a100"), GpuModel("l40")
SITE = Site(
    center=CenterId("haiphong"),
    images={HERE: "images.example/dask:1"},
    devices={model: Device(resource=GPU, labels={PRODUCT: model}) for model in (A100, L40)},
)


@pytest.fixture(scope="module")
def world(started_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelets]:
    """Nodes with a model of GPUs each, the namespace of the institution that asks, and heads that answer."""
    with started_plane.api() as api:
        kubelets = Kubelets(api)
        for name, model, count in (("n1", A100, 2), ("n2", L40, 4)):
            kubelets.add(name, 64, 256 * GIB, {POOL: "gpu", PRODUCT: model}, extended={GPU: count})
        namespace = {"metadata": {"name": namespace_of(InstitutionId("hust"))}}
        started_plane.wire.create("/api/v1/namespaces", namespace)
        collector_is_ready(started_plane)
        heads = Heads(started_plane, kubelets, tmp_path_factory.mktemp("heads"))
        yield kubelets
        heads.close()
        kubelets.close()


def collector_is_ready(plane: ControlPlane) -> None:
    """Wait until what has no owner any more is removed: the collector takes its time to begin, once."""
    path = "/api/v1/namespaces/default/configmaps"
    owner = plane.wire.create(path, {"metadata": {"name": "owner"}})["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    plane.wire.create(path, {"metadata": {"name": "owned", "ownerReferences": [reference]}})
    plane.wire.delete(f"{path}/owner")
    until(lambda: "owned" not in {one["metadata"]["name"] for one in plane.wire.get(path)["items"]}, seconds=60)


@pytest.fixture(scope="module")
def backend(started_plane: ControlPlane, world: Kubelets) -> Iterator[KubeBackend]:
    with started_plane.api() as api:
        backend = KubeBackend(Calls(api, Pace(per_second=200, burst=200)), SITE, now=SystemClock().now)
        backend.prepare()
        yield backend
        backend.leave()


def test_a_gang_of_which_a_quota_stops_a_part_is_taken_back_whole(
    started_plane: ControlPlane, backend: KubeBackend
) -> None:
    namespace = f"/api/v1/namespaces/{namespace_of(InstitutionId('hust'))}"
    quota = {"metadata": {"name": "two"}, "spec": {"hard": {"pods": "2"}}}
    started_plane.wire.create(f"{namespace}/resourcequotas", quota)
    path = f"{namespace}/resourcequotas/two"
    until(lambda: started_plane.wire.get(path).get("status", {}).get("hard"))
    cluster = OrderedCluster(backend=backend)
    until(lambda: started_plane.wire.get(path)["status"]["used"]["pods"] == "0", seconds=60)
    with pytest.raises(StartRefusedError, match="exceeded quota: two"):
        cluster.start(range(4))
    assert cluster.seen() == {}
    selector = f"labelSelector={REQUEST}={cluster.request}"
    until(lambda: not started_plane.wire.get(f"/api/v1/pods?{selector}")["items"])
    assert cluster.request in backend.observe().remains
    started_plane.wire.delete(path)
    until(lambda: not started_plane.wire.get(f"{namespace}/resourcequotas")["items"])
    cluster.start(range(4))
    assert set(cluster.ready()) == {0, 1, 2, 3}
    cluster.delete()
    cluster.gone()
    cluster.forget()


def test_gpus_of_a_model_are_devices_that_kubernetes_counts(started_plane: ControlPlane, backend: KubeBackend) -> None:
    whole, beyond = OrderedCluster(backend=backend), OrderedCluster(backend=backend)
    for cluster in (whole, beyond):
        backend.carry_out(with_gpus(cluster.step(range(3)), {1: A100, 2: A100}), cluster.credentials)
    assert set(whole.ready()) == {0, 1, 2}
    pods = started_plane.wire.get(f"/api/v1/pods?labelSelector={REQUEST}={whole.request}")["items"]
    limits = {pod["metadata"]["name"]: pod["spec"]["containers"][0]["resources"]["limits"] for pod in pods}
    assert [limits[whole.name(ordinal)].get(GPU) for ordinal in range(3)] == [None, "1", "1"]
    until(lambda: {one.trouble for one in beyond.seen().values() if one.ordinal} == {Trouble.UNSCHEDULABLE})
    assert "Insufficient nvidia.com/gpu" in beyond.seen()[1].detail
    for cluster in (whole, beyond):
        cluster.delete()
        cluster.gone()
        cluster.forget()


def test_each_model_of_one_resource_is_offered_and_used_on_the_node_that_has_it(
    started_plane: ControlPlane, backend: KubeBackend
) -> None:
    with started_plane.api() as api:
        grounds = KubeGrounds(Calls(api, Pace(per_second=200, burst=200)), SITE)
        grounds.start()
        offered = {machine.id: machine.capacity.gpus for machine in grounds.machines()}
        grounds.close()
    assert offered == {"n1": ((A100, 2),), "n2": ((L40, 4),)}
    cluster = OrderedCluster(backend=backend)
    step = with_gpus(cluster.step(range(3)), {1: A100, 2: L40})
    there = (replace(one, node=NodeId("n2")) if one.ordinal == 2 else one for one in step.processes)
    backend.carry_out(replace(step, processes=tuple(there)), cluster.credentials)
    assert set(cluster.ready()) == {0, 1, 2}
    pods = started_plane.wire.get(f"/api/v1/pods?labelSelector={REQUEST}={cluster.request}")["items"]
    nodes = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in pods}
    assert nodes == {cluster.name(0): "n1", cluster.name(1): "n1", cluster.name(2): "n2"}
    cluster.delete()
    cluster.gone()
    cluster.forget()


def with_gpus(step: StartProcesses, models: Mapping[int, GpuModel]) -> StartProcesses:
    """Let the processes of some ordinals have one GPU each."""
    gpus = {ordinal: ((model, 1),) for ordinal, model in models.items()}
    shapes = [replace(one, shape=replace(one.shape, gpus=gpus.get(one.ordinal, ()))) for one in step.processes]
    return replace(step, processes=tuple(shapes))


def test_what_a_dying_center_left_gated_is_let_go_by_the_next_and_what_it_left_alone_is_cleared(
    started_plane: ControlPlane, backend: KubeBackend
) -> None:
    """Cut off between any two calls of a start, there is a part of these objects, and none that is billed."""
    whole = OrderedCluster(backend=backend)
    whole.start(range(2))
    uids = {process.name: process.uid for process in whole.ready().values()}
    cut_off = OrderedCluster(backend=backend)
    step = cut_off.step(range(2))
    owner = started_plane.wire.create(configmaps(step), manifests.anchor(SITE, step))
    backend_sees(backend, cut_off)
    assert cut_off.seen() == {}
    gated = manifests.pod(SITE, step, step.processes[0], owner)
    started_plane.wire.create(f"/api/v1/namespaces/{owner['metadata']['namespace']}/pods", gated)
    assert cut_off.seen() == {}, "it cannot run yet"
    until(lambda: backend.observe().unbegun == {cut_off.request: frozenset({cut_off.name(0)})})
    cut_off.start(range(2))
    assert set(cut_off.ready()) == {0, 1}
    for cluster in (cut_off, whole):
        cluster.delete()
        cluster.gone()
        cluster.forget()
    assert uids
    alone = OrderedCluster(backend=backend).step([0])
    started_plane.wire.create(configmaps(alone), manifests.anchor(SITE, alone))
    until(lambda: alone.request in backend.observe().remains)
    backend.carry_out(ClearCluster(request=alone.request), None)
    until(lambda: alone.request not in backend.observe().remains)


def test_what_waits_for_its_gang_is_ended_alone_when_it_is_not_wanted_any_more(
    started_plane: ControlPlane, backend: KubeBackend
) -> None:
    cluster = OrderedCluster(backend=backend)
    cluster.start(range(2))
    cluster.ready()
    step = cluster.step([2])
    selector = f"labelSelector={REQUEST}={cluster.request}"
    (owner,) = started_plane.wire.get(f"{configmaps(step)}?{selector}")["items"]
    gated = manifests.pod(SITE, step, step.processes[0], owner)
    started_plane.wire.create(f"/api/v1/namespaces/{owner['metadata']['namespace']}/pods", gated)
    until(lambda: backend.observe().unbegun.get(cluster.request) == frozenset({cluster.name(2)}))
    backend.carry_out(DeleteProcesses(request=cluster.request, names=(cluster.name(2),)), None)
    until(lambda: cluster.request not in backend.observe().unbegun)
    assert [one.ended for one in cluster.seen().values()] == [None, None]
    cluster.delete()
    cluster.gone()
    cluster.forget()


def configmaps(step: StartProcesses) -> str:
    return f"/api/v1/namespaces/{namespace_of(step.institution)}/configmaps"


def backend_sees(backend: KubeBackend, cluster: OrderedCluster) -> None:
    until(lambda: cluster.request in backend.observe().remains)
