"""What clusters used becomes charges: hourly while they run, and once more when a process is seen to have ended."""

from dataclasses import replace
from itertools import groupby
from operator import attrgetter

from operations.clusters import bearer_of, finish, free_slot, let_end, refill, slot_of
from operations.events import Event, EventKind
from operations.ports.store import Work
from quotas.charges import Tariff, Use, charges
from quotas.ledger import HOUR_SECONDS, EntryKey, days, hold_entry
from quotas.rates import card_at
from quotas.reasons import NoCredit
from registry.centers import NodeState
from registry.ids import MicroCredits, RequestId, Seconds, ShareId
from registry.resources import NOTHING, dominant_ppm, total
from scheduler.clusters import HEAD_ORDINAL, Process
from scheduler.facts import DayOfUse
from scheduler.holds import missing_hold
from scheduler.observed import ObservedProcess
from scheduler.policy import Policy
from scheduler.requests import End, Request


def settle(work: Work, seen: ObservedProcess, policy: Policy, *, now: Seconds) -> None:
    """Charge an ended process to its last second, and free its slot or have it filled again, in one transaction.

    A process that fills no slot any more was settled before or is an orphan: what of its use the ledger lacks is
    charged to the center. A request that nobody knows, or that never ran, can be charged nothing.
    """
    assert seen.ended is not None, seen
    request = work.requests.get(seen.request)
    if request is None or request.allocation is None:
        return
    slot = slot_of(work, seen)
    if slot is None:
        _absorb(work, request, seen, policy)
        return
    use = _use(slot, seen, seen.ended)
    # Nobody pays for a cluster that the center could not start whole: what is charged beyond a hold is the center's.
    is_turned_back = request.ending is End.TURNED_BACK
    covered = MicroCredits(0) if is_turned_back else slot.hold
    due = charges(bearer_of(request), _tariff(work, request, policy), use, covered)
    if _is_refilled(work, request, slot):
        refill(work, request, slot, due, now=now)
    else:
        free_slot(work, request, slot, due, now=now, ended=with_measures(slot, seen))
    if not is_turned_back:
        _count_use(work, request, slot, use)
    work.journal.add([_ended(with_measures(slot, seen), seen, now)])
    if slot.ordinal == HEAD_ORDINAL:
        let_end(work, request.id, End.HEAD_LOST, now=now)
    finish(work, request.id, now=now)


def accrue(work: Work, seen: ObservedProcess, policy: Policy, *, now: Seconds) -> None:
    """Charge a running process up to the last full hour, so that no outage loses what was already used."""
    request = work.requests.get(seen.request)
    slot = slot_of(work, seen)
    until = Seconds(now - now % HOUR_SECONDS)
    if request is None or slot is None or slot.started is None or until <= (slot.charged_until or slot.started):
        return
    use = _use(slot, seen, until)
    due = charges(bearer_of(request), _tariff(work, request, policy), use, slot.hold)
    after = replace(with_measures(slot, seen), hold=MicroCredits(slot.hold - due.covered), charged_until=until)
    after = replace(after, charged=MicroCredits(slot.charged + due.covered))
    if work.clusters.swap(slot, after):
        work.accounts.post(due.entries)
        _count_use(work, request, slot, use)


def renew_lease(work: Work, request_id: RequestId, ordinal: int, policy: Policy, *, now: Seconds) -> None:
    """Hold credit for the next lease of an elastic worker; without it the worker leaves, never the cluster.

    The hold covers what will have been used by the end of the lease and is not charged yet.
    """
    request = work.requests.get(request_id)
    slot = next((one for one in work.clusters.slots(request_id) if one.ordinal == ordinal), None)
    if request is None or request.deadline is None or slot is None or slot.lease_until is None or not slot.wanted:
        return
    until = Seconds(min(now + policy.lease_seconds, request.deadline))
    missing = missing_hold(_tariff(work, request, policy), slot, until, now)
    key = EntryKey(f"hold:{slot.name}:{until}")
    refused = hold_more(work, request, key, missing, now=now) if missing else None
    if refused is None:
        work.clusters.swap(slot, replace(slot, hold=MicroCredits(slot.hold + missing), lease_until=until))
        return
    work.clusters.swap(slot, replace(slot, wanted=False, stop_by=Seconds(now + policy.notice_seconds)))
    why = ("reason", refused.code)
    work.journal.add([Event(request=request.id, at=now, kind=EventKind.SHRANK, details=(why,))])


def with_measures(slot: Process, seen: ObservedProcess) -> Process:
    """Return a slot with what was measured of its process: both only grow, whoever has measured them."""
    cpu_milliseconds = _larger(slot.cpu_milliseconds, seen.cpu_milliseconds)
    peak_memory = _larger(slot.peak_memory, seen.peak_memory)
    if (cpu_milliseconds, peak_memory) == (slot.cpu_milliseconds, slot.peak_memory):
        return slot
    return replace(slot, cpu_milliseconds=cpu_milliseconds, peak_memory=peak_memory)


def _larger(known: int | None, seen: int | None) -> int | None:
    if known is None or seen is None:
        return seen if known is None else known
    return max(known, seen)


def hold_more(work: Work, request: Request, key: EntryKey, amount: MicroCredits, *, now: Seconds) -> NoCredit | None:
    """Hold more of a running request's allocation, or say why not: new holds need its period to be open."""
    assert request.allocation is not None, request
    if not work.accounts.get(request.allocation).open_at(now):
        return NoCredit(project=request.project, needed=amount, available=MicroCredits(0))
    return work.accounts.hold(hold_entry(bearer_of(request), key, amount, now))


def _absorb(work: Work, request: Request, seen: ObservedProcess, policy: Policy) -> None:
    """Charge the center with each hour of a process that fills no slot, unless it is in the ledger already."""
    slot = next((one for one in work.clusters.slots(seen.request) if one.ordinal == seen.ordinal), None)
    if slot is None or seen.ended is None:
        return
    use = _use(replace(slot, started=None, charged_until=None), seen, seen.ended)
    due = charges(bearer_of(request), _tariff(work, request, policy), use, MicroCredits(0))
    for _, hour in groupby(due.entries, key=attrgetter("at")):
        work.accounts.post(tuple(hour))


def _tariff(work: Work, request: Request, policy: Policy) -> Tariff:
    """Return the price that was in force when the request was placed."""
    assert request.placed is not None, request
    card = card_at(work.register.rate_cards(), request.placed)
    rule = card.rule(request.pool) if card else None
    assert rule is not None, request
    return Tariff(rule=rule, percent=policy.classes[request.request_class].price_percent)


def _use(slot: Process, seen: ObservedProcess, until: Seconds) -> Use:
    """Return what of a process's life is not charged yet; nothing if it never started.

    Who is seen to have ended may not say any more when it began, as when its node has lost the container.
    """
    started = next((at for at in (seen.started, slot.started) if at is not None), until)
    begins = max(slot.charged_until or started, started)
    return Use(uid=seen.uid, shape=slot.shape, started=started, begins=Seconds(begins), ends=until)


def _count_use(work: Work, request: Request, slot: Process, use: Use) -> None:
    """Add a use to the days of the project and the institution, as a part of what the pool has today."""
    whole = total(node.capacity for node in work.capacity.nodes(request.pool))
    if whole == NOTHING:
        return
    ppm = dominant_ppm(slot.shape, whole)
    work.accounts.use(
        DayOfUse(share=share, pool=request.pool, day=day, ppm_seconds=ppm * seconds)
        for day, seconds in days(use.begins, use.ends)
        for share in (ShareId(request.institution), ShareId(request.project))
    )


def _is_refilled(work: Work, request: Request, slot: Process) -> bool:
    """Tell whether a worker is to be replaced: a wanted one, of a cluster that goes on, on a node that is well."""
    node = next((one for one in work.capacity.nodes(request.pool) if one.id == slot.node), None)
    wanted = slot.wanted and slot.ordinal != HEAD_ORDINAL and request.ending is None
    return wanted and node is not None and node.state is NodeState.READY


def _ended(slot: Process, seen: ObservedProcess, now: Seconds) -> Event:
    cause = ("cause", seen.cause.value if seen.cause else "unseen")
    more = (("detail", seen.detail), ("cpu_milliseconds", slot.cpu_milliseconds), ("peak_memory", slot.peak_memory))
    told = tuple((name, str(value)) for name, value in more if value not in (None, ""))
    details = (("process", seen.name), cause, *told)
    return Event(request=seen.request, at=now, kind=EventKind.PROCESS_ENDED, details=details)
