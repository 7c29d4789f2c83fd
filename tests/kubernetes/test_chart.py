"""The chart: what it renders is reviewed, what it is given is checked, and a real API server takes it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from backends.kube.manifests import Device
from registry.ids import CenterId
from server.site import SiteSettings
from tests.house import ROOT
from tests.kubernetes.charts import (
    CASES,
    CHART,
    NAMESPACE,
    RELEASE,
    RefusedByHelmError,
    helm,
    installed,
    objects,
    rendered,
    values_of,
)
from tests.kubernetes.control_plane import ControlPlane, missing
from tests.kubernetes.wire import Json
from tests.paths import Pod, is_let_out, may_speak

GOLDEN: Final = ROOT / "tests" / "golden"
WITHOUT_PLACE: Final = {
    "ClusterRole",
    "ClusterRoleBinding",
    "PriorityClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
"""Kinds of the chart that are no namespace's; what names no namespace otherwise is in the release's."""
OF_OTHERS: Final = ("ServiceMonitor", "PrometheusRule")
"""Kinds of Prometheus' operator, which the API server here does not know."""


@pytest.fixture(autouse=True)
def programs() -> None:
    if lacking := missing():
        pytest.skip(f"{lacking} here: make test-kubernetes")


@pytest.mark.parametrize("case", CASES)
def test_what_is_rendered_is_what_was_reviewed(case: str) -> None:
    """To accept a change, run this test with UPDATE_GOLDEN=1 and review the difference."""
    golden = GOLDEN / f"chart-{case}.yaml"
    now = rendered(case)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(now, encoding="utf-8")
    assert now == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_nothing_to_say(case: str) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), values_of(case))


@pytest.mark.parametrize(
    ("case", "setting", "says"),
    [
        ("production", "api.replicas=0", "at '/api/replicas': minimum: got 0, want 1"),
        ("production", "api.replica=3", "at '/api': additional properties 'replica' not allowed"),
        ("production", "sealingKey.existingSecret=", "at '/sealingKey/existingSecret': minLength: got 0, want 1"),
        ("production", "image.digest=sha256:12", "at '/image/digest': 'sha256:12' does not match pattern"),
        ("production", "environments.default.python=3", "at '/environments/default/python'"),
        ("production", "devices.a100=nvidia.com/gpu", "at '/devices/a100': got string, want object"),
        ("trial", "center=Hải Phòng", "at '/center': 'Hải Phòng' does not match pattern"),
        ("trial", "image.pullPolicy=Sometimes", "value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(case: str, setting: str, says: str) -> None:
    with pytest.raises(RefusedByHelmError) as refused:
        rendered(case, f"--set={setting}")
    assert says in str(refused.value)


def test_every_value_is_described_and_has_a_default() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    undescribed = [path for path, part in parts_of(schema, "") if "description" not in part]
    assert undescribed == []


def parts_of(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in schema.get("properties", {}).items():
        yield f"{path}/{name}", part
        yield from parts_of(part, f"{path}/{name}")


def test_the_site_that_is_rendered_is_one_that_the_center_reads(tmp_path: Path) -> None:
    (site,) = [one for one in objects(rendered("production")) if one["metadata"]["name"] == f"{RELEASE}-site"]
    file = tmp_path / "site.toml"
    file.write_text(site["data"]["site.toml"])
    said = SiteSettings.read(file)
    assert (said.namespace, said.priority_class) == (NAMESPACE, f"{NAMESPACE}-{RELEASE}")
    products = {"a100": "NVIDIA-A100-PCIE-40GB", "l40": "NVIDIA-L40"}
    assert said.site(CenterId("haiphong")).devices == {
        model: Device(resource="nvidia.com/gpu", labels={"nvidia.com/gpu.product": product})
        for model, product in products.items()
    }
    assert set(said.environments) == {"default", "gpu"}


@pytest.mark.parametrize("case", ["trial", "production"])
def test_an_authority_of_kubelets_is_where_the_site_says_in_every_pod_that_reads_it(case: str) -> None:
    found = objects(rendered(case, "--set=kubelets.authorityConfigMap=authority"))
    (site,) = [one for one in found if one["metadata"]["name"] == f"{RELEASE}-site"]
    file = Path(tomllib.loads(site["data"]["site.toml"])["kubelet_authority"])
    pods = [one["spec"]["template"]["spec"] for one in found if one["kind"] in {"Deployment", "Job"}]
    assert pods
    for pod in pods:
        (volume,) = [one for one in pod["volumes"] if one.get("configMap", {}).get("name") == "authority"]
        assert volume["configMap"]["items"] == [{"key": "ca.crt", "path": file.name}]
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
            assert mounted[volume["name"]] == str(file.parent)


@pytest.mark.parametrize("case", CASES)
def test_no_pod_of_the_center_is_more_than_it_has_to_be(case: str) -> None:
    for found in objects(rendered(case)):
        pod = found["spec"].get("template", found).get("spec") if found["kind"] in {"Deployment", "Job"} else None
        if pod is None:
            continue
        containers = [*pod["containers"], *pod.get("initContainers", ())]
        assert pod["securityContext"]["runAsNonRoot"]
        assert all(one["securityContext"]["readOnlyRootFilesystem"] for one in containers)
        assert all(one["resources"]["requests"] for one in containers)
        acts = pod["serviceAccountName"].endswith("-controller")
        assert pod["automountServiceAccountToken"] is acts, "who does not act is given no token"


@pytest.mark.parametrize("case", ["trial", "production"])
def test_the_pod_of_helms_test_reaches_the_api_and_nothing_else(case: str) -> None:
    found = objects(rendered(case))
    policies = [one for one in found if one["kind"] == "NetworkPolicy"]
    for policy in policies:
        policy["metadata"]["namespace"] = NAMESPACE
    parts = {one["metadata"]["name"]: one["spec"]["template"] for one in found if one["kind"] == "Deployment"}
    (asks,) = [of_release(one) for one in found if one["kind"] == "Pod"]
    answers = of_release(parts.get(f"{RELEASE}-api") or parts[f"{RELEASE}-whole"])
    elsewhere = Pod(namespace="elsewhere", labels=answers.labels, of_namespace={})
    assert may_speak(policies, asks, answers, 8787)
    assert not is_let_out(policies, asks, elsewhere, 8787)
    assert not is_let_out(policies, asks, answers, 443)


def of_release(pod: Json) -> Pod:
    return Pod(namespace=NAMESPACE, labels=pod["metadata"]["labels"], of_namespace={})


def test_the_job_that_closes_a_center_gives_up_before_helm_does() -> None:
    told = re.search(r"--timeout duration .*\(default (\d+)m0s\)", helm("uninstall", "--help"))
    assert told, "helm says how long it waits"
    (job,) = [one for one in objects(rendered("production")) if one["kind"] == "Job"]
    *_, patience = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert int(patience) + 45 <= int(told[1]) * 60, "its pod has to start before, and say what is left after"


@pytest.mark.parametrize("case", CASES)
def test_no_part_is_begun_anew_because_something_else_is_away(case: str) -> None:
    for found in objects(rendered(case)):
        if found["kind"] == "Deployment":
            (box,) = found["spec"]["template"]["spec"]["containers"]
            is_api = found["metadata"]["name"] == f"{RELEASE}-api"
            alive = {"path": "/v1/health", "port": "api"} if is_api else {"path": "/alive", "port": "metrics"}
            assert box["livenessProbe"]["httpGet"] == box["startupProbe"]["httpGet"] == alive
            assert "health" in box["readinessProbe"]["httpGet"]["path"]


def allowed() -> list[Json]:
    """Return all rules of the accounts of a center."""
    return [rule for one in objects(rendered("production")) for rule in one.get("rules", ()) if "Role" in one["kind"]]


def test_two_centers_of_one_cluster_have_nothing_of_the_same_name() -> None:
    def named(place: str) -> set[tuple[str, str, str]]:
        found = objects(helm("template", RELEASE, str(CHART), f"--namespace={place}", values_of("production")))
        of_all = {(one["kind"], one["metadata"].get("namespace", place), one["metadata"]["name"]) for one in found}
        return {(kind, "" if kind in WITHOUT_PLACE else where, name) for kind, where, name in of_all}

    assert {kind for kind, where, _ in named("north") if not where} == WITHOUT_PLACE
    assert not named("north") & named("south")


def test_nobody_may_read_a_tenants_secrets() -> None:
    rules = allowed()
    of_secrets = {verb for rule in rules if {"secrets", "*"} & set(rule["resources"]) for verb in rule["verbs"]}
    assert of_secrets == {"create", "update"}
    assert not any("proxy" in resource for rule in rules for resource in rule["resources"])
    assert not any("*" in rule["verbs"] for rule in rules)


def test_every_verb_has_a_reason_in_the_table_and_every_reason_a_verb() -> None:
    verbs = {(resource, verb) for rule in allowed() for resource in rule["resources"] for verb in rule["verbs"]}
    table = (CHART / "README.md").read_text(encoding="utf-8").partition("| resource | verbs | why |")[2]
    reasons = {
        (resource, verb)
        for resources, verbs in re.findall(r"^\| (`[^|]*) \| ([a-z, ]+) \|", table, re.MULTILINE)
        for resource in re.findall("`([a-z/]+)`", resources.partition(" in ")[0])
        for verb in verbs.split(", ")
    }
    assert verbs == reasons


def test_an_anchor_is_made_and_deleted_and_never_changed() -> None:
    (verbs,) = [rule["verbs"] for rule in allowed() if "configmaps" in rule["resources"]]
    assert verbs == ["get", "list", "watch", "create", "delete"]


def test_alerts_and_the_dashboard_ask_for_metrics_that_there_are(tmp_path: Path) -> None:
    rules = CHART / "files" / "rules.yaml"
    subprocess.run(["promtool", "check", "rules", rules], check=True, capture_output=True)
    dashboard = json.loads((CHART / "files" / "dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    recorded = [{"record": f"haidang:{number}", "expr": expression} for number, expression in enumerate(asked)]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    subprocess.run(["promtool", "check", "rules", tmp_path / "rules.json"], check=True, capture_output=True)
    known = set(re.findall(r"`(haidang_\w+)`", (ROOT / "docs" / "metrics.md").read_text()))
    names = set(re.findall(r"\bhaidang_\w+", rules.read_text() + " ".join(asked)))
    assert names - {f"{name}_bucket" for name in known} <= known


@pytest.mark.parametrize("case", CASES)
def test_a_real_api_server_would_take_all_of_it(started_plane: ControlPlane, case: str, tmp_path: Path) -> None:
    text = rendered(case)
    folder = schemas(started_plane, tmp_path)
    where = f"--schema-location={folder}/{{{{ .ResourceKind }}}}.json"
    subprocess.run(
        ["kubeconform", "-strict", "-summary", f"-skip={','.join(OF_OTHERS)}", where.replace("--", "-", 1)],
        input=text,
        text=True,
        check=True,
        capture_output=True,
    )
    known = [one for one in objects(text) if one["kind"] not in OF_OTHERS]
    started_plane.kubectl("create", "namespace", NAMESPACE)
    try:
        said = ""
        for elsewhere in (True, False):
            given = [one for one in known if ("namespace" in one["metadata"]) is elsewhere]
            where_to = () if elsewhere else (f"--namespace={NAMESPACE}",)
            arguments = ("apply", "--dry-run=server", "--filename=-", *where_to)
            said += started_plane.kubectl(*arguments, given="\n---\n".join(map(json.dumps, given)))
        assert len(said.splitlines()) == len(known)
    finally:
        started_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=true")


def schemas(plane: ControlPlane, folder: Path) -> Path:
    """Write the schema of every kind that the API server knows, each whole in a file of its own."""
    definitions: Json = plane.wire.get("/openapi/v2")["definitions"]
    for one in definitions.values():
        if "properties" in one:
            one["additionalProperties"] = False
        if one.get("format") == "int-or-string":
            one["type"] = ["string", "integer"]
    # What a schema is by itself would be written anew for each kind: files refer to one another by name.
    shared = json.dumps({"definitions": definitions})
    (folder / "all.json").write_text(shared)
    for name, one in definitions.items():
        for kind in one.get("x-kubernetes-group-version-kind", ()):
            reference = {"$ref": f"{(folder / 'all.json').as_uri()}#/definitions/{name}"}
            (folder / f"{kind['kind'].lower()}.json").write_text(json.dumps(reference))
    return folder


def test_it_is_installed_upgraded_and_taken_away(started_plane: ControlPlane) -> None:
    production = CHART / "ci" / "minimal-values.yaml"
    with installed(started_plane, {}, f"--values={production}"):
        listed = json.loads(helm("list", f"--namespace={NAMESPACE}", "--output=json", plane=started_plane))
        assert [(one["name"], one["status"]) for one in listed] == [(RELEASE, "deployed")]
        arguments = ("upgrade", RELEASE, str(CHART), f"--namespace={NAMESPACE}", f"--values={production}")
        helm(*arguments, "--set=api.replicas=3", plane=started_plane)
        deployment = started_plane.wire.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{RELEASE}-api")
        assert deployment["spec"]["replicas"] == 3
        notes = helm("get", "notes", RELEASE, f"--namespace={NAMESPACE}", plane=started_plane)
        assert f"exec deploy/{RELEASE}-api -- haidang token" in notes
    left = started_plane.kubectl("get", "clusterrole,clusterrolebinding,priorityclass", "--output=name")
    assert RELEASE not in left
