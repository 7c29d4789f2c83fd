"""When a pod's process ended whose node nobody hears of any more: no kubelet is left to say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from backends.kube import losses
from backends.kube.backend import KubeBackend
from backends.kube.calls import Calls, Pace
from backends.kube.losses import LEASES, NODES
from backends.kube.manifests import Site
from backends.kube.naming import REQUEST, namespace_of
from backends.kube.reading import seconds
from registry.ids import CenterId, InstitutionId, NodeId
from registry.resources import GIB
from scheduler.observed import Cause
from server.clock import SystemClock
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.heads import Heads
from tests.kubernetes.kubelets import Kubelets
from tests.kubernetes.test_center import found, pods
from tests.ordered import HERE, OrderedCluster, until

SITE = Site(center=CenterId("haiphong"), images={HERE: "images.example/dask:1"})
LOST_SECONDS = 12
"""Longer than the control plane of the tests takes to say that a node is not ready."""


@pytest.fixture
def cluster(
    plane: ControlPlane, kubelets: Kubelets, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OrderedCluster]:
    """A cluster whose head is on one node and whose worker is on another."""
    monkeypatch.setattr(losses, "LOST_SECONDS", LOST_SECONDS)
    for name in ("n1", "n2"):
        kubelets.add(name, 8, 32 * GIB)
    namespace = f"/api/v1/namespaces/{namespace_of(InstitutionId('hust'))}"
    if found(plane, namespace) is None:
        plane.wire.create("/api/v1/namespaces", {"metadata": {"name": namespace.rsplit("/", maxsplit=1)[-1]}})
    heads = Heads(plane, kubelets, tmp_path_factory.mktemp("heads"))
    with plane.api() as api:
        backend = KubeBackend(Calls(api, Pace(per_second=200, burst=200)), SITE, now=SystemClock().now)
        backend.prepare()
        cluster = OrderedCluster(backend=backend)
        step = cluster.step(range(2))
        processes = tuple(
            replace(one, node=NodeId(node)) for one, node in zip(step.processes, ("n1", "n2"), strict=True)
        )
        backend.carry_out(replace(step, processes=processes), cluster.credentials)
        assert set(cluster.ready()) == {0, 1}
        yield cluster
        cluster.delete()
        cluster.gone()
        cluster.forget()
        backend.leave()
    heads.close()


def test_on_a_node_that_is_lost_a_process_ended_when_that_was_last_heard_of_and_its_pod_is_let_go(
    cluster: OrderedCluster, plane: ControlPlane, kubelets: Kubelets
) -> None:
    kubelets.lose("n2")
    ended = cluster.ended(1)
    lease = plane.wire.get(f"{LEASES}/n2")
    assert (ended.ended, ended.cause) == (seconds(lease["spec"]["renewTime"]), Cause.UNSEEN)
    assert ended.detail == "its node n2 is lost"
    cluster.forget()
    until(lambda: cluster.name(1) not in {pod["metadata"]["name"] for pod in pods(plane)})
    assert cluster.seen()[0].ended is None


def test_on_a_node_that_is_taken_away_a_process_ended_at_the_latest_when_that_was_noticed(
    cluster: OrderedCluster, plane: ControlPlane, kubelets: Kubelets
) -> None:
    before = SystemClock().now()
    kubelets.remove("n2")
    until(lambda: found(plane, f"{NODES}/n2") is None)
    cluster.seen()
    after = SystemClock().now()
    ended = cluster.ended(1)
    assert ended.cause is Cause.UNSEEN
    assert ended.ended is not None
    assert before - 1 <= ended.ended <= after + 1
    cluster.forget()
    selector = f"labelSelector={REQUEST}={cluster.request}"
    until(lambda: len(plane.wire.get(f"/api/v1/pods?{selector}")["items"]) == 1)
