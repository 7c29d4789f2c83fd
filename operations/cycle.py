"""One round of the scheduling loop: snapshot, decide, foresee, apply."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from operations.clusters import bearer_of, claim_of, let_end
from operations.events import WANTS_MORE, Event, EventKind
from operations.follower import Follower
from operations.ports import Inside
from operations.ports.store import NodeFull, Work
from quotas.ledger import EntryKey, hold_entry
from quotas.reasons import NoCredit, NoShare, ShareFull
from registry.ids import MicroCredits, NodeId, PoolId, RequestId, Seconds
from scheduler.bookings import crosses
from scheduler.clusters import Process
from scheduler.decide import decide_and_foresee
from scheduler.foreseeing import now_waiting
from scheduler.plan import Claim, Growth, Placement, Plan, PromiseChange, Retirement, Shrink, Stop, Wait
from scheduler.requests import End, Request, State
from scheduler.scaling import resized
from scheduler.snapshot import Snapshot

A = TypeVar("A", Placement, Growth, Shrink, Stop, Retirement)
Obstacle = ShareFull | NoShare | NodeFull | NoCredit


class TurnedAwayError(Exception):
    """An answer met a world that its plan did not know; nothing of it was done.

    `obstacle` is None where the request itself had changed: a cancel, say, had overtaken the plan.
    """

    def __init__(self, obstacle: Obstacle | None = None) -> None:
        super().__init__(obstacle)
        self.obstacle = obstacle


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of a plan: who started, grew, shrank, has to end or leaves nodes, and who was turned away."""

    placed: tuple[RequestId, ...] = ()
    grown: tuple[RequestId, ...] = ()
    shrunk: tuple[RequestId, ...] = ()
    stopped: tuple[RequestId, ...] = ()
    retired: tuple[RequestId, ...] = ()
    turned_away: tuple[RequestId, ...] = ()


def run_cycle(ports: Inside[Work], follower: Follower) -> Applied:
    """Decide once on the committed state, foresee when those start who now wait, and apply what changed."""
    now = ports.clock.now()
    snapshot = follower.catch_up()
    plan = decide_and_foresee(snapshot, now)
    return ports.store.transact(apply, plan, snapshot, now=now) if plan else Applied()


def apply(work: Work, plan: Plan, snapshot: Snapshot, *, now: Seconds) -> Applied:
    """Write a plan, answer by answer; one that meets a changed world is undone alone and stays as it was.

    `snapshot` is what the plan was made from: nodes that have been booked since are left to their booking. Where a
    cluster was extended since, nothing is taken or promised: the plan counts on room that it keeps.
    """
    work.requests.lock(_requests(plan))
    pools = {answer.request.pool for answer in (*plan.answers(), *plan.promises)}
    work.capacity.lock(pools)
    plan, outstayed = _without_pools(plan, _outstayed(work, pools, snapshot))
    overtaken = _overtaken(work, plan, snapshot, now)
    placed, not_placed = _apply_each(work, _without(plan.placements, overtaken), _place, now)
    grown, not_grown = _apply_each(work, _without(plan.growths, overtaken), _grow, now)
    shrunk, not_shrunk = _apply_each(work, plan.shrinks, _shrink, now)
    stopped, not_stopped = _apply_each(work, plan.stops, _stop, now)
    retired, not_retired = _apply_each(work, plan.retirements, _retire, now)
    for request in plan.displaced:
        let_end(work, request.id, End.DISPLACED, now=now)
    for change in plan.promises:
        _promise(work, change, now)
    for wait in plan.waits:
        _keep_waiting(work, wait, plan, now)
    turned_away = (*outstayed, *sorted(overtaken), *not_placed, *not_grown, *not_shrunk, *not_stopped, *not_retired)
    return Applied(placed=placed, grown=grown, shrunk=shrunk, stopped=stopped, retired=retired, turned_away=turned_away)


def _outstayed(work: Work, pools: Collection[PoolId], snapshot: Snapshot) -> frozenset[PoolId]:
    """Return the pools, which are locked, in which a cluster stays for longer than the plan was told."""
    told = snapshot.requests
    extended = work.clusters.extended(pools) if pools else ()
    return frozenset(one.pool for one in extended if one.id not in told or told[one.id].deadline != one.deadline)


def _without_pools(plan: Plan, pools: Collection[PoolId]) -> tuple[Plan, tuple[RequestId, ...]]:
    """Return the plan without what it takes and promises in pools, and whose answers were left out."""
    if not pools:
        return plan, ()
    left = replace(
        plan,
        placements=tuple(one for one in plan.placements if one.request.pool not in pools),
        growths=tuple(one for one in plan.growths if one.request.pool not in pools),
        shrinks=tuple(one for one in plan.shrinks if one.request.pool not in pools),
        stops=tuple(one for one in plan.stops if one.request.pool not in pools),
        promises=tuple(one for one in plan.promises if one.request.pool not in pools),
    )
    return left, tuple(sorted({one.request.id for one in plan.answers() if one.request.pool in pools}))


def _overtaken(work: Work, plan: Plan, snapshot: Snapshot, now: Seconds) -> frozenset[RequestId]:
    """Return whose answers would use nodes that somebody has booked since the plan was made.

    The pools are locked, so that nobody books any before this is written.
    """
    uses = [
        (answer.request, {slot.node for slot in answer.processes}, _gone(answer, snapshot)) for answer in plan.answers()
    ]
    if not uses:
        return frozenset()
    nodes = frozenset[NodeId]().union(*(there for _, there, _ in uses))
    booked = work.bookings.during(nodes, now, max(gone for _, _, gone in uses))
    new = [booking for booking in booked if booking.id not in snapshot.bookings]
    return frozenset(
        request.id for request, there, gone in uses if any(crosses(one, request, there, now, gone) for one in new)
    )


def _gone(answer: Placement | Growth, snapshot: Snapshot) -> Seconds:
    """Return when what an answer starts is gone at the latest."""
    deadline = answer.deadline if isinstance(answer, Placement) else answer.request.deadline
    assert deadline is not None, answer
    return Seconds(deadline + snapshot.policy.termination_slack_seconds)


def _without(answers: Iterable[A], left_out: Collection[RequestId]) -> Iterator[A]:
    return (answer for answer in answers if answer.request.id not in left_out)


def _apply_each(
    work: Work, answers: Iterable[A], write: Callable[[Work, A, Seconds], None], now: Seconds
) -> tuple[tuple[RequestId, ...], tuple[RequestId, ...]]:
    """Write each answer inside a savepoint of its own; return whose was written and whose was not."""
    written: list[RequestId] = []
    turned_away: list[RequestId] = []
    for answer in answers:
        try:
            with work.trial():
                write(work, answer, now)
            written.append(answer.request.id)
        except TurnedAwayError:
            turned_away.append(answer.request.id)
    return tuple(written), tuple(turned_away)


def _place(work: Work, placement: Placement, now: Seconds) -> None:
    before = placement.request
    funding = work.accounts.get(placement.allocation).funding
    after = replace(
        before,
        state=State.PLACED,
        tags=replace(before.tags, funding=funding),
        reasons=(),
        promise=None,
        placed=now,
        deadline=placement.deadline,
        allocation=placement.allocation,
        guaranteed_until=placement.guaranteed_until,
    )
    assert before.may_move(after.state), before
    _swap(work, before, after)
    _occupy(work, after, placement.processes, now)
    if before.estimate is not None and before.only_waited:
        work.outcomes.add(before.pool, before.estimate, now)
    details = [("waited_seconds", str(before.waited_seconds(now)))]
    if after.workers_wanted > after.workers_min:
        details.append((WANTS_MORE, str(after.workers_wanted)))
    work.journal.add([Event(request=after.id, at=now, kind=EventKind.PLACED, details=tuple(details))])


def _grow(work: Work, growth: Growth, now: Seconds) -> None:
    before = growth.request
    after = replace(before, next_ordinal=before.next_ordinal + len(growth.processes))
    _swap(work, before, resized(after, growth.spared_milliseconds, now))
    _occupy(work, before, growth.processes, now)
    workers = ("workers", str(len(growth.processes)))
    work.journal.add([Event(request=before.id, at=now, kind=EventKind.GREW, details=(workers,))])


def _shrink(work: Work, shrink: Shrink, now: Seconds) -> None:
    """Tell chosen workers to leave: whoever has the stronger claim gets what they hold once they are gone."""
    before = shrink.request
    _swap(work, before, resized(before, shrink.spared_milliseconds, now))
    _tell_to_leave(work, shrink)
    details = (
        ("reason", _why(shrink)),
        ("by", " ".join(shrink.by)),
        ("claim", shrink.claim.code),
        ("workers", str(len(shrink.processes))),
        ("stop_by", str(shrink.stop_by)),
    )
    work.journal.add([Event(request=before.id, at=now, kind=EventKind.SHRANK, details=details)])


def _stop(work: Work, stop: Stop, now: Seconds) -> None:
    """Tell a cluster to end: when its notice is over the reconciler lets it, and its request waits again."""
    before, preemption = stop.request, stop.preemption
    _swap(work, before, before.made_to_end(preemption))
    details = (
        ("cause", preemption.cause.value),
        ("by", " ".join(preemption.by)),
        ("stop_by", str(preemption.stop_by)),
    )
    work.journal.add([Event(request=before.id, at=now, kind=EventKind.PREEMPTED, details=details)])


def _why(shrink: Shrink) -> str:
    """Return the code of why workers are told to leave: for others, or for what starts or grows of its own."""
    if shrink.by != (shrink.request.institution,):
        return "reclaimed"
    return "own-growth" if shrink.claim is Claim.ELASTIC else "own-start"


def _tell_to_leave(work: Work, leaving: Shrink | Retirement) -> None:
    for slot in leaving.processes:
        if not work.clusters.swap(slot, replace(slot, wanted=False, stop_by=leaving.stop_by)):
            raise TurnedAwayError


def _retire(work: Work, retirement: Retirement, now: Seconds) -> None:
    _tell_to_leave(work, retirement)
    details = (("reason", "node-draining"), ("workers", str(len(retirement.processes))))
    work.journal.add([Event(request=retirement.request.id, at=now, kind=EventKind.SHRANK, details=details)])


def _occupy(work: Work, request: Request, processes: tuple[Process, ...], now: Seconds) -> None:
    """Take the capacity and the credit of new slots, then keep the slots: the intent that the reconciler acts on."""
    if obstacle := work.capacity.take(claim_of(request, processes)):
        raise TurnedAwayError(obstacle)
    hold = hold_entry(
        bearer_of(request),
        EntryKey(f"hold:{processes[0].name}"),
        MicroCredits(sum(process.hold for process in processes)),
        now,
    )
    if refusal := work.accounts.hold(hold):
        raise TurnedAwayError(refusal)
    work.clusters.add(processes)


def _keep_waiting(work: Work, wait: Wait, plan: Plan, now: Seconds) -> None:
    for request in wait.requests:
        before = work.requests.get(request)
        if before is None or before.state is not State.PENDING or before.reasons == wait.codes:
            continue
        _swap(work, before, now_waiting(before, wait.codes, plan))
        codes = ("reasons", " ".join(wait.codes))
        work.journal.add([Event(request=request, at=now, kind=EventKind.WAITING, details=(codes,))])


def _promise(work: Work, change: PromiseChange, now: Seconds) -> None:
    """Write down what a waiting request is promised now, and tell its owner if that is not what it was."""
    before, promise = work.requests.get(change.request.id), change.promise
    if before is None or before.state is not State.PENDING or before.promise == promise:
        return
    _swap(work, before, replace(before, promise=promise))
    was, starts = (one.starts if one else None for one in (before.promise, promise))
    if was != starts:
        told = tuple((name, str(at)) for name, at in (("starts", starts), ("before", was)) if at is not None)
        told += (("cause", change.cause.value),) if change.cause else ()
        work.journal.add([Event(request=before.id, at=now, kind=EventKind.PROMISED, details=told)])


def _swap(work: Work, before: Request, after: Request) -> None:
    if not work.requests.swap(before, after):
        raise TurnedAwayError


def _requests(plan: Plan) -> set[RequestId]:
    answered = {answer.request.id for answer in (*plan.answers(), *plan.shrinks, *plan.stops, *plan.retirements)}
    answered |= {request.id for request in plan.displaced}
    answered |= {change.request.id for change in plan.promises}
    return answered | {request for wait in plan.waits for request in wait.requests}
