"""What pods really used, read at their kubelets: CPU seconds, and the largest memory of all samples.

A kubelet that is not reached, or does not say, leaves a pod unmeasured: that is told as such and never as nothing.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from kubernetes.client import ApiClient
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from backends.kube.calls import Json
from operations.ports.backend import BackendUnavailableError

SAMPLE_SECONDS: Final = 10.0
"""As often as a kubelet itself looks; it is one call for each node that runs pods of ours."""
ANSWER_SECONDS: Final = 5.0
LARGEST_ANSWER_BYTES: Final = 32 * 2**20
_NANOSECONDS: Final = 1_000_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a pod has used so far: CPU in milliseconds, and the largest working set that was seen, in bytes."""

    cpu_milliseconds: int
    peak_memory: int

    def and_then(self, later: "Measured") -> "Measured":
        """Return both in one: CPU only grows, and a kubelet that started anew may have forgotten some."""
        return Measured(
            cpu_milliseconds=max(self.cpu_milliseconds, later.cpu_milliseconds),
            peak_memory=max(self.peak_memory, later.peak_memory),
        )


class Kubelets:
    """The kubelets of a cluster, asked for `/stats/summary` with the account of an API client.

    Each has to show a certificate of the authority in `authority`: the account's token is told to nobody else.
    """

    def __init__(self, api: ApiClient, authority: str) -> None:
        self._api = api
        configuration = api.configuration
        self._pool = PoolManager(
            num_pools=100,
            ca_certs=authority,
            cert_reqs="CERT_REQUIRED",
            cert_file=configuration.cert_file,
            key_file=configuration.key_file,
            timeout=Timeout(connect=ANSWER_SECONDS, read=ANSWER_SECONDS),
            retries=False,
        )

    def summary(self, node: Json) -> Json | None:
        """Return what a node's kubelet knows of its pods; None if it does not say."""
        url = _address(node)
        if url is None:
            return None
        settings = self._api.configuration.auth_settings().get("BearerToken", {})
        headers = {"Authorization": settings["value"]} if settings.get("value") else {}
        try:
            answer = self._pool.request("GET", f"{url}/stats/summary", headers=headers, preload_content=False)
            try:
                body = answer.read(LARGEST_ANSWER_BYTES) if answer.status == 200 else b""  # noqa: PLR2004 - HTTP's
            finally:
                answer.close()
            found = json.loads(body)
        except (HTTPError, OSError, ValueError) as error:
            log.debug("a kubelet does not say what its pods use", node=node["metadata"]["name"], error=str(error))
            return None
        return found if isinstance(found, dict) else None


class Measuring:
    """Keeps what pods of ours have used, from one sample after another, in a thread of its own."""

    def __init__(
        self,
        summary: Callable[[Json], Json | None],
        *,
        nodes: Callable[[], Iterable[Json]],
        pods: Callable[[], Iterable[Json]],
    ) -> None:
        self._summary = summary
        self._nodes = nodes
        self._pods = pods
        self._known: dict[str, Measured] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="measuring", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def close(self) -> None:
        """Sample no more."""
        self._closing.set()

    def of(self, uid: str) -> Measured | None:
        """Return what a pod has used so far, if anybody has measured it."""
        return self._known.get(uid)

    def sample(self) -> None:
        """Ask the kubelet of each node on which pods of ours are; forget the pods that are gone."""
        on: dict[str, set[str]] = {}
        for pod in self._pods():
            on.setdefault(pod["spec"].get("nodeName", ""), set()).add(pod["metadata"]["uid"])
        known = {uid: self._known[uid] for uids in on.values() for uid in uids if uid in self._known}
        for node in self._nodes():
            if ours := on.get(node["metadata"]["name"]):
                said = self._summary(node)
                for uid, measured in measured_in(said or {}, ours).items():
                    known[uid] = known[uid].and_then(measured) if uid in known else measured
        self._known = known

    def _run(self) -> None:
        while not self._closing.wait(SAMPLE_SECONDS):
            try:
                self.sample()
            except BackendUnavailableError as error:
                log.warning("nothing is measured for a while", error=str(error))
            except Exception:
                log.exception("a sample failed")


def measured_in(summary: Json, uids: Iterable[str]) -> dict[str, Measured]:
    """Read a kubelet's Summary for some pods; what it does not say is absent.

    Its form is that of k8s.io/kubelet/pkg/apis/stats/v1alpha1.
    """
    wanted, found = set(uids), dict[str, Measured]()
    pods = summary.get("pods")
    for pod in pods if isinstance(pods, list) else ():
        try:
            uid = pod["podRef"]["uid"]
            cpu, memory = pod["cpu"]["usageCoreNanoSeconds"], pod["memory"]["workingSetBytes"]
        except (KeyError, TypeError):
            continue
        if uid in wanted and _is_count(cpu) and _is_count(memory):
            found[uid] = Measured(cpu_milliseconds=cpu // _NANOSECONDS, peak_memory=memory)
    return found


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _address(node: Mapping[str, Json]) -> str | None:
    """Return where a node's kubelet answers."""
    status = node.get("status", {})
    port = status.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port")
    found = [one["address"] for one in status.get("addresses", ()) if one.get("type") == "InternalIP"]
    if not port or not found:
        return None
    return f"https://[{found[0]}]:{port}" if ":" in found[0] else f"https://{found[0]}:{port}"
