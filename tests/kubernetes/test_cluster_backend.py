"""The cluster backend on Kubernetes keeps the contract of every backend, on a real control plane."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.kube.backend import KubeBackend
from backends.kube.calls import Calls, Pace
from backends.kube.manifests import Site
from backends.kube.naming import namespace_of
from registry.ids import CenterId, InstitutionId
from registry.resources import GIB
from server.clock import SystemClock
from tests.contracts import test_backend as contract
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.heads import Heads
from tests.kubernetes.kubelets import Kubelets
from tests.ordered import HERE, until

# The contract itself, asked of the backend below.
for sentence in (name for name in dir(contract) if name.startswith("test_")):
    globals()[sentence] = getattr(contract, sentence)
cluster = contract.cluster

SITE = Site(center=CenterId("haiphong"), images={HERE: "images.example/dask:1"})


@pytest.fixture(scope="module")
def world(started_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelets]:
    """A node, the namespace of the institution that asks, and heads that answer."""
    with started_plane.api() as api:
        kubelets = Kubelets(api)
        kubelets.add("n1", 64, 256 * GIB)
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
