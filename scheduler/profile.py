"""When capacity comes back: what each node gets from work that has to end, in the order of time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from registry.ids import NodeId, ProjectId, Seconds
from registry.resources import Resources
from scheduler.clusters import Cluster
from scheduler.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """An amount that a node, and the quota of a project, get back at a moment, at the latest."""

    at: Seconds
    project: ProjectId
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
        yield Return(at=at, project=cluster.request.project, node=process.node, amount=process.shape)


def in_time(coming: Iterable[Return]) -> Iterator[tuple[Seconds, tuple[Return, ...]]]:
    """Yield the moments at which something comes back, in their order, each with all that does."""
    ordered = sorted(coming, key=attrgetter("at"))
    for at, group in groupby(ordered, key=attrgetter("at")):
        yield at, tuple(group)
