"""Workers on nodes that are to be emptied leave them, once what they do can go on elsewhere."""

from collections.abc import Collection, Iterator

from registry.centers import Node, NodeState
from registry.ids import RequestId, Seconds
from scheduler.clusters import Cluster, Process
from scheduler.plan import Retirement
from scheduler.snapshot import Snapshot


def evacuate(snapshot: Snapshot, growing: Collection[RequestId], now: Seconds) -> Iterator[Retirement]:
    """Retire the workers on draining nodes of each cluster that has others to take over their data and their tasks.

    `growing` are the clusters that get workers in this cycle: those are waited for until they are ready, and then all
    leave at once. A head cannot move, nor can a worker that is its cluster's only one while there is no room for
    another: they stay until their cluster ends, as jobs do on a node that is drained.
    """
    for cluster in snapshot.clusters():
        request = cluster.request
        if request.ending is not None or request.id in growing or cluster.awaited:
            continue
        leaving = [worker for worker in cluster.workers if worker.wanted and is_emptied(snapshot, worker)]
        others = [worker for worker in staying(snapshot, cluster) if worker.wanted]
        if leaving and others and all(worker.ready for worker in others):
            stop_by = Seconds(now + snapshot.policy.evacuation_notice_seconds)
            yield Retirement(request=request, processes=tuple(leaving), stop_by=stop_by)


def staying(snapshot: Snapshot, cluster: Cluster) -> tuple[Process, ...]:
    """Return the workers of a cluster whose nodes are not to be emptied."""
    return tuple(worker for worker in cluster.workers if not is_emptied(snapshot, worker))


def is_emptied(snapshot: Snapshot, worker: Process) -> bool:
    """Tell whether a worker's node takes no new work, so that it can be empty one day."""
    node: Node | None = snapshot.nodes.get(worker.node)
    return node is not None and node.state is NodeState.DRAINING
