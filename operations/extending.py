"""A running cluster goes on for longer than was asked for, where nobody else has to wait for it."""

from dataclasses import replace

from operations.events import Event, EventKind
from operations.follower import Seen
from operations.metering import hold_more
from operations.ports.store import Work
from operations.reasons import NotRunning, Refused, Unknown
from quotas.ledger import EntryKey
from registry.ids import MicroCredits, RequestId, Seconds
from scheduler.extension import extension_faults, extra_holds
from scheduler.requests import Request, State
from scheduler.snapshot import Snapshot


def extend(work: Work, request_id: RequestId, seconds: int, seen: Seen, *, now: Seconds) -> Request | Refused:
    """Let a running cluster go on for so much longer, or say why not, and for how much longer it might.

    `seen` is the state some moments ago; what was committed since is read once the pool is locked, so that nobody is
    promised anything there between the look and the end of this. A cycle that looked before, and writes after, finds
    that a deadline was moved and leaves the pool alone (`operations/cycle.py`).
    """
    request = work.requests.get(request_id)
    if request is None:
        return Refused(reasons=(Unknown(what="request"),))
    if request.state is not State.PLACED or request.ending or request.deadline is None or request.deadline <= now:
        return Refused(reasons=(NotRunning(state=request.state),))
    work.clusters.slots(request_id)  # locks them, after the request and before the pool, as everybody does
    work.capacity.lock([request.pool])
    snapshot = seen.snapshot.with_facts(work.news(seen.mark).facts)
    if faults := extension_faults(snapshot, request_id, seconds, now):
        return Refused(reasons=faults)
    return _extended(work, request, seconds, snapshot, now)


def _extended(work: Work, request: Request, seconds: int, snapshot: Snapshot, now: Seconds) -> Request | Refused:
    """Hold what the longer time may cost and move the deadline; without the credit nothing is changed."""
    assert request.deadline is not None, request
    deadline = Seconds(request.deadline + seconds)
    holds = [(slot, more) for slot, more in extra_holds(snapshot, request.id, seconds, now) if more]
    if holds:
        key = EntryKey(f"hold:{holds[0][0].name}:{deadline}")
        total = MicroCredits(sum(more for _, more in holds))
        if refusal := hold_more(work, request, key, total, now=now):
            return Refused(reasons=(refusal,))
    for slot, more in holds:
        assert work.clusters.swap(slot, replace(slot, hold=MicroCredits(slot.hold + more))), slot
    after = replace(request, deadline=deadline, extended_seconds=request.extended_seconds + seconds)
    assert work.requests.swap(request, after), request
    details = (("seconds", str(seconds)), ("deadline", str(deadline)))
    work.journal.add([Event(request=request.id, at=now, kind=EventKind.EXTENDED, details=details)])
    return replace(after, version=request.version + 1)
