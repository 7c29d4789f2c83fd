"""A real control plane for one benchmark, with simulated nodes and a center beside it, in a network of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from kubernetes.client import ApiClient
from urllib3.exceptions import HTTPError

from tests.centers import RealCenter, a_center
from tests.house import ROOT
from tests.kubernetes import control_plane
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.kubelets import Kubelets
from tests.kubernetes.wire import Json, lines

INSTITUTION: Final = "benchmarks"
PROJECT: Final = "benchmarks.project"
OURS: Final = "haidang/request"
NODES: Final = 40
CORES: Final = 16
GIB: Final = 2**30
SHAPE: Final = {"millicores": 500, "memory": GIB // 2}
_NETWORK: Final = "HAIDANG_KUBE"
_SITE: Final = """
kubeconfig = "{kubeconfig}"
pull = "Never"

[environments.default]
image = "{image}"
version = "1"
python = "3.11"
distributed = "2026.8.0"
"""


class NoKubernetesError(Exception):
    """There is no Kubernetes to measure on; the message says what would help."""


def enter(name: str) -> None:
    """Return where Kubernetes can be started: else run the benchmark once more there, in place of this process.

    Raises:
        NoKubernetesError: this is not root, or the programs are not there.
    """
    if _NETWORK in os.environ:
        if lacking := control_plane.missing():
            raise NoKubernetesError(f"{lacking} here: make kubernetes")
        return
    if os.geteuid() != 0:
        raise NoKubernetesError("Kubernetes needs root, for a network of its own: sudo python -m benchmarks ...")
    built = sorted(ROOT.glob(".tools/kubernetes/*/kube-apiserver"), key=lambda one: one.stat().st_mtime)
    if not built:
        raise NoKubernetesError("its programs are not built: make kubernetes")
    os.environ["PATH"] = f"{built[-1].parent}:{os.environ['PATH']}"
    sys.stdout.flush()
    run = str(ROOT / "tests" / "kubernetes" / "run.sh")
    os.execv(run, [run, sys.executable, "-m", "benchmarks", name])  # noqa: S606 - there is nothing a shell could do here


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeCenter:
    """A center on a cluster, whose nodes are simulated if it has `kubelets`; `token` may use all of it."""

    plane: ControlPlane
    kubelets: Kubelets | None
    center: RealCenter
    token: str

    def submit(self, workers: int, **changes: object) -> str:
        """Ask for a cluster; return the request's id."""
        asked = {"worker": SHAPE, "head": SHAPE, "workers": {"min": workers, "max": workers}, "class": "normal"}
        return self.center.submit(self.token, PROJECT, **(asked | {"walltime_seconds": 3600} | changes))

    def cancel(self, request: str) -> None:
        """End a cluster."""
        self.center.call("POST", f"/v1/requests/{request}/cancel", token=self.token)

    def wait(self, request: str, accept: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return a request once it is as wanted."""
        return self.center.wait(self.token, request, accept)

    def pods(self, request: str = "") -> list[Json]:
        """Return the pods of a cluster, or of all."""
        selector = f"{OURS}={request}" if request else OURS
        items: list[Json] = self.plane.wire.get(f"/api/v1/pods?labelSelector={selector}")["items"]
        return items


@contextmanager
def a_kube_center(image: str = "images.example/dask:1") -> Iterator[KubeCenter]:
    """Start a control plane, nodes and a center whose calls are counted, and leave nothing of them behind.

    No head answers: to let each compute for itself is what nodes are for, and these have no machine.
    """
    folder = Path(tempfile.mkdtemp(prefix="haidang-benchmark-"))
    try:
        (folder / "plane").mkdir()
        with (
            control_plane.control_plane(folder / "plane") as plane,
            plane.api() as api,
            _nodes(plane, api) as kubelets,
            a_center(folder, None, "--site", str(site(folder, plane, image))) as center,
        ):
            yield KubeCenter(plane=plane, kubelets=kubelets, center=center, token=found(center, plane, NODES))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def found(center: RealCenter, plane: ControlPlane, nodes: int) -> str:
    """Admit one institution that may use everything, also as its namespace says; return its researcher's token."""
    until(lambda: len(center.call("GET", "/v1/nodes")["items"]) == nodes)
    token = center.admit(*PROJECT.split("."))
    offered = [one["capacity"] for one in center.call("GET", "/v1/nodes")["items"]]
    whole = {amount: sum(one[amount] for one in offered) for amount in ("millicores", "memory")}
    for share in (INSTITUTION, PROJECT):
        path = f"/v1/shares/{share}/main"
        version = center.call("GET", path)["version"]
        quota = {"nominal": {"millicores": 0, "memory": 0}, "borrowing": whole}
        center.call("PUT", path, quota, **{"If-Match": f'"{version}"'})
    quotas, cpu = f"/api/v1/namespaces/haidang-{INSTITUTION}/resourcequotas", _cpu(whole["millicores"])
    until(lambda: [one["status"].get("hard", {}).get("limits.cpu") for one in _items(plane, quotas)] == [cpu])
    return token


def _items(plane: ControlPlane, path: str) -> list[Json]:
    items: list[Json] = plane.wire.get(path)["items"]
    return items


def _cpu(millicores: int) -> str:
    """Return cores as Kubernetes writes them."""
    return f"{millicores}m" if millicores % 1000 else f"{millicores // 1000}"


def until(look: Callable[[], object], patience_seconds: float = 120.0) -> None:
    """Return when it is so.

    Raises:
        TimeoutError: it has not become so.
    """
    patience = time.monotonic() + patience_seconds
    while not look():
        if time.monotonic() > patience:
            raise TimeoutError("it takes too long")
        time.sleep(0.02)


class Bound:
    """When each pod of ours was bound to its node, as the API server tells it."""

    def __init__(self, plane: ControlPlane, selector: str = OURS) -> None:
        pods = f"/api/v1/pods?labelSelector={selector}"
        version = plane.wire.get(pods)["metadata"]["resourceVersion"]
        self._stream = plane.wire.watch(f"{pods}&watch=1&resourceVersion={version}")
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.at: dict[str, float] = {}
        self.names: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self._stream.shutdown()
        self._thread.join()

    def _follow(self) -> None:
        with suppress(HTTPError, ValueError, OSError), self._stream as stream:
            for change in lines(stream):
                pod, now = change["object"], time.monotonic()
                if pod["spec"].get("nodeName"):
                    self.at.setdefault(pod["metadata"]["uid"], now)
                    self.names[pod["metadata"]["uid"]] = pod["metadata"]["name"]


@contextmanager
def _nodes(plane: ControlPlane, api: ApiClient) -> Iterator[Kubelets]:
    kubelets = Kubelets(api)
    try:
        for number in range(NODES):
            kubelets.add(f"n{number}", CORES, 4 * CORES * GIB, {"haidang/pool": "main", "haidang/tier": "hpc"})
        yield kubelets
    finally:
        kubelets.close()
        assert plane.folder.exists()


def site(folder: Path, plane: ControlPlane, image: str) -> Path:
    """Write the file about the cluster that a center reads, for an account whose calls are counted."""
    file = folder / "site.toml"
    file.write_text(_SITE.format(kubeconfig=plane.counted(), image=image))
    return file
