"""Clusters that are as they should be: a pass sees it at a glance and goes on to those that are not."""

from collections.abc import Sequence
from dataclasses import dataclass

from operations.clusters import is_news
from quotas.ledger import HOUR_SECONDS
from registry.ids import RequestId, Seconds
from scheduler.clusters import Cluster, Process
from scheduler.idleness import idle_too_long
from scheduler.observed import HeadClaim, Observed, ObservedProcess
from scheduler.policy import Policy
from scheduler.requests import End, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """The clusters of which a pass may have something to do or to write, and what was seen without all others."""

    clusters: tuple[Cluster, ...]
    observed: Observed


def moving(desired: Sequence[Cluster], observed: Observed, policy: Policy, now: Seconds) -> Moving:
    """Leave out the clusters that run as they are wanted and of which nothing is news, due or late.

    Most are like that most of the time: what is left out gives neither steps nor changes, so the pass costs what moves.
    """
    seen = {process.name: process for process in observed.processes}
    named: set[str] = set()
    resting: set[RequestId] = set()
    for cluster in desired:
        names = [slot.name for slot in cluster.processes]
        processes = [seen.get(name) for name in names]
        if _rests(cluster, processes, observed.heads.get(cluster.request.id), policy, now):
            resting.add(cluster.request.id)
            named.update(names)
    resting -= observed.unbegun.keys()
    resting -= {process.request for process in observed.processes if process.name not in named}
    if not resting:
        return Moving(clusters=tuple(desired), observed=observed)
    return Moving(
        clusters=tuple(cluster for cluster in desired if cluster.request.id not in resting),
        observed=Observed(
            processes=tuple(one for one in observed.processes if one.request not in resting),
            heads=observed.heads,
            remains=observed.remains - resting,
            unbegun=observed.unbegun,
        ),
    )


def must_end(cluster: Cluster, claim: HeadClaim | None, policy: Policy, now: Seconds) -> End | None:
    """Return why a cluster that does not end yet has to."""
    request, head = cluster.request, cluster.head
    assert request.deadline is not None, request
    if request.ending is not None:
        return None
    if now >= request.deadline:
        return End.PREEMPTED if request.makes_way else End.WALLTIME
    if head and head.started and not head.ready and now - head.started >= policy.start_patience_seconds:
        return End.NEVER_STARTED
    return End.IDLE if idle_too_long(request, claim, now) else None


def renews(request: Request, slot: Process, policy: Policy, now: Seconds) -> bool:
    """Tell whether half of a lease is over; one that lasts until the deadline is never renewed."""
    if not slot.wanted or slot.lease_until is None or slot.lease_until == request.deadline:
        return False
    return slot.lease_until - now < policy.lease_seconds // 2


def accrues(slot: Process, now: Seconds) -> bool:
    """Tell whether an hour of the clock has ended since a slot's process began or was charged last."""
    since = slot.charged_until or slot.started
    return since is not None and since // HOUR_SECONDS < now // HOUR_SECONDS


def _rests(
    cluster: Cluster,
    seen: Sequence[ObservedProcess | None],
    claim: HeadClaim | None,
    policy: Policy,
    now: Seconds,
) -> bool:
    """Tell whether a cluster needs nothing, if `seen`, what fills its slots, is all that there is of it."""
    request = cluster.request
    if request.ending is not None or request.deadline is None or now >= request.deadline:
        return False
    for slot, process in zip(cluster.processes, seen, strict=True):
        if process is None or not _is_as_wanted(slot, process):
            return False
        if accrues(slot, now) or renews(request, slot, policy, now):
            return False
    return not idle_too_long(request, claim, now)


def _is_as_wanted(slot: Process, seen: ObservedProcess) -> bool:
    """Tell whether a process runs and answers, is to go on, and is written down as it is."""
    alive = seen.ended is None and seen.trouble is None and seen.address is not None
    return alive and slot.wanted and not is_news(slot, seen)
