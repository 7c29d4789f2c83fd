"""One control plane for all tests of this folder, and for each of them nodes and a namespace of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.kubernetes.control_plane import ControlPlane, control_plane, missing
from tests.kubernetes.kubelets import Kubelets
from tests.kubernetes.wire import RefusedError
from tests.ordered import until

NUMBERS = itertools.count(1)


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
