"""The place of one institution: a namespace whose walls hold whatever our own decisions say, as it is told Kubernetes.

These are second walls. What may run is decided by the center; here is what would stop it if the center were wrong.
"""

from dataclasses import replace
from typing import Final

from backends.kube.calls import Json
from backends.kube.manifests import Site, amounts
from backends.kube.naming import CENTER, COMM_PORT, HEAD, INSTITUTION, REQUEST, ROLE, STATE_PORT, namespace_of
from operations.ports.grounds import Tenant
from registry.ids import InstitutionId

NAME: Final = "haidang"
CLIENT: Final = "haidang/client"
"""The label of pods in an institution's namespace that may speak to its Dask schedulers: notebooks, for example."""
EVERY_POD: Final = 2**31 - 1
_DNS: Final = 53
_API: Final = 8787
"""Where the center's own pods answer people; that a head's state has the same number means nothing."""
_NET: Final = "networking.k8s.io/v1"


def place(site: Site, tenant: Tenant) -> tuple[Json, ...]:
    """Return everything of an institution's place, the namespace first."""
    return (
        _namespace(site, tenant.institution),
        _quota(site, tenant),
        _limits(site, tenant.institution),
        _nobody_evicts(site, tenant.institution),
        *_paths(site, tenant.institution),
    )


def _namespace(site: Site, institution: InstitutionId) -> Json:
    metadata = _metadata(site, institution, namespace_of(institution))
    del metadata["namespace"]
    metadata["labels"] |= {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _quota(site: Site, tenant: Tenant) -> Json:
    """Return the most that the institution may hold over all pools; of devices it has none, nothing may be asked.

    A quota may also be of a model that the site does not have, or has no more: nobody can be given one of those.
    """
    known = tuple((model, count) for model, count in tenant.ceiling.gpus if model in site.devices)
    ceiling = amounts(site, replace(tenant.ceiling, gpus=known))
    devices = {device.resource: "0" for device in site.devices.values()} | {
        name: count for name, count in ceiling.items() if name not in ("cpu", "memory")
    }
    hard = {f"{kind}.{name}": ceiling[name] for kind in ("requests", "limits") for name in ("cpu", "memory")}
    hard |= {f"requests.{name}": count for name, count in devices.items()}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": _metadata(site, tenant.institution, NAME),
        "spec": {"hard": hard},
    }


def _limits(site: Site, institution: InstitutionId) -> Json:
    """Return what a container has that says nothing: next to nothing, so that nothing escapes the quota."""
    least = {"cpu": "10m", "memory": "32Mi"}
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": _metadata(site, institution, NAME),
        "spec": {"limits": [{"type": "Container", "default": least, "defaultRequest": least}]},
    }


def _nobody_evicts(site: Site, institution: InstitutionId) -> Json:
    """Return what makes evictions wait: a cordoned node is drained by the center, which moves data and then deletes."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(site, institution, NAME),
        "spec": {"minAvailable": EVERY_POD, "selector": {"matchLabels": {CENTER: site.center}}},
    }


def _paths(site: Site, institution: InstitutionId) -> tuple[Json, ...]:
    """Return who may speak to whom: nobody, but one cluster's processes, its clients, the center and the name server.

    Policies cannot say "of the same cluster": that a worker reaches another cluster's head leads nowhere, because
    every port demands a certificate of its own cluster.
    """
    both = ["Ingress", "Egress"]
    among = [{"podSelector": {"matchExpressions": [{"key": REQUEST, "operator": "Exists"}]}}]
    within = {"ingress": [{"from": among}], "egress": [{"to": among}, _names()]}
    policies: dict[str, Json] = {
        "nobody": {"podSelector": {}, "policyTypes": both},
        "clusters": {"podSelector": {"matchLabels": {CENTER: site.center}}, "policyTypes": both, **within},
        "heads": _to_heads(site),
        "clients": _from_clients(site),
    }
    return tuple(_policy(site, institution, name, spec) for name, spec in policies.items())


def _to_heads(site: Site) -> Json:
    clients = [{"podSelector": {"matchLabels": {CLIENT: "true"}}}]
    from_center = [{"from": [one], "ports": _ports(COMM_PORT, STATE_PORT)} for one in _center(site)]
    return {
        "podSelector": _heads(site),
        "policyTypes": ["Ingress"],
        "ingress": [{"from": clients, "ports": _ports(COMM_PORT)}, *from_center],
    }


def _from_clients(site: Site) -> Json:
    """Return where clients get to: to heads, which let them in, and to the center, whom they ask for clusters."""
    to_center = [{"to": [one], "ports": _ports(_API)} for one in _center(site)]
    return {
        "podSelector": {"matchLabels": {CLIENT: "true"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": _heads(site)}], "ports": _ports(COMM_PORT)}, *to_center, _names()],
    }


def _heads(site: Site) -> Json:
    return {"matchLabels": {CENTER: site.center, ROLE: HEAD}}


def _center(site: Site) -> list[Json]:
    """Return the center's own pods as a peer, if they are in this cluster."""
    home = {"kubernetes.io/metadata.name": site.namespace}
    return [{"namespaceSelector": {"matchLabels": home}, "podSelector": {}}] if site.namespace else []


def _names() -> Json:
    """Return the way to the name server, which each cluster has somewhere else."""
    return {"ports": [{"protocol": protocol, "port": _DNS} for protocol in ("UDP", "TCP")]}


def _ports(*numbers: int) -> list[Json]:
    return [{"protocol": "TCP", "port": number} for number in numbers]


def _policy(site: Site, institution: InstitutionId, name: str, spec: Json) -> Json:
    metadata = _metadata(site, institution, f"{NAME}-{name}")
    return {"apiVersion": _NET, "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _metadata(site: Site, institution: InstitutionId, name: str) -> Json:
    labels = {CENTER: site.center, INSTITUTION: institution}
    return {"name": name, "namespace": namespace_of(institution), "labels": labels}
