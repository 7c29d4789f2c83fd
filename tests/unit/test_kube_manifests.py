"""What Kubernetes is told about a cluster is reviewed as a file, and nothing in it comes from a user but amounts."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from backends.kube.manifests import Device, Site, amounts, anchor, begun, pod, secret, service, settled
from backends.kube.naming import FIRST_UID, HEAD, UIDS, WORKER, uid_of
from operations.ports.backend import Credentials, Leaf
from registry.ids import SLUG_PATTERN, CenterId, EnvironmentId, InstitutionId, NodeId, ProjectId, RequestId, Seconds
from registry.resources import GIB, GpuModel, Resources
from scheduler.clusters import process_name
from scheduler.steps import NewProcess, StartProcesses
from tests.house import ROOT

GOLDEN: Final = ROOT / "tests" / "golden" / "kubernetes-cluster.json"
REQUEST: Final = RequestId("abcdefghijklmnopqrstuvwxyz")
SITE: Final = Site(
    center=CenterId("haiphong"),
    images={EnvironmentId("default"): "images.example/dask@sha256:0123"},
    devices={GpuModel("a100"): Device(resource="nvidia.com/gpu")},
    priority_class="haidang-cluster",
    namespace="haidang-system",
)
OWNER: Final = {"metadata": {"name": f"h-{REQUEST}", "uid": "the-uid-of-the-anchor"}}
PAPERS: Final = Credentials(
    authority="the authority\n",
    leaves={role: Leaf(certificate=f"{role} certificate\n", key=f"{role} key\n") for role in ("head", "worker")},
    token="the token",
)


def a_process(ordinal: int, shape: Resources) -> NewProcess:
    name = process_name(REQUEST, ordinal, 1)
    return NewProcess(name=name, ordinal=ordinal, incarnation=1, node=NodeId("node-1"), shape=shape)


def a_step(*processes: NewProcess) -> StartProcesses:
    return StartProcesses(
        request=REQUEST,
        institution=InstitutionId("vmu"),
        project=ProjectId("vmu.vision"),
        environment=EnvironmentId("default"),
        head_name=process_name(REQUEST, 0, 1),
        processes=processes,
        last_second=Seconds(2_000_000_000),
    )


def a_cluster() -> dict[str, Any]:
    head = a_process(0, Resources(millicores=500, memory=GIB))
    worker = a_process(1, Resources(millicores=2000, memory=4 * GIB, gpus=((GpuModel("a100"), 1),)))
    step = a_step(head, worker)
    return {
        "anchor": anchor(SITE, step),
        "secrets": [secret(SITE, step, OWNER, role, PAPERS) for role in (HEAD, WORKER)],
        "service": service(SITE, step, OWNER),
        "pods": [pod(SITE, step, process, OWNER) for process in (head, worker)],
        "begun": begun(),
        "settled": settled("the-uid-of-a-pod"),
    }


def test_a_clusters_objects_are_the_reviewed_ones() -> None:
    """To accept a change, run this test with UPDATE_GOLDEN=1 and review the difference."""
    written = json.dumps(a_cluster(), indent=2) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(written)
    assert written == GOLDEN.read_text()


def test_only_the_head_gets_the_token_and_each_role_its_own_leaf() -> None:
    head, worker = a_cluster()["secrets"]
    assert "token" in head["stringData"]
    assert "token" not in worker["stringData"]
    assert "worker key" not in json.dumps(head)
    assert "head key" not in json.dumps(worker)


@given(st.from_regex(SLUG_PATTERN, fullmatch=True))
def test_an_institutions_processes_run_as_one_user_that_is_no_machines_and_not_the_centers(name: str) -> None:
    step = replace(a_step(), institution=InstitutionId(name))
    as_whom = pod(SITE, step, a_process(0, Resources(millicores=500, memory=GIB)), OWNER)["spec"]["securityContext"]
    assert FIRST_UID <= as_whom["runAsUser"] < FIRST_UID + UIDS
    assert as_whom["runAsUser"] == as_whom["runAsGroup"] == as_whom["fsGroup"]


def test_institutions_share_no_user() -> None:
    assert len({uid_of(InstitutionId(f"institution-{number}")) for number in range(1000)}) == 1000


@given(st.integers(1, 10**10), st.integers(2**24, 2**52), st.integers(0, 9999))
def test_whatever_is_asked_for_changes_amounts_and_names_alone(millicores: int, memory: int, ordinal: int) -> None:
    shape = Resources(millicores=millicores, memory=memory)
    made = pod(SITE, a_step(), process := a_process(ordinal, shape), OWNER)
    usual = pod(SITE, a_step(), a_process(ordinal, Resources(millicores=500, memory=GIB)), OWNER)
    container, spec = made["spec"]["containers"][0], made["spec"]
    assert made["metadata"]["name"] == process.name
    assert container["resources"]["requests"] == container["resources"]["limits"] == amounts(SITE, shape)
    for one in (spec, usual["spec"]):
        del one["containers"][0]["resources"], one["containers"][0]["args"]
    assert spec == usual["spec"]
