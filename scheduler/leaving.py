"""When what runs is gone at the latest."""

import numpy as np

from registry.axes import Ints
from registry.ids import PoolId, Seconds
from scheduler import arrays as columns
from scheduler.clusters import Cluster
from scheduler.policy import Policy
from scheduler.profile import Leaving
from scheduler.snapshot import Snapshot


def releases_at(cluster: Cluster, policy: Policy, now: Seconds) -> Seconds:
    """Return when a cluster is gone at the latest: its deadline and a slack for its processes to end.

    What is late already is expected at the next second. An elastic worker counts like the others: nobody takes it
    back before its cluster ends.
    """
    assert cluster.request.deadline is not None, cluster
    latest = now if cluster.request.ending else cluster.request.deadline
    return Seconds(max(latest + policy.termination_slack_seconds, now + 1))


def leaving_of(snapshot: Snapshot, pool: PoolId, now: Seconds) -> Leaving:
    """Return what runs in a pool in the order in which it leaves: `releases_at`, for all of it at once."""
    arrays = snapshot.arrays
    cells = arrays.processes.cells
    number = arrays.names.pools.of(pool)
    cells = cells[(cells[:, columns.ALIVE] == 1) & (cells[:, columns.POOL] == number)]
    latest = np.where(cells[:, columns.ENDING] == 1, now, cells[:, columns.DEADLINE])
    times = np.maximum(latest + snapshot.policy.termination_slack_seconds, now + 1)
    order = np.argsort(times, kind="stable")
    cells = cells[order]
    ground = arrays.grounds.get(pool)
    nodes: Ints = cells[:, columns.NODE]
    if ground is not None and not ground.ready.all():
        nodes = np.where(ground.ready[nodes], nodes, columns.NOWHERE)
    shares = arrays.names.rows_of(arrays.structure)[cells[:, columns.SHARE]]
    return Leaving(times[order], nodes, shares, cells[:, columns.SHAPE_OF_PROCESS :])
