"""Controllers that share a Lease, and what is left of a center that is taken away: nothing, or it is said."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from backends.kube.calls import Calls, Pace
from backends.kube.lease import GROUP, LEASE_SECONDS, RENEW_SECONDS, Lease
from backends.kube.manifests import begun
from tests.centers import HAIDANG, RealCenter, environment, haidang, until
from tests.kubernetes.conftest import SITE
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.kubelets import Kubelets
from tests.kubernetes.test_center import found, pods, running
from tests.kubernetes.wire import Json

# The Lease


class Controllers:
    """Some that want one Lease, and how often each prepared to act."""

    def __init__(self, plane: ControlPlane, namespace: str, stack: ExitStack) -> None:
        self._plane = plane
        self._namespace = namespace
        self._stack = stack
        self.prepared: dict[str, int] = {}

    def begin(self, name: str, prepare: Callable[[], None] | None = None) -> Lease:
        lease = self.lease(name, prepare)
        lease.start()
        return lease

    def lease(self, name: str, prepare: Callable[[], None] | None = None) -> Lease:
        calls = Calls(self._stack.enter_context(self._plane.api()), Pace(per_second=50, burst=50))

        def counted() -> None:
            self.prepared[name] = self.prepared.get(name, 0) + 1

        return Lease(calls, namespace=self._namespace, name="controller", identity=name, prepare=prepare or counted)

    def written(self) -> Json:
        """Return what the Lease says; nothing if there is none."""
        lease = found(self._plane, f"{GROUP}/namespaces/{self._namespace}/leases/controller") or {"spec": {}}
        return dict(lease["spec"])


@pytest.fixture
def controllers(plane: ControlPlane, namespace: str) -> Iterator[Controllers]:
    with ExitStack() as stack:
        yield Controllers(plane, namespace, stack)


def test_one_of_several_controllers_acts_and_who_stops_in_order_is_followed_at_once(controllers: Controllers) -> None:
    first = controllers.begin("first")
    until(first.holds)
    second = controllers.begin("second")
    assert not second.holds()
    assert controllers.written()["holderIdentity"] == "first"
    first.release(patience_seconds=10)
    assert not first.holds()
    until(second.holds, seconds=LEASE_SECONDS / 2)
    assert controllers.prepared == {"first": 1, "second": 1}
    assert controllers.written()["leaseTransitions"] == 2
    second.release(patience_seconds=10)


def test_who_falls_silent_stops_acting_before_another_begins(controllers: Controllers, plane: ControlPlane) -> None:
    first = controllers.begin("first")
    until(first.holds)
    plane.stop_apiserver()
    until(lambda: not first.holds(), seconds=LEASE_SECONDS * 2)
    plane.start_apiserver()
    until(first.holds, seconds=LEASE_SECONDS * 2)
    first.release(patience_seconds=10)
    crashed = controllers.begin("crashed")
    until(crashed.holds)
    crashed.fall_silent()
    next_one = controllers.begin("next")
    until(next_one.holds, seconds=LEASE_SECONDS * 2)
    assert not crashed.holds()
    next_one.release(patience_seconds=10)


def test_who_cannot_prepare_leaves_it_to_another_says_so_and_tries_again(
    controllers: Controllers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.kube.lease.KNOWN_SECONDS", RENEW_SECONDS * 1.5)
    attempts: list[int] = []

    def prepare() -> None:
        attempts.append(len(attempts))
        if len(attempts) < 4:
            raise OSError("the store is away")

    failing = controllers.begin("failing", prepare)
    until(lambda: not failing.is_known())
    assert attempts
    other = controllers.begin("other")
    until(other.holds, seconds=LEASE_SECONDS / 2)
    until(failing.is_known, seconds=LEASE_SECONDS / 2)
    assert not failing.holds()
    other.release(patience_seconds=10)
    until(failing.holds)
    assert len(attempts) == 4
    failing.release(patience_seconds=10)


def test_what_was_never_asked_for_is_not_given_back(controllers: Controllers) -> None:
    controllers.lease("first").release(patience_seconds=10)
    assert controllers.written() == {}


def test_two_who_ask_at_the_same_moment_are_never_both_answered(controllers: Controllers) -> None:
    barrier = threading.Barrier(4)
    leases: list[Lease] = []

    def begin(number: int) -> None:
        barrier.wait()
        leases.append(controllers.begin(str(number)))

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: any(lease.holds() for lease in leases))
    assert sum(lease.holds() for lease in leases) == 1
    for lease in leases:
        lease.release(patience_seconds=10)


# Taking a center away


def site_of(plane: ControlPlane, folder: Path) -> Path:
    site = folder / "site.toml"
    site.write_text(SITE.format(kubeconfig=plane.admin))
    return site


def test_a_center_that_is_closed_leaves_nothing_in_the_cluster(
    center: RealCenter, plane: ControlPlane, tmp_path: Path
) -> None:
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision")
    center.wait(token, request, running)
    site = str(site_of(plane, tmp_path))
    assert json.loads(haidang(tmp_path / "data", "close", "--site", site, "--json")) == {"left": []}
    assert not pods(plane)
    until(lambda: found(plane, "/api/v1/namespaces/haidang-vmu") is None, seconds=60)
    charges = [one for one in center.call("GET", "/v1/ledger?limit=100")["items"] if one["kind"] == "charge"]
    assert len(charges) == 3


def test_a_place_that_others_use_is_left_and_named(center: RealCenter, plane: ControlPlane, tmp_path: Path) -> None:
    center.admit("vmu", "vision")
    until(lambda: found(plane, "/api/v1/namespaces/haidang-vmu/resourcequotas/haidang"))
    claim = {
        "metadata": {"name": "results"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    plane.wire.create("/api/v1/namespaces/haidang-vmu/persistentvolumeclaims", claim)
    command = [HAIDANG, "close", "--site", str(site_of(plane, tmp_path))]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(tmp_path / "data"), check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "namespace haidang-vmu: 1 of others are in it, as results\n")
    assert found(plane, "/api/v1/namespaces/haidang-vmu")


def test_what_does_not_end_in_time_is_named_with_its_node(
    center: RealCenter, plane: ControlPlane, kubelets: Kubelets, tmp_path: Path
) -> None:
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision")
    center.wait(token, request, running)
    for pod in pods(plane):
        kubelets.hang(pod["metadata"]["name"])
    command = [HAIDANG, "close", "--site", str(site_of(plane, tmp_path)), "--patience", "3"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(tmp_path / "data"), check=False, timeout=60
    )
    for pod in pods(plane):
        kubelets.respond(pod["metadata"]["name"])
    assert done.returncode == 1, done.stderr
    counts, *processes = done.stdout.splitlines()
    assert re.fullmatch("left: 1 requests, 3 processes, objects of [01] clusters", counts), done.stdout
    assert all(re.fullmatch(rf"h-{request}-\d-1 on n\d: it has not ended yet", line) for line in processes), processes


def test_pods_of_a_center_that_is_gone_are_let_go_by_hand(
    plane: ControlPlane, kubelets: Kubelets, namespace: str, tmp_path: Path
) -> None:
    kubelets.add("n1", 8, 2**33, {"haidang/pool": "main"})
    labels = {"haidang/center": "gone", "haidang/request": "a", "haidang/ordinal": "0"}
    kept = {
        "metadata": {"name": "kept", "labels": labels, "finalizers": begun()["metadata"]["finalizers"]},
        "spec": {"containers": [{"name": "dask", "image": "images.example/dask:1"}]},
    }
    plane.wire.create(f"/api/v1/namespaces/{namespace}/pods", kept)
    until(lambda: [pod for pod in pods(plane) if pod.get("status", {}).get("phase") == "Running"])
    where = ("--kubeconfig", str(plane.admin), "--center", "gone")
    refused = subprocess.run(
        [HAIDANG, "unfinalize", *where],
        input="n\n",
        capture_output=True,
        text=True,
        env=environment(tmp_path / "data"),
        check=False,
        timeout=60,
    )
    assert refused.returncode != 0
    assert f"{namespace}/kept: from 2" in refused.stdout
    assert pods(plane)
    unasked = subprocess.run(
        [HAIDANG, "unfinalize", *where, "--json"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (unasked.returncode, unasked.stdout) == (2, "")
    assert "add --yes" in unasked.stderr
    assert pods(plane)
    told = json.loads(haidang(tmp_path / "data", "unfinalize", *where, "--yes", "--json"))
    assert [pod["name"] for pod in told["let_go"]] == ["kept"]
    until(lambda: not pods(plane))
