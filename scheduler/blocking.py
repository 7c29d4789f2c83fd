"""What stops the pending requests, found for all of them at once, one bit for each kind of reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

import numpy as np

from quotas.grants import NOBODY
from quotas.reasons import NoCredit, NoShare, ShareFull
from registry.axes import PLACES, Bools, Ints, within
from registry.ids import Seconds
from scheduler import arrays as columns
from scheduler.arrays import CLASSES, HELD_BY_OPERATOR, HELD_BY_USER, NOT_SOLD
from scheduler.fitting import Gang, Packing, place
from scheduler.holdings import Holdings
from scheduler.policy import WHOLE_PERCENT
from scheduler.reasons import (
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
from scheduler.room import Floor, Room

_CODES: Final = (
    HeldByUser.code,
    HeldByOperator.code,
    StartFailed.code,
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
_BIT: Final = {code: 1 << number for number, code in enumerate(_CODES)}
NODES_FULL: Final = _BIT[NodesFull.code]
WOULD_DELAY: Final = _BIT[WouldDelayReserved.code]
OTHERS_FIRST: Final = _BIT[OthersFirst.code]


@cache
def codes_of(bits: int) -> tuple[str, ...]:
    """Return the codes that bits stand for."""
    return tuple(code for code in _CODES if bits & _BIT[code])


def ordered(codes: Iterator[str] | Sequence[str]) -> tuple[str, ...]:
    """Return codes as they are stored: each once, in the order in which reasons are told."""
    return codes_of(sum({_BIT[code] for code in codes}))


def stopped(room: Room, cells: Ints) -> Ints:
    """Return for each pending request, one row of the queue each, what else than nodes stops it."""
    arrays = room.arrays
    bits = np.zeros(len(cells), dtype=np.int64)
    if not len(cells):
        return bits
    total = cells[:, columns.TOTAL :]

    def add(code: str, where: Bools) -> None:
        bits[where] |= _BIT[code]

    add(HeldByUser.code, (cells[:, columns.HELD] & HELD_BY_USER) > 0)
    add(HeldByOperator.code, (cells[:, columns.HELD] & HELD_BY_OPERATOR) > 0)
    add(StartFailed.code, cells[:, columns.NOT_BEFORE] > room.now)
    for code, now, then in (
        (PersonAtClassLimit.code, _at_limit(room, room.held, cells), _at_limit(room, room.promised, cells)),
        (ClassShareFull.code, _class_full(room, room.held, cells), _class_full(room, room.promised, cells)),
    ):
        add(code, now)
        add(SetAside.code, then & ~now)
    rows = arrays.names.rows_of(arrays.structure)[cells[:, columns.SHARE]]
    shared = rows != NOBODY
    add(NoShare.code, ~shared)
    if shared.any():
        full = np.zeros(len(cells), dtype=bool)
        full[shared] = ~within(total[shared], room.grants.claimable_by_all()[rows[shared]])
        if full.any():
            full[full] = room.grants.withheld(rows[full], total[full])
            add(ShareFull.code, full)
    price = room.prices[cells[:, columns.PRICED]]
    add(NoRate.code, price == NOT_SOLD)
    payer = cells[:, columns.PAYER]
    poor = price > room.held.available[payer]
    add(NoCredit.code, poor)
    add(SetAside.code, (price > room.promised.available[payer]) & ~poor)
    return bits


def crowded(room: Room, cells: Ints) -> Ints:
    """Return for each pending request, one row of the queue each, what on the nodes stops it."""
    bits = np.zeros(len(cells), dtype=np.int64)
    for number in np.unique(cells[:, columns.POOL]):
        floor = room.floor(room.arrays.names.pools.key(int(number)))
        of = np.flatnonzero(cells[:, columns.POOL] == number)
        bits[of] = _crowded(room, floor, cells[of])
    return bits


def maybe_fits(room: Room, cells: Ints) -> Bools:
    """Tell who could start, or be promised a start, as far as sums over nodes tell: nobody else can."""
    result = np.zeros(len(cells), dtype=bool)
    for number in np.unique(cells[:, columns.POOL]):
        floor = room.floor(room.arrays.names.pools.key(int(number)))
        of = np.flatnonzero(cells[:, columns.POOL] == number)
        if not floor.closed:
            needs_no_room = room.may_promise_on(floor) or not room.policy.backfill
            result[of] = True if needs_no_room else _fits_by_sums(room, floor, cells[of])
    return result


def _fits_by_sums(room: Room, floor: Floor, cells: Ints) -> Bools:
    ends = room.now + cells[:, columns.WALLTIME] + room.policy.termination_slack_seconds
    starts = sorted({hold.starts for hold in floor.timeline.promised})
    before = np.searchsorted(np.array(starts, dtype=np.int64), ends, "left")
    opens = [floor.timeline.free, *(floor.timeline.open_until(Seconds(one + 1)) for one in starts)]
    sums = np.stack([np.maximum(one, 0).sum(axis=0) for one in opens])
    return within(cells[:, columns.TOTAL :], sums[before])


def _crowded(room: Room, floor: Floor, cells: Ints) -> Ints:
    free = floor.timeline.free
    bits = np.where(within(cells[:, columns.TOTAL :], np.maximum(free, 0).sum(axis=0)), 0, NODES_FULL)
    ends = room.now + cells[:, columns.WALLTIME] + room.policy.termination_slack_seconds
    holds = np.sort(np.array([hold.starts for hold in floor.timeline.promised], dtype=np.int64))
    before = np.searchsorted(holds, ends, "left")
    share = room.arrays.names.rows_of(room.arrays.structure)[cells[:, columns.SHARE]]
    fits = np.flatnonzero(bits == 0)
    alike, which = np.unique(
        np.stack([cells[fits, columns.SHAPE], before[fits], share[fits]]), axis=1, return_inverse=True
    )
    found = [_on_nodes(room, floor, one, holds) for one in alike.T]
    bits[fits] = np.array(found, dtype=np.int64)[which.reshape(-1)] if found else 0
    if floor.closed:
        bits[bits == 0] = OTHERS_FIRST
    return np.asarray(bits)


def _on_nodes(room: Room, floor: Floor, alike: Ints, holds: Ints) -> int:
    """Return what stops requests of one shape and share that end before all but so many protected starts."""
    shape, before, share = map(int, alike)
    gang = gang_of(room, shape)
    if not isinstance(place(gang, floor.timeline.free), Packing):
        return NODES_FULL
    if not before:
        return 0
    ends = Seconds(int(holds[before - 1]) + 1)
    if not isinstance(place(gang, floor.timeline.open_until(ends)), Packing):
        return WOULD_DELAY
    delayed = share != NOBODY and floor.dues.delayed(share, gang.total, room.now, ends)
    return WOULD_DELAY if delayed else 0


def gang_of(room: Room, shape: int) -> Gang:
    """Return the gang of a shape by its number."""
    _, head, worker, count = room.arrays.names.shapes.key(shape)
    axes = room.arrays.axes
    rows = np.array(axes.row(head, 1)), np.array(axes.row(worker, 1))
    return Gang(head=rows[0], worker=rows[1], count=count, total=rows[0] + rows[1] * count)


def _at_limit(room: Room, holdings: Holdings, cells: Ints) -> Bools:
    most = np.array([room.policy.classes[one].most_per_person for one in CLASSES])
    return np.asarray(holdings.running[cells[:, columns.BY_PERSON]] >= most[cells[:, columns.CLASS]])


def _class_full(room: Room, holdings: Holdings, cells: Ints) -> Bools:
    """Tell whose class may not hold so much more; one that may hold the whole pool is only bound by nodes."""
    percent = np.array([room.policy.classes[one].share_percent for one in CLASSES])
    full = percent[cells[:, columns.CLASS]] < WHOLE_PERCENT
    if full.any():
        pool, request_class = cells[full, columns.POOL], cells[full, columns.CLASS]
        allowed = room.wholes[pool] * percent[request_class, None] // WHOLE_PERCENT
        beyond = cells[full][:, columns.TOTAL :] > allowed - holdings.granted[pool, request_class]
        beyond[:, PLACES] = False
        full[full] = beyond.any(axis=1)
    return np.asarray(full)
