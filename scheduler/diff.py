"""What has to be done so that the outside world becomes what was decided: steps from the observed to the desired."""

from collections.abc import Iterable, Iterator, Mapping

from registry.ids import RequestId, Seconds
from scheduler.clusters import Cluster, Process
from scheduler.observed import Observed, ObservedProcess
from scheduler.policy import Policy
from scheduler.steps import ClearCluster, DeleteProcesses, DrainWorkers, NewProcess, StartProcesses, Step


def diff(desired: Iterable[Cluster], observed: Observed, policy: Policy, now: Seconds) -> tuple[Step, ...]:
    """Return the steps from the observed to the desired, each safe to repeat; nothing once they agree.

    `desired` must have been read after `observed` was seen: a process that nobody wants is then a true orphan.
    """
    clusters = {cluster.request.id: cluster for cluster in desired}
    seen = _by_request(observed.processes)
    steps: list[Step] = []
    for cluster in clusters.values():
        steps += _toward(cluster, seen.get(cluster.request.id, {}), policy, now)
    for request, processes in seen.items():
        steps += _orphans(clusters.get(request), request, processes)
    for request, names in observed.unbegun.items():
        if request in clusters:  # of others all that remains is cleared
            steps += _given_up(clusters[request], names)
    steps += [ClearCluster(request=one) for one in sorted(observed.remains - clusters.keys() - seen.keys())]
    return tuple(steps)


def _toward(cluster: Cluster, seen: Mapping[str, ObservedProcess], policy: Policy, now: Seconds) -> Iterator[Step]:
    """Yield what one cluster needs; one that ends loses all its processes at once, the others start and drain."""
    alive = {name for name, process in seen.items() if process.ended is None}
    if cluster.request.ending is not None:
        yield from _delete(cluster.request.id, sorted(alive))
        return
    yield from _start(cluster, seen, policy, now)
    unwanted = [slot for slot in cluster.processes if not slot.wanted and slot.name in alive]
    yield from _drain(cluster, [slot for slot in unwanted if _may_drain(slot, now)], now)
    yield from _delete(cluster.request.id, [slot.name for slot in unwanted if not _may_drain(slot, now)])


def _start(
    cluster: Cluster, seen: Mapping[str, ObservedProcess], policy: Policy, now: Seconds
) -> Iterator[StartProcesses]:
    request, head = cluster.request, cluster.head
    missing = [slot for slot in cluster.processes if slot.wanted and slot.name not in seen and _may_start(slot, now)]
    if not missing or head is None:
        return
    assert request.placed is not None, request
    assert request.deadline is not None, request
    # However often it is extended: what it is started with lasts as long as it does.
    longest = policy.classes[request.request_class].longest_walltime_seconds
    yield StartProcesses(
        request=request.id,
        institution=request.institution,
        project=request.project,
        environment=request.environment,
        head_name=head.name,
        processes=tuple(
            NewProcess(
                name=slot.name,
                ordinal=slot.ordinal,
                incarnation=slot.incarnation,
                node=slot.node,
                shape=slot.shape,
            )
            for slot in missing
        ),
        last_second=Seconds(max(request.deadline, request.placed + longest) + policy.termination_slack_seconds),
    )


def _drain(cluster: Cluster, slots: list[Process], now: Seconds) -> Iterator[DrainWorkers]:
    """Yield one step for all workers that leave: a head that is asked for one at a time has no time for the last."""
    if not slots or cluster.head is None:
        return
    deadlines = {slot.name: slot.stop_by - now for slot in slots if slot.stop_by is not None}
    yield DrainWorkers(request=cluster.request.id, head_name=cluster.head.name, deadlines=deadlines)


def _delete(request: RequestId, names: list[str]) -> Iterator[DeleteProcesses]:
    if names:
        yield DeleteProcesses(request=request, names=tuple(names))


def _orphans(
    cluster: Cluster | None, request: RequestId, seen: Mapping[str, ObservedProcess]
) -> Iterator[DeleteProcesses]:
    """Yield the end of what no slot of the cluster is: of an unknown cluster, a released slot, an older incarnation."""
    known = {slot.name for slot in cluster.processes} if cluster else set()
    yield from _delete(request, sorted(name for name, one in seen.items() if one.ended is None and name not in known))


def _given_up(cluster: Cluster, unbegun: frozenset[str]) -> Iterator[DeleteProcesses]:
    """Yield the end of what has not begun and need not any more: it would use up a quota of the outside world."""
    yield from _delete(cluster.request.id, sorted(unbegun - {slot.name for slot in cluster.processes if slot.wanted}))


def _may_start(slot: Process, now: Seconds) -> bool:
    return slot.not_before is None or slot.not_before <= now


def _may_drain(slot: Process, now: Seconds) -> bool:
    return slot.stop_by is not None and now < slot.stop_by and slot.ready


def _by_request(processes: Iterable[ObservedProcess]) -> dict[RequestId, dict[str, ObservedProcess]]:
    found: dict[RequestId, dict[str, ObservedProcess]] = {}
    for process in processes:
        found.setdefault(process.request, {})[process.name] = process
    return found
