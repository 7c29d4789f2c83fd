"""The objects of one cluster as Kubernetes is told them: pure, from one fixed template that no user can bend.

A user chooses amounts and an environment. Everything else of a pod is written here, and the admission policy of the
chart lets the center's account create nothing of another shape.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from backends.kube.calls import Json
from backends.kube.naming import (
    CENTER,
    COMM_PORT,
    GANG,
    HEAD,
    INCARNATION,
    INSTITUTION,
    ORDINAL,
    REQUEST,
    ROLE,
    SETTLED,
    STATE_PORT,
    cluster_name,
    head_address,
    namespace_of,
    papers_name,
    role_of,
    uid_of,
)
from operations.ports.backend import Credentials
from registry.ids import CenterId, EnvironmentId
from registry.resources import GIB, GpuModel, Resources
from scheduler.steps import NewProcess, StartProcesses

PAPERS: Final = "/papers"
SCRATCH: Final = "/scratch"
READY: Final = f"{SCRATCH}/.ready"
SCRATCH_BYTES: Final = 8 * GIB
GRACE_SECONDS: Final = 2
"""A process ends at once when it is told to; one that does not want to runs on at the center's expense."""
START_SECONDS: Final = 120
_ANY: Final[Json] = {"operator": "Exists", "effect": "NoExecute"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What one GPU of a model is: one of an extended resource, on the nodes that carry all of these labels."""

    resource: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What of the Kubernetes cluster has to be said by who installs the center there.

    `images` by environment, each with its digest; `devices` by model, of which no two are the same on any node;
    `priority_class` must not preempt; `pull` is the policy for images; `namespace` is where the center's own pods are,
    if they are in this cluster; `kubelet_authority` a file with the authority of kubelets' certificates, where it is
    not the API server's.
    """

    center: CenterId
    images: Mapping[EnvironmentId, str]
    devices: Mapping[GpuModel, Device] = field(default_factory=dict)
    priority_class: str | None = None
    pull: str = "IfNotPresent"
    namespace: str | None = None
    kubelet_authority: str | None = None


def anchor(site: Site, step: StartProcesses) -> Json:
    """Return what owns everything of a cluster: deleting it deletes all."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": cluster_name(step.request),
            "namespace": namespace_of(step.institution),
            "labels": _labels(site, step),
        },
    }


def secret(site: Site, step: StartProcesses, owner: Json, role: str, credentials: Credentials) -> Json:
    """Return what the pods of one role get to know, and the head alone the token of its door."""
    leaf = credentials.leaves[role]
    papers = {"authority.pem": credentials.authority, "leaf.pem": leaf.certificate + leaf.key}
    papers |= {"token": credentials.token} if role == HEAD else {}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": _owned(site, step, owner, papers_name(step.request, role)),
        "stringData": papers,
    }


def service(site: Site, step: StartProcesses, owner: Json) -> Json:
    """Return the name under which a cluster's workers and its owner find the Dask scheduler; it has no address."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _owned(site, step, owner, cluster_name(step.request)),
        "spec": {
            "clusterIP": "None",
            # The head answers before its probe has seen it: whoever waits for it should not wait for that, too.
            "publishNotReadyAddresses": True,
            "selector": {REQUEST: step.request, ROLE: HEAD},
            "ports": [{"name": "comm", "port": COMM_PORT}, {"name": "state", "port": STATE_PORT}],
        },
    }


def pod(site: Site, step: StartProcesses, process: NewProcess, owner: Json) -> Json:
    """Return one process of a cluster, held by the gate of its gang."""
    role = role_of(process.ordinal)
    metadata = _owned(site, step, owner, process.name)
    metadata["labels"] |= {
        ROLE: role,
        ORDINAL: str(process.ordinal),
        INCARNATION: str(process.incarnation),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "schedulingGates": [{"name": GANG}],
            "affinity": _exactly_on(process.node),
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            # A node that is lost or drained is the center's to deal with: nobody else ends what it bills.
            "tolerations": [{"key": f"node.kubernetes.io/{key}", **_ANY} for key in ("not-ready", "unreachable")],
            **({"priorityClassName": site.priority_class} if site.priority_class else {}),
            "securityContext": {
                "runAsNonRoot": True,
                **dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), uid_of(step.institution)),
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(site, step, process, role)],
            "volumes": [
                {"name": "papers", "secret": {"secretName": papers_name(step.request, role), "defaultMode": 0o440}},
                {"name": "scratch", "emptyDir": {"sizeLimit": str(SCRATCH_BYTES)}},
            ],
        },
    }


def begun() -> Json:
    """Return the change that lets a pod run: it may be scheduled and, from the same moment on, is kept for its bill."""
    return {"metadata": {"finalizers": [SETTLED]}, "spec": {"schedulingGates": []}}


def settled(uid: str) -> Json:
    """Return the change that lets a pod of exactly this life go."""
    return {"metadata": {"uid": uid, "finalizers": None}}


def amounts(site: Site, shape: Resources) -> Json:
    """Return a shape in Kubernetes' words, which may have one word for several models."""
    devices: Counter[str] = Counter()
    for model, count in shape.gpus:
        devices[site.devices[model].resource] += count
    return {"cpu": f"{shape.millicores}m", "memory": str(shape.memory)} | {
        resource: str(count) for resource, count in devices.items()
    }


def _container(site: Site, step: StartProcesses, process: NewProcess, role: str) -> Json:
    said = {
        "role": role,
        "name": process.name,
        "cores": str(max(1, -(-process.shape.millicores // 1000))),
        "memory": str(process.shape.memory),
        "head": head_address(step.institution, step.request),
    }
    needs = amounts(site, process.shape)
    return {
        "name": "dask",
        "image": site.images[step.environment],
        "imagePullPolicy": site.pull,
        "command": ["python", "-m", "haidang.inside.pod"],
        "args": [f"--{name}={value}" for name, value in said.items()],
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "resources": {"requests": needs, "limits": needs},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # Asked until it succeeds and never after: an idle cluster costs its node nothing.
        "startupProbe": {"exec": {"command": ["cat", READY]}, "periodSeconds": 1, "failureThreshold": START_SECONDS},
        "volumeMounts": [
            {"name": "papers", "mountPath": PAPERS, "readOnly": True},
            {"name": "scratch", "mountPath": SCRATCH},
        ],
    }


def _exactly_on(node: str) -> Json:
    """Return the affinity that lets kube-scheduler check our choice of a node and make no other."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


def _labels(site: Site, step: StartProcesses) -> Json:
    return {CENTER: site.center, INSTITUTION: step.institution, REQUEST: step.request}


def _owned(site: Site, step: StartProcesses, owner: Json, name: str) -> Json:
    return {
        "name": name,
        "namespace": namespace_of(step.institution),
        "labels": _labels(site, step),
        "ownerReferences": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }
