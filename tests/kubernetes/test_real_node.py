"""On a real node real pods keep the backends' contract, and a center's cluster computes, changes and is billed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

import pytest
from urllib3.exceptions import HTTPError

from backends.kube import manifests
from backends.kube.backend import KubeBackend
from backends.kube.calls import Calls, Pace
from backends.kube.manifests import Site
from backends.kube.measuring import SAMPLE_SECONDS
from backends.kube.naming import namespace_of
from backends.kube.reading import seconds
from operations.ports.backend import Credentials
from registry.ids import CenterId, InstitutionId, NodeId
from registry.resources import MIB, Resources
from scheduler.steps import StartProcesses, Step
from server.clock import SystemClock
from tests.centers import RealCenter, a_center, until
from tests.contracts import test_backend as contract
from tests.kubernetes import images
from tests.kubernetes.clients import ClientPods, restricted_pod
from tests.kubernetes.conftest import remove_places
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.node import NAME, Node
from tests.kubernetes.wire import Json, lines
from tests.ordered import HERE, OrderedCluster

# The contract itself, asked of the backend below.
for sentence in (name for name in dir(contract) if name.startswith("test_")):
    globals()[sentence] = getattr(contract, sentence)
cluster = contract.cluster

INSTITUTION: Final = InstitutionId("real")
SMALL: Final = Resources(millicores=450, memory=256 * MIB)
RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}


class SmallBackend(KubeBackend):
    """A backend that makes every process so small that two cores hold four of them."""

    def carry_out(self, step: Step, credentials: Credentials | None) -> None:
        if isinstance(step, StartProcesses):
            processes = tuple(replace(one, node=NodeId(NAME), shape=SMALL) for one in step.processes)
            step = replace(step, institution=INSTITUTION, processes=processes)
        super().carry_out(step, credentials)


@pytest.fixture(scope="module")
def backend(started_plane: ControlPlane, node: Node) -> Iterator[KubeBackend]:
    namespace = {"metadata": {"name": namespace_of(INSTITUTION), "labels": RESTRICTED}}
    started_plane.wire.create("/api/v1/namespaces", namespace)
    site = Site(center=CenterId("haiphong"), images={HERE: images.DASK.reference}, pull="Never")
    with started_plane.api() as api:
        backend = SmallBackend(Calls(api, Pace(per_second=200, burst=200)), site, now=SystemClock().now)
        backend.prepare()
        yield backend
        backend.leave()


def test_what_fills_its_scratch_is_evicted_and_the_kubelets_reason_stays(
    cluster: OrderedCluster, started_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "SCRATCH_BYTES", 16 * MIB)
    cluster.start(range(2))
    cluster.ready()
    namespace, worker = namespace_of(INSTITUTION), cluster.name(1)
    fill = f"open('{manifests.SCRATCH}/large', 'wb').write(bytes({32 * MIB}))"
    started_plane.kubectl("exec", f"--namespace={namespace}", worker, "--", "python", "-c", fill)
    until(lambda: cluster.seen()[1].ended is not None, seconds=60)
    status = started_plane.wire.get(f"/api/v1/namespaces/{namespace}/pods/{worker}")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert 'EmptyDir volume "scratch" exceeds the limit' in status["message"]


# A center's own cluster, from the request to the bill

SHAPE: Final = {"millicores": 350, "memory": 256 * MIB}
SITE: Final = """
kubeconfig = "{kubeconfig}"
pull = "Never"

[environments.default]
image = "{image}"
version = "1"
python = "3.11"
distributed = "2026.8.0"
"""
COMPUTE: Final = """
client.wait_for_workers(2, timeout=60)
parts = client.map(lambda n: (sum(range(n * 1000, n * 1000 + 1000)), get_worker().name), range(100))
sums, workers = zip(*client.gather(parts))
print(json.dumps([sum(sums), sorted(set(workers))]))
"""
HOARD: Final = """
client.submit(lambda: len(b"x" * 2**30), workers=["{worker}"], allow_other_workers=False).result()
"""
BURN: Final = """
def burn():
    import time
    until = time.process_time() + 3
    while time.process_time() < until:
        pass
    return 1

print(client.submit(burn, workers=["{worker}"], allow_other_workers=False).result())
"""


class Ends:
    """Every end of a container of a cluster, by its pod's uid, as the API server was told of it."""

    def __init__(self, plane: ControlPlane) -> None:
        pods = "/api/v1/pods?labelSelector=haidang/request"
        version = plane.wire.get(pods)["metadata"]["resourceVersion"]
        self._stream = plane.wire.watch(f"{pods}&watch=1&resourceVersion={version}")
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.seen: dict[str, Json] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.shutdown()
        self._thread.join()

    def _follow(self) -> None:
        with suppress(HTTPError, ValueError), self._stream as stream:  # once it is shut down, no JSON comes from it
            for change in lines(stream):
                pod = change["object"]
                for container in pod["status"].get("containerStatuses", ()):
                    if ended := container["state"].get("terminated"):
                        self.seen[pod["metadata"]["uid"]] = {"name": pod["metadata"]["name"], **ended}

    def of(self, name: str) -> Json | None:
        return next((end for end in self.seen.values() if end["name"] == name), None)

    def lived(self) -> Counter[str]:
        """Return the seconds from start to end of each container."""
        return Counter({uid: seconds(end["finishedAt"]) - seconds(end["startedAt"]) for uid, end in self.seen.items()})


@pytest.fixture
def center(started_plane: ControlPlane, node: Node, tmp_path: Path) -> Iterator[RealCenter]:
    site = tmp_path / "site.toml"
    site.write_text(SITE.format(kubeconfig=started_plane.admin, image=images.DASK.reference))
    with a_center(tmp_path, None, "--site", str(site)) as center:
        until(lambda: [one["id"] for one in center.call("GET", "/v1/nodes")["items"]] == [NAME])
        yield center
    remove_places(started_plane)


def test_a_cluster_computes_grows_shrinks_loses_a_worker_and_is_billed(
    center: RealCenter, started_plane: ControlPlane
) -> None:
    token = center.admit("vmu", "vision")
    with Ends(started_plane) as ends:
        request = center.submit(token, "vmu.vision", worker=SHAPE, head=SHAPE, workers={"min": 2, "max": 3})
        center.wait(token, request, lambda seen: bool(seen["phase"] == "running"))
        first, second, third = (f"h-{request}-{ordinal}-1" for ordinal in (1, 2, 3))
        connection = center.call("GET", f"/v1/clusters/{request}/connection", token=token)
        clients = ClientPods(started_plane.wire, "haidang-vmu", images.DASK.reference, connection)
        assert clients.answer("computes", COMPUTE) == [sum(range(100_000)), [first, second]]

        def has(workers: int) -> bool:
            counted = center.call("GET", f"/v1/clusters/{request}", token=token)["workers"]
            return [counted[kind] for kind in ("placed", "ready", "leaving")] == [workers, workers, 0]

        for workers in (3, 2):
            center.call("POST", f"/v1/clusters/{request}/scale", {"workers": workers}, token=token)
            until(lambda workers=workers: has(workers))  # type: ignore[misc]  # bound per round
        assert until(lambda: ends.of(third))["exitCode"] == 0
        assert len(ends.seen) == 1

        with clients.running("hoards", HOARD.format(worker=first)):
            killed = until(lambda: ends.of(first))
        assert (killed["reason"], killed["exitCode"]) == ("OOMKilled", 137)
        until(lambda: has(2))

        clients.answer("burns", BURN.format(worker=second))
        time.sleep(2.5 * SAMPLE_SECONDS)  # until both the kubelet and the center have looked
        center.call("POST", f"/v1/requests/{request}/cancel", token=token)
        center.wait(token, request, lambda seen: bool(seen["state"] == "ended"))
        until(lambda: len(ends.seen) == 5)
    told = causes(center, token, request)
    assert told[first][1].startswith(f"its memory limit of {256 * MIB} bytes was exceeded")
    assert told == {
        f"h-{request}-0-1": ("stopped", ""),
        first: ("memory", told[first][1]),
        f"h-{request}-1-2": ("stopped", ""),
        second: ("stopped", ""),
        third: ("exited", ""),
    }
    assert charged(center, "core_milliseconds") == {uid: 350 * lived for uid, lived in ends.lived().items()}
    assert charged(center, "mib_seconds") == {uid: 256 * lived for uid, lived in ends.lived().items()}
    used = {one["name"]: one for one in center.call("GET", f"/v1/requests/{request}", token=token)["processes"]}
    assert 3000 <= used[second]["cpu_milliseconds"] <= 12_000, "three seconds of work, and Python's own start"
    assert 32 * MIB <= used[second]["peak_memory"] <= 256 * MIB
    for kind in ("pods", "configmaps", "secrets", "services"):
        until(lambda kind=kind: not started_plane.wire.get(f"/api/v1/{kind}?labelSelector=haidang/request")["items"])  # type: ignore[misc]  # bound per round


def causes(center: RealCenter, token: str, request: str) -> dict[str, tuple[str, str]]:
    """Return why each process ended, as its owner is told."""
    told = center.call("GET", f"/v1/requests/{request}/events?limit=100", token=token, Accept="application/json")
    ended = [one["details"] for one in told["items"] if one["kind"] == "process_ended"]
    return {one["process"]: (one["cause"], one.get("detail", "")) for one in ended}


def charged(center: RealCenter, unit: str) -> dict[str, int]:
    """Return the use that each pod was charged for, over the hours that it touched."""
    sums: Counter[str] = Counter()
    for entry in center.call("GET", "/v1/ledger?limit=100")["items"]:
        if entry["kind"] == "charge":
            sums[entry["key"].split(":")[1]] += entry["usage"][unit]
    return sums


def test_the_center_itself_serves_from_its_image(started_plane: ControlPlane, node: Node, namespace: str) -> None:
    node.load(images.SERVER)
    started_plane.wire.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": RESTRICTED}})
    pod = restricted_pod("center", images.SERVER.reference, {"data": {"emptyDir": {}}}, cpu="500m", memory="512Mi")
    pod["spec"]["containers"][0]["readinessProbe"] = {
        "httpGet": {"path": "/v1/health", "port": 8787},
        "periodSeconds": 1,
    }
    pods = f"/api/v1/namespaces/{namespace}/pods"
    started_plane.wire.create(pods, pod)

    def is_ready() -> bool:
        found = started_plane.wire.get(f"{pods}/center")["status"]
        assert found["phase"] != "Failed", started_plane.wire.text(f"{pods}/center/log")
        return ("Ready", "True") in [(one["type"], one["status"]) for one in found.get("conditions", ())]

    until(is_ready, seconds=60)
