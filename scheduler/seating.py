"""When and where a request may start beside everything kept, for which others are seated anew if that helps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from registry.ids import Seconds
from scheduler.fitting import Gang, Packing
from scheduler.floors import Floor, Kept
from scheduler.requests import Request
from scheduler.room import Room
from scheduler.seats import Reseated, Seat, seated_anew

_MOST_MOMENTS: Final = 4
"""At so many moments others are seated anew for one request: where that is in vain, later ones seldom do better."""


def packing_now(room: Room, request: Request, gang: Gang) -> Packing | None:
    """Return where a request goes that may start now as far as nodes are concerned, delaying nothing kept."""
    floor, ends = room.floor_for(request), room.would_end(request)
    placed = floor.timeline.place(gang, ends)
    if not isinstance(placed, Packing) and not room.may_seat_anew(floor):
        return None
    # Before others are seated anew, which is dear: quotas say the same wherever they are.
    if floor.dues.delayed(room.grants.row(request.project, request.pool), gang.total, room.now, ends):
        return None
    return placed if isinstance(placed, Packing) else _anew_now(room, request, gang)


def _anew_now(room: Room, request: Request, gang: Gang) -> Packing | None:
    """Return where a request that delays somebody on nodes, but nobody by sums, goes now if others make way for it."""
    floor = room.floor_for(request)
    if not isinstance(floor.timeline.place(gang, room.now), Packing):
        return None
    has_room = floor.timeline.has_room(gang.total, room.now, room.lasts(request))
    return _anew(room, request, gang, room.now) if has_room else None


def first_start(
    room: Room, request: Request, gang: Gang, until: Seconds | None = None
) -> tuple[Seconds, Packing] | None:
    """Return when a request could start at the earliest, beside everything kept, and where.

    Promises are of times: they are had on other nodes where that lets it start when the sums over all nodes do.
    """
    floor, lasts, allows = room.floor_for(request), room.lasts(request), _allows(room, request, gang)
    if room.may_seat_anew(floor):
        moments = (Seconds(int(at)) for at in floor.timeline.moments(gang.total, lasts, until))
        found = _first_of(room, request, gang, moments)
        if found is not None:
            return found
    return floor.timeline.earliest(gang, lasts, until=until, allows=allows)


def latest_start(room: Room, request: Request, gang: Gang, until: Seconds) -> tuple[Seconds, Packing] | None:
    """Return when a request could start at the latest, up to a moment and beside everything kept, and where."""
    floor, lasts, allows = room.floor_for(request), room.lasts(request), _allows(room, request, gang)
    if room.may_seat_anew(floor):
        found = _first_of(room, request, gang, floor.timeline.last_moments(gang.total, lasts, until))
        if found is not None:
            return found
    return floor.timeline.latest(gang, lasts, until=until, allows=allows)


def start_at(room: Room, request: Request, gang: Gang, at: Seconds) -> tuple[Seconds, Packing] | None:
    """Return where a request could start at just that moment, beside everything kept."""
    floor = room.floor_for(request)
    has_room = floor.timeline.has_room(gang.total, at, room.lasts(request))
    return _first_of(room, request, gang, [at] if has_room else [])


def _first_of(room: Room, request: Request, gang: Gang, moments: Iterable[Seconds]) -> tuple[Seconds, Packing] | None:
    """Return the first of moments, at which sums are enough, at which a request could start; only few are tried."""
    floor, lasts, allows = room.floor_for(request), room.lasts(request), _allows(room, request, gang)
    tried = 0
    for at in moments:
        if not allows(at):
            continue
        packing = floor.timeline.packing(gang, at, lasts) or _anew(room, request, gang, at)
        if packing is not None:
            return at, packing
        tried += 1
        if tried == _MOST_MOMENTS:
            break
    return None


def _anew(room: Room, request: Request, gang: Gang, at: Seconds) -> Packing | None:
    """Return where a request goes at a moment if others are seated anew, while it was not too often in vain."""
    floor = room.floor_for(request)
    if not room.may_seat_anew(floor):
        return None
    seats = [Seat(one.request.id, one.hold, room.gang(one.request)) for one in floor.kept]
    packing = seated_anew(floor.timeline, gang, (at, Seconds(at + room.lasts(request))), seats)
    if packing is None:
        floor.seated_in_vain()
        # Who is found hopeless now was not as long as others might have made way.
        room.decisions += not room.may_seat_anew(floor)
    return packing


def move(room: Room, floor: Floor, packing: Packing) -> list[Kept]:
    """Have others where they make way, and return what is set aside for them now: as before, but on other nodes."""
    if not isinstance(packing, Reseated):
        return []
    moved = {kept.request.id: kept for kept in floor.kept}
    return [_move(room, floor, moved[request], to) for request, to in packing.moved]


def _move(room: Room, floor: Floor, kept: Kept, packing: Packing) -> Kept:
    hold = replace(kept.hold, taken=packing.taken(room.gang(kept.request), floor.timeline.free))
    head, workers = floor.ground.named(packing)
    after = replace(kept, hold=hold, promise=replace(kept.promise, head=head, workers=workers))
    floor.move(kept, after)
    return after


def _allows(room: Room, request: Request, gang: Gang) -> Callable[[Seconds], bool]:
    """Return what tells whether quotas let a request start at a moment."""
    dues, lasts = room.floor_for(request).dues, room.lasts(request)
    row = room.grants.row(request.project, request.pool)
    return lambda at: dues.allows(row, gang.total, at, Seconds(at + lasts))
