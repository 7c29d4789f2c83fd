"""Protected starts: those given before are kept, or move earlier; who has waited for long is promised a latest one."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

import numpy as np

from registry.axes import Ints
from registry.ids import PoolId, RequestId, Seconds
from scheduler import arrays as columns
from scheduler.aside import are_free, keep_all, packing_of, promised
from scheduler.blocking import NODES_FULL, SET_ASIDE, SHARE_FULL, WOULD_DELAY, may_be_promised, stopped
from scheduler.fitting import Gang, Packing
from scheduler.floors import Floor, Kept
from scheduler.ordering import Standings
from scheduler.overtaken import Overtaken
from scheduler.overtaking import Overtaking
from scheduler.plan import Claim, Placement
from scheduler.policy import Order
from scheduler.reclaim import Reclaims
from scheduler.requests import Cause, Promise, Request
from scheduler.room import Room
from scheduler.seating import first_start, latest_start, move, packing_now, start_at
from scheduler.snapshot import Snapshot


@dataclass(slots=True)
class Decided:
    """What a cycle has decided so far: who starts, who is promised what, and the room that is left."""

    room: Room
    standings: Standings
    reclaims: Reclaims
    overtaking: Overtaking
    placements: list[Placement] = field(default_factory=list)
    promises: dict[RequestId, Promise] = field(default_factory=dict)
    waits_for: dict[RequestId, int] = field(default_factory=dict)
    """The bits of those that are promised something: their own promise stops nobody but others."""
    latest: dict[RequestId, Kept] = field(default_factory=dict)
    """What is set aside for those that may start before their promise."""
    broken: dict[RequestId, Cause] = field(default_factory=dict)
    """Whose promise a stronger claim has moved later, or ended."""

    @classmethod
    def nothing_yet(cls, snapshot: Snapshot, now: Seconds) -> Decided:
        """Return what is decided before anything is."""
        room = Room(snapshot, now)
        return cls(room, Standings(snapshot, now), Reclaims(room), Overtaking(room))

    def start(self, request: Request, gang: Gang, packing: Packing) -> None:
        """Place a request that nothing stops; who borrows is guaranteed its room for the least time of the policy."""
        room, least = self.room, self.room.policy.minimum_run_seconds
        borrows = least is not None and self.reclaims.claim(request, gang) > Claim.GUARANTEED
        self.standings.use(request, gang.total, request.walltime_seconds)
        self._move_others(request, packing)
        placement = room.start(request, gang, packing)
        if borrows and least is not None:
            until = Seconds(min(room.now + least, placement.deadline))
            placement = replace(placement, guaranteed_until=until)
        self.placements.append(placement)

    def promise(
        self, request: Request, gang: Gang, first: tuple[Seconds, Packing], aim: Seconds | None, bits: int
    ) -> Kept:
        """Set a start aside for a request, a latest one if it has an aim."""
        self._move_others(request, first[1])
        return self.keep(self.room.keep(request, gang, first, aim), bits)

    def _move_others(self, request: Request, packing: Packing) -> None:
        """Have those on other nodes who make way for a request, at the same times."""
        for kept in move(self.room, self.room.floor_for(request), packing):
            self.promises[kept.request.id] = kept.promise
            if kept.is_latest:
                self.latest[kept.request.id] = kept

    def let_go(self, kept: Kept) -> None:
        """Promise something no longer, which is about to start or to be promised otherwise."""
        request = kept.request.id
        self.room.let_go(kept)
        self.latest.pop(request, None)
        del self.promises[request], self.waits_for[request]

    def keep_again(self, kept: Kept, bits: int) -> None:
        """Set aside again what was let go in vain: nobody has taken anything since, all of it is still there."""
        self.keep(self.room.set_aside(kept), bits)

    def keep(self, kept: Kept, bits: int) -> Kept:
        """Know of what was set aside for a request, and what that waits for until then."""
        request = kept.request.id
        self.promises[request], self.waits_for[request] = kept.promise, bits
        if kept.is_latest:
            self.latest[request] = kept
        return kept


def keep_promises(decided: Decided) -> None:
    """Set aside everything that was promised, then start what is due and move earlier what can, first come first.

    Everything is set aside before anything moves, so that no promise is moved onto what another counts on. A latest
    start stays where it is: its request has its turn before. One that something else than nodes stops by now loses its
    promise.
    """
    room = decided.room
    if not room.policy.keeps_promises:
        return
    requests = [one.request for one in set_aside(decided)]
    freed = room.snapshot.freed | _given_up(decided)
    for request in requests:
        one = room.floor_for(request).kept_for(request)
        # It is none any more if somebody with a stronger claim has what it was promised.
        if one is not None and (one.starts <= room.now or _may_move(decided, one, freed)):
            _move(decided, one)


def _given_up(decided: Decided) -> frozenset[PoolId]:
    """Return the pools in which somebody is not promised any more what was kept for it."""
    kept = {request: promise.starts for request, promise in decided.promises.items()}
    before = [(one, one.promise.starts) for one in promised(decided.room.snapshot) if one.promise]
    now = decided.room.now
    return frozenset(one.pool for one, starts in before if one.id not in kept or kept[one.id] > max(starts, now))


def _may_move(decided: Decided, one: Kept, freed: AbstractSet[PoolId]) -> bool:
    room = decided.room
    if one.is_latest:
        return False
    if one.request.pool in freed and room.may_gain(one):
        return True
    return one.starts > room.after_notice and decided.reclaims.could_help(one.request)


def set_aside(decided: Decided) -> list[Kept]:
    """Set aside everything that was promised and can still be had, first come first; return it in that order."""
    requests = promised(decided.room.snapshot)
    kept = keep_all(decided.room, requests)
    if kept is None:
        return [one for request in requests if (one := _set_aside(decided, request, request.promise))]
    for one, is_free in zip(kept, are_free(decided.room, requests), strict=True):
        short = decided.reclaims.is_short_of_quota(one.request)
        decided.keep(one, SHARE_FULL if short else WOULD_DELAY if is_free else NODES_FULL)
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
        # What is promised is a time: other nodes will do. A latest start, too, comes no later than it has to now, if it
        # has to: only once is it put as late as can be.
        found = start_at(room, request, gang, starts) or first_start(room, request, gang)
        if found is None:
            return None
        starts, packing = found
    return keep(decided, request, gang, (starts, packing), promise.aim)


def _move(decided: Decided, kept: Kept) -> None:
    """Let a promise go and find it a start again: its own at the latest, earlier if somebody has to make room."""
    room, request = decided.room, kept.request
    gang = room.gang(request)
    decided.let_go(kept)
    first = first_start(room, request, gang, until=kept.starts)
    assert first is not None, kept
    if first[0] <= room.now:
        decided.start(request, gang, first[1])
    elif (first[0] <= room.after_notice or not has_taken(decided, request, gang)) and not goes_first(
        decided, request, gang, first
    ):
        keep(decided, request, gang, first, kept.promise.aim)


def _start_or_keep(
    decided: Decided, request: Request, gang: Gang, found: tuple[Seconds, Packing], aim: Seconds | None = None
) -> None:
    if found[0] <= decided.room.now:
        decided.start(request, gang, found[1])
    else:
        keep(decided, request, gang, found, aim)


def has_taken(decided: Decided, request: Request, gang: Gang) -> bool:
    """Take for a request what others lose the least by, if it may have any; tell whether it starts within a notice.

    Elastic workers come first, then what was promised to weaker claims, then guaranteed work that has to stop.
    """
    reclaims = decided.reclaims

    def at_once() -> tuple[Seconds, Packing] | None:
        packing = None if reclaims.is_short_of_quota(request) else packing_now(decided.room, request, gang)
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
        found = first_start(room, request, gang)
        return found if found is not None and (first is None or found[0] < first[0]) else None

    return _before_weaker(decided, request, gang, earlier)


def _before_weaker(
    decided: Decided, request: Request, gang: Gang, find: Callable[[], tuple[Seconds, Packing] | None]
) -> bool:
    """Let a request have what `find` finds if nothing is promised to weaker claims, who are promised anew after that.

    Tell whether anything was found. Whose start comes later, or not at all any more, is noted with the cause.
    """
    room = decided.room
    if not room.floor_for(request).kept or not decided.reclaims.may_overrule(request):
        return False
    claim = decided.reclaims.claim(request, gang)
    weaker = decided.reclaims.weaker_than(claim, request)
    if not weaker:
        return False
    for one in weaker:
        decided.let_go(one)
    found = find()
    if found is None:
        for one in weaker:
            _keep_again(decided, one)
        return False
    _start_or_keep(decided, request, gang, found)
    for one in weaker:
        again = _set_aside(decided, one.request, one.promise)
        if again is None or again.starts > one.starts:
            decided.broken[one.request.id] = Cause.URGENT if claim is Claim.URGENT else Cause.OWNER
    return True


def _keep_again(decided: Decided, kept: Kept) -> None:
    """Promise again what was let go in vain, and say anew what it waits for."""
    room, request = decided.room, kept.request
    soon = room.is_soon(room.floor_for(request), kept.starts)
    again = kept if soon == kept.soon else replace(kept, soon=soon)
    decided.keep_again(again, _keeps_waiting_for(decided, request, room.gang(request)))


def keep(
    decided: Decided, request: Request, gang: Gang, first: tuple[Seconds, Packing], aim: Seconds | None = None
) -> Kept:
    """Promise a request a start, a latest one if it has an aim, and know what it waits for until then."""
    bits = _keeps_waiting_for(decided, request, gang)
    return decided.promise(request, gang, first, aim, bits)


def _keeps_waiting_for(decided: Decided, request: Request, gang: Gang) -> int:
    """Return the bits of what keeps a request from starting now that is promised a start."""
    if decided.reclaims.is_short_of_quota(request):
        return SHARE_FULL
    room = decided.room
    fits = isinstance(room.floor_for(request).timeline.place(gang, room.now), Packing)
    return WOULD_DELAY if fits else NODES_FULL


def promise_latest_starts(decided: Decided) -> None:
    """Promise a latest start to requests that were overtaken for long, those first that have waited the longest.

    That is the last moment at which there is room until they may be overtaken no longer, else the first one. The
    policy bounds how many of a pool have one: where more want one than may, institutions take turns, and their people.
    """
    room, queue = decided.room, decided.room.arrays.queue
    if not room.policy.promises_latest_starts:
        return
    rows = queue.alive()
    rows = rows[decided.overtaking.is_long_overtaken[rows] & (queue.cells[rows, columns.PROMISED] == 0)]
    spots = queue.cells[rows, columns.SPOT]
    for spot in sorted((room.arrays.names.spots.key(int(one)) for one in np.unique(spots)), key=str):
        floor, here = room.floor(spot), rows[spots == room.arrays.names.spots.of(spot)]
        if floor.latest_starts < room.policy.latest_starts:
            here = here[stopped(room, here) == 0]
            _promise_latest(decided, floor, queue.sorted(here, (queue.cells[here, columns.SINCE],)))


def _promise_latest(decided: Decided, floor: Floor, rows: list[int]) -> None:
    """Go through the pending requests of a floor until as many latest starts are promised as may be."""
    room, queue = decided.room, decided.room.arrays.queue
    never: set[tuple[int, int]] = set()
    waiting = Overtaken(room.arrays, rows)

    def chosen() -> list[int]:
        having = [one.request for one in floor.kept if one.is_latest]
        free = room.policy.latest_starts - floor.latest_starts
        return waiting.chosen(free, having, lambda row: _kind(queue.cells[row]) in never)

    while some := chosen():
        for row in some:
            kind = _kind(queue.cells[row])
            if kind in never or (room.is_tight and stopped(room, np.array([row]))[0]):
                continue
            if not _is_promised_latest(decided, row):
                never.add(kind)


def _is_promised_latest(decided: Decided, row: int) -> bool:
    """Promise a latest start to a request, or start it; tell whether there is any for it."""
    room, cells = decided.room, decided.room.arrays.queue.cells
    request = room.snapshot.requests[room.arrays.queue.key(row)]
    gang, aim = room.gang(request), Seconds(int(cells[row, columns.SINCE] + decided.overtaking.seconds[row]))
    found = latest_start(room, request, gang, aim) or first_start(room, request, gang)
    if found is not None:
        _start_or_keep(decided, request, gang, found, aim)
    return found is not None


def promise_next_in_line(decided: Decided) -> None:
    """Promise the first possible start to the first in the order that has waited for its turn and lacks only nodes.

    As many of each pool as the policy says have such a promise at a time. It comes instead of its own latest start.
    """
    room, queue = decided.room, decided.room.arrays.queue
    if room.policy.order is not Order.SCORE or not (room.policy.backfill and room.policy.reservations):
        return
    rows = queue.alive()
    rows = rows[decided.overtaking.may_be_next[rows]]
    rows = rows[may_be_promised(room, rows)]
    answered = [queue.row(one.request.id) for one in decided.placements]
    answered += [queue.row(one) for one in decided.waits_for if one not in decided.latest]
    rows = rows[~np.isin(rows, answered)]
    left = {int(spot) for spot in np.unique(queue.cells[rows, columns.SPOT])}
    never: set[tuple[int, int]] = set()
    for row in decided.standings.order_of(rows) if left else ():
        spot, kind = int(queue.cells[row, columns.SPOT]), _kind(queue.cells[row])
        if spot not in left or kind in never:
            continue
        request = room.snapshot.requests[queue.key(row)]
        if not _is_next(decided, request, row):
            never.add(kind)
        elif not room.may_promise_on(room.floor_for(request)):
            left.remove(spot)
            if not left:
                return


def _kind(row: Ints) -> tuple[int, int]:
    """Return what is the same for requests of which no start can be found if there is none for one of them."""
    return int(row[columns.SHAPE]), int(row[columns.SHARE])


def _is_next(decided: Decided, request: Request, row: int) -> bool:
    """Promise a request the first possible start, if nothing but nodes stops it; tell whether there could be one."""
    room, gang = decided.room, decided.room.gang(request)
    kept = decided.latest.get(request.id)
    bits = decided.waits_for.get(request.id, 0)
    if kept is not None:
        decided.let_go(kept)
    stops = stopped(room, np.array([row]))[0]
    first = None if stops else first_start(room, request, gang)
    if first is not None:
        _start_or_keep(decided, request, gang, first)
    elif kept is not None:
        decided.keep_again(kept, bits)
    return bool(stops) or first is not None


def tell_of_latest(decided: Decided) -> None:
    """Know what keeps those from starting now who have a latest start, once everything else is decided."""
    for request, kept in decided.latest.items():
        decided.waits_for[request] = _stops(decided.room, kept)


def _stops(room: Room, kept: Kept) -> int:
    """Return what stops a request beside its own latest start, by which it might seem to stand in its own way."""
    row = np.array([room.arrays.queue.row(kept.request.id)])
    fits = isinstance(room.floor_for(kept.request).timeline.place(room.gang(kept.request), room.now), Packing)
    bits = int(stopped(room, row)[0]) & ~SET_ASIDE | (0 if fits else NODES_FULL)
    if not bits:
        room.let_go(kept)
        bits = int(stopped(room, row)[0]) or WOULD_DELAY
        room.set_aside(kept)
    return bits
