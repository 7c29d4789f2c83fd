"""What the nodes of a Kubernetes cluster are to the center, and what walls stand around an institution there."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.kube.grounds import agrees
from backends.kube.machines import flaw, machines, what_holds_room
from backends.kube.manifests import Device
from backends.kube.naming import CENTER, COMM_PORT, INSTITUTION, REQUEST, ROLE, STATE_PORT
from backends.kube.places import CLIENT, place
from operations.ports.grounds import Machine, Tenant
from registry.centers import NodeState, Tier
from registry.ids import InstitutionId, NodeId, PoolId
from registry.resources import GIB, MIB, GpuModel, Resources
from tests.house import ROOT
from tests.paths import Pod, is_let_in, is_let_out, may_speak
from tests.unit.test_kube_manifests import SITE

GOLDEN: Final = ROOT / "tests" / "golden" / "kubernetes-place.json"
PRESSURE: Final = {"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}
VMU: Final = Tenant(
    institution=InstitutionId("vmu"),
    ceiling=Resources(millicores=32_500, memory=128 * GIB, gpus=((GpuModel("a100"), 2),)),
)


def a_node(*, ready: bool = True, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "metadata": {"name": "node-1", "labels": {"haidang/pool": "gpu", "haidang/tier": "hpc"} | (labels or {})},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": "7910m", "memory": "32Gi", "nvidia.com/gpu": "4", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
        },
    }


def a_pod(cpu: str, memory: str, *, node: str = "node-1", phase: str = "Running", **spec: Any) -> dict[str, Any]:  # noqa: ANN401
    container = {"resources": {"requests": {"cpu": cpu, "memory": memory}}}
    return {"spec": {"nodeName": node, "containers": [container], **spec}, "status": {"phase": phase}}


def test_a_node_offers_what_the_pods_of_others_leave_of_it() -> None:
    others = [
        a_pod("250m", "128Mi"),
        a_pod("1", "1Gi", phase="Succeeded"),
        a_pod("2", "1Gi", node="node-2"),
        a_pod("100m", "64Mi", initContainers=[{"resources": {"requests": {"cpu": "500m", "memory": "16Mi"}}}]),
    ]
    (machine,) = machines(SITE, [a_node()], others)
    left = Resources(millicores=7910 - 250 - 500, memory=32 * GIB - 192 * MIB, gpus=((GpuModel("a100"), 4),))
    assert machine == Machine(
        id=NodeId("node-1"), pool=PoolId("gpu"), tier=Tier.HPC, capacity=left, state=NodeState.READY, places=108
    )


def test_what_is_kept_of_a_pod_says_as_much_of_its_node_as_the_whole_pod() -> None:
    device = {"resources": {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}}
    sidecar = {"resources": {"requests": {"cpu": "300m"}}, "restartPolicy": "Always"}
    others = [
        a_pod("250m", "128Mi", overhead={"cpu": "20m"}),
        a_pod("1", "1Gi", phase="Succeeded"),
        a_pod("1", "1Gi", node="node-2"),
        a_pod("100m", "64Mi", initContainers=[sidecar, device, {}]),
        {"spec": {"containers": [{}]}},
    ]
    for number, pod in enumerate(others):
        pod["metadata"] = {"uid": str(number), "resourceVersion": "1", "annotations": {"much": "x" * 9999}}
    kept = [what_holds_room(pod) for pod in others]
    assert machines(SITE, [a_node()], kept) == machines(SITE, [a_node()], others)
    assert "much" not in json.dumps(kept)


def test_a_node_that_others_overcommit_offers_nothing_and_one_without_a_pool_is_not_ours() -> None:
    (machine,) = machines(SITE, [a_node()], [a_pod("9", "1Gi")])
    assert machine.capacity.millicores == 0
    unlabelled = a_node()
    unlabelled["metadata"]["labels"] = {}
    assert machines(SITE, [unlabelled], ()) == ()


def test_a_node_whose_labels_cannot_be_meant_is_left_out_and_all_others_are_followed() -> None:
    for label in ({"haidang/tier": "gpu"}, {"haidang/pool": "Main_1"}):
        flawed = a_node(labels=label)
        flawed["metadata"]["name"] = "node-2"
        assert [machine.id for machine in machines(SITE, [flawed, a_node()], ())] == ["node-1"]
        assert next(iter(label)) in (flaw(flawed) or "")


@pytest.mark.parametrize(
    ("begun", "held"),
    [
        ([("300m", "Always")], 300 + 100),
        ([("500m", None)], 500),
        ([("300m", "Always"), ("500m", None)], 300 + 500),
        ([("500m", None), ("300m", "Always")], 500),
        ([("500m", None), ("300m", "Always"), ("300m", "Always")], 600 + 100),
        ([("300m", "Always"), ("50m", None), ("300m", "Always")], 600 + 100),
    ],
)
def test_a_sidecar_holds_its_part_from_its_turn_on(begun: list[tuple[str, str | None]], held: int) -> None:
    containers = [
        {"resources": {"requests": {"cpu": cpu}}} | ({"restartPolicy": policy} if policy else {})
        for cpu, policy in begun
    ]
    (machine,) = machines(SITE, [a_node()], [a_pod("100m", "0", initContainers=containers)])
    assert machine.capacity.millicores == 7910 - held


@pytest.mark.parametrize(
    ("node", "state"),
    [
        (a_node(), NodeState.READY),
        (a_node(ready=False), NodeState.LOST),
        (a_node(unschedulable=True), NodeState.DRAINING),
        (a_node(taints=[{"key": "teaching", "effect": "NoSchedule"}]), NodeState.DRAINING),
        (a_node(taints=[{"key": "teaching", "effect": "PreferNoSchedule"}]), NodeState.READY),
        (a_node(taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]), NodeState.READY),
        (a_node(taints=[PRESSURE]), NodeState.PRESSED),
        (a_node(taints=[PRESSURE], unschedulable=True), NodeState.DRAINING),
        (a_node(taints=[PRESSURE, {"key": "teaching", "effect": "NoSchedule"}]), NodeState.DRAINING),
        (a_node(taints=[PRESSURE], ready=False), NodeState.LOST),
    ],
)
def test_what_is_not_well_cordoned_or_tainted_takes_no_new_work(node: dict[str, Any], state: NodeState) -> None:
    (machine,) = machines(SITE, [node], ())
    assert machine.state is state


def test_a_quota_of_a_model_that_the_site_does_not_have_keeps_no_place_from_being_made() -> None:
    foreign = Resources(millicores=1000, memory=GIB, gpus=((GpuModel("h100"), 8),))
    places = place(SITE, Tenant(institution=VMU.institution, ceiling=foreign))
    hard = next(one for one in places if one["kind"] == "ResourceQuota")["spec"]["hard"]
    assert hard["requests.nvidia.com/gpu"] == "0"


MODEL: Final = "nvidia.com/gpu.product"
TWO_MODELS: Final = replace(
    SITE,
    devices={
        GpuModel(name): Device(resource="nvidia.com/gpu", labels={MODEL: name.upper()}) for name in ("a100", "l40")
    },
)


@pytest.mark.parametrize("model", ["a100", "l40"])
def test_a_device_is_of_the_model_that_its_node_is_labelled_with_and_of_no_other(model: str) -> None:
    node = a_node(labels={MODEL: model.upper()})
    other = a_pod("0", "0")
    other["spec"]["containers"][0]["resources"]["requests"]["nvidia.com/gpu"] = "1"
    (machine,) = machines(TWO_MODELS, [node], [other])
    assert machine.capacity.gpus == ((GpuModel(model), 3),)


def test_a_device_of_a_model_that_nobody_has_named_is_not_offered() -> None:
    (machine,) = machines(TWO_MODELS, [a_node(labels={MODEL: "H100"})], ())
    assert machine.capacity.gpus == ()


def test_models_of_one_resource_have_one_quota_there() -> None:
    both = Resources(millicores=1000, memory=GIB, gpus=((GpuModel("a100"), 2), (GpuModel("l40"), 3)))
    places = place(TWO_MODELS, Tenant(institution=VMU.institution, ceiling=both))
    hard = next(one for one in places if one["kind"] == "ResourceQuota")["spec"]["hard"]
    assert hard["requests.nvidia.com/gpu"] == "5"


def test_the_walls_around_an_institution_are_the_reviewed_ones() -> None:
    """To accept a change, run this test with UPDATE_GOLDEN=1 and review the difference."""
    written = json.dumps(place(SITE, VMU), indent=2) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(written)
    assert written == GOLDEN.read_text()


def of_vmu(**labels: str) -> Pod:
    ours = {CENTER: SITE.center, INSTITUTION: VMU.institution}
    return Pod(namespace="haidang-vmu", labels=labels, of_namespace=ours)


A_PROCESS: Final = {CENTER: SITE.center, INSTITUTION: VMU.institution, REQUEST: "a"}
HEAD: Final = of_vmu(**A_PROCESS, **{ROLE: "head"})
WORKER: Final = of_vmu(**A_PROCESS, **{ROLE: "worker"})
NOTEBOOK: Final = of_vmu(**{CLIENT: "true"})
STRANGER: Final = of_vmu(app="stranger")
THE_CENTER: Final = Pod(
    namespace="haidang-system", labels={}, of_namespace={"kubernetes.io/metadata.name": "haidang-system"}
)
WALLS: Final = [one for one in place(SITE, VMU) if one["kind"] == "NetworkPolicy"]


def test_who_is_let_in_by_one_of_an_institutions_pods_is_let_out_by_the_other() -> None:
    inside = (HEAD, WORKER, NOTEBOOK, STRANGER)
    let_in = {
        (one, other, port)
        for one, other in itertools.product(range(4), repeat=2)
        for port in (COMM_PORT, STATE_PORT, 9999)
        if is_let_in(WALLS, inside[one], inside[other], port)
    }
    assert let_in
    assert all(is_let_out(WALLS, inside[one], inside[other], port) for one, other, port in let_in)


def test_a_notebook_reaches_heads_and_the_center_and_nobody_else() -> None:
    assert may_speak(WALLS, NOTEBOOK, HEAD, COMM_PORT)
    assert may_speak(WALLS, NOTEBOOK, THE_CENTER, 8787)
    assert is_let_out(WALLS, NOTEBOOK, THE_CENTER, 53), "names are asked for anywhere"
    beyond = [(HEAD, STATE_PORT), (WORKER, COMM_PORT), (STRANGER, COMM_PORT), (THE_CENTER, 8788), (THE_CENTER, 5432)]
    assert not any(is_let_out(WALLS, NOTEBOOK, other, port) for other, port in beyond)
    assert not any(is_let_out(WALLS, STRANGER, other, COMM_PORT) for other in (HEAD, NOTEBOOK))


def test_without_devices_in_its_quota_an_institution_gets_none() -> None:
    poor = Tenant(institution=VMU.institution, ceiling=Resources(millicores=1000, memory=GIB))
    hard = next(one for one in place(SITE, poor) if one["kind"] == "ResourceQuota")["spec"]["hard"]
    assert hard["requests.nvidia.com/gpu"] == "0"


JSONS: Final = st.recursive(
    st.text("abc", max_size=3) | st.integers(0, 3),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text("ab", max_size=2), parts, max_size=3),
    max_leaves=8,
)


@given(JSONS, st.dictionaries(st.text("xyz", min_size=1, max_size=2), JSONS, max_size=3))
def test_what_the_server_adds_is_no_difference_and_what_it_lacks_is(wanted: Any, more: dict[str, Any]) -> None:  # noqa: ANN401
    assert agrees(wanted, wanted)
    if isinstance(wanted, dict):
        assert agrees(wanted, more | wanted)
        for name in wanted:
            assert not agrees(wanted, {other: part for other, part in wanted.items() if other != name})


@pytest.mark.parametrize(
    ("wanted", "found", "same"),
    [("2000m", "2", True), ("1Gi", "1073741824", True), ("2", "3", False), ("a", "b", False), ("2", 2, False)],
)
def test_amounts_are_compared_as_amounts(wanted: str, found: object, *, same: bool) -> None:
    assert agrees({"cpu": wanted}, {"cpu": found}) is same
