"""The end of a center: everything that waits or runs is ended, settled and forgotten."""

from dataclasses import dataclass, replace

from operations.follower import Follower
from operations.ports import Ports
from operations.ports.office import Office
from operations.reconcile import reconcile_once
from operations.requests import cancel
from registry.ids import NodeId, Seconds
from scheduler.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """A process that has not ended, or not been billed; `node` is None if the books know it no more."""

    name: str
    node: NodeId | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What of a center is there: requests that have not ended, processes that are not settled, clusters' objects."""

    requests: int
    processes: tuple[Unsettled, ...]
    clusters: int

    def __bool__(self) -> bool:
        """Tell whether anything is left."""
        return bool(self.requests or self.processes or self.clusters)


def close_center(work: Office, *, now: Seconds) -> None:
    """Let the center make no places for its tenants any more, until it is started again."""
    center = work.facilities.center()
    if center is not None:
        work.facilities.put_center(replace(center, closed=now))


def close_once(ports: Ports[Office], follower: Follower, policy: Policy) -> Left:
    """Cancel whatever has not ended, reconcile once, and return what is left: safe to repeat, and beside other loops.

    Whatever is submitted meanwhile is cancelled at the next call.

    Raises:
        BackendUnavailableError: nothing could be observed.
    """
    ports.store.transact(close_center, now=ports.clock.now())
    for request in follower.catch_up().requests:
        ports.store.transact(cancel, request, now=ports.clock.now())
    reconcile_once(ports, policy)
    observed, nodes = ports.backend.observe(), ports.store.read(_nodes)
    return Left(
        requests=len(follower.catch_up().requests),
        processes=tuple(
            Unsettled(name=one.name, node=nodes.get(one.name), detail=one.detail) for one in observed.processes
        ),
        clusters=len(observed.remains),
    )


def _nodes(work: Office) -> dict[str, NodeId]:
    return {slot.name: slot.node for cluster in work.clusters.live() for slot in cluster.processes}
