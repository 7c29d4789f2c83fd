"""Where a center's clusters run, this machine or a Kubernetes cluster, and what of the center depends on that."""

import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from backends.kube.backend import KubeBackend
from backends.kube.calls import Calls, Pace, client
from backends.kube.grounds import KubeGrounds
from backends.kube.lease import Lease
from backends.local.backend import LocalBackend
from backends.local.users import folders_of, why_not_separate
from operations.facilities import NodePlan
from operations.ports.backend import ClusterBackend
from operations.ports.grounds import Grounds
from registry.centers import Environment, Pool, Tier
from registry.ids import CenterId, NodeId, PoolId
from server.clock import SystemClock
from server.settings import Settings, own_environment
from server.site import SiteSettings

POOL: Final = PoolId("main")
NODE: Final = NodeId("local")
_STEPS_AT_ONCE: Final = 4
_CALLS_PER_SECOND: Final = 200.0
_CALLS_AT_ONCE: Final = 400
"""A gang of a hundred workers is two hundred calls and should start in a second or two. An API server that has too much
to do says so (429), and is heeded; this keeps a mistake of ours from being the reason."""


class RunningBackend(ClusterBackend, Protocol):
    """A cluster backend as a process begins and ends with it."""

    def prepare(self) -> None:
        """Begin what has to run beside."""
        ...

    def leave(self) -> None:
        """Let go of everything; clusters that run go on."""
        ...


class RunningGrounds(Grounds, Protocol):
    """Grounds as a process begins and ends with them."""

    def start(self) -> None:
        """Begin to follow what there is."""
        ...

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever something may have changed."""
        ...

    def clear(self) -> Iterator[str]:
        """Remove every tenant's place that nobody else uses; yield what had to be left, and why."""
        ...

    def close(self) -> None:
        """Follow no longer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a controller acts on a place with: `grounds` where that has machines of its own, a `lease` if it takes one.

    `steps_at_once` is more than one where to begin a step is mostly to wait for somebody else. The lease is made with
    what has to be done before this process begins to act.
    """

    backend: RunningBackend
    grounds: RunningGrounds | None = None
    steps_at_once: int = 1
    lease: Callable[[Callable[[], None]], Lease] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worksite:
    """A place for clusters. A center is founded with `pool` and `node`; None where the place keeps its own machines.

    `apart` says to people how far tenants are kept apart, `keeps_apart` whether that allows several institutions.
    `means` are asked for by who acts there: nobody else of the center has to reach it.
    """

    environments: tuple[Environment, ...]
    pool: Pool
    node: NodePlan | None
    apart: str
    keeps_apart: bool
    means: Callable[[], Means]


def worksite(settings: Settings, clock: SystemClock) -> Worksite:
    """Return the place that the settings name.

    Raises:
        SiteError: its file cannot be read, or says what it cannot mean.
    """
    if settings.site is None:
        return this_machine(settings)
    return on_kubernetes(settings, SiteSettings.read(settings.site), clock)


def this_machine(settings: Settings) -> Worksite:
    """Return the machine that this process runs on."""
    environment = own_environment()
    together = why_not_separate((*folders_of(Path(environment.path)), settings.public_scratch))

    def means() -> Means:
        backend = LocalBackend(
            data=settings.data / "local",
            scratch=settings.private_scratch if together else settings.public_scratch,
            environments={environment.id: Path(environment.path)},
            separate_uids=together is None,
            users=settings.users,
            cgroup=settings.cgroup,
        )
        return Means(backend=backend)

    return Worksite(
        means=means,
        environments=(environment,),
        pool=Pool(id=POOL, center=CenterId(settings.center), tier=Tier.HPC, name="This machine"),
        node=NodePlan(id=NODE, pool=POOL, capacity=settings.node_capacity),
        apart=_apart(together, trusted=settings.trust_everyone),
        keeps_apart=together is None or settings.trust_everyone,
    )


def on_kubernetes(settings: Settings, said: SiteSettings, clock: SystemClock) -> Worksite:
    """Return a Kubernetes cluster."""
    center = CenterId(settings.center)

    def means() -> Means:
        site, calls = said.site(center), calls_to(said.kubeconfig)
        return Means(
            backend=KubeBackend(calls, site, now=clock.now),
            grounds=KubeGrounds(calls, site),
            steps_at_once=_STEPS_AT_ONCE,
            lease=partial(_lease, calls, settings.lease) if settings.lease else None,
        )

    return Worksite(
        means=means,
        environments=said.records(),
        pool=Pool(id=POOL, center=center, tier=Tier.CLOUD, name="Main"),
        node=None,
        apart="each institution's pods run in a namespace of its own",
        keeps_apart=True,
    )


def calls_to(kubeconfig: Path | None) -> Calls:
    """Return calls to the cluster that a kubeconfig names, or to that of the pod this runs in.

    Raises:
        BackendUnavailableError: neither says where it is.
    """
    return Calls(client(kubeconfig), Pace(per_second=_CALLS_PER_SECOND, burst=_CALLS_AT_ONCE))


def _lease(calls: Calls, place: str, prepare: Callable[[], None]) -> Lease:
    namespace, name = place.split("/")
    identity = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    return Lease(calls, namespace=namespace, name=name, identity=identity, prepare=prepare)


def _apart(together: str | None, *, trusted: bool) -> str:
    if together is None:
        return "each project's processes run under a uid of their own"
    accepted = "they have to trust each other" if trusted else "one institution is accepted (--trust-everyone for more)"
    return f"{together}, so all processes run as this user: {accepted}"
