"""The center as its chart installs it on a real node: from nothing to a bill, through an upgrade, to nothing again."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import make_url

from tests.centers import RealCenter, until
from tests.databases import PostgresqlServer
from tests.kubernetes import images
from tests.kubernetes.charts import CHART, NAMESPACE, RELEASE, RefusedByHelmError, helm
from tests.kubernetes.clients import ClientPods
from tests.kubernetes.control_plane import ADDRESS, SERVICES, ControlPlane
from tests.kubernetes.node import NAME, Node
from tests.kubernetes.test_center import found, running
from tests.kubernetes.test_real_node import COMPUTE, SHAPE, Ends, charged
from tests.kubernetes.wire import Json

CENTER_UID: Final = 10001
"""Whose the files of the center are, as its chart and its image say."""
LITTLE: Final = {"requests": {"cpu": "50m", "memory": "192Mi"}, "limits": {"memory": "768Mi"}}
ENVIRONMENT: Final = {"version": "1", "python": "3.11", "distributed": "2026.8.0"}


class InstalledCenter(RealCenter):
    """A center in a cluster: the API is asked as pods ask it, by the address of its Service."""

    def __init__(self, plane: ControlPlane, folder: Path, deployment: str) -> None:
        super().__init__(folder / "unused")
        self.plane = plane
        service = plane.wire.get(f"/api/v1/namespaces/{NAMESPACE}/services/{RELEASE}")
        self.url = f"http://{service['spec']['clusterIP']}"
        where = ("exec", f"--namespace={NAMESPACE}", f"deploy/{deployment}", "--")
        self.token = plane.kubectl(*where, "haidang", "token").strip()


@contextmanager
def reachable(server: PostgresqlServer, database: str) -> Iterator[str]:
    """Give the address at which pods reach a database that is served on this machine alone."""
    local = make_url(database)
    with socket.create_server((ADDRESS, 0)) as door:
        threads = [threading.Thread(target=_let_in, args=(door, str(local.query["host"])))]
        threads[0].start()
        address = local.set(host=ADDRESS, port=door.getsockname()[1], query={})
        try:
            yield address.render_as_string(hide_password=False)
        finally:
            door.shutdown(socket.SHUT_RDWR)
            threads[0].join()


def _let_in(door: socket.socket, folder: str) -> None:
    with ExitStack() as guests, suppress(OSError):
        while True:
            guest, _ = door.accept()
            thread = threading.Thread(target=_lead, args=(guest, f"{folder}/.s.PGSQL.5432"))
            thread.start()
            guests.callback(thread.join)
            guests.callback(_part, guest)


def _lead(guest: socket.socket, path: str) -> None:
    """Pass on what two sides say until one of them leaves."""
    with guest, socket.socket(socket.AF_UNIX) as host, suppress(OSError):
        host.connect(path)
        back = threading.Thread(target=_pass_on, args=(host, guest))
        back.start()
        _pass_on(guest, host)
        back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while passed := source.recv(65536):
            target.sendall(passed)
    for one in (source, target):
        _part(one)


def _part(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def values(**more: object) -> dict[str, object]:
    image = images.SERVER.reference.rpartition(":")
    return {
        "image": {"repository": image[0], "tag": image[2], "pullPolicy": "Never"},
        "environments": {"default": {"image": images.DASK.reference, **ENVIRONMENT}},
        "tenantImagePullPolicy": "Never",
        **more,
    }


def install(plane: ControlPlane, folder: Path, what: str, given: dict[str, object]) -> None:
    """Install or upgrade, and return when everything is ready."""
    file = folder / "values.json"
    file.write_text(json.dumps(given))
    arguments = (str(CHART), f"--namespace={NAMESPACE}", f"--values={file}", "--wait", "--timeout=240s")
    try:
        helm(what, RELEASE, *arguments, plane=plane)
    except RefusedByHelmError as error:
        pods = plane.kubectl("describe", "pods", f"--namespace={NAMESPACE}")
        raise AssertionError(f"{error}\n{pods}") from error


@pytest.fixture
def home(started_plane: ControlPlane, node: Node, tmp_path: Path) -> Iterator[Path]:
    """A namespace for the center on a node that has its image; its folder here."""
    node.load(images.SERVER)
    # Addresses of Services lead nowhere by themselves; the kernel wants a way before kube-proxy's rules see a packet.
    subprocess.run(["ip", "route", "replace", SERVICES, "dev", "kube0"], check=True)
    started_plane.kubectl("create", "namespace", NAMESPACE)
    started_plane.kubectl(
        "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted", "--overwrite"
    )
    yield tmp_path
    with suppress(RefusedByHelmError):
        helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--no-hooks", plane=started_plane)
    started_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=true")


@pytest.fixture
def production(
    started_plane: ControlPlane, home: Path, postgresql_server: PostgresqlServer
) -> Iterator[dict[str, object]]:
    """Values of a center in parts, with the Secrets that they name."""
    with postgresql_server.bare() as database, reachable(postgresql_server, database) as address:
        secrets = {"haidang-database": {"url": address}, "haidang-sealing-key": {"key": Fernet.generate_key().decode()}}
        for name, content in secrets.items():
            secret = {"metadata": {"name": name}, "stringData": content}
            started_plane.wire.create(f"/api/v1/namespaces/{NAMESPACE}/secrets", secret)
        yield values(
            database={"existingSecret": "haidang-database"},
            sealingKey={"existingSecret": "haidang-sealing-key"},
            api={"replicas": 2, "resources": LITTLE},
            controller={"replicas": 2, "resources": LITTLE},
            exporter={"resources": LITTLE},
        )
        assert home.exists()


def ours(plane: ControlPlane) -> list[str]:
    """Name everything that a center makes outside of its own namespace."""
    kinds = "pods,configmaps,secrets,services,namespaces,resourcequotas,networkpolicies,poddisruptionbudgets"
    listed = plane.kubectl("get", kinds, "--all-namespaces", "--selector=haidang/center", "--output=name")
    cluster = "clusterroles,clusterrolebindings,priorityclasses,validatingadmissionpolicies"
    listed += plane.kubectl("get", cluster, "--selector=app.kubernetes.io/name=haidang", "--output=name")
    return listed.split()


def metric(page: str, name: str) -> float:
    return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(f"{name}{{"))


def test_from_an_empty_cluster_to_a_bill_through_an_upgrade_to_nothing_again(
    started_plane: ControlPlane, production: dict[str, object], home: Path
) -> None:
    install(started_plane, home, "install", production)
    center = InstalledCenter(started_plane, home, f"{RELEASE}-api")
    helm("test", RELEASE, f"--namespace={NAMESPACE}", plane=started_plane)
    until(lambda: [one["id"] for one in center.call("GET", "/v1/nodes")["items"]] == [NAME])
    token = center.admit("vmu", "vision")
    quota = "/api/v1/namespaces/haidang-vmu/resourcequotas/haidang"
    until(lambda: (found(started_plane, quota) or {}).get("status", {}).get("hard"))
    with Ends(started_plane) as ends:
        request = center.submit(token, "vmu.vision", worker=SHAPE, head=SHAPE, workers={"min": 2, "max": 2})
        center.wait(token, request, running)
        connection = center.call("GET", f"/v1/clusters/{request}/connection", token=token)
        clients = ClientPods(started_plane.wire, "haidang-vmu", images.DASK.reference, connection)
        before = lives(started_plane, request)
        install(started_plane, home, "upgrade", {**production, "priorityClass": {"value": 0}, "center": "center"})
        started_plane.kubectl("rollout", "restart", "deployment", f"--namespace={NAMESPACE}")
        for part in ("api", "controller", "exporter"):
            status = ("rollout", "status", f"deployment/{RELEASE}-{part}", f"--namespace={NAMESPACE}")
            started_plane.kubectl(*status, "--timeout=50s")
        assert clients.answer("computes", COMPUTE)[0] == sum(range(100_000))
        assert lives(started_plane, request) == before, "no cluster depends on any process of the center"
        center.call("POST", f"/v1/requests/{request}/cancel", token=token)
        center.wait(token, request, lambda seen: bool(seen["state"] == "ended"))
        until(lambda: len(ends.seen) == 3)
    logs = center.call("GET", f"/v1/requests/{request}/logs", token=token)["items"]
    assert len(logs) == 3
    head = center.call("GET", f"/v1/requests/{request}/logs/h-{request}-0-1", token=token)
    assert "Scheduler" in head["text"]
    used = charged(center, "core_milliseconds")
    assert used == {uid: 350 * lived for uid, lived in ends.lived().items()}
    page = scraped(started_plane, "exporter")
    assert round(metric(page, "haidang_used_core_seconds_total") * 1000) == sum(used.values())
    assert "\nhaidang_cycle_age_seconds " in scraped(started_plane, "controller", acting=True)
    last = center.submit(token, "vmu.vision", worker=SHAPE, head=SHAPE, workers={"min": 1, "max": 1})
    center.wait(token, last, running)
    helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait", "--timeout=180s", plane=started_plane)
    until(lambda: ours(started_plane) == [])


def lives(plane: ControlPlane, request: str) -> set[tuple[str, str]]:
    """Return the pods of a cluster with the moments at which their containers began."""
    items: list[Json] = plane.wire.get(f"/api/v1/pods?labelSelector=haidang/request={request}")["items"]
    return {
        (pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])
        for pod in items
    }


def scraped(plane: ControlPlane, part: str, *, acting: bool = False) -> str:
    """Return the page of a part's metrics; of several controllers, that of the one that acts."""
    selector = f"labelSelector=app.kubernetes.io/component={part}"

    def page() -> str | None:
        for pod in plane.wire.get(f"/api/v1/namespaces/{NAMESPACE}/pods?{selector}")["items"]:
            if pod["status"].get("podIP") and "deletionTimestamp" not in pod["metadata"]:
                text: str = httpx2.get(f"http://{pod['status']['podIP']}:8788/metrics", timeout=10).text
                if not acting or "\nhaidang_cycle_age_seconds " in text:
                    return text
        return None

    return until(page)


@pytest.fixture
def trial(started_plane: ControlPlane, home: Path) -> Iterator[dict[str, object]]:
    """Values of a center in one pod, whose volume is a folder of this machine."""
    folder = Path("/run/haidang-trial")
    folder.mkdir()
    shutil.chown(folder, CENTER_UID, CENTER_UID)
    size = {"storage": "1Gi"}
    volume: dict[str, Any] = {
        "metadata": {"name": "trial"},
        "spec": {"capacity": size, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": str(folder)}},
    }
    volume["spec"]["storageClassName"] = "by-hand"
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": "by-hand", "resources": {"requests": size}}
    started_plane.wire.create("/api/v1/persistentvolumes", volume)
    claims = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
    started_plane.wire.create(claims, {"metadata": {"name": "books"}, "spec": claim})
    yield values(whole={"enabled": True, "resources": LITTLE, "volume": {"existingClaim": "books"}})
    assert home.exists()
    started_plane.wire.delete("/api/v1/persistentvolumes/trial")
    shutil.rmtree(folder)


def test_a_trial_serves_and_is_taken_away_with_all_its_clusters(
    started_plane: ControlPlane, trial: dict[str, object], home: Path
) -> None:
    install(started_plane, home, "install", trial)
    center = InstalledCenter(started_plane, home, f"{RELEASE}-whole")
    until(lambda: [one["id"] for one in center.call("GET", "/v1/nodes")["items"]] == [NAME])
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision", worker=SHAPE, head=SHAPE, workers={"min": 1, "max": 1})
    center.wait(token, request, running)
    helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait", "--timeout=180s", plane=started_plane)
    until(lambda: ours(started_plane) == [])
    claim = started_plane.wire.get(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/books")
    assert claim["status"]["phase"] == "Bound", "the books are kept"
