"""What our objects are called in Kubernetes, and the labels by which they are found again."""

from hashlib import sha256
from typing import Final

from registry.ids import CenterId, InstitutionId, RequestId
from scheduler.clusters import HEAD_ORDINAL

CENTER: Final = "haidang/center"
INSTITUTION: Final = "haidang/institution"
REQUEST: Final = "haidang/request"
ORDINAL: Final = "haidang/ordinal"
INCARNATION: Final = "haidang/incarnation"
ROLE: Final = "haidang/role"

SETTLED: Final = "haidang/settled"
"""The finalizer of whatever is billed: it goes when the bill is written, and with it the pod."""
GANG: Final = "haidang/gang"
"""The scheduling gate that holds each pod until all of its gang exist."""

HEAD: Final = "head"
WORKER: Final = "worker"
FIRST_UID: Final = 2**20
"""Beyond the uids that machines, images and the center's own pods have."""
UIDS: Final = 2**30
COMM_PORT: Final = 8786
STATE_PORT: Final = 8787


def namespace_of(institution: InstitutionId) -> str:
    """Return the namespace of an institution."""
    return f"haidang-{institution}"


def uid_of(institution: InstitutionId) -> int:
    """Return the uid of an institution's processes: what kernels bound by uid, no other institution uses up."""
    return FIRST_UID + int.from_bytes(sha256(institution.encode()).digest()[:4]) % UIDS


def cluster_name(request: RequestId) -> str:
    """Return the name of a cluster's anchor, and of its Service."""
    return f"h-{request}"


def papers_name(request: RequestId, role: str) -> str:
    """Return the name of the Secret that a role's pods mount."""
    return f"h-{request}-{role}"


def role_of(ordinal: int) -> str:
    """Return what a process is to its cluster."""
    return HEAD if ordinal == HEAD_ORDINAL else WORKER


def head_address(institution: InstitutionId, request: RequestId) -> str:
    """Return where a cluster's Dask scheduler answers, for everybody inside the Kubernetes cluster."""
    return f"tls://{cluster_name(request)}.{namespace_of(institution)}.svc:{COMM_PORT}"


def ours(center: CenterId) -> str:
    """Return the selector of everything that belongs to a cluster of a center."""
    return f"{CENTER}={center},{REQUEST}"
