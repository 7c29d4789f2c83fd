"""Starts that fail: the whole cluster waits its turn again, or one that runs goes on without the worker."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from operations.events import Event, EventKind
from operations.ports.store import Work
from registry.ids import RequestId, Seconds
from scheduler.clusters import Cluster, Process
from scheduler.observed import ObservedProcess
from scheduler.policy import Policy
from scheduler.requests import End, State
from scheduler.troubles import Trouble

LONGEST_DETAIL: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedStart:
    """Processes of one cluster that do not start, by name, with what is in the way and the outside world's words."""

    request: RequestId
    names: frozenset[str]
    trouble: Trouble
    detail: str


def fail_start(work: Work, failed: FailedStart, policy: Policy, *, now: Seconds) -> None:
    """Turn back a cluster whose gang was never whole; later only the workers that do not start are given up.

    Either way the request is given nothing more for a while, which grows with each such failure. While nobody answers
    nothing is refused: an outage turns back no request.
    """
    before = work.requests.get(failed.request)
    if before is None or before.state is not State.PLACED or before.ending is not None:
        return
    slots = tuple(slot for slot in work.clusters.slots(failed.request) if slot.released is None)
    given_up = [slot for slot in slots if slot.wanted and slot.name in failed.names]
    if not given_up:
        return
    until = Seconds(now + policy.retry_pause_seconds(before.failed_starts))
    after = before.put_off(failed.trouble, until)
    never_whole = not failed.names.isdisjoint(one.name for one in Cluster(request=before, processes=slots).awaited)
    if not work.requests.swap(before, replace(after, ending=End.TURNED_BACK) if never_whole else after):
        return
    if not never_whole:
        for slot in given_up:
            work.clusters.swap(slot, replace(slot, wanted=False, stop_by=now))
    work.journal.add([_told(failed, len(given_up), now)])


def failed_starts(
    cluster: Cluster, seen: Mapping[str, ObservedProcess], policy: Policy, now: Seconds
) -> tuple[FailedStart, ...]:
    """Return what of a cluster has been waited for in vain for long enough, one entry for each trouble."""
    if cluster.request.ending is not None:
        return ()
    stuck: dict[Trouble, list[ObservedProcess]] = {}
    for slot in cluster.processes:
        process = seen.get(slot.name)
        if process and process.trouble and slot.wanted and _is_stuck(slot, process.trouble, policy, now):
            stuck.setdefault(process.trouble, []).append(process)
    return tuple(
        FailedStart(
            request=cluster.request.id,
            names=frozenset(process.name for process in processes),
            trouble=trouble,
            detail=processes[0].detail,
        )
        for trouble, processes in stuck.items()
    )


def _is_stuck(slot: Process, trouble: Trouble, policy: Policy, now: Seconds) -> bool:
    if slot.troubled_since is None or slot.trouble is not trouble:
        return False
    return now - slot.troubled_since >= policy.patience_seconds(trouble)


def _told(failed: FailedStart, processes: int, now: Seconds) -> Event:
    details = [("trouble", failed.trouble.value), ("processes", str(processes))]
    details += [("detail", failed.detail[:LONGEST_DETAIL])] if failed.detail else []
    return Event(request=failed.request, at=now, kind=EventKind.START_FAILED, details=tuple(details))
