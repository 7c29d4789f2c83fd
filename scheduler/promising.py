"""Protected starts that were given in earlier cycles: they are kept, and move earlier where they can."""

from dataclasses import dataclass, field

import numpy as np

from registry.ids import NodeId, RequestId, Seconds
from scheduler import arrays as columns
from scheduler.blocking import NODES_FULL, SHARE_FULL, WOULD_DELAY, stopped
from scheduler.fitting import Gang, Packing, place
from scheduler.floors import Kept
from scheduler.ordering import Standings
from scheduler.plan import Placement
from scheduler.reclaim import Reclaims
from scheduler.requests import Promise, Request
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


def keep_promises(decided: Decided) -> None:
    """Set aside everything that was promised, then start what is due and move earlier what can, first come first.

    Everything is set aside before anything moves, so that no promise is moved onto what another counts on. A request
    that something else than nodes stops by now loses its promise.
    """
    room = decided.room
    if not room.policy.keeps_promises:
        return
    for one in set_aside(decided):
        freed = one.request.pool in room.snapshot.freed or one.starts <= room.now
        if freed or (one.starts > room.after_notice and decided.reclaims.could_help(one.request)):
            _move(decided, one)


def set_aside(decided: Decided) -> list[Kept]:
    """Set aside everything that was promised and can still be had, first come first; return it in that order."""
    return [one for request in promised(decided.room.snapshot) if (one := _set_aside(decided, request))]


def _set_aside(decided: Decided, request: Request) -> Kept | None:
    room, queue = decided.room, decided.room.arrays.queue
    # Quota that is lacking now may be there by then: that is asked of the date.
    if stopped(room, np.array([queue.row(request.id)]))[0] & ~SHARE_FULL:
        return None
    gang = room.gang(request)
    assert request.promise is not None, request
    packing = _packing_of(request.promise, room, request)
    starts = Seconds(max(request.promise.starts, room.now))
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
    starts, packing = first
    if starts > room.after_notice:
        starts, packing = first = decided.reclaims.back_for(request, gang) or first
    if starts <= room.now:
        del decided.waits_for[request.id], decided.promises[request.id]
        decided.standings.use(request, gang.total, request.walltime_seconds)
        decided.placements.append(room.start(request, gang, packing))
    else:
        keep(decided, request, gang, first)


def keep(decided: Decided, request: Request, gang: Gang, first: tuple[Seconds, Packing]) -> Kept:
    """Promise a request a start, and know what it waits for until then."""
    room = decided.room
    if decided.reclaims.is_short_of_quota(request):
        bits = SHARE_FULL
    else:
        fits = isinstance(place(gang, room.floor_for(request).timeline.free), Packing)
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


def _packing_of(promise: Promise, room: Room, request: Request) -> Packing | None:
    """Return where a promise counts on starting, if all those nodes are still there."""
    rows = room.floor_for(request).ground.row_of
    names: list[NodeId] = [promise.head, *(node for node, _ in promise.workers)]
    if not all(node in rows for node in names):
        return None
    return Packing(rows[promise.head], tuple((rows[node], count) for node, count in promise.workers))
