"""The numbers behind the codes of what stops a request: who has how much of what, and what is missing."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from quotas.reasons import NoCredit, NoShare, ShareFull
from registry.axes import exceeds
from registry.ids import Seconds
from registry.resources import names
from scheduler.fitting import Crowded, place
from scheduler.plan import WaitReason
from scheduler.reasons import (
    BookingNotBegun,
    BookingOver,
    ClassShareFull,
    HeldByOperator,
    HeldByUser,
    Kept,
    NodesFull,
    NoRate,
    OthersFirst,
    PersonAtClassLimit,
    SetAside,
    StartFailed,
    WouldDelayReserved,
)
from scheduler.requests import Promise, Request
from scheduler.room import Room


def reasons_in_numbers(
    room: Room, request: Request, codes: Collection[str], promise: Promise | None
) -> Iterator[WaitReason]:
    """Yield the reasons that codes stand for, in their order."""
    for code in codes:
        if code == NodesFull.code:
            yield _nodes_full(room, request, promise)
        else:
            yield from _TELLERS[code](room, request)


def _held_by_user(_: Room, __: Request) -> Iterator[HeldByUser]:
    yield HeldByUser()


def _held_by_operator(_: Room, __: Request) -> Iterator[HeldByOperator]:
    yield HeldByOperator()


def _start_failed(_: Room, request: Request) -> Iterator[StartFailed]:
    assert request.trouble is not None, request
    assert request.not_before is not None, request
    yield StartFailed(trouble=request.trouble, until=request.not_before)


def _not_begun(room: Room, request: Request) -> Iterator[BookingNotBegun]:
    assert request.booking is not None, request
    yield BookingNotBegun(booking=request.booking, begins=room.snapshot.bookings[request.booking].begins)


def _booking_over(_: Room, request: Request) -> Iterator[BookingOver]:
    assert request.booking is not None, request
    yield BookingOver(booking=request.booking)


def _no_share(_: Room, request: Request) -> Iterator[NoShare]:
    yield NoShare(project=request.project, pool=request.pool)


def _no_rate(_: Room, request: Request) -> Iterator[NoRate]:
    yield NoRate(pool=request.pool)


def _others_first(_: Room, request: Request) -> Iterator[OthersFirst]:
    yield OthersFirst(pool=request.pool)


def _no_credit(room: Room, request: Request) -> Iterator[NoCredit]:
    available = room.held.most_available(request, room.now)
    yield NoCredit(project=request.project, needed=room.price(request), available=available)


def _person_at_limit(room: Room, request: Request) -> Iterator[PersonAtClassLimit]:
    number = room.arrays.names.by_person.of((request.person, request.request_class))
    running, most = int(room.held.running[number]), room.rule_of(request).most_per_person
    yield PersonAtClassLimit(request_class=request.request_class, running=running, most=most)


def _class_share_full(room: Room, request: Request) -> Iterator[ClassShareFull]:
    needed, left = request.gang_total(), room.arrays.axes.amount(room.left_to_class(room.held, request))
    for name in names(needed):
        if needed.amount(name) > left.amount(name):
            yield ClassShareFull(
                request_class=request.request_class,
                pool=request.pool,
                resource=name,
                needed=needed.amount(name),
                left=max(0, left.amount(name)),
            )


def _share_full(room: Room, request: Request) -> tuple[ShareFull, ...]:
    row = room.grants.row(request.project, request.pool)
    return room.grants.reasons(room.arrays.shares, row, room.gang(request).total)


def _set_aside(room: Room, request: Request) -> Iterator[SetAside]:
    first = min(kept.starts for kept in room.kept())
    number = room.arrays.names.by_person.of((request.person, request.request_class))
    rule, total = room.rule_of(request), room.gang(request).total
    if room.held.running[number] < rule.most_per_person <= room.promised.running[number]:
        yield SetAside(what=Kept.TURN, reserved_from=first)
    fits_now, fits_then = (
        rule.takes_all or not exceeds(total, room.left_to_class(holdings, request))
        for holdings in (room.held, room.promised)
    )
    if fits_now and not fits_then:
        yield SetAside(what=Kept.CLASS_SHARE, reserved_from=first)
    price = room.price(request)
    if room.promised.most_available(request, room.now) < price <= room.held.most_available(request, room.now):
        yield SetAside(what=Kept.CREDIT, reserved_from=first)


def _nodes_full(room: Room, request: Request, promise: Promise | None) -> NodesFull:
    packing = place(room.gang(request), room.floor_for(request).timeline.free)
    placeable = packing.placeable if isinstance(packing, Crowded) else request.workers_min + 1
    expected = promise.starts if promise else None
    return NodesFull(pool=request.pool, processes=request.workers_min + 1, placeable=placeable, expected=expected)


def _would_delay(room: Room, request: Request) -> Iterator[WouldDelayReserved]:
    """Name the first protected start that the request would delay: the first with which it does not fit any more."""
    floor, ends, gang = room.floor_for(request), room.would_end(request), room.gang(request)
    row = room.grants.row(request.project, request.pool)
    own = [kept.hold for kept in floor.kept if kept.request.id == request.id]
    starts = sorted(hold.starts for hold in floor.timeline.promised if hold.starts < ends and hold not in own)
    for at in starts:
        until = Seconds(at + 1)
        crowded = isinstance(place(gang, floor.timeline.open_until(until)), Crowded)
        if crowded or floor.dues.delayed(row, gang.total, room.now, until):
            yield WouldDelayReserved(pool=request.pool, reserved_from=at, would_end=ends)
            return


_TELLERS: Final[Mapping[str, Callable[[Room, Request], Iterable[WaitReason]]]] = {
    HeldByUser.code: _held_by_user,
    HeldByOperator.code: _held_by_operator,
    StartFailed.code: _start_failed,
    BookingNotBegun.code: _not_begun,
    BookingOver.code: _booking_over,
    PersonAtClassLimit.code: _person_at_limit,
    ClassShareFull.code: _class_share_full,
    NoShare.code: _no_share,
    ShareFull.code: _share_full,
    NoRate.code: _no_rate,
    NoCredit.code: _no_credit,
    SetAside.code: _set_aside,
    WouldDelayReserved.code: _would_delay,
    OthersFirst.code: _others_first,
}
"""Who tells what stops a request; of full nodes is told besides what the request was promised."""
