"""One control plane for all tests of this folder, and for each of them nodes and a namespace of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from registry.resources import GIB
from tests.centers import RealCenter, a_center
from tests.kubernetes.control_plane import ControlPlane, control_plane, missing
from tests.kubernetes.heads import Heads
from tests.kubernetes.kubelets import Kubelets
from tests.kubernetes.node import Node, real_node
from tests.kubernetes.node import missing as lacks
from tests.kubernetes.wire import RefusedError
from tests.ordered import until

NUMBERS = itertools.count(1)
POOL = {"haidang/pool": "main", "haidang/tier": "hpc"}
SITE = """
kubeconfig = "{kubeconfig}"
pull = "Never"

[environments.default]
image = "images.example/dask:1"
version = "1"
python = "3.11"
distributed = "2026.8.0"
"""


@pytest.fixture(scope="session")
def started_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    if lacking := missing():
        pytest.skip(f"{lacking} here: make test-kubernetes")
    with control_plane(tmp_path_factory.mktemp("kubernetes")) as plane:
        yield plane


@pytest.fixture
def plane(started_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane, whose API server runs again for the next test, whatever this one did to it."""
    yield started_plane
    started_plane.start_apiserver()


@pytest.fixture
def kubelets(plane: ControlPlane) -> Iterator[Kubelets]:
    """Simulated nodes, none yet."""
    with plane.api() as api:
        kubelets = Kubelets(api)
        yield kubelets
        plane.start_apiserver()
        kubelets.close()


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[str]:
    """A namespace in which pods can be made; it goes with all that is in it."""
    name = f"test-{next(NUMBERS)}"
    plane.wire.create("/api/v1/namespaces", {"metadata": {"name": name}})
    path = f"/api/v1/namespaces/{name}"

    def has_account() -> bool:
        with suppress(RefusedError):
            plane.wire.get(f"{path}/serviceaccounts/default")
            return True
        return False

    until(has_account)
    yield name
    plane.start_apiserver()
    for pod in plane.wire.get(f"{path}/pods")["items"]:
        with suppress(RefusedError):
            plane.wire.patch(f"{path}/pods/{pod['metadata']['name']}", {"metadata": {"finalizers": None}})
    plane.wire.delete(path)


@contextmanager
def two_nodes(plane: ControlPlane, kubelets: Kubelets, folder: Path) -> Iterator[str]:
    """Two nodes for a center's clusters, whose heads answer; yields the file that says where they are."""
    for name in ("n1", "n2"):
        kubelets.add(name, 8, 32 * GIB, POOL)
    site = folder / "site.toml"
    site.write_text(SITE.format(kubeconfig=plane.admin))
    heads = Heads(plane, kubelets, folder)
    try:
        yield str(site)
    finally:
        heads.close()
        remove_places(plane)


@pytest.fixture
def center(plane: ControlPlane, kubelets: Kubelets, tmp_path: Path) -> Iterator[RealCenter]:
    """A center that serves from this machine, with two nodes of the Kubernetes cluster for its clusters."""
    with two_nodes(plane, kubelets, tmp_path) as site, a_center(tmp_path, None, "--site", site) as center:
        until(lambda: len(center.call("GET", "/v1/nodes")["items"]) == 2)
        yield center


def remove_places(plane: ControlPlane) -> None:
    """Take institutions' namespaces away, and return when the next test can have others of their names."""
    ours = "/api/v1/namespaces?labelSelector=haidang/institution"
    for namespace in plane.wire.get(ours)["items"]:
        plane.wire.delete(f"/api/v1/namespaces/{namespace['metadata']['name']}")
    until(lambda: not plane.wire.get(ours)["items"], seconds=60)


@pytest.fixture(scope="module")
def node(started_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A real node: a module that asks for it has one of its own, the others have none."""
    if lacking := lacks():
        pytest.skip(f"{lacking} here: make test-kubernetes")
    with real_node(started_plane, tmp_path_factory.mktemp("node"), {"haidang/pool": "main"}) as node:
        yield node
