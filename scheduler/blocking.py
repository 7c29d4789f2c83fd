"""What stops the pending requests, found for all of them at once, one bit for each kind of reason."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

import numpy as np

from quotas.grants import NOBODY
from quotas.reasons import NoCredit, NoShare, ShareFull
from registry.axes import PLACES, Bools, Ints, all_of, any_of, rows_where, within
from registry.ids import Seconds
from scheduler import arrays as columns
from scheduler.arrays import HELD_BY_OPERATOR, HELD_BY_USER
from scheduler.bookings import is_over
from scheduler.fitting import Packing
from scheduler.floors import Floor
from scheduler.holdings import Holdings
from scheduler.names import NOT_SOLD, UNKNOWN, Names
from scheduler.policy import WHOLE_PERCENT
from scheduler.reasons import (
    BookingNotBegun,
    BookingOver,
    ClassShareFull,
    HeldByOperator,
    HeldByUser,
    NodesFull,
    NoRate,
    OthersFirst,
    PersonAtClassLimit,
    SetAside,
    StartFailed,
    WouldDelayReserved,
)
from scheduler.room import Room

_CODES: Final = (
    HeldByUser.code,
    HeldByOperator.code,
    StartFailed.code,
    BookingNotBegun.code,
    BookingOver.code,
    PersonAtClassLimit.code,
    ClassShareFull.code,
    NoShare.code,
    ShareFull.code,
    NoRate.code,
    NoCredit.code,
    SetAside.code,
    NodesFull.code,
    WouldDelayReserved.code,
    OthersFirst.code,
)
"""In the order in which reasons are told: bit n stands for the n-th."""
_MANY: Final = 1024
"""Of more requests than these the rows are dear to copy."""
_BIT: Final = {code: 1 << number for number, code in enumerate(_CODES)}
OUT_OF_TIME: Final = _BIT[BookingNotBegun.code] | _BIT[BookingOver.code]
SHARE_FULL: Final = _BIT[ShareFull.code]
SET_ASIDE: Final = _BIT[SetAside.code]
NODES_FULL: Final = _BIT[NodesFull.code]
WOULD_DELAY: Final = _BIT[WouldDelayReserved.code]
OTHERS_FIRST: Final = _BIT[OthersFirst.code]


def numbers_of(names: Names, bits: Ints) -> Ints:
    """Return the number of the codes that bits stand for, of each of many."""
    numbers = names.codes_of_bits(len(_CODES))
    missing = bits[numbers[bits] == UNKNOWN]
    for one in set(missing.tolist()):
        numbers[one] = names.codes.of(codes_of(one))
    return np.asarray(numbers[bits])


@cache
def codes_of(bits: int) -> tuple[str, ...]:
    """Return the codes that bits stand for."""
    return tuple(code for code in _CODES if bits & _BIT[code])


def stopped(room: Room, rows: Ints) -> Ints:
    """Return for each pending request, by its row of the queue, what else than nodes stops it.

    Found out once for the whole queue where nothing that is decided can change it.
    """
    if room.is_tight:
        cells = room.arrays.queue.cells
        # Most of a long queue is not copied first.
        return _stopped(room, cells)[rows] if 2 * len(rows) > len(cells) > _MANY else _stopped(room, cells[rows])
    if room.stopped_by is None:
        room.stopped_by = hindered(room, room.arrays.queue.cells)
    return np.asarray(room.stopped_by[rows])


def _stopped(room: Room, cells: Ints) -> Ints:
    """Find out what else than nodes stops requests, where a look at all together shows that anybody is."""
    bits = hindered(room, cells)
    for code, is_at in ((PersonAtClassLimit.code, _at_limit), (ClassShareFull.code, _class_full)):
        then = is_at(room, room.promised, cells)
        if any_of(then):
            bits |= np.where(is_at(room, room.held, cells), _BIT[code], np.where(then, _BIT[SetAside.code], 0))
    return np.asarray(bits | _lacking_quota(room, cells) | _lacking_credit(room, cells))


def hindered(room: Room, cells: Ints) -> Ints:
    """Find out what stops requests that no other request can have to do with."""
    bits = (cells[:, columns.NOT_BEFORE] > room.now) * _BIT[StartFailed.code]
    if any_of(held := cells[:, columns.HELD]):
        bits |= np.where(held & HELD_BY_USER, _BIT[HeldByUser.code], 0)
        bits |= np.where(held & HELD_BY_OPERATOR, _BIT[HeldByOperator.code], 0)
    if any(booking for _, booking in room.arrays.names.spots):
        bits |= _out_of_time(room)[cells[:, columns.SPOT]]
    if not room.arrays.names.all_have_shares(room.arrays.structure):
        rows = room.arrays.names.rows_of(room.arrays.structure)[cells[:, columns.SHARE]]
        bits |= np.where(rows == NOBODY, _BIT[NoShare.code], 0)
    if not room.sells_all:
        bits |= np.where(room.prices[cells[:, columns.PRICED]] == NOT_SOLD, _BIT[NoRate.code], 0)
    return np.asarray(bits)


def _out_of_time(room: Room) -> Ints:
    """Return for each spot whether its booking has not begun, or is over."""
    bits: list[int] = []
    for _, name in room.arrays.names.spots:
        booking = room.snapshot.bookings.get(name) if name else None
        over = name is not None and (booking is None or is_over(booking, room.now))
        early = booking is not None and booking.begins > room.now
        bits.append(_BIT[BookingOver.code] * over | _BIT[BookingNotBegun.code] * early)
    return np.array(bits, dtype=np.int64)


def _lacking_quota(room: Room, cells: Ints) -> Ints:
    structure, bits = room.arrays.structure, np.zeros(len(cells), dtype=np.int64)
    if not structure.withholds_any:
        return bits
    rows = room.arrays.names.rows_of(structure)[cells[:, columns.SHARE]]
    shared = rows_where(rows != NOBODY)
    if len(shared):
        total = cells[shared, columns.TOTAL :]
        # Of a single one, which is asked again at its turn, only the way down to it is looked at.
        alone = [room.grants.claimable(int(row)) for row in rows[shared]] if len(shared) == 1 else None
        beyond = ~within(total, np.array(alone) if alone else room.grants.claimable_by_all()[rows[shared]])
        full, total = shared[beyond], total[beyond]
        if len(full):
            bits[full[room.grants.withheld(rows[full], total)]] = _BIT[ShareFull.code]
    return bits


def _lacking_credit(room: Room, cells: Ints) -> Ints:
    price, payer = room.prices[cells[:, columns.PRICED]], cells[:, columns.PAYER]
    then = price > room.promised.available[payer]
    if not any_of(then):
        return np.zeros(len(cells), dtype=np.int64)
    poor = price > room.held.available[payer]
    return np.where(poor, _BIT[NoCredit.code], np.where(then, _BIT[SetAside.code], 0))


def crowded(room: Room, rows: Ints) -> Ints:
    """Return for each pending request, by its row of the queue, what on the nodes stops it."""
    bits = np.zeros(len(rows), dtype=np.int64)
    for floor, of in _by_spot(room, rows):
        bits[of] = _crowded(room, floor, rows[of])
    return bits


def maybe_fits(room: Room, rows: Ints) -> Bools:
    """Tell who could start, or be promised a start, as far as sums over nodes tell: nobody else can."""
    result = np.zeros(len(rows), dtype=bool)
    for floor, of in _by_spot(room, rows):
        if not floor.closed:
            needs_no_room = room.promises_in_turn(floor) or not room.policy.backfill
            result[of] = True if needs_no_room else _fits_by_sums(room, floor, rows[of])
    return result


def may_be_free(room: Room, rows: Ints) -> Bools:
    """Tell for whom there is enough as far as sums over nodes tell, whatever of it is kept for later."""
    result = np.zeros(len(rows), dtype=bool)
    for floor, of in _by_spot(room, rows):
        free = np.maximum(floor.timeline.free, 0).sum(axis=0)
        total = room.arrays.queue.columns(columns.TOTAL, rows[of])
        result[of] = within(total, np.maximum(free, room.within_notice(floor)))
    return result


def may_be_promised(room: Room, rows: Ints) -> Bools:
    """Tell whose pool has a promise left for who is next in line."""
    result = np.zeros(len(rows), dtype=bool)
    for floor, of in _by_spot(room, rows):
        result[of] = room.may_promise_on(floor)
    return result


def _by_spot(room: Room, rows: Ints) -> Iterator[tuple[Floor, Ints | slice]]:
    """Yield each spot that some requests are for, and which of them."""
    if not len(rows):
        return
    names = room.arrays.names.spots
    spots = room.arrays.queue.column(columns.SPOT, rows if len(names) > 1 else rows[:1])
    if all_of(spots == spots[0]):
        yield room.floor(names.key(int(spots[0]))), slice(None)
        return
    for number in np.unique(spots):
        yield room.floor(names.key(int(number))), rows_where(spots == number)


def _fits_by_sums(room: Room, floor: Floor, rows: Ints) -> Bools:
    starts, sums = floor.timeline.open_by_starts()
    sums = np.maximum(sums, floor.timeline.sums_by_starts()) if room.may_seat_anew(floor) else sums
    sums = np.maximum(sums, room.within_notice(floor)) if floor.lends else sums
    total = room.arrays.queue.columns(columns.TOTAL, rows)
    return within(total, sums[_before(room, starts, rows)] if len(starts) else sums[0])


def _before(room: Room, starts: Ints, rows: Ints) -> Ints:
    """Return for each request how many of the starts come before it would end."""
    walltime = room.arrays.queue.column(columns.WALLTIME, rows)
    return starts.searchsorted(walltime + (room.now + room.policy.termination_slack_seconds), "left")


def _crowded(room: Room, floor: Floor, rows: Ints) -> Ints:
    starts, sums = floor.timeline.open_by_starts()
    queue = room.arrays.queue
    total = queue.columns(columns.TOTAL, rows)
    bits = np.asarray(~within(total, sums[0]) * NODES_FULL)
    if len(floor.ground.ids) == 1:
        # Then the sums tell everything.
        if len(starts):
            bits[~within(total, sums[_before(room, starts, rows)]) & (bits == 0)] = WOULD_DELAY
    elif len(fits := rows_where(bits == 0)):
        before = _before(room, starts, rows[fits])
        shapes = queue.column(columns.SHAPE, rows[fits])
        alike, which = np.unique(shapes * (len(starts) + 1) + before, return_inverse=True)
        kinds = (divmod(one, len(starts) + 1) for one in alike.tolist())
        found = [_on_nodes(room, floor, shape, int(starts[count - 1]) if count else None) for shape, count in kinds]
        bits[fits] = np.array(found, dtype=np.int64)[which.reshape(-1)]
    if room.arrays.structure.withholds_any:
        _add_delayed_by_quota(room, floor, queue.cells[rows], bits)
    if floor.closed:
        bits[bits == 0] = OTHERS_FIRST
    return np.asarray(bits)


def _on_nodes(room: Room, floor: Floor, shape: int, last_start: int | None) -> int:
    """Return what stops requests of one shape on nodes, that end after a protected start, the last of such."""
    gang = room.arrays.gang(shape)
    if not isinstance(floor.timeline.place(gang, room.now), Packing):
        return NODES_FULL
    if last_start is None:
        return 0
    return 0 if isinstance(floor.timeline.place(gang, Seconds(last_start + 1)), Packing) else WOULD_DELAY


def _add_delayed_by_quota(room: Room, floor: Floor, cells: Ints, bits: Ints) -> None:
    """Note of those whom nodes do not stop whether quota would be lacking at a protected start."""
    rows = room.arrays.names.rows_of(room.arrays.structure)[cells[:, columns.SHARE]]
    for at in rows_where((bits == 0) & (rows != NOBODY)):
        ends = Seconds(int(room.now + cells[at, columns.WALLTIME] + room.policy.termination_slack_seconds))
        if floor.dues.delayed(int(rows[at]), cells[at, columns.TOTAL :], room.now, ends):
            bits[at] = WOULD_DELAY


def _at_limit(room: Room, holdings: Holdings, cells: Ints) -> Bools:
    return np.asarray(holdings.running[cells[:, columns.BY_PERSON]] >= room.most_per_person[cells[:, columns.CLASS]])


def _class_full(room: Room, holdings: Holdings, cells: Ints) -> Bools:
    """Tell whose class may not hold so much more; one that may hold the whole pool is only bound by nodes."""
    percent = room.share_percent
    full = percent[cells[:, columns.CLASS]] < WHOLE_PERCENT
    if any_of(full):
        pool, request_class = cells[full, columns.POOL], cells[full, columns.CLASS]
        allowed = room.wholes[pool] * percent[request_class, None] // WHOLE_PERCENT
        beyond = cells[full][:, columns.TOTAL :] > allowed - holdings.granted[pool, request_class]
        beyond[:, PLACES] = False
        full[full] = beyond.any(axis=1)
    return np.asarray(full)
