"""A center on a Kubernetes cluster, from an empty namespace to the bill, and through what goes wrong there."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import Any

from backends.kube.reading import seconds
from registry.resources import MIB
from tests.centers import RealCenter, until
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.kubelets import Kubelets
from tests.kubernetes.wire import Json, RefusedError


def found(plane: ControlPlane, path: str) -> Json | None:
    with suppress(RefusedError):
        return plane.wire.get(path)
    return None


def pods(plane: ControlPlane) -> list[Json]:
    items: list[Json] = plane.wire.get("/api/v1/pods?labelSelector=haidang/request")["items"]
    return items


def running(seen: dict[str, Any]) -> bool:
    return bool(seen["phase"] == "running")


def test_from_an_institution_to_its_bill(center: RealCenter, plane: ControlPlane) -> None:
    token = center.admit("vmu", "vision")
    quota = until(lambda: found(plane, "/api/v1/namespaces/haidang-vmu/resourcequotas/haidang"))
    until(
        lambda: (
            found(plane, "/api/v1/namespaces/haidang-vmu/resourcequotas/haidang")["spec"]["hard"]["limits.cpu"]  # type: ignore[index]
            == "16"
        )
    )
    assert quota["metadata"]["labels"]["haidang/institution"] == "vmu"
    request = center.submit(token, "vmu.vision")
    center.wait(token, request, running)
    assert {pod["spec"]["nodeName"] for pod in pods(plane)} <= {"n1", "n2"}
    time.sleep(2)
    center.call("POST", f"/v1/requests/{request}/cancel", token=token)
    ends = until(lambda: [pod for pod in pods(plane) if "terminated" in state(pod)] or None)
    assert ends
    center.wait(token, request, lambda seen: seen["state"] == "ended")
    until(lambda: not pods(plane))
    until(lambda: not plane.wire.get("/api/v1/configmaps?labelSelector=haidang/request")["items"])
    charged = [one for one in center.call("GET", "/v1/ledger?limit=100")["items"] if one["kind"] == "charge"]
    assert len(charged) == 3
    used = {one["usage"]["core_milliseconds"] for one in charged}
    assert all(usage > 0 for usage in used)


def state(pod: Json) -> Json:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    result: Json = statuses[0].get("state", {})
    return result


def test_a_bill_is_the_containers_own_time(center: RealCenter, plane: ControlPlane, kubelets: Kubelets) -> None:
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision")
    center.wait(token, request, running)
    worker = next(pod["metadata"]["name"] for pod in pods(plane) if pod["metadata"]["labels"]["haidang/ordinal"] == "1")
    kubelets.hang(worker)
    time.sleep(2.2)  # of which whole seconds are billed
    center.call("POST", f"/v1/requests/{request}/cancel", token=token)
    until(lambda: [pod for pod in pods(plane) if "deletionTimestamp" in pod["metadata"]])
    time.sleep(1.5)
    kubelets.respond(worker)
    lived: list[int] = []

    def terminated() -> bool:
        for pod in pods(plane):
            if pod["metadata"]["name"] == worker and (ended := state(pod).get("terminated")):
                lived[:] = [seconds(ended["finishedAt"]) - seconds(ended["startedAt"])]
        return bool(lived)

    center.wait(token, request, lambda seen: terminated() or seen["state"] == "ended")
    center.wait(token, request, lambda seen: seen["state"] == "ended")
    charges = [one for one in center.call("GET", "/v1/ledger?limit=100")["items"] if one["kind"] == "charge"]
    if lived:
        assert lived[0] * 500 in {one["usage"]["core_milliseconds"] for one in charges}
    assert max(one["usage"]["core_milliseconds"] for one in charges) >= 2 * 500


def test_a_worker_that_dies_is_replaced_and_tells_why(
    center: RealCenter, plane: ControlPlane, kubelets: Kubelets
) -> None:
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision")
    center.wait(token, request, running)
    names = {pod["metadata"]["labels"]["haidang/ordinal"]: pod["metadata"]["name"] for pod in pods(plane)}
    kubelets.fail(names["1"], "OOMKilled")
    plane.wire.delete(f"/api/v1/namespaces/haidang-vmu/pods/{names['2']}")
    replaced = {f"h-{request}-{ordinal}-2" for ordinal in (1, 2)}
    until(lambda: replaced <= {pod["metadata"]["name"] for pod in pods(plane) if "running" in state(pod)})
    path = f"/v1/requests/{request}/events?limit=100"
    told = center.call("GET", path, token=token, Accept="application/json")["items"]
    causes = {
        one["details"]["cause"]: one["details"].get("detail", "") for one in told if one["kind"] == "process_ended"
    }
    assert causes["memory"] == f"its memory limit of {256 * MIB} bytes was exceeded"
    assert "stopped" in causes


def test_a_killed_center_finds_its_pods_and_bills_them_once(center: RealCenter, plane: ControlPlane) -> None:
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision")
    center.wait(token, request, running)
    before = {pod["metadata"]["uid"] for pod in pods(plane)}
    center.kill()
    center.start()
    time.sleep(3)
    assert {pod["metadata"]["uid"] for pod in pods(plane)} == before
    assert center.interrupt() == 0
    assert {pod["metadata"]["uid"] for pod in pods(plane)} == before, signal.SIGINT
    center.start()
    center.call("POST", f"/v1/requests/{request}/cancel", token=token)
    center.wait(token, request, lambda seen: seen["state"] == "ended")
    charges = [one for one in center.call("GET", "/v1/ledger?limit=100")["items"] if one["kind"] == "charge"]
    assert len(charges) == 3


def test_an_api_server_that_restarts_costs_nothing_but_time(center: RealCenter, plane: ControlPlane) -> None:
    token = center.admit("vmu", "vision")
    first = center.submit(token, "vmu.vision")
    center.wait(token, first, running)
    plane.stop_apiserver()
    second = center.submit(token, "vmu.vision", workers={"min": 1, "max": 1})
    time.sleep(2)
    plane.start_apiserver()
    center.wait(token, second, running)
    assert center.call("GET", f"/v1/requests/{first}", token=token)["phase"] == "running"
    assert len(pods(plane)) == 5


def test_a_node_that_is_lost_gets_nothing_new_until_it_is_found(
    center: RealCenter, plane: ControlPlane, kubelets: Kubelets
) -> None:
    kubelets.lose("n2")
    until(lambda: {one["id"]: one["state"] for one in center.call("GET", "/v1/nodes")["items"]}["n2"] == "lost")
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision")
    center.wait(token, request, running)
    assert {pod["spec"]["nodeName"] for pod in pods(plane)} == {"n1"}
    kubelets.find("n2")
    until(lambda: {one["id"]: one["state"] for one in center.call("GET", "/v1/nodes")["items"]}["n2"] == "ready")
