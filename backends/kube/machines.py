"""The nodes of a Kubernetes cluster as machines of the center: their pool, what is left there, and if they are well."""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from kubernetes.utils.quantity import parse_quantity

from backends.kube.calls import Json
from backends.kube.losses import is_ready
from backends.kube.manifests import Site
from operations.ports.grounds import Machine
from registry.centers import NodeState, Tier
from registry.ids import SLUG_PATTERN, NodeId, PoolId
from registry.resources import MILLI, NOTHING, GpuModel, Resources, total

POOL: Final = "haidang/pool"
TIER: Final = "haidang/tier"
_FINISHED: Final = frozenset({"Succeeded", "Failed"})
_KEEPS_AWAY: Final = frozenset({"NoSchedule", "NoExecute"})
_NOT_WELL: Final = frozenset({"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})
"""Taints of nodes that are not well, which is told by their condition."""
_SHORT: Final = frozenset(
    f"node.kubernetes.io/{lack}" for lack in ("disk-pressure", "memory-pressure", "pid-pressure", "network-unavailable")
)
"""Taints that come and go with what runs on a node: whoever fills a disk there must not send all others away."""
Models = Mapping[GpuModel, str]
"""The resource that one GPU is, for each model that a node has."""


def flaw(node: Json) -> str | None:
    """Return what of a node's labels cannot be meant, if anything."""
    labels = node["metadata"].get("labels", {})
    pool, tier = labels.get(POOL), labels.get(TIER, Tier.CLOUD)
    if pool and not re.fullmatch(SLUG_PATTERN, pool):
        return f"{POOL} is {pool}, which is no name of a pool"
    if pool and tier not in frozenset(Tier):
        return f"{TIER} is {tier}, and not one of {', '.join(Tier)}"
    return None


def machines(site: Site, nodes: Iterable[Json], others: Iterable[Json]) -> tuple[Machine, ...]:
    """Return the nodes that carry the label of a pool, each with what the pods of others leave of it.

    One whose labels have a flaw is left out: nobody knows where it belongs.
    """
    held: dict[str, list[Json]] = {}
    for pod in others:
        if (node := pod["spec"].get("nodeName")) and pod.get("status", {}).get("phase") not in _FINISHED:
            held.setdefault(node, []).append(pod)
    ours = (node for node in nodes if node["metadata"].get("labels", {}).get(POOL) and flaw(node) is None)
    return tuple(_machine(site, node, held.get(node["metadata"]["name"], [])) for node in ours)


def what_holds_room(pod: Json) -> Json:
    """Return of a pod what is asked of it here: there may be ten thousand of others, and each is large."""
    metadata, spec = pod["metadata"], pod["spec"]
    return {
        "metadata": {name: metadata[name] for name in ("uid", "resourceVersion")},
        "spec": {
            "nodeName": spec.get("nodeName"),
            "containers": [_sized(one) for one in spec["containers"]],
            "initContainers": [_sized(one) for one in spec.get("initContainers", ())],
            "overhead": spec.get("overhead", {}),
        },
        "status": {"phase": pod.get("status", {}).get("phase")},
    }


def _sized(container: Json) -> Json:
    requests = container.get("resources", {}).get("requests", {})
    return {"restartPolicy": container.get("restartPolicy"), "resources": {"requests": requests}}


def _machine(site: Site, node: Json, held: Sequence[Json]) -> Machine:
    labels, allocatable = node["metadata"]["labels"], node.get("status", {}).get("allocatable", {})
    models = _models(site, labels)
    left = _resources(models, allocatable) - total(_requests(models, pod) for pod in held)
    return Machine(
        id=NodeId(node["metadata"]["name"]),
        pool=PoolId(labels[POOL]),
        tier=Tier(labels.get(TIER, Tier.CLOUD)),
        capacity=left.most(NOTHING),
        state=_state(node),
        places=max(0, _whole(allocatable.get("pods", "0")) - len(held)),
    )


def _state(node: Json) -> NodeState:
    if not is_ready(node):
        return NodeState.LOST
    taints = {taint["key"] for taint in node["spec"].get("taints", ()) if taint["effect"] in _KEEPS_AWAY} - _NOT_WELL
    if node["spec"].get("unschedulable") or taints - _SHORT:
        return NodeState.DRAINING
    return NodeState.PRESSED if taints else NodeState.READY


def _models(site: Site, labels: Mapping[str, str]) -> Models:
    """Return the models that a node has: kubelets count devices, and only labels say which devices those are."""
    return {model: device.resource for model, device in site.devices.items() if device.labels.items() <= labels.items()}


def _requests(models: Models, pod: Json) -> Resources:
    """Return what a pod holds: all that stays at once, or the most that is needed while it comes to that.

    It is begun in order. A sidecar stays from its turn on; what is no sidecar ends before the next begins.
    """
    spec = pod["spec"]
    sidecars = before = NOTHING
    for one in spec.get("initContainers", ()):
        if one.get("restartPolicy") == "Always":
            sidecars += _asked(models, one)
        else:
            before = before.most(sidecars + _asked(models, one))
    together = sidecars + total(_asked(models, one) for one in spec["containers"])
    return together.most(before) + _resources(models, spec.get("overhead", {}))


def _asked(models: Models, container: Json) -> Resources:
    return _resources(models, container.get("resources", {}).get("requests", {}))


def _resources(models: Models, quantities: Mapping[str, str]) -> Resources:
    """Return quantities as a vector, rounded down; what the center does not count is left out."""
    gpus = [(model, _whole(quantities.get(name, "0"))) for model, name in models.items()]
    return Resources(
        millicores=_whole(quantities.get("cpu", "0"), MILLI),
        memory=_whole(quantities.get("memory", "0")),
        gpus=tuple(sorted((model, count) for model, count in gpus if count)),
    )


def _whole(quantity: str, scale: int = 1) -> int:
    return int(Decimal(parse_quantity(quantity)) * scale)
