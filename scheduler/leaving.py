"""When what runs is gone at the latest."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from registry.axes import Ints, any_of
from registry.ids import PoolId, Seconds
from scheduler import arrays as columns
from scheduler.arrays import Arrays
from scheduler.clusters import Cluster
from scheduler.departures import Leaving
from scheduler.ground import Ground
from scheduler.policy import Policy

_ENDING: Final = 0
"""The deadline of what is about to end, which leaves a slack after now, whenever that is."""


def releases_at(cluster: Cluster, policy: Policy, now: Seconds) -> Seconds:
    """Return when a cluster is gone at the latest: its deadline and a slack for its processes to end.

    What is late already is expected at the next second. An elastic worker counts like the others: nobody takes it
    back before its cluster ends.
    """
    assert cluster.request.deadline is not None, cluster
    latest = now if cluster.request.ending else cluster.request.deadline
    return Seconds(max(latest + policy.termination_slack_seconds, now + 1))


@dataclass(frozen=True, slots=True)
class Running:
    """What runs in a pool by its deadline, the first one first; how many processes are on each node that takes work.

    `elastic` and `leaving` are the sums of what elastic workers hold that may be taken back, and of what was told to
    leave.
    """

    deadlines: Ints
    nodes: Ints
    shares: Ints
    shapes: Ints
    on_nodes: Ints
    elastic: Ints
    leaving: Ints

    def by(self, now: Seconds, slack: int) -> Leaving:
        """Return it in the order in which it leaves: `releases_at`, for all of it at once."""
        times = np.maximum(self.deadlines + slack, now + 1)
        if not len(times) or self.deadlines[0] != _ENDING:
            return Leaving(times, self.nodes, self.shares, self.shapes)
        times = np.where(self.deadlines == _ENDING, now + max(slack, 1), times)
        order = np.argsort(times, kind="stable")
        return Leaving(times[order], self.nodes[order], self.shares[order], self.shapes[order])


def running_in(arrays: Arrays, pool: PoolId, ground: Ground) -> Running:
    """Return what runs in a pool, as long as no process changed worked out but once."""
    rows_of = arrays.names.rows_of(arrays.structure)
    return arrays.processes.found(
        ("running", pool), (ground.ready, rows_of), lambda: _running_in(arrays, pool, ground, rows_of)
    )


def _running_in(arrays: Arrays, pool: PoolId, ground: Ground, rows_of: Ints) -> Running:
    cells, rows = arrays.processes.cells, arrays.processes.alive()
    if len(arrays.names.pools) > 1:
        rows = rows[cells[rows, columns.POOL] == arrays.names.pools.of(pool)]
    deadlines, ending = cells[:, columns.DEADLINE][rows], cells[:, columns.ENDING][rows]
    if any_of(ending):
        deadlines = np.where(ending == 1, _ENDING, deadlines)
    order = deadlines.argsort(kind="stable")
    cells = cells[rows[order]]
    nodes: Ints = cells[:, columns.NODE]
    if not ground.all_ready:
        nodes = np.where(ground.ready[nodes], nodes, columns.NOWHERE)
    shapes, lent = cells[:, columns.SHAPE_OF_PROCESS :], cells[:, columns.LENT]
    elastic = leaving = np.zeros(arrays.axes.width, dtype=np.int64)
    if any_of(lent):
        elastic, leaving = (shapes[lent == one].sum(axis=0) for one in (columns.ELASTIC, columns.LEAVING))
    return Running(
        deadlines=deadlines[order],
        nodes=nodes,
        shares=rows_of[cells[:, columns.SHARE]],
        shapes=shapes,
        on_nodes=np.bincount(nodes[nodes >= 0], minlength=len(ground.ids)),
        elastic=elastic,
        leaving=leaving,
    )
