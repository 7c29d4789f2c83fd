"""Workers on nodes that are to be emptied leave them, once what they do can go on elsewhere."""

from collections.abc import Collection, Iterator

import numpy as np

from registry.centers import Node, NodeState
from registry.ids import RequestId, Seconds
from scheduler import arrays as columns
from scheduler.clusters import Cluster, Process
from scheduler.plan import Retirement
from scheduler.snapshot import Snapshot


def evacuate(snapshot: Snapshot, busy: Collection[RequestId], now: Seconds) -> Iterator[Retirement]:
    """Retire the workers on draining nodes of each cluster that has others to take over their data and their tasks.

    `busy` are the clusters that get workers in this cycle, or give some back: those are waited for, until the new ones
    are ready, and then all leave at once. A head cannot move, nor can a worker that is its cluster's only one while
    there is no room for another: they stay until their cluster ends, as jobs do on a node that is drained.
    """
    for cluster in uprooted(snapshot):
        request = cluster.request
        if request.ending is not None or request.id in busy or cluster.awaited:
            continue
        leaving = [worker for worker in cluster.workers if worker.wanted and is_emptied(snapshot, worker)]
        others = [worker for worker in staying(snapshot, cluster) if worker.wanted]
        if leaving and others and all(worker.ready for worker in others):
            stop_by = Seconds(now + snapshot.policy.evacuation_notice_seconds)
            yield Retirement(request=request, processes=tuple(leaving), stop_by=stop_by)


def uprooted(snapshot: Snapshot) -> tuple[Cluster, ...]:
    """Return the clusters that have any process on a node that is to be emptied, by id."""
    arrays, found = snapshot.arrays, set[RequestId]()
    for pool, ground in arrays.grounds.items():
        if ground.any_emptied:
            cells = arrays.processes.cells
            here = (cells[:, columns.ALIVE] == 1) & (cells[:, columns.POOL] == arrays.names.pools.of(pool))
            there = np.flatnonzero(here & (cells[:, columns.NODE] >= 0))
            there = there[ground.emptied[cells[there, columns.NODE]]]
            found |= {arrays.processes.key(int(row))[0] for row in there}
    return tuple(snapshot.cluster(snapshot.requests[request]) for request in sorted(found))


def staying(snapshot: Snapshot, cluster: Cluster) -> tuple[Process, ...]:
    """Return the workers of a cluster whose nodes are not to be emptied."""
    return tuple(worker for worker in cluster.workers if not is_emptied(snapshot, worker))


def is_emptied(snapshot: Snapshot, worker: Process) -> bool:
    """Tell whether a worker's node takes no new work, so that it can be empty one day."""
    node: Node | None = snapshot.nodes.get(worker.node)
    return node is not None and node.state is NodeState.DRAINING
