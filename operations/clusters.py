"""The life of a running cluster's slots: recorded, filled again, freed, and the end of the whole."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from operations.events import Event, EventKind
from operations.ports.store import Claim, Work
from quotas.charges import NO_CHARGES, Charges
from quotas.ledger import Bearer, EntryKey, refund_entry, release_entry
from registry.ids import MicroCredits, NodeId, RequestId, Seconds
from registry.resources import NOTHING, Resources
from scheduler.clusters import Cluster, Part, Phase, Process
from scheduler.observed import ObservedProcess
from scheduler.requests import End, Request, RequestClass, State

RESTART_PAUSES: Final = (0, 1, 5, 30, 120, 600, 1800)
"""Seconds until a slot is filled again after each death of its process; the last one for ever after."""


def bearer_of(request: Request) -> Bearer:
    """Return whose account a placed request moves, and with which tags."""
    assert request.allocation is not None, request
    return Bearer(allocation=request.allocation, request=request.id, tags=request.tags)


def claim_of(request: Request, processes: Iterable[Process]) -> Claim:
    """Return the capacity that processes of a request take, or give back, on their nodes."""
    nodes: dict[NodeId, Resources] = {}
    for process in processes:
        nodes[process.node] = nodes.get(process.node, NOTHING) + process.shape
    return Claim(
        project=request.project, pool=request.pool, nodes=tuple(sorted(nodes.items(), key=lambda item: item[0]))
    )


def record(work: Work, seen: ObservedProcess, *, now: Seconds) -> None:
    """Write down what was seen of a slot's running process, if it is news.

    The address comes later than the uid, so both are compared: a process recorded by its uid alone would never
    be seen to become ready.
    """
    request = work.requests.get(seen.request)
    slots = work.clusters.slots(seen.request)
    slot = next((one for one in slots if one.name == seen.name and one.released is None), None)
    if request is None or slot is None or not is_news(slot, seen):
        return
    since = slot.troubled_since if seen.trouble is slot.trouble else now
    after = replace(
        slot,
        uid=seen.uid,
        started=seen.started,
        address=seen.address,
        trouble=seen.trouble,
        troubled_since=since if seen.trouble else None,
    )
    if not work.clusters.swap(slot, after):
        return
    if after.ready and not slot.ready:
        work.journal.add(_became_ready(request, work.clusters.slots(request.id), after, now))
    if seen.trouble and seen.trouble is not slot.trouble:
        work.journal.add([_in_trouble(seen, now)])


def is_news(slot: Process, seen: ObservedProcess) -> bool:
    """Tell whether what is seen of a slot's process differs from what is written down."""
    return (slot.uid, slot.started, slot.address, slot.trouble) != (
        seen.uid,
        seen.started,
        seen.address,
        seen.trouble,
    )


def slot_of(work: Work, seen: ObservedProcess) -> Process | None:
    """Return the slot that an observed incarnation fills, if it still does."""
    slots = (one for one in work.clusters.slots(seen.request) if one.ordinal == seen.ordinal)
    return next((one for one in slots if one.name == seen.name and one.released is None), None)


def refill(work: Work, request: Request, slot: Process, due: Charges, *, now: Seconds) -> None:
    """Charge the process that died and have its slot filled by the next incarnation, after a pause that grows."""
    deaths = slot.incarnation - request.first_incarnation
    pause = RESTART_PAUSES[min(deaths, len(RESTART_PAUSES) - 1)]
    after = replace(
        slot,
        hold=MicroCredits(slot.hold - due.covered),
        charged=MicroCredits(slot.charged + due.covered),
        incarnation=slot.incarnation + 1,
        uid=None,
        address=None,
        started=None,
        charged_until=None,
        not_before=Seconds(now + pause),
        cpu_milliseconds=None,
        peak_memory=None,
        trouble=None,
        troubled_since=None,
    )
    if work.clusters.swap(slot, after):
        work.accounts.post(due.entries)


def free_slot(
    work: Work, request: Request, slot: Process, due: Charges, *, now: Seconds, ended: Process | None = None
) -> None:
    """Give back a slot's capacity, charge what it used and release the rest of its hold.

    `ended` is the slot with the last that was measured of its process.
    """
    charged = MicroCredits(slot.charged + due.covered)
    after = replace(ended or slot, hold=MicroCredits(0), charged=charged, wanted=False, released=now)
    if not work.clusters.swap(slot, after):
        return
    work.capacity.lock([request.pool])
    work.capacity.give_back(claim_of(request, [slot]))
    rest = MicroCredits(slot.hold - due.covered)
    release = release_entry(bearer_of(request), EntryKey(f"release:{slot.name}"), rest, now)
    work.accounts.post([*due.entries, *([release] if rest else [])])


def free_unseen(work: Work, request_id: RequestId, names: frozenset[str], *, now: Seconds) -> None:
    """Free the unwanted slots among `names`, whose processes were looked for and do not exist.

    They never started, or are gone without a trace: use that nobody observed is charged to its last charge.
    """
    request = work.requests.get(request_id)
    if request is None or request.state is not State.PLACED:
        return
    for slot in work.clusters.slots(request_id):
        unwanted = request.ending is not None or not slot.wanted
        if slot.released is None and slot.name in names and unwanted:
            free_slot(work, request, slot, NO_CHARGES, now=now)
    finish(work, request_id, now=now)


def let_end(work: Work, request_id: RequestId, why: End, *, now: Seconds) -> None:
    """Decide that a running cluster ends; the reconciler does it. One that ends already keeps its first reason.

    But whoever cancels a request that would wait again does not want it to. Time that was up when a pass looked is not
    up any more if the cluster was extended since.
    """
    before = work.requests.get(request_id)
    if before is None or before.deadline is None or before.state is not State.PLACED:
        return
    if why in {End.WALLTIME, End.PREEMPTED} and now < before.deadline:
        return
    is_overruled = before.ending in {End.TURNED_BACK, End.PREEMPTED} and why is End.CANCELLED
    if before.ending is not None and not is_overruled:
        return
    if work.requests.swap(before, replace(before, ending=why)):
        work.journal.add([Event(request=before.id, at=now, kind=EventKind.ENDING, details=(("why", why.value),))])


def finish(work: Work, request_id: RequestId, *, now: Seconds) -> None:
    """End a request whose cluster was to end and has nothing left, or let it wait again: its last slot is just free."""
    before = work.requests.get(request_id)
    if before is None or before.state is not State.PLACED or before.ending is None:
        return
    slots = work.clusters.slots(request_id)
    if any(slot.released is None for slot in slots):
        return
    if before.ending is End.TURNED_BACK:
        _turn_back(work, before, slots, now=now)
    elif before.ending is End.PREEMPTED:
        _make_way(work, before, slots, now=now)
    elif end_request(work, before, before.ending, now=now) and any(slot.started is not None for slot in slots):
        work.runs.add(before.person, ran_permille(before, now))
    work.vault.destroy(request_id)


def end_request(work: Work, before: Request, why: End, *, now: Seconds) -> bool:
    """Write down that a request has ended, unless it has changed meanwhile; tell whether it was written."""
    assert before.may_move(State.ENDED), before
    after = replace(before, state=State.ENDED, reasons=(), promise=None, end=why, ended=now)
    is_written = work.requests.swap(before, after)
    if is_written:
        work.journal.add([Event(request=before.id, at=now, kind=EventKind.ENDED, details=(("why", why.value),))])
    return is_written


def ran_permille(request: Request, ended: Seconds) -> int:
    """Return how much of the walltime that a request had asked for it was placed, in thousandths."""
    assert request.placed is not None, request
    return max(0, ended - request.placed) * 1000 // request.walltime_seconds


def _turn_back(work: Work, before: Request, slots: Iterable[Process], *, now: Seconds) -> None:
    """Let a placed request wait again; its next gang gets names that none of its processes ever had."""
    after = before.turned_back(1 + max(slot.incarnation for slot in slots))
    if work.requests.swap(before, after):
        work.journal.add([Event(request=before.id, at=now, kind=EventKind.TURNED_BACK)])


def _make_way(work: Work, before: Request, slots: Sequence[Process], *, now: Seconds) -> None:
    """Refund a run that was cut short, and let its request wait again; an interactive one ends.

    What ran is gone all the same: of its files and logs as much is left as of any cluster that has ended.
    """
    refunded = _refund(work, before, slots, now=now)
    if before.request_class is RequestClass.INTERACTIVE:
        end_request(work, before, End.PREEMPTED, now=now)
        return
    after = before.requeued(1 + max(slot.incarnation for slot in slots), now)
    if work.requests.swap(before, after):
        told = ("refunded", str(refunded))
        work.journal.add([Event(request=before.id, at=now, kind=EventKind.REQUEUED, details=(told,))])


def _refund(work: Work, request: Request, slots: Iterable[Process], *, now: Seconds) -> MicroCredits:
    """Give back all that the slots of a cluster were charged, once; return how much that is."""
    assert request.preempted is not None, request
    charged = MicroCredits(sum(slot.charged for slot in slots))
    if charged:
        key = EntryKey(f"refund:{request.id}:{request.preempted.told}")
        work.accounts.post([refund_entry(bearer_of(request), key, charged, now)])
    for slot in slots:
        if slot.charged:
            work.clusters.swap(slot, replace(slot, charged=MicroCredits(0)))
    return charged


def _in_trouble(seen: ObservedProcess, now: Seconds) -> Event:
    assert seen.trouble is not None, seen
    details = [("process", seen.name), ("trouble", seen.trouble.value)]
    details += [("detail", seen.detail)] if seen.detail else []
    return Event(request=seen.request, at=now, kind=EventKind.TROUBLED, details=tuple(details))


def _became_ready(request: Request, slots: Iterable[Process], after: Process, now: Seconds) -> Iterator[Event]:
    """Tell that a process answers, and that the whole cluster runs where this one was the last to be waited for."""
    yield Event(request=request.id, at=now, kind=EventKind.PROCESS_READY, details=(("process", after.name),))
    unreleased = tuple(slot for slot in slots if slot.released is None)
    was_awaited = after.part is not Part.ELASTIC
    if was_awaited and Cluster(request=request, processes=unreleased).phase is Phase.RUNNING:
        yield Event(request=request.id, at=now, kind=EventKind.RUNNING)
