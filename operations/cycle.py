"""One round of the scheduling loop: snapshot, decide, apply."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from operations.clusters import bearer_of, claim_of
from operations.events import Event, EventKind
from operations.follower import Follower
from operations.ports import Inside
from operations.ports.store import NodeFull, Work
from quotas.ledger import EntryKey, hold_entry
from quotas.reasons import NoCredit, NoShare, ShareFull
from registry.ids import MicroCredits, RequestId, Seconds
from scheduler.clusters import Process
from scheduler.decide import decide
from scheduler.plan import Growth, Placement, Plan, PromiseChange, Retirement, Wait
from scheduler.requests import Request, State

A = TypeVar("A", Placement, Growth, Retirement)
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
    """What became of a plan: who started, who grew, who leaves nodes, and who was turned away to the next cycle."""

    placed: tuple[RequestId, ...] = ()
    grown: tuple[RequestId, ...] = ()
    retired: tuple[RequestId, ...] = ()
    turned_away: tuple[RequestId, ...] = ()


def run_cycle(ports: Inside[Work], follower: Follower) -> Applied:
    """Decide once on the committed state and apply what changed."""
    now = ports.clock.now()
    plan = decide(follower.catch_up(), now)
    return ports.store.transact(apply, plan, now=now) if plan else Applied()


def apply(work: Work, plan: Plan, *, now: Seconds) -> Applied:
    """Write a plan, answer by answer; one that meets a changed world is undone alone and stays as it was."""
    work.requests.lock(_requests(plan))
    work.capacity.lock({answer.request.pool for answer in plan.answers()})
    placed, not_placed = _apply_each(work, plan.placements, _place, now)
    grown, not_grown = _apply_each(work, plan.growths, _grow, now)
    retired, not_retired = _apply_each(work, plan.retirements, _retire, now)
    for change in plan.promises:
        _promise(work, change, now)
    for wait in plan.waits:
        _keep_waiting(work, wait, now)
    turned_away = (*not_placed, *not_grown, *not_retired)
    return Applied(placed=placed, grown=grown, retired=retired, turned_away=turned_away)


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
    )
    assert before.may_move(after.state), before
    _swap(work, before, after)
    _occupy(work, after, placement.processes, now)
    waited = ("waited_seconds", str(before.waited_seconds(now)))
    work.journal.add([Event(request=after.id, at=now, kind=EventKind.PLACED, details=(waited,))])


def _grow(work: Work, growth: Growth, now: Seconds) -> None:
    before = growth.request
    _swap(work, before, replace(before, next_ordinal=before.next_ordinal + len(growth.processes)))
    _occupy(work, before, growth.processes, now)
    workers = ("workers", str(len(growth.processes)))
    work.journal.add([Event(request=before.id, at=now, kind=EventKind.GREW, details=(workers,))])


def _retire(work: Work, retirement: Retirement, now: Seconds) -> None:
    for slot in retirement.processes:
        if not work.clusters.swap(slot, replace(slot, wanted=False, stop_by=retirement.stop_by)):
            raise TurnedAwayError
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


def _keep_waiting(work: Work, wait: Wait, now: Seconds) -> None:
    for request in wait.requests:
        before = work.requests.get(request)
        if before is None or before.state is not State.PENDING or before.reasons == wait.codes:
            continue
        _swap(work, before, replace(before, reasons=wait.codes))
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
        work.journal.add([Event(request=before.id, at=now, kind=EventKind.PROMISED, details=told)])


def _swap(work: Work, before: Request, after: Request) -> None:
    if not work.requests.swap(before, after):
        raise TurnedAwayError


def _requests(plan: Plan) -> set[RequestId]:
    answered = {answer.request.id for answer in (*plan.answers(), *plan.retirements)}
    answered |= {change.request.id for change in plan.promises}
    return answered | {request for wait in plan.waits for request in wait.requests}
