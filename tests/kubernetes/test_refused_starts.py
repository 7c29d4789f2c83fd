"""What Kubernetes does not let start waits its turn again with the reason, and starts when nothing is in the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.centers import RealCenter, until
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.kubelets import Kubelets
from tests.kubernetes.test_center import found, pods, running, state
from tests.kubernetes.wire import Json

QUOTA = "/api/v1/namespaces/haidang-vmu/resourcequotas/haidang"
DENIED: Json = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": "nothing-today"},
    "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ]
        },
        "validations": [{"expression": "false", "message": "the city is closed today"}],
    },
}
BINDING: Json = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicyBinding",
    "metadata": {"name": "nothing-today"},
    "spec": {"policyName": "nothing-today", "validationActions": ["Deny"]},
}
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"


def why(center: RealCenter, token: str, request: str) -> list[dict[str, Any]]:
    told = center.call("GET", f"/v1/requests/{request}/explain", token=token)
    reasons: list[dict[str, Any]] = told["reasons"]
    return reasons


def waits_for(center: RealCenter, token: str, request: str, trouble: str) -> dict[str, Any]:
    """Return the reason by which a request waits, once it does."""

    def found() -> dict[str, Any] | None:
        return next((one for one in why(center, token, request) if one.get("trouble") == trouble), None)

    return until(found)


def told(center: RealCenter, token: str, request: str, kind: str) -> list[dict[str, str]]:
    path = f"/v1/requests/{request}/events?limit=100"
    items = center.call("GET", path, token=token, Accept="application/json")["items"]
    return [one["details"] for one in items if one["kind"] == kind]


def has_place(plane: ControlPlane) -> bool:
    quota = found(plane, QUOTA)
    return quota is not None and quota.get("status", {}).get("hard", {}).get("limits.cpu") == "16"


def test_a_quota_that_others_used_up_is_the_reason_until_it_is_free(center: RealCenter, plane: ControlPlane) -> None:
    token = center.admit("vmu", "vision")
    until(lambda: has_place(plane))
    needs = {"cpu": "15500m", "memory": "1Gi"}
    container = {
        "name": "greedy",
        "image": "images.example/greedy:1",
        "resources": {"requests": needs, "limits": needs},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    greedy = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "greedy"}, "spec": {"containers": [container]}}
    plane.kubectl("create", "--namespace=haidang-vmu", "--filename=-", given=json.dumps(greedy))
    request = center.submit(token, "vmu.vision")
    reason = waits_for(center, token, request, "outside-quota")
    assert "namespace in Kubernetes is used up" in reason["sentence"]
    (failed, *_) = told(center, token, request, "start_failed")
    assert "exceeded quota: haidang" in failed["detail"]
    assert center.call("GET", "/v1/nodes")["items"][0]["granted"]["millicores"] == 0, "it holds nothing meanwhile"
    until(lambda: not pods(plane))
    plane.kubectl("delete", "pod", "greedy", "--namespace=haidang-vmu", "--wait=false")
    center.wait(token, request, running)
    assert {state(pod).keys() >= {"running"} for pod in pods(plane)} == {True}


def test_a_policy_that_refuses_is_told_in_its_own_words(center: RealCenter, plane: ControlPlane) -> None:
    token = center.admit("vmu", "vision")
    until(lambda: has_place(plane))
    plane.wire.create(POLICIES, DENIED)
    plane.wire.create(POLICIES.replace("policies", "policybindings"), BINDING)
    try:
        denied = ("run", "probe", "--image=images.example/probe:1", "--dry-run=server")
        until(lambda: "the city is closed" in refusal(plane, *denied))
        request = center.submit(token, "vmu.vision")
        waits_for(center, token, request, "outside-refusal")
        (failed, *_) = told(center, token, request, "start_failed")
        assert "the city is closed today" in failed["detail"]
    finally:
        plane.wire.delete(f"{POLICIES}/nothing-today")
        plane.wire.delete(f"{POLICIES.replace('policies', 'policybindings')}/nothing-today")
    center.wait(token, request, running)


def refusal(plane: ControlPlane, *arguments: str) -> str:
    try:
        plane.kubectl(*arguments)
    except RuntimeError as error:
        return str(error)
    return ""


def test_an_image_that_is_missing_is_told_while_it_starts(
    center: RealCenter, plane: ControlPlane, kubelets: Kubelets
) -> None:
    kubelets.refuse_image("h-")
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision")
    (first, *_) = until(lambda: told(center, token, request, "troubled"))
    assert first["trouble"] == "image"
    assert first["detail"].startswith(("ErrImagePull", "ImagePullBackOff"))
    kubelets.allow_image("h-")
    center.wait(token, request, running)
    assert len(pods(plane)) == 3


def test_what_kube_scheduler_refuses_is_planned_anew(center: RealCenter, plane: ControlPlane) -> None:
    token = center.admit("vmu", "vision")
    until(lambda: has_place(plane))
    plane.stop_scheduler()
    request = center.submit(token, "vmu.vision")
    until(lambda: len(pods(plane)) == 3)
    plane.kubectl("cordon", "n1")
    plane.kubectl("cordon", "n2")
    plane.start_scheduler()
    reason = waits_for(center, token, request, "unschedulable")
    assert "had no room left" in reason["sentence"]
    for node in ("n1", "n2"):
        plane.kubectl("uncordon", node)
    center.wait(token, request, running)


@pytest.mark.parametrize("evict", [True, False])
def test_a_drained_node_is_left_by_workers_and_kubectl_waits_for_them(
    center: RealCenter, plane: ControlPlane, kubelets: Kubelets, *, evict: bool
) -> None:
    token = center.admit("vmu", "vision")
    large = {"millicores": 5000, "memory": 2**30}
    request = center.submit(token, "vmu.vision", worker=large, workers={"min": 2, "max": 2})
    center.wait(token, request, running)
    on = {pod["metadata"]["labels"]["haidang/ordinal"]: pod["spec"]["nodeName"] for pod in pods(plane)}
    emptied = next(node for node in ("n1", "n2") if node != on["0"])
    leaving = {pod["metadata"]["name"] for pod in pods(plane) if pod["spec"]["nodeName"] == emptied}
    assert len(leaving) == 1
    kubelets.add("n3", 8, 32 * 2**30, {"haidang/pool": "main", "haidang/tier": "hpc"})
    until(lambda: len(center.call("GET", "/v1/nodes")["items"]) == 3)
    if evict:
        plane.kubectl("drain", emptied, "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=60s")
    else:
        plane.kubectl("cordon", emptied)
    until(lambda: leaving.isdisjoint(pod["metadata"]["name"] for pod in pods(plane)))
    assert {pod["spec"]["nodeName"] for pod in pods(plane)} == {on["0"], "n3"}
    ends = told(center, token, request, "process_ended")
    assert [(end["process"], end["cause"]) for end in ends] == [(name, "exited") for name in leaving]
    assert center.call("GET", f"/v1/requests/{request}", token=token)["phase"] == "running"
