"""How soon a cluster answers on a real kubelet, beside the same pods that somebody makes with kubectl."""

import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from backends.kube.naming import head_address, namespace_of
from benchmarks import by_hand, kube
from benchmarks.figures import SPREAD_HEAD, Measured, spread
from operations.ports.backend import Credentials
from registry.resources import Resources
from scheduler.steps import StartProcesses
from tests.centers import a_center
from tests.kubernetes import control_plane, images, node
from tests.kubernetes.clients import ClientPods
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.wire import Json

RUNS: Final = 7
WORKERS: Final = 2
SHAPE: Final = Resources(millicores=350, memory=kube.GIB // 4)
OURS: Final = {"millicores": SHAPE.millicores, "memory": SHAPE.memory}
ANSWER: Final = f"""
client.wait_for_workers({WORKERS}, timeout=60)
print(json.dumps(client.submit(sum, range(1000)).result()))
"""


def measure() -> Measured:
    """Take turns: a cluster by the center, then one by hand; each until a client's pod has a result of it."""
    kube.enter("kube-start")
    if lacking := node.missing():
        raise kube.NoKubernetesError(f"{lacking} here: make test-kubernetes makes them")
    with _real_center() as center:
        pairs = [(_by_center(center, run), _by_hand(center, run)) for run in range(RUNS + 1)][1:]
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ratios = sorted(mine / other for mine, other in pairs)
    rows = (SPREAD_HEAD, spread("Haidang", ours), spread("kubectl apply", theirs, ours))
    return Measured(value=ratios[len(ratios) // 2], table=rows)


@contextmanager
def _real_center() -> Iterator[kube.KubeCenter]:
    folder = Path(tempfile.mkdtemp(prefix="haidang-benchmark-"))
    try:
        for name in ("plane", "node"):
            (folder / name).mkdir()
        labels = {"haidang/pool": "main"}
        with (
            control_plane.control_plane(folder / "plane") as plane,
            node.real_node(plane, folder / "node", labels),
            a_center(folder, None, "--site", str(kube.site(folder, plane, images.DASK.reference))) as center,
        ):
            yield kube.KubeCenter(plane=plane, kubelets=None, center=center, token=kube.found(center, plane, 1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _by_center(center: kube.KubeCenter, run: int) -> float:
    began = time.monotonic()
    request = center.submit(WORKERS, worker=OURS, head=OURS)
    center.wait(request, lambda seen: bool(seen["phase"] == "running"))
    connection = center.center.call("GET", f"/v1/clusters/{request}/connection", token=center.token)
    _answer(center.plane, f"ours-{run}", connection)
    seconds = time.monotonic() - began
    center.cancel(request)
    kube.until(lambda: not center.pods())
    return seconds


def _by_hand(center: kube.KubeCenter, run: int) -> float:
    """Make the objects of a cluster in one `kubectl apply`; what they are made of is there before."""
    plane, step = center.plane, by_hand.a_start(WORKERS, SHAPE, itertools.repeat(node.NAME))
    papers = by_hand.papers_of(step.request)
    given = "\n---\n".join(map(json.dumps, _objects(step, papers)))
    began = time.monotonic()
    plane.kubectl("apply", "--filename=-", given=given)
    pods = f"{by_hand.NAMESPACE}/pods?labelSelector={kube.OURS}={step.request}"
    kube.until(lambda: sum(map(_is_ready, plane.wire.get(pods)["items"])) == WORKERS + 1)
    owner = papers.leaves["owner"]
    connection = {
        "address": head_address(by_hand.INSTITUTION, step.request),
        "authority": papers.authority,
        "certificate": owner.certificate,
        "key": owner.key,
    }
    _answer(plane, f"theirs-{run}", connection)
    seconds = time.monotonic() - began
    plane.kubectl("delete", "--filename=-", "--grace-period=0", "--force", given=given)
    kube.until(lambda: not plane.wire.get(pods)["items"])
    return seconds


def _answer(plane: ControlPlane, name: str, connection: Json) -> None:
    clients = ClientPods(plane.wire, namespace_of(by_hand.INSTITUTION), images.DASK.reference, connection, papers=name)
    assert clients.answer(name, ANSWER) == sum(range(1000))


def _objects(step: StartProcesses, papers: Credentials) -> list[Json]:
    """Return what the center would make, without gates, and without an owner: nobody comes back to them."""
    nobody: Json = {"metadata": {"name": "nobody", "uid": "nobody"}}
    made = by_hand.furniture(by_hand.a_site(images.DASK.reference), step, nobody, papers)
    for one in made:
        del one["metadata"]["ownerReferences"]
        if one["kind"] == "Pod":
            del one["spec"]["schedulingGates"]
    return made


def _is_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions", ())
    return ("Ready", "True") in [(one["type"], one["status"]) for one in conditions]
