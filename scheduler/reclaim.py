"""What somebody with a stronger claim may have back: elastic workers, then guaranteed work that has to stop for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import numpy as np

from quotas.grants import NOBODY, Grants
from registry.axes import Bools, Ints, all_of, any_of, rows_where, within
from registry.ids import PoolId, RequestId, Seconds
from scheduler import arrays as columns
from scheduler.blocking import SHARE_FULL, maybe_fits, stopped
from scheduler.fitting import Gang, Packing
from scheduler.floors import Kept
from scheduler.plan import Claim, Shrink, Stop
from scheduler.recalls import Recalls
from scheduler.requests import Request
from scheduler.room import Room
from scheduler.stops import Stops

_MOST_IN_VAIN: Final = 64
"""So many requests look in vain in one cycle for workers that could leave for them: each search is dear."""


class Reclaims:
    """What is taken back while a plan is made.

    Claims are, the strongest first: guaranteed within the nominal quota, elastic within it, guaranteed beyond it,
    elastic beyond it. A weaker one takes nothing of a stronger one, but each institution's own elastic workers yield
    to its own starts before anybody else's do. What is taken is free when the notice is over and the processes have
    had their time to end.
    """

    def __init__(self, room: Room) -> None:
        self._room: Final = room
        self._recalls: Final = Recalls(room)
        self._stops: Final = Stops(room, self._recalls)
        self._in_vain = 0

    @property
    def giving_up(self) -> frozenset[RequestId]:
        """Return the clusters that have to give anything up, or end."""
        return self._recalls.shrinking | self._stops.stopping

    def could_help(self, request: Request) -> bool:
        """Tell whether anything is lent, or about to be given back, where a request may go, or could stop for it."""
        if request.booking is not None:
            return False
        return self._room.floor_for(request).lends or self._stops.may_help(request)

    def lends_to_others(self, pool: PoolId, owner: int) -> bool:
        """Tell whether anybody but an institution has elastic workers in a pool."""
        if not self._room.floor((pool, None)).lends:
            return False
        cells = self._room.arrays.lent()
        here = cells[:, columns.POOL] == self._room.arrays.names.pools.of(pool)
        return bool((here & (cells[:, columns.INSTITUTION] != owner)).any())

    def maybe_fits(self, rows: Ints) -> Bools:
        """Tell who could start, be promised a start, or take what others have or were promised, as far as sums tell.

        Requests are given by their rows of the queue.
        """
        result = maybe_fits(self._room, rows)
        for may in (self._stops.could_suffice, self._may_go_first):
            if all_of(result):
                break
            rest = rows_where(~result)
            result[rest] = may(self._room.arrays.queue.cells[rows[rest]])
        return result

    def may_overrule(self, request: Request) -> bool:
        """Tell whether a request could have what was promised to others, by any claim."""
        return request.booking is None and self._recalls.may_overrule(request)

    def weaker_than(self, claim: Claim, request: Request) -> list[Kept]:
        """Return what is set aside where a request may go for others by claims that its own overrules."""
        if request.booking is not None or not self._recalls.overrules(claim, request):
            return []
        kept = self._room.floor_for(request).kept
        if kept:
            self._recalls.searched(request)
        others = (one for one in kept if one.request is not request)
        return [one for one in others if self.claim(one.request, self._room.gang(one.request)) > claim]

    def _may_go_first(self, cells: Ints) -> Bools:
        """Tell who could start, or be promised a start, if nothing were promised to weaker claims."""
        result, owned = np.zeros(len(cells), dtype=bool), self._recalls.is_owned(cells)
        if not any_of(owned):
            return result
        room, names = self._room, self._room.arrays.names
        for number in np.unique(cells[:, columns.SPOT]):
            spot = names.spots.key(int(number))
            floor = room.floor(spot)
            if spot[1] is not None or floor.closed or not floor.kept:
                continue
            at = rows_where(owned & (cells[:, columns.SPOT] == number))
            if not len(at):
                continue
            strong = [one for one in floor.kept if self.claim(one.request, room.gang(one.request)) <= Claim.GUARANTEED]
            if len(strong) < len(floor.kept):
                may_promise = sum(one.is_next for one in strong) < room.policy.reservations
                result[at] = may_promise | within(cells[at][:, columns.TOTAL :], self._stops.at_best(spot[0]))
        return result

    def stopped(self, rows: Ints) -> Ints:
        """Return for each pending request what else stops it than nodes, and than quota which could be had back.

        Requests are given by their rows of the queue.
        """
        bits = stopped(self._room, rows)
        if not self._room.arrays.structure.withholds_any:
            return bits
        full = rows_where(bits == SHARE_FULL)
        if len(full):
            bits, cells = bits.copy(), self._room.arrays.queue.cells[rows[full]]
            bits[full[~self._withheld_for_good(cells)]] = 0
        return bits

    def is_short_of_quota(self, request: Request) -> bool:
        """Tell whether quota stops a request of which it is known that nothing else but nodes does."""
        if not self._room.arrays.structure.withholds_any or not self.could_help(request):
            return False
        queue = self._room.arrays.queue
        return bool(stopped(self._room, np.array([queue.row(request.id)]))[0])

    def back_for(self, request: Request, gang: Gang) -> tuple[Seconds, Packing] | None:
        """Take back the workers that a request needs to start as soon as a notice is over; return when and where.

        As few as will do, if it may have any, from the end of the order: of those that have to be asked, the nodes
        with the most room come first.
        """
        floor = self._room.floor_for(request)
        if request.booking is not None or not floor.lends or floor.searched_enough:
            return None
        claim = self.claim(request, gang)
        packing = self._recalls.back(request, gang, claim, self._recalls.victims(request, claim))
        self._in_vain += packing is None
        floor.searched_enough = self._in_vain >= _MOST_IN_VAIN
        return None if packing is None else (self._room.after_notice, packing)

    def stop_for(self, request: Request, gang: Gang) -> tuple[Seconds, Packing] | None:
        """Have guaranteed work stop, too, whose room a request may have when a notice is over; return when and where.

        As little of it as will do.
        """
        if not self._stops.may_help(request):
            return None
        packing = self._stops.stop_for(request, gang, self.claim(request, gang))
        return None if packing is None else (self._room.after_notice, packing)

    def call_back(self, request: Request, count: int, busy: Collection[RequestId]) -> bool:
        """Take back workers that others borrowed for so many more of a running cluster; tell whether they were."""
        return self._recalls.call_back(request, count, self._stops.stopping.union(busy))

    def pass_on(self, request: Request, count: int, beyond: Mapping[int, int]) -> bool:
        """Have others of its institution give up workers for so many more of a cluster; tell whether they can."""
        return self._recalls.pass_on(request, count, beyond)

    def claim(self, request: Request, gang: Gang) -> Claim:
        """Return by what claim a request would start."""
        return self._recalls.claim(request, gang)

    def leaving_of(self, pool: PoolId, owner: int) -> Ints:
        """Return what an institution holds by workers that were told to leave, in this cycle or before."""
        return self._recalls.leaving_of(pool, owner)

    def shrinks(self) -> Iterator[Shrink]:
        """Yield what each cluster has to give up that goes on."""
        return (shrink for shrink in self._recalls.shrinks() if shrink.request.id not in self._stops.stopping)

    def stops(self) -> Iterator[Stop]:
        """Yield which clusters have to end."""
        return self._stops.stops()

    def _withheld_for_good(self, cells: Ints) -> Bools:
        """Tell whose quota would not do even if all that is lent came back, and for some all that could stop."""
        room = self._room
        rows = room.arrays.names.rows_of(room.arrays.structure)[cells[:, columns.SHARE]]
        grants, lent = room.grants.copy(), room.arrays.lent()
        self._give_back(grants, lent)
        withheld = grants.withheld(rows, cells[:, columns.TOTAL :])
        still = rows_where(withheld)
        still = still[self._stops.could_suffice(cells[still])] if len(still) else still
        if len(still):
            self._give_back(grants, self._stops.cells_of_stoppable())
            withheld[still] = grants.withheld(rows[still], cells[still][:, columns.TOTAL :])
        return np.asarray(withheld)

    def _give_back(self, grants: Grants, processes: Ints) -> None:
        for number in np.unique(processes[:, columns.SHARE]):
            row = int(self._room.arrays.names.rows_of(self._room.arrays.structure)[number])
            if row != NOBODY:
                own = processes[processes[:, columns.SHARE] == number]
                grants.grant(row, -own[:, columns.SHAPE_OF_PROCESS :].sum(axis=0))
