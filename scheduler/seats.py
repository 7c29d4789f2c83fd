"""Promises that have not begun, seated anew at the same times on other nodes, so that one more gang has its own."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final

import numpy as np

from registry.axes import Ints, all_of
from registry.ids import RequestId, Seconds
from scheduler.fitting import Gang, Packing, place
from scheduler.profile import Hold, Timeline


@dataclass(frozen=True, slots=True, eq=False)
class Seat:
    """What is held for the promise of a request, and what it was promised for."""

    request: RequestId
    hold: Hold
    gang: Gang

    @property
    def starts(self) -> Seconds:
        """Return when it begins."""
        return self.hold.starts


@dataclass(frozen=True, slots=True)
class Reseated(Packing):
    """Where a gang goes if promises are had elsewhere: `moved` says where to, of each that is."""

    moved: tuple[tuple[RequestId, Packing], ...] = ()


def seated_anew(
    timeline: Timeline, gang: Gang, when: tuple[Seconds, Seconds], seats: Sequence[Seat]
) -> Reseated | None:  # fmt: skip
    """Return where a gang goes from one moment to another if promises that begin by then or later make way for it.

    All are gone through from left to right by their start: each stays where it is, or goes where there is room for its
    whole time beside those before it. On equal nodes of one core that always works out if the sums over all nodes are
    enough at every moment: intervals need no more colours than there are of them at once. Elsewhere it may be in vain:
    then the answer is None. What has begun, what begins before and what is booked stays where it is.

    The cost grows with the number of promises that begin later, for each of which a few numbers are compared, and by a
    walk through all nodes for each that has to move.
    """
    starts, ends = when
    later = [seat for seat in seats if seat.starts >= starts]
    later.sort(key=lambda seat: (seat.starts, seat.request))
    plan = _Seating(timeline, starts, later)
    own = plan.seated(gang, Seconds(ends))
    if own is None:
        return None
    for at, alike in groupby(later, key=attrgetter("starts")):
        if not plan.goes_on_to(at):
            break
        if not plan.seats_all(list(alike)):
            return None
    return Reseated(own.head, own.workers, tuple(sorted(plan.moved.items())))


class _Seating:
    """What each node has at the moment that is being looked at, as some have been seated anew and others will be."""

    def __init__(self, timeline: Timeline, at: Seconds, later: Sequence[Seat]) -> None:
        self.moved: Final[dict[RequestId, Packing]] = {}
        self._timeline: Final = timeline
        self._later: Final = later
        self._starts: Final = [seat.starts for seat in later]
        self._at = at
        mine = {id(seat.hold) for seat in later}
        fixed = sorted({one.starts for one in timeline.promised if one.starts > at and id(one) not in mine})
        self._fixed: Final = fixed
        """When something begins that stays where it is, while somebody who is seated anew may run."""
        self._then: Final = [timeline.free_at(one).copy() for one in fixed]
        """What each node has at those moments beside what is not seated yet."""
        for seat in later if fixed else ():
            self._take(seat.hold, -1)
        self._changed: Final = np.zeros_like(timeline.free)
        """What more each node has at this moment than if all promises were where they were."""
        self._gone: Final[dict[Seconds, Ints]] = {}
        """What of that is over by a moment, when those have gone who were seated anew."""
        self._open = self._beside(at)

    def goes_on_to(self, at: Seconds) -> bool:
        """Look at a later moment, at which somebody begins; tell whether anything is other than it was by then."""
        if at == self._at:
            return True
        for ends in [one for one in self._gone if one <= at]:
            self._changed[...] -= self._gone.pop(ends)
        if not self._gone:
            return False
        self._at, self._open = at, self._beside(at)
        return True

    def seats_all(self, alike: Sequence[Seat]) -> bool:
        """Seat those that begin at this moment: where they are who can stay, then the others; tell whether all have."""
        stay = [self._stays(seat) for seat in alike]
        return all(stays or self._moves(seat) for seat, stays in zip(alike, stay, strict=True))

    def seated(self, gang: Gang, ends: Seconds, moving: Seat | None = None) -> Packing | None:
        """Seat a gang from this moment on, first where the least is promised for its time; None if there is no room.

        Of those nodes, too, that are not free now come first, if it is for later: the others are of use.
        """
        open_until = self._open
        for number in self._while(ends):
            open_until = np.minimum(open_until, self._then[number])
        wanted = self._wanted(ends, moving)
        if self._at != self._timeline.now:
            wanted = np.hstack([wanted, np.maximum(self._timeline.free, 0)])
        packing = place(gang, open_until, wanted)
        if not isinstance(packing, Packing):
            return None
        hold = Hold(self._at, ends, packing.taken(gang, self._timeline.free), gang.total)
        self._take(hold, 1)
        self._open[hold.rows] -= hold.taken[hold.rows]
        more = (0 if moving is None else moving.hold.taken) - hold.taken
        self._changed[...] += more
        self._gone[ends] = self._gone.get(ends, 0) + more
        return packing

    def _beside(self, at: Seconds) -> Ints:
        """Return what each node has at a moment beside what is not seated yet."""
        beside = self._timeline.free_at(at) + self._changed
        for seat in self._later[bisect_left(self._starts, at) : bisect_right(self._starts, at)]:
            beside[seat.hold.rows] += seat.hold.taken[seat.hold.rows]
        return np.asarray(beside)

    def _stays(self, seat: Seat) -> bool:
        hold, rows = seat.hold, seat.hold.rows
        needed = hold.taken[rows]
        there = (self._open, *(self._then[number] for number in self._while(hold.ends)))
        if not all(all_of(needed <= one[rows]) for one in there):
            return False
        self._open[rows] -= needed
        self._take(hold, 1)
        return True

    def _moves(self, seat: Seat) -> bool:
        packing = self.seated(seat.gang, seat.hold.ends, seat)
        if packing is None:
            return False
        self.moved[seat.request] = packing
        return True

    def _while(self, ends: Seconds) -> Iterator[int]:
        """Yield which of the moments that stay come until then."""
        return iter(range(bisect_right(self._fixed, self._at), bisect_left(self._fixed, ends)))

    def _take(self, hold: Hold, sign: int) -> None:
        """Take of each node what is held at moments to come, or give it back."""
        for number in range(bisect_left(self._fixed, hold.starts), bisect_left(self._fixed, hold.ends)):
            self._then[number][hold.rows] -= sign * hold.taken[hold.rows]

    def _wanted(self, ends: Seconds, moving: Seat | None) -> Ints:
        """Return what of each node is promised to others who begin from this moment on until another."""
        wanted = np.zeros_like(self._timeline.free)
        for seat in self._later[bisect_left(self._starts, self._at) : bisect_left(self._starts, ends)]:
            if seat is not moving:
                wanted[seat.hold.rows] += seat.hold.taken[seat.hold.rows]
        return wanted
