"""Guaranteed work that has to stop while a plan is made: for urgent work, or for who owns what it was borrowed of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from quotas.grants import NOBODY
from registry.axes import Bools, Ints, any_of, rows_where, within
from registry.ids import PoolId, RequestId, Seconds, ShareId
from scheduler import arrays as columns
from scheduler.arrays import CLASSES
from scheduler.dues import Due
from scheduler.fitting import Gang, Packing
from scheduler.lent import released
from scheduler.plan import Claim, Stop
from scheduler.profile import Hold
from scheduler.recalls import Recalls
from scheduler.requests import Cause, Preemption, Request, RequestClass
from scheduler.room import Room
from scheduler.stopping import Stoppable, borrowed, fewest, is_owed, processes_of, stoppable_in
from scheduler.vacating import Vacating, given_back, shares_of, usable


class Stops:
    """Who has to stop, and for whom.

    Urgent work may have the room of everybody but urgent work. An institution that is guaranteed less than it owns
    may have that of others who are guaranteed more, of what they started beyond that, once it has run for the least
    time that the policy gives it.
    """

    def __init__(self, room: Room, recalls: Recalls) -> None:
        self._room: Final = room
        self._recalls: Final = recalls
        self._pools: Final[dict[PoolId, Stoppable]] = {}
        self._stops: Final[dict[RequestId, Stop]] = {}

    @property
    def stopping(self) -> frozenset[RequestId]:
        """Return the clusters that have to end."""
        return frozenset(self._stops)

    def stops(self) -> Iterator[Stop]:
        """Yield them, with what they are told."""
        return (stop for _, stop in sorted(self._stops.items()))

    def may_help(self, request: Request) -> bool:
        """Tell whether any might have to end for a request."""
        if request.booking is not None or not self._recalls.may_overrule(request):
            return False
        if not self._recalls.overrules(self._recalls.claim(request, self._room.gang(request)), request):
            return False
        queue = self._room.arrays.queue
        return bool(self._suffices(queue.cells[[queue.row(request.id)]], np.array([True]))[0])

    def could_suffice(self, cells: Ints) -> Bools:
        """Tell for whom of some pending requests, rows of the queue, clusters that end could make room, by sums."""
        return self._suffices(cells, self._recalls.is_owned(cells))

    def _suffices(self, cells: Ints, result: Bools) -> Bools:
        """Tell for whom of those with a strong claim what could end would be enough."""
        if not any_of(result):
            return result
        urgent, total = cells[:, columns.CLASS] == CLASSES.index(RequestClass.URGENT), cells[:, columns.TOTAL :]
        for number in np.unique(cells[result, columns.POOL]):
            pool = self._room.arrays.names.pools.key(int(number))
            some, asks = self._in(pool), rows_where(result & (cells[:, columns.POOL] == number))
            room = self.at_best(pool)
            for asking, there in (
                (asks[urgent[asks]], ~some.stopped),
                (asks[~urgent[asks]], some.mature & ~some.stopped),
            ):
                more = room + some.totals[there].sum(axis=0)
                result[asking] = within(total[asking], more) & bool(there.any())
        return np.asarray(result)

    def stop_for(self, request: Request, gang: Gang, claim: Claim) -> Packing | None:
        """Have clusters end so that a request starts when a notice is over; return where it goes.

        All the elastic workers that it may have, too, come before. Of the clusters as few as will do, those first that
        lose the least; where borrowing is what they end for, each institution's only as long as it has borrowed any.
        """
        if not self._recalls.overrules(claim, request):
            return None
        self._recalls.searched(request)
        vacating, some = Vacating(self._room, request, gang), self._in(request.pool)
        victims = self._recalls.victims(request, claim)
        elastic = self._recalls.lent(request.pool).processes[victims]

        def suffice(chosen: Sequence[int]) -> bool:
            return vacating.fits(np.unique(np.concatenate([elastic, self._processes(some, chosen)])))

        for clusters in self._choices(request, claim):
            chosen = fewest(clusters, suffice)
            if chosen and (claim is Claim.URGENT or is_owed(self._room, some, chosen, self._recalls.lent_of)):
                gone = self._processes(some, chosen)
                packing = self._recalls.take_besides(request, claim, vacating, (victims, gone))
                for one in chosen:
                    self._stop(request, claim, one)
                return packing
        return None

    def cells_of_stoppable(self) -> Ints:
        """Return everything that runs of clusters that could have to end and is not lent, as rows of processes."""
        cells = self._room.arrays.processes.cells
        return np.asarray(cells[(cells[:, columns.ALIVE] == 1) & (cells[:, columns.LENT] == columns.KEPT)])

    def _choices(self, request: Request, claim: Claim) -> Iterator[list[int]]:
        """Yield clusters to choose from: for urgent work all, for an owner first as many as were borrowed, then all."""
        some = self._in(request.pool)
        if claim is Claim.URGENT:
            yield np.flatnonzero(~some.stopped).tolist()
            return
        own = self._room.arrays.names.vertices.of((ShareId(request.institution), request.pool))
        beyond = borrowed(self._room, some, self._recalls.lent_of) & (some.owners != own)
        yield np.flatnonzero(beyond).tolist()
        yield np.flatnonzero(some.mature & ~some.stopped & np.isin(some.owners, some.owners[beyond])).tolist()

    def _stop(self, request: Request, claim: Claim, one: int) -> None:
        """Have a cluster end: all that it has is free from the end of its notice on."""
        room, some = self._room, self._in(request.pool)
        running, floor = int(some.running[one]), room.floor_for(request)
        cells = room.arrays.processes.cells[rows := self._processes(some, [one])]
        some.stopped[one], ends = True, released(room, running)
        back = given_back(room, rows, usable(room, request.pool))
        floor.timeline.leave(Hold(room.after_notice, ends, back, back.sum(axis=0)))
        total, share = cells[:, columns.SHAPE_OF_PROCESS :].sum(axis=0), int(shares_of(room, cells[:1])[0])
        if share != NOBODY:
            floor.dues.leave(Due(share, total, room.after_notice, ends))
        floor.make_way(total)
        self._recalls.end(request.pool, running, some.totals[one])
        cause = Cause.URGENT if claim is Claim.URGENT else Cause.OWNER
        stop_by = Seconds(room.now + room.policy.notice_seconds)
        told = Preemption(told=room.now, stop_by=stop_by, cause=cause, by=(request.institution,))
        victim = room.snapshot.requests[room.arrays.running.key(running)]
        self._stops[victim.id] = Stop(request=victim, preemption=told)
        room.decisions += 1

    def _processes(self, some: Stoppable, chosen: Sequence[int]) -> Ints:
        """Return what runs of clusters and was not told to leave, in this cycle either."""
        running = [int(some.running[one]) for one in chosen]
        rows = [processes_of(self._room, one) for one in running]
        return self._recalls.without_taken(np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64))

    def at_best(self, pool: PoolId) -> Ints:
        """Return what a pool could have free when a notice is over, if nothing were promised and nothing lent."""
        floor = self._room.floor((pool, None))
        then = floor.timeline.open_from(self._room.after_notice, Seconds(self._room.after_notice + 1))
        kept = sum((one.hold.total for one in floor.kept if one.starts <= self._room.after_notice), floor.lent)
        return np.asarray(np.maximum(then, 0).sum(axis=0) + kept)

    def _in(self, pool: PoolId) -> Stoppable:
        if pool not in self._pools:
            self._pools[pool] = stoppable_in(self._room, pool)
        return self._pools[pool]
