"""Which nodes are lost, and when each was last heard of: where no kubelet is left to say how a pod ended."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from backends.kube.calls import CallRefusedError, Calls, Json
from backends.kube.reading import seconds
from backends.kube.watching import Watched
from registry.ids import Seconds

NODES: Final = "/api/v1/nodes"
LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LOST_SECONDS: Final = 60
"""A kubelet renews its Lease every ten seconds; one that was silent for so long keeps nobody waiting any more."""
LOOK_SECONDS: Final = 5.0


class Losses:
    """Follows the nodes, and asks for the Lease of one only while it is not well."""

    def __init__(self, calls: Calls, changed: Callable[[], None], *, now: Callable[[], Seconds]) -> None:
        self._calls = calls
        self._now = now
        self._nodes = Watched(calls, NODES, kind="Node", selector="", changed=changed)
        self._heard: dict[str, tuple[float, Seconds]] = {}

    def start(self) -> None:
        """Begin to follow."""
        self._nodes.start()

    def close(self) -> None:
        """Follow no longer."""
        self._nodes.close()

    def nodes(self) -> tuple[Json, ...]:
        """Return all nodes."""
        return self._nodes.objects()

    def among(self, names: Iterable[str | None]) -> dict[str, Seconds]:
        """Return those of some nodes that are lost, each with the moment at which it last renewed its Lease."""
        well = {node["metadata"]["name"] for node in self._nodes.objects() if is_ready(node)}
        unwell = {name for name in names if name is not None} - well
        heard = {name: self._last_heard(name) for name in unwell}
        return {name: at for name, at in heard.items() if self._now() - at >= LOST_SECONDS}

    def _last_heard(self, name: str) -> Seconds:
        looked, at = self._heard.get(name, (float("-inf"), self._now()))
        if time.monotonic() - looked >= LOOK_SECONDS:
            at = self._renewed(name) or at
            self._heard[name] = (time.monotonic(), at)
        return at

    def _renewed(self, name: str) -> Seconds | None:
        """Return when a node's Lease was renewed last; a node that was deleted took its Lease with it."""
        try:
            lease = self._calls.get(f"{LEASES}/{name}")
        except CallRefusedError as error:
            if not error.is_absent:
                raise
            return None
        return seconds(lease["spec"]["renewTime"])


def is_ready(node: Json) -> bool:
    """Tell whether a node's kubelet says that it is well, and was heard of lately."""
    conditions = node.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
