"""A Kubernetes cluster as the grounds of a center: its nodes are the machines, each institution has a namespace."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import structlog
from kubernetes.utils.quantity import parse_quantity

from backends.kube.calls import CallRefusedError, Calls, Json
from backends.kube.losses import NODES
from backends.kube.machines import flaw, machines, what_holds_room
from backends.kube.manifests import Site
from backends.kube.naming import CENTER, INSTITUTION, REQUEST
from backends.kube.places import place
from backends.kube.watching import Watched
from operations.ports.backend import BackendUnavailableError
from operations.ports.grounds import Machine, Tenant

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "Namespace": ("/api/v1", "namespaces"),
    "ResourceQuota": ("/api/v1", "resourcequotas"),
    "LimitRange": ("/api/v1", "limitranges"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
}
Key = tuple[str, str, str]

log = structlog.get_logger()


class KubeGrounds:
    """`Grounds` on Kubernetes. A second center in the same cluster has other labels, and neither sees the other's."""

    def __init__(self, calls: Calls, site: Site) -> None:
        changed = self._wake
        self._listeners: list[Callable[[], None]] = []
        self._calls = calls
        self._site = site
        self._flaws: dict[str, str] = {}
        self._nodes = Watched(calls, NODES, kind="Node", selector="", changed=changed)
        self._others = Watched(
            calls, "/api/v1/pods", kind="Pod", selector=f"!{REQUEST}", changed=changed, kept=what_holds_room
        )
        selector = f"{CENTER}={site.center},{INSTITUTION}"
        self._places = [
            Watched(calls, f"{group}/{plural}", kind=kind, selector=selector, changed=changed)
            for kind, (group, plural) in KINDS.items()
        ]

    def start(self) -> None:
        """Begin to follow."""
        for watched in (self._nodes, self._others, *self._places):
            watched.start()

    def close(self) -> None:
        """Follow no longer."""
        for watched in (self._nodes, self._others, *self._places):
            watched.close()

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever something may have changed."""
        self._listeners.append(wake)

    def _wake(self) -> None:
        for wake in self._listeners:
            wake()

    def machines(self) -> tuple[Machine, ...]:
        """Return the nodes that carry the label of a pool; one that is left out is told about once."""
        nodes = self._nodes.objects()
        flaws = {node["metadata"]["name"]: said for node in nodes if (said := flaw(node))}
        for name, said in flaws.items() - self._flaws.items():
            log.warning("a node is left out because of a label", node=name, label=said)
        self._flaws = flaws
        return machines(self._site, nodes, self._others.objects())

    def keep(self, tenants: Sequence[Tenant]) -> None:
        """Create what is missing and mend what differs, each place by itself."""
        found = {_key(one): one for watched in self._places for one in watched.objects()}
        failed: list[str] = []
        for tenant in tenants:
            try:
                for wanted in place(self._site, tenant):
                    self._keep_one(wanted, found.get(_key(wanted)))
            except CallRefusedError as error:
                log.warning(
                    "an institution's place could not be kept", institution=tenant.institution, error=str(error)
                )
                failed.append(f"{tenant.institution}: {error}")
        if failed:
            raise BackendUnavailableError("; ".join(failed))

    def clear(self) -> Iterator[str]:
        """Remove every institution's place that nobody else uses; yield what had to be left, and why."""
        for watched in self._places:
            for found in watched.objects():
                if found["kind"] == "Namespace":
                    yield from self._clear_one(found)

    def _clear_one(self, namespace: Json) -> Iterator[str]:
        path = _path(namespace)
        strangers, _ = self._calls.items(f"{path}/pods", selector=f"!{REQUEST}")
        claims, _ = self._calls.items(f"{path}/persistentvolumeclaims")
        if others := [*strangers, *claims]:
            names = ", ".join(one["metadata"]["name"] for one in others[:3])
            yield f"namespace {namespace['metadata']['name']}: {len(others)} of others are in it, as {names}"
        else:
            self._calls.delete(path, uid=namespace["metadata"]["uid"])

    def _keep_one(self, wanted: Json, found: Json | None) -> None:
        if found is None:
            self._calls.create(_collection(wanted), wanted)
        elif not agrees(wanted, found):
            self._calls.merge(_path(wanted), wanted)


def agrees(wanted: Any, found: Any) -> bool:  # noqa: ANN401 - any part of an object of the API
    """Tell whether what is there says all that is wanted, whatever else it says; `2` and `2000m` are the same."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(agrees(part, found.get(name)) for name, part in wanted.items())
    if isinstance(wanted, list):
        alike = isinstance(found, list) and len(wanted) == len(found)
        return alike and all(map(agrees, wanted, found))
    return bool(wanted == found) or _same_quantity(wanted, found)


def _same_quantity(wanted: Any, found: Any) -> bool:  # noqa: ANN401
    try:
        return isinstance(wanted, str) and isinstance(found, str) and parse_quantity(wanted) == parse_quantity(found)
    except ValueError:
        return False


def _collection(item: Json) -> str:
    group, plural = KINDS[item["kind"]]
    namespace = item["metadata"].get("namespace")
    return f"{group}/namespaces/{namespace}/{plural}" if namespace else f"{group}/{plural}"


def _path(item: Json) -> str:
    return f"{_collection(item)}/{item['metadata']['name']}"


def _key(item: Json) -> Key:
    metadata = item["metadata"]
    return (item["kind"], metadata.get("namespace", ""), metadata["name"])
