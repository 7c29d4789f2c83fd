"""When capacity comes back: what each node gets from work that has to end, in the order of time."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from registry.ids import NodeId, Seconds
from registry.resources import Resources
from scheduler.clusters import Cluster
from scheduler.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """An amount that a node gets back at a moment, at the latest."""

    at: Seconds
    node: NodeId
    amount: Resources


def releases_at(cluster: Cluster, policy: Policy, now: Seconds) -> Seconds:
    """Return when a cluster is gone at the latest: its deadline and a slack for its processes to end.

    What is late already is expected at the next second. An elastic worker counts like the others: nobody takes it
    back before its cluster ends.
    """
    assert cluster.request.deadline is not None, cluster
    latest = now if cluster.request.ending else cluster.request.deadline
    return Seconds(max(latest + policy.termination_slack_seconds, now + 1))


def returns(cluster: Cluster, at: Seconds) -> Iterator[Return]:
    """Yield what a cluster gives back when it is gone."""
    for process in cluster.processes:
        yield Return(at=at, node=process.node, amount=process.shape)


def free_over_time(
    free: Mapping[NodeId, Resources], coming: Iterable[Return]
) -> Iterator[tuple[Seconds, Mapping[NodeId, Resources]]]:
    """Yield what is free after each moment at which something comes back; nodes outside `free` are not counted."""
    amounts = dict(free)
    for at, group in groupby(coming, key=attrgetter("at")):
        for item in group:
            if item.node in amounts:
                amounts[item.node] += item.amount
        yield at, dict(amounts)
