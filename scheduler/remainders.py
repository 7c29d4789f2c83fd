"""What may still run on nodes at a moment to come, when they are to be somebody else's."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from registry.centers import Node, NodeState
from registry.ids import NodeId, PoolId, RequestId, Seconds
from scheduler.clusters import Cluster
from scheduler.leaving import releases_at
from scheduler.policy import Policy
from scheduler.reasons import BookedWorkRuns, TooFewNodesFree

_USABLE: Final = frozenset({NodeState.READY, NodeState.PRESSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """What may still run on a node at a moment: which clusters, and when the last of them is gone at the latest."""

    clusters: frozenset[RequestId]
    gone: Seconds


def remainders(
    clusters: Iterable[Cluster], begins: Seconds, policy: Policy, now: Seconds
) -> dict[NodeId, Remainder]:  # fmt: skip
    """Return what may still run at `begins`, on each node that has any such work."""
    found: dict[NodeId, dict[RequestId, Seconds]] = defaultdict(dict)
    for cluster in clusters:
        gone = releases_at(cluster, policy, now)
        if gone > begins:
            for process in cluster.processes:
                found[process.node][cluster.request.id] = gone
    return {node: Remainder(clusters=frozenset(gone), gone=max(gone.values())) for node, gone in found.items()}


def choose_nodes(
    pool: PoolId, nodes: Iterable[Node], count: int, taken: Collection[NodeId], remains: Mapping[NodeId, Remainder]
) -> tuple[NodeId, ...] | TooFewNodesFree:
    """Return so many of a pool's nodes that take work and that no other booking has, those soonest empty first.

    Of nodes that are empty at the same moment those with fewer clusters come first, and then those with the first ids.
    """
    free = [node.id for node in nodes if node.state in _USABLE and node.id not in taken]
    if len(free) < count:
        return TooFewNodesFree(pool=pool, asked=count, free=len(free))
    return tuple(sorted(sorted(free, key=lambda node: (*_burden(remains.get(node)), node))[:count]))


def in_the_way(nodes: Iterable[NodeId], remains: Mapping[NodeId, Remainder]) -> BookedWorkRuns | None:
    """Return what still runs on nodes when they are to be empty, and when they will be; nothing if they are."""
    there = [remains[node] for node in nodes if node in remains]
    if not there:
        return None
    clusters = frozenset[RequestId]().union(*(one.clusters for one in there))
    return BookedWorkRuns(clusters=len(clusters), earliest=max(one.gone for one in there))


def _burden(remainder: Remainder | None) -> tuple[int, int]:
    return (0, 0) if remainder is None else (remainder.gone, len(remainder.clusters))
