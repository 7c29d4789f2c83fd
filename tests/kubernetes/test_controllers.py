"""Several controllers of one center on one database and one cluster: at once, in turn, and killed at any moment."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from backends.kube.lease import LEASE_SECONDS
from benchmarks.kube import Bound
from tests.centers import until
from tests.databases import PostgresqlServer
from tests.kubernetes.conftest import two_nodes
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.kubelets import Kubelets
from tests.kubernetes.test_center import pods, running
from tests.parted import PartedCenter, a_parted_center, has_ended

Begin = Callable[..., AbstractContextManager[PartedCenter]]


@pytest.fixture
def begin(plane: ControlPlane, kubelets: Kubelets, postgresql_server: PostgresqlServer, tmp_path: Path) -> Begin:
    """What starts a center of several processes on two nodes of the cluster."""

    @contextmanager
    def a_center(*lease: str) -> Iterator[PartedCenter]:
        with (
            two_nodes(plane, kubelets, tmp_path) as site,
            a_parted_center(tmp_path, postgresql_server, site=("--site", site), lease=lease) as center,
        ):
            until(lambda: len(center.call("GET", "/v1/nodes")["items"]) == 2)
            yield center

    return a_center


def is_over(center: PartedCenter, plane: ControlPlane, token: str, requests: list[str]) -> None:
    """End requests, and return when nothing is left of them in the cluster."""
    for request in requests:
        center.call("POST", f"/v1/requests/{request}/cancel", token=token)
    for request in requests:
        center.wait(token, request, has_ended)
    until(lambda: not pods(plane))
    until(lambda: not plane.wire.get("/api/v1/configmaps?labelSelector=haidang/request")["items"])


def lives(entries: list[dict[str, Any]]) -> Counter[str]:
    """Return how often each life of a process was charged, in one hour."""
    return Counter(entry["key"] for entry in entries if entry["kind"] == "charge")


def test_two_active_controllers_one_of_which_is_killed_make_no_pod_twice_and_bill_each_once(
    begin: Begin, plane: ControlPlane
) -> None:
    with begin() as center, Bound(plane) as bound:
        assert until(lambda: center.acts("first") and center.acts("second"))
        token = center.admit("vmu", "vision")
        requests = [center.submit(token, "vmu.vision", workers={"min": 2, "max": 2}) for _ in range(5)]
        time.sleep(0.5)
        center.end("first", signal.SIGKILL)
        for request in requests[:2]:
            center.wait(token, request, running)
        center.begin("first", "controller")
        for request in requests:
            center.wait(token, request, running)
        assert len(pods(plane)) == 15
        is_over(center, plane, token, requests)
        assert max(Counter(bound.names.values()).values()) == 1, "a name was borne twice"
        charged = lives(center.call("GET", "/v1/ledger?project=vmu.vision&limit=200")["items"])
        assert len({key.split(":")[1] for key in charged}) == 15
        assert set(charged.values()) == {1}


def test_when_the_holder_of_the_lease_is_killed_the_other_goes_on_with_what_it_began(
    begin: Begin, plane: ControlPlane, namespace: str
) -> None:
    with begin("--lease", f"{namespace}/controller") as center:
        holder = until(lambda: next((name for name in ("first", "second") if center.acts(name)), None))
        (other,) = {"first", "second"} - {holder}
        token = center.admit("vmu", "vision")
        requests = [center.submit(token, "vmu.vision", workers={"min": 2, "max": 2}) for _ in range(3)]
        until(lambda: pods(plane))
        assert not center.acts(other)
        center.end(holder, signal.SIGKILL)
        until(lambda: center.acts(other), seconds=3 * LEASE_SECONDS)
        for request in requests:
            center.wait(token, request, running)
        center.begin(holder, "controller")
        assert len(pods(plane)) == 9
        is_over(center, plane, token, requests)
        assert not center.acts(holder)
