"""The place of one institution: a namespace whose walls hold whatever our own decisions say, as it is told Kubernetes.

These are second walls. What may run is decided by the center; here is what would stop it if the center were wrong.
"""

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
    """Return the most that the institution may hold over all pools; of devices it has none, nothing may be asked."""
    ceiling = amounts(site, tenant.ceiling)
    devices = dict.fromkeys(site.devices.values(), "0") | {
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
    ours = {"matchLabels": {CENTER: site.center}}
    heads = {"matchLabels": {CENTER: site.center, ROLE: HEAD}}
    clients = {"podSelector": {"matchLabels": {CLIENT: "true"}}}
    home = {"kubernetes.io/metadata.name": site.namespace}
    center = [{"namespaceSelector": {"matchLabels": home}, "podSelector": {}}] if site.namespace else []
    among = [{"podSelector": {"matchExpressions": [{"key": REQUEST, "operator": "Exists"}]}}]
    dns = [{"protocol": protocol, "port": _DNS} for protocol in ("UDP", "TCP")]
    comm, state = ({"protocol": "TCP", "port": port} for port in (COMM_PORT, STATE_PORT))
    return (
        _policy(site, institution, "nobody", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
        _policy(
            site,
            institution,
            "clusters",
            {
                "podSelector": ours,
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": among}],
                "egress": [{"to": among}, {"ports": dns}],
            },
        ),
        _policy(
            site,
            institution,
            "heads",
            {
                "podSelector": heads,
                "policyTypes": ["Ingress"],
                "ingress": [
                    {"from": [clients], "ports": [comm]},
                    *({"from": [one], "ports": [comm, state]} for one in center),
                ],
            },
        ),
    )


def _policy(site: Site, institution: InstitutionId, name: str, spec: Json) -> Json:
    metadata = _metadata(site, institution, f"{NAME}-{name}")
    return {"apiVersion": _NET, "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _metadata(site: Site, institution: InstitutionId, name: str) -> Json:
    labels = {CENTER: site.center, INSTITUTION: institution}
    return {"name": name, "namespace": namespace_of(institution), "labels": labels}
