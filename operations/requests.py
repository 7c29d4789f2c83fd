"""What people do with requests: submit, hold and release, scale, cancel, and ask why they wait."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from operations.callers import Caller
from operations.clusters import end_request, let_end
from operations.events import Event, EventKind
from operations.ports.store import Work
from operations.reasons import NotPending, NotRunning, OutsideWorkerRange, Reason, Refused, Unknown
from operations.replaying import ReplayKey, once
from registry.centers import Node
from registry.ids import PoolId, ProjectId, RequestId, Seconds
from registry.reasons import HasEnded, NotThere
from registry.tags import Tags
from scheduler.bookings import misfits
from scheduler.clusters import Part, Process
from scheduler.fitting import never_fits
from scheduler.policy import Policy
from scheduler.reasons import InstitutionWaitsEnough, TooManyWaiting, UnknownEnvironment
from scheduler.requests import Draft, End, Request, State
from scheduler.scaling import resized, spared_milliseconds


def tags_of(work: Work, caller: Caller, project_id: ProjectId, pool_id: PoolId) -> Tags | Refused:
    """Return what a request of a project in a pool is tagged with; a project the caller cannot use is not there."""
    project, pool = work.register.project(project_id), work.register.pool(pool_id)
    if project is None or not caller.works_on(project_id):
        return Refused(reasons=(NotThere(field="project", id=project_id),))
    if project.ended is not None:
        return Refused(reasons=(HasEnded(field="project", id=project_id),))
    if pool is None:
        return Refused(reasons=(NotThere(field="pool", id=pool_id),))
    return Tags(
        center=pool.center,
        institution=project.institution,
        project=project.id,
        pool=pool.id,
        tier=pool.tier,
        sector=project.sector,
        topic=project.topic,
    )


def submit(work: Work, draft: Draft, replay: ReplayKey | None, policy: Policy, *, now: Seconds) -> Request | Refused:
    """Accept a request, or say why it could never run; a repeated key gets its first answer."""

    def accept() -> Request | Refused:
        if reasons := refusals(work, draft, policy, now):
            return Refused(reasons=reasons)
        request = draft.accepted(now)
        work.requests.add(request)
        work.journal.add([Event(request=request.id, at=now, kind=EventKind.SUBMITTED)])
        return request

    return once(work, replay, draft.id, accept, partial(as_it_stands, work), now=now)


def refusals(work: Work, draft: Draft, policy: Policy, now: Seconds) -> tuple[Reason, ...]:
    """Return why a draft would not be accepted now: it could never run, or too much like it waits already."""
    return _obstacles(work, draft, policy, now) or tuple(_crowd(work, draft, policy))


def cancel(work: Work, request_id: RequestId, *, now: Seconds) -> Request | Refused:
    """End a request: at once if it waits, through the reconciler if it runs. To cancel again changes nothing."""
    request = work.requests.get(request_id)
    if request is None:
        return Refused(reasons=(Unknown(what="request"),))
    if request.state is State.PENDING:
        end_request(work, request, End.CANCELLED, now=now)
    else:
        let_end(work, request_id, End.CANCELLED, now=now)
    return as_it_stands(work, request_id)


def hold(work: Work, request_id: RequestId, *, by_operator: bool, now: Seconds) -> Request | Refused:
    """Keep a pending request from starting until it is released by whoever held it."""
    return _set_hold(work, request_id, by_operator=by_operator, held=True, now=now)


def release(work: Work, request_id: RequestId, *, by_operator: bool, now: Seconds) -> Request | Refused:
    """Let a held request take its turn again."""
    return _set_hold(work, request_id, by_operator=by_operator, held=False, now=now)


def scale(work: Work, request_id: RequestId, workers: int, policy: Policy, *, now: Seconds) -> Request | Refused:
    """Say how many workers a running cluster should have.

    More are given by the next cycle as far as there is room; fewer begin to drain at once, the youngest first.
    """
    request = work.requests.get(request_id)
    if request is None:
        return Refused(reasons=(Unknown(what="request"),))
    if request.state is not State.PLACED or request.ending is not None:
        return Refused(reasons=(NotRunning(state=request.state),))
    if not request.workers_min <= workers <= request.workers_max:
        return Refused(
            reasons=(OutsideWorkerRange(asked=workers, least=request.workers_min, most=request.workers_max),)
        )
    if request.workers_wanted == workers:
        return request
    slots = work.clusters.slots(request_id)
    leaving = _youngest(slots, workers)
    after = replace(request, workers_wanted=workers)
    if leaving:
        has = sum(slot.wanted and slot.part is not Part.HEAD for slot in slots)
        after = resized(after, spared_milliseconds(request, has, policy, now), now)
    work.requests.swap(request, after)
    for slot in leaving:
        work.clusters.swap(slot, replace(slot, wanted=False, stop_by=Seconds(now + policy.notice_seconds)))
    details = (("workers", str(workers)), ("leaving", str(len(leaving))))
    work.journal.add([Event(request=request_id, at=now, kind=EventKind.SCALED, details=details)])
    return as_it_stands(work, request_id)


def _obstacles(work: Work, draft: Draft, policy: Policy, now: Seconds) -> tuple[Reason, ...]:
    if work.register.environment(draft.environment) is None:
        return (UnknownEnvironment(environment=draft.environment),)
    nodes = work.capacity.nodes(draft.pool)
    path = work.capacity.path(draft.project, draft.pool)
    never = never_fits(draft, policy.classes[draft.request_class], nodes, path)
    return (*never, *_misfits(work, draft, nodes, now))


def _crowd(work: Work, draft: Draft, policy: Policy) -> Iterator[Reason]:
    """Yield whose requests of a draft's class wait in such numbers that no more may.

    A brake on floods, not a promise: two who submit at once on PostgreSQL may both be the last.
    """
    rule, waiting = policy.classes[draft.request_class], work.requests.waiting(draft)
    if waiting.of_person >= rule.most_waiting:
        yield TooManyWaiting(request_class=draft.request_class, most=rule.most_waiting)
    if waiting.of_institution >= rule.most_waiting_of_institution:
        yield InstitutionWaitsEnough(
            institution=draft.institution,
            request_class=draft.request_class,
            most=rule.most_waiting_of_institution,
        )


def _misfits(work: Work, draft: Draft, nodes: Sequence[Node], now: Seconds) -> tuple[Reason, ...]:
    """Return why a draft could never run in the booking that it names, if it names one."""
    if draft.booking is None:
        return ()
    booking = work.bookings.get(draft.booking)
    if booking is None:
        return (NotThere(field="booking", id=draft.booking),)
    return misfits(draft, booking, nodes, now)


def _set_hold(work: Work, request_id: RequestId, *, by_operator: bool, held: bool, now: Seconds) -> Request | Refused:
    request = work.requests.get(request_id)
    if request is None:
        return Refused(reasons=(Unknown(what="request"),))
    if request.state is not State.PENDING:
        return Refused(reasons=(NotPending(state=request.state),))
    user, operator = (request.user_hold, held) if by_operator else (held, request.operator_hold)
    after = request.with_holds(user=user, operator=operator, now=now)
    if after == request:
        return request
    work.requests.swap(request, after)
    by = ("by", "operator" if by_operator else "user")
    kind = EventKind.HELD if held else EventKind.UNHELD
    work.journal.add([Event(request=request_id, at=now, kind=kind, details=(by,))])
    return as_it_stands(work, request_id)


def _youngest(slots: Sequence[Process], workers: int) -> list[Process]:
    """Return the elastic workers beyond a number, the youngest first; guaranteed ones are never among them."""
    wanted = [slot for slot in slots if slot.wanted and slot.part is not Part.HEAD]
    excess = max(0, len(wanted) - workers)
    elastic = [slot for slot in wanted if slot.part is Part.ELASTIC]
    return sorted(elastic, key=lambda slot: -slot.ordinal)[:excess]


def as_it_stands(work: Work, request_id: str) -> Request:
    """Return a request that is there, with everything that this transaction has changed of it."""
    request = work.requests.get(RequestId(request_id))
    assert request is not None, request_id
    return request
