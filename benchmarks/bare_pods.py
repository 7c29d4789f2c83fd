"""The bound for starting pods: the same pods, gated and let go, by calls of eight threads and nothing else."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from benchmarks import kube
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.wire import Json

_PODS: Final = "/api/v1/namespaces/default/pods"
_LABEL: Final = "bare-pods"
_GATE: Final = "haidang/gang"


def bare_seconds(plane: ControlPlane, pods: int, runs: int = 3) -> list[float]:
    """Return the seconds until so many pods are bound, for each of some runs."""
    return [_once(plane, pods, run) for run in range(runs)]


def _once(plane: ControlPlane, pods: int, run: int) -> float:
    names = [f"bare-{run}-{number}" for number in range(pods)]

    def let_go(name: str) -> None:
        plane.wire.patch(f"{_PODS}/{name}", {"spec": {"schedulingGates": [{"$patch": "delete", "name": _GATE}]}})

    with kube.Bound(plane, _LABEL) as bound, ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        list(pool.map(lambda name: plane.wire.create(_PODS, _pod(name)), names))
        list(pool.map(let_go, names))
        kube.until(lambda: len(bound.at) == pods)
        seconds = max(bound.at.values()) - began
        list(pool.map(lambda name: plane.wire.delete(f"{_PODS}/{name}", gracePeriodSeconds=0), names))
    kube.until(lambda: not plane.wire.get(f"/api/v1/pods?labelSelector={_LABEL}")["items"])
    return seconds


def _pod(name: str) -> Json:
    needs = {"cpu": "500m", "memory": "512Mi"}
    container = {"name": "bare", "image": "images.example/bare:1", "resources": {"requests": needs, "limits": needs}}
    return {
        "metadata": {"name": name, "labels": {_LABEL: "true"}},
        "spec": {"schedulingGates": [{"name": _GATE}], "containers": [container]},
    }
