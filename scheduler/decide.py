"""One cycle's decision: every pending request gets a placement or all the reasons why it waits."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import numpy as np

from registry.axes import Ints, any_of, rows_where
from registry.ids import RequestId, Seconds
from scheduler import arrays as columns
from scheduler.aside import promised
from scheduler.blocking import OUT_OF_TIME, codes_of, crowded, numbers_of, stopped
from scheduler.displacing import displaced
from scheduler.elastic import anybody_may_want, asked_next, share_out
from scheduler.evacuation import evacuate
from scheduler.fitting import Packing
from scheduler.foreseeing import with_estimates
from scheduler.leveling import level
from scheduler.owners import call_back
from scheduler.plan import Growth, Plan, PromiseChange, Wait
from scheduler.policy import Order
from scheduler.promising import (
    Decided,
    goes_first,
    has_taken,
    keep,
    keep_promises,
    promise_latest_starts,
    promise_next_in_line,
    tell_of_latest,
)
from scheduler.requests import Request
from scheduler.seating import first_start, packing_now
from scheduler.snapshot import Snapshot
from scheduler.turns import Turns


def decide(snapshot: Snapshot, now: Seconds) -> Plan:
    """Return everything that changes at `now`: who starts, who grows, who leaves, whose reasons to wait are new ones.

    Pure and independent of the order in which the snapshot's mappings were filled. Running work is never touched but
    where its node is to be emptied, or where somebody with a stronger claim needs what it holds.
    """
    return _plan(snapshot, answer(snapshot, now), now)


def decide_and_foresee(snapshot: Snapshot, now: Seconds) -> Plan:
    """Return the same plan, which also says when those start who wait from now on."""
    decided = answer(snapshot, now)
    return with_estimates(_plan(snapshot, decided, now), snapshot, decided.standings)


def _plan(snapshot: Snapshot, decided: Decided, now: Seconds) -> Plan:
    waits = tuple(_changed(snapshot, decided))
    ending = tuple(displaced(snapshot, now))
    apart = decided.reclaims.giving_up | {request.id for request in ending}
    growths = _grow(decided, apart) if anybody_may_want(snapshot) else ()
    shrinks = tuple(decided.reclaims.shrinks())
    busy = {growth.request.id for growth in growths} | decided.reclaims.giving_up | apart
    return Plan(
        placements=tuple(decided.placements),
        growths=growths,
        shrinks=shrinks,
        stops=tuple(decided.reclaims.stops()),
        displaced=ending,
        retirements=tuple(evacuate(snapshot, busy, now)),
        promises=tuple(_promise_changes(snapshot, decided)),
        waits=waits,
        overtaking=_overtaking(snapshot, decided, waits),
    )


def _grow(decided: Decided, apart: AbstractSet[RequestId]) -> tuple[Growth, ...]:
    """Give workers to running clusters that want more, and take back or pass on what they may have of others."""
    room, reclaims = decided.room, decided.reclaims
    later = asked_next([placement.request for placement in decided.placements])
    growths = tuple(share_out(room, apart, later))
    call_back(room, reclaims, growths)
    level(room, reclaims, growths, apart | reclaims.giving_up, later)
    return growths


def answer(snapshot: Snapshot, now: Seconds) -> Decided:
    """Decide who starts now and whose start is protected.

    What was promised comes first, in the order in which it was; then those that were overtaken for long are promised a
    latest start. All but who is next in line take their turns: who fits starts, before its own latest start, too, and
    delays nothing that was promised to others. In the end somebody may be the next in line. A request that something
    else than nodes stops is passed over.
    """
    decided = Decided.nothing_yet(snapshot, now)
    keep_promises(decided)
    promise_latest_starts(decided)
    turns = Turns(decided)
    for request in turns:
        if not is_answered(decided, request):
            turns.give_up(request)
    promise_next_in_line(decided)
    tell_of_latest(decided)
    return decided


def is_answered(decided: Decided, request: Request) -> bool:
    """Place a request that nodes alone may stop, or promise it a start; tell whether it has either.

    Its own latest start does not stop it.
    """
    kept = decided.latest.get(request.id)
    if kept is None:
        return _is_answered(decided, request)
    if not _could_start_earlier(decided, request):
        return True
    bits = decided.waits_for[request.id]
    decided.let_go(kept)
    row = decided.room.arrays.queue.row(request.id)
    if decided.reclaims.stopped(np.array([row]))[0] or not _is_answered(decided, request):
        decided.keep_again(kept, bits)
    return True


def _could_start_earlier(decided: Decided, request: Request) -> bool:
    """Tell whether it could be of use to let the latest start of a request go."""
    room, floor = decided.room, decided.room.floor_for(request)
    fits = isinstance(floor.timeline.place(room.gang(request), room.now), Packing)
    return fits or decided.reclaims.could_help(request)


def _is_answered(decided: Decided, request: Request) -> bool:
    """Place a request, or promise it the first possible start.

    What others have to give back for it comes before any start that it would have to wait longer for.
    """
    room, gang = decided.room, decided.room.gang(request)
    short = decided.reclaims.is_short_of_quota(request)
    packing = None if short else packing_now(room, request, gang)
    if packing is not None:
        decided.start(request, gang, packing)
        return True
    floor = room.floor_for(request)
    if not room.policy.backfill:
        room.close(floor)
    if has_taken(decided, request, gang):
        return True
    first = first_start(room, request, gang) if not short and room.promises_in_turn(floor) else None
    if goes_first(decided, request, gang, first):
        return True
    if first is not None:
        keep(decided, request, gang, first)
    return first is not None


def codes_waited_for(snapshot: Snapshot, decided: Decided, request: Request) -> tuple[str, ...]:
    """Return the codes of what stops one pending request that was not placed."""
    return codes_of(int(_waiting_bits(snapshot, decided, np.array([snapshot.arrays.queue.row(request.id)]))[0]))


def _waiting_bits(snapshot: Snapshot, decided: Decided, rows: Ints) -> Ints:
    """Return what stops each of some pending requests, by their rows in order, now that everything is decided."""
    queue = snapshot.arrays.queue
    bits = stopped(decided.room, rows)
    on_nodes = crowded(decided.room, rows)
    # Whose booking has not begun, or is over, has no nodes that could be full.
    bits = bits | np.where(bits & OUT_OF_TIME, 0, on_nodes) if any_of(bits) else on_nodes
    if decided.waits_for:
        of_all = np.zeros(len(queue.cells), dtype=np.int64)
        of_all[rows] = bits
        of_all[[queue.row(request) for request in decided.waits_for]] = list(decided.waits_for.values())
        bits = of_all[rows]
    return np.asarray(bits)


def _changed(snapshot: Snapshot, decided: Decided) -> Iterator[Wait]:
    """Group the requests whose reasons are new by what stops them."""
    queue, names = snapshot.arrays.queue, snapshot.arrays.names
    rows = queue.alive()
    if decided.placements:
        waits = np.ones(len(queue.cells), dtype=bool)
        waits[[queue.row(placement.request.id) for placement in decided.placements]] = False
        rows = rows[waits[rows]]
    if not len(rows):
        return
    numbers = numbers_of(names, _waiting_bits(snapshot, decided, rows))
    news = rows_where(numbers != queue.cells[rows, columns.CODES])
    groups: dict[int, list[RequestId]] = {}
    for number, row in zip(numbers[news].tolist(), rows[news].tolist(), strict=True):
        groups.setdefault(number, []).append(queue.key(row))
    for number in sorted(groups, key=names.codes.key):
        yield Wait(codes=names.codes.key(number), requests=tuple(sorted(groups[number])))


def _overtaking(snapshot: Snapshot, decided: Decided, waits: tuple[Wait, ...]) -> dict[RequestId, int]:
    """Return for how long those of whom it is not known may be overtaken, under a policy that goes by its score."""
    if snapshot.policy.order is not Order.SCORE:
        return {}
    queue = snapshot.arrays.queue
    rows = [queue.row(request) for wait in waits for request in wait.requests]
    new = [row for row in rows if queue.cells[row, columns.OVERTAKING] == columns.UNKNOWN]
    return {queue.key(row): int(decided.overtaking.seconds[row]) for row in new}


def _promise_changes(snapshot: Snapshot, decided: Decided) -> Iterator[PromiseChange]:
    """Yield what becomes of promises, where the policy keeps any: given, moved, or taken back and why."""
    if not snapshot.policy.keeps_promises:
        return
    for request, promise in sorted(decided.promises.items()):
        before = snapshot.requests[request]
        if before.promise is not promise and before.promise != promise:
            yield PromiseChange(request=before, promise=promise, cause=decided.broken.get(request))
    placed = {placement.request.id for placement in decided.placements}
    for before in promised(snapshot):
        if before.id not in decided.promises and before.id not in placed:
            yield PromiseChange(request=before, promise=None, cause=decided.broken.get(before.id))
