"""Protected starts that were given in earlier cycles: they are kept, and move earlier where they can."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from registry.ids import RequestId, Seconds
from scheduler import arrays as columns
from scheduler.aside import are_free, keep_all, packing_of
from scheduler.blocking import NODES_FULL, SHARE_FULL, WOULD_DELAY, stopped
from scheduler.fitting import Gang, Packing
from scheduler.floors import Kept
from scheduler.ordering import Standings
from scheduler.plan import Claim, Placement
from scheduler.reclaim import Reclaims
from scheduler.requests import Cause, Promise, Request
from scheduler.room import Room
from scheduler.snapshot import Snapshot


@dataclass(slots=True)
class Decided:
    """What a cycle has decided so far: who starts, who is promised what, and the room that is left."""

    room: Room
    standings: Standings
    reclaims: Reclaims
    placements: list[Placement] = field(default_factory=list)
    promises: dict[RequestId, Promise] = field(default_factory=dict)
    waits_for: dict[RequestId, int] = field(default_factory=dict)
    """The bits of those that are promised something: their own promise stops nobody but others."""
    broken: dict[RequestId, Cause] = field(default_factory=dict)
    """Whose promise a stronger claim has moved later, or ended."""


def keep_promises(decided: Decided) -> None:
    """Set aside everything that was promised, then start what is due and move earlier what can, first come first.

    Everything is set aside before anything moves, so that no promise is moved onto what another counts on. A request
    that something else than nodes stops by now loses its promise.
    """
    room = decided.room
    if not room.policy.keeps_promises:
        return
    for request in [one.request for one in set_aside(decided)]:
        one = room.floor_for(request).kept_for(request)
        if one is None:
            continue  # somebody with a stronger claim has what it was promised
        freed = request.pool in room.snapshot.freed and room.may_gain(one)
        helped = one.starts > room.after_notice and decided.reclaims.could_help(request)
        if freed or helped or one.starts <= room.now:
            _move(decided, one)


def set_aside(decided: Decided) -> list[Kept]:
    """Set aside everything that was promised and can still be had, first come first; return it in that order."""
    requests = promised(decided.room.snapshot)
    kept = keep_all(decided.room, requests)
    if kept is None:
        return [one for request in requests if (one := _set_aside(decided, request, request.promise))]
    for request, is_free in zip(requests, are_free(decided.room, requests), strict=True):
        assert request.promise is not None, request
        decided.promises[request.id] = request.promise
        short = decided.reclaims.is_short_of_quota(request)
        decided.waits_for[request.id] = SHARE_FULL if short else WOULD_DELAY if is_free else NODES_FULL
    return kept


def _set_aside(decided: Decided, request: Request, promise: Promise | None) -> Kept | None:
    """Promise a request what it was promised, or else the first start that it can have; None if there is none."""
    room, queue = decided.room, decided.room.arrays.queue
    # Quota that is lacking now may be there by then: that is asked of the date.
    if stopped(room, np.array([queue.row(request.id)]))[0] & ~SHARE_FULL:
        return None
    assert promise is not None, request
    gang = room.gang(request)
    packing = packing_of(promise, room.floor_for(request).ground)
    starts = Seconds(max(promise.starts, room.now))
    if packing is None or not room.could_keep(request, gang, starts, packing):
        first = room.first_start(request, gang)
        if first is None:
            return None
        starts, packing = first
    return keep(decided, request, gang, (starts, packing))


def _move(decided: Decided, kept: Kept) -> None:
    """Let a promise go and find it a start again: its own at the latest, earlier if somebody has to make room."""
    room, request = decided.room, kept.request
    gang = room.gang(request)
    room.let_go(kept)
    first = room.first_start(request, gang, until=kept.starts)
    assert first is not None, kept
    if first[0] <= room.now:
        del decided.waits_for[request.id], decided.promises[request.id]
        start(decided, request, gang, first[1])
    elif (first[0] <= room.after_notice or not has_taken(decided, request, gang)) and not goes_first(
        decided, request, gang, first
    ):
        keep(decided, request, gang, first)


def start(decided: Decided, request: Request, gang: Gang, packing: Packing) -> None:
    """Place a request that nothing stops; who borrows is guaranteed its room for the least time of the policy."""
    room, least = decided.room, decided.room.policy.minimum_run_seconds
    borrows = least is not None and decided.reclaims.claim(request, gang) > Claim.GUARANTEED
    decided.standings.use(request, gang.total, request.walltime_seconds)
    placement = room.start(request, gang, packing)
    if borrows and least is not None:
        until = Seconds(min(room.now + least, placement.deadline))
        placement = replace(placement, guaranteed_until=until)
    decided.placements.append(placement)


def has_taken(decided: Decided, request: Request, gang: Gang) -> bool:
    """Take for a request what others lose the least by, if it may have any; tell whether it starts within a notice.

    Elastic workers come first, then what was promised to weaker claims, then guaranteed work that has to stop.
    """
    reclaims = decided.reclaims

    def at_once() -> tuple[Seconds, Packing] | None:
        packing = None if reclaims.is_short_of_quota(request) else decided.room.packing(request, gang)
        return reclaims.back_for(request, gang) if packing is None else (decided.room.now, packing)

    def at_last() -> tuple[Seconds, Packing] | None:
        return reclaims.stop_for(request, gang)

    first = reclaims.back_for(request, gang)
    if first is None and _before_weaker(decided, request, gang, at_once):
        return True
    first = first or at_last()
    if first is None:
        return _before_weaker(decided, request, gang, at_last)
    keep(decided, request, gang, first)
    return True


def goes_first(decided: Decided, request: Request, gang: Gang, first: tuple[Seconds, Packing] | None) -> bool:
    """Promise a request a start before weaker claims that were promised one, if it would come later than that: `first`.

    Tell whether it was.
    """
    room = decided.room

    def earlier() -> tuple[Seconds, Packing] | None:
        if decided.reclaims.is_short_of_quota(request) or not room.may_promise_on(room.floor_for(request)):
            return None
        found = room.first_start(request, gang)
        return found if found is not None and (first is None or found[0] < first[0]) else None

    return _before_weaker(decided, request, gang, earlier)


def _before_weaker(
    decided: Decided, request: Request, gang: Gang, find: Callable[[], tuple[Seconds, Packing] | None]
) -> bool:
    """Let a request have what `find` finds if nothing is promised to weaker claims, who are promised anew after that.

    Tell whether anything was found. Whose start comes later, or not at all any more, is noted with the cause.
    """
    room = decided.room
    if not room.floor_for(request).kept:
        return False
    claim = decided.reclaims.claim(request, gang)
    weaker = decided.reclaims.weaker_than(claim, request)
    if not weaker:
        return False
    promises = [decided.promises.pop(one.request.id) for one in weaker]
    for one in weaker:
        del decided.waits_for[one.request.id]
        room.let_go(one)
    found = find()
    if found is not None and found[0] <= room.now:
        start(decided, request, gang, found[1])
    elif found is not None:
        keep(decided, request, gang, found)
    for one, promise in zip(weaker, promises, strict=True):
        again = _set_aside(decided, one.request, promise)
        if again is None or again.starts > one.starts:
            decided.broken[one.request.id] = Cause.URGENT if claim is Claim.URGENT else Cause.OWNER
    return found is not None


def keep(decided: Decided, request: Request, gang: Gang, first: tuple[Seconds, Packing]) -> Kept:
    """Promise a request a start, and know what it waits for until then."""
    room = decided.room
    if decided.reclaims.is_short_of_quota(request):
        bits = SHARE_FULL
    else:
        fits = isinstance(room.floor_for(request).timeline.place(gang, room.now), Packing)
        bits = WOULD_DELAY if fits else NODES_FULL
    decided.waits_for[request.id] = bits
    decided.promises[request.id] = room.keep(request, gang, *first)
    return room.floor_for(request).kept[-1]


def promised(snapshot: Snapshot) -> list[Request]:
    """Return the requests that were promised a start, in the order in which they were."""
    queue = snapshot.arrays.queue
    rows = np.flatnonzero(queue.cells[:, columns.PROMISED] * queue.cells[:, columns.ALIVE])
    requests = [snapshot.requests[queue.key(int(row))] for row in rows]
    return sorted(requests, key=lambda one: (one.promise.given if one.promise else 0, one.id))
