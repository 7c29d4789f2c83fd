"""Elastic workers that somebody with a stronger claim may have back, and who has to give up which of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from quotas.grants import NOBODY
from registry.axes import PLACES, Bools, Ints
from registry.ids import InstitutionId, PoolId, RequestId, Seconds, ShareId
from scheduler import arrays as columns
from scheduler.arrays import CLASSES, ELASTIC
from scheduler.blocking import SHARE_FULL, stopped
from scheduler.bookings import is_over
from scheduler.clusters import Process
from scheduler.dues import Due
from scheduler.elastic import expected_seconds, held_and_entitled, staying_workers, work_left
from scheduler.fitting import Gang, Packing, place
from scheduler.floors import Floor
from scheduler.plan import Claim, Shrink
from scheduler.profile import Hold
from scheduler.requests import Request, RequestClass
from scheduler.room import Room, exceeds
from scheduler.scaling import spared_milliseconds


@dataclass(frozen=True, slots=True, eq=False)
class _Lent:
    """The elastic workers of a pool that can be taken back, from the end of their order: the most work left first.

    One row each: of `processes` and of `running`, the row of its node, of its project's share, the number of its
    institution, its shape, and whether it was taken in this cycle.
    """

    processes: Ints
    running: Ints
    nodes: Ints
    shares: Ints
    owners: Ints
    shapes: Ints
    urgent: Bools
    taken: Bools


@dataclass(slots=True)
class _Taken:
    """What one cluster has to give up, and to whom."""

    processes: list[Process] = field(default_factory=list)
    by: set[InstitutionId] = field(default_factory=set)
    claim: Claim = Claim.BORROWED_ELASTIC


class Reclaims:
    """What is taken back while a plan is made.

    Claims are, the strongest first: guaranteed within the nominal quota, elastic within it, guaranteed beyond it,
    elastic beyond it. A weaker one takes nothing of a stronger one, but each institution's own elastic workers yield
    to its own starts before anybody else's do. What is taken is free when the notice is over and the processes have
    had their time to end.
    """

    def __init__(self, room: Room) -> None:
        self._room: Final = room
        self._lent: Final[dict[PoolId, _Lent]] = {}
        self._taken: Final[dict[RequestId, _Taken]] = {}

    @property
    def shrinking(self) -> frozenset[RequestId]:
        """Return the clusters that have to give anything up."""
        return frozenset(self._taken)

    def could_help(self, request: Request) -> bool:
        """Tell whether anything is lent, or about to be given back, where a request may go."""
        return request.booking is None and self._room.floor_for(request).lends

    def stopped(self, rows: Ints) -> Ints:
        """Return for each pending request what else stops it than nodes, and than quota which could be had back.

        Requests are given by their rows of the queue.
        """
        bits = stopped(self._room, rows)
        full = np.flatnonzero(bits == SHARE_FULL)
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
        """Take back what a request needs to start as soon as a notice is over, if it may; return when and where.

        As few workers as will do, from the end of the order: of those that have to be asked, the nodes with the most
        room come first.
        """
        if not self.could_help(request):
            return None
        claim = self.claim(request, gang)
        packing = self._back(request, gang, claim, self._victims(request, claim))
        return None if packing is None else (self._room.after_notice, packing)

    def call_back(self, request: Request, count: int, busy: Collection[RequestId]) -> bool:
        """Take back what others borrowed for more workers of a running cluster, which its institution is entitled to.

        Nobody gives back anything who is `busy`, and nobody has to where others leave anyway.
        """
        room, names = self._room, self._room.arrays.names
        lent, own = self._in(request.pool), names.vertices.of((ShareId(request.institution), request.pool))
        victims = self._borrowed_by_others(request.pool, own)
        going = [room.arrays.running.key(int(one)) in busy for one in lent.running[victims]]
        gang = Gang.of(request, room.arrays.axes)
        workers = replace(gang, head=gang.head * 0, count=count, total=gang.worker * count)
        return self._back(request, workers, Claim.ELASTIC, victims[~np.array(going, dtype=bool)]) is not None

    def _back(self, request: Request, gang: Gang, claim: Claim, victims: Ints) -> Packing | None:
        attempt = _Attempt(self._room, request, gang, self._in(request.pool), victims)
        if not attempt.fits(len(victims)):
            return None
        least = bisect_left(range(len(victims)), 1, key=attempt.fits)
        chosen, packing = attempt.chosen(least)
        self._take(request, claim, chosen)
        return packing

    def claim(self, request: Request, gang: Gang) -> Claim:
        """Return by what claim a request would start: within its institution's nominal quota, borrowed, or urgent.

        What urgent work may hold at once is the share of its class, which stops it like any other.
        """
        room = self._room
        if request.request_class is RequestClass.URGENT:
            return Claim.URGENT
        share = _share_of(room, request)
        if share == NOBODY:
            return Claim.BORROWED_GUARANTEED
        owner = room.arrays.names.vertices.of((ShareId(request.institution), request.pool))
        kept = (one for one in room.floor_for(request).kept if one.request.institution == request.institution)
        promised = sum((one.due.total for one in kept), gang.total)
        held = room.grants.granted[share] - self.lent_by(request.pool, owner) + promised
        within = not exceeds(held, room.arrays.structure.effective[share])
        return Claim.GUARANTEED if within else Claim.BORROWED_GUARANTEED

    def shrinks(self) -> Iterator[Shrink]:
        """Yield what each cluster has to give up."""
        snapshot, policy, now = self._room.snapshot, self._room.policy, self._room.now
        for name, taken in sorted(self._taken.items()):
            request = snapshot.requests[name]
            has = sum(worker.wanted for worker in snapshot.cluster(request).workers)
            yield Shrink(
                request=request,
                processes=tuple(sorted(taken.processes, key=lambda one: one.ordinal)),
                stop_by=Seconds(now + policy.notice_seconds),
                by=tuple(sorted(taken.by)),
                claim=taken.claim,
                spared_milliseconds=spared_milliseconds(request, has, policy, now),
            )

    def _withheld_for_good(self, cells: Ints) -> Bools:
        """Tell whose quota would not do even if all that is lent came back."""
        room = self._room
        grants = room.grants.copy()
        lent = _cells_of_lent(room)
        for number in np.unique(lent[:, columns.SHARE]):
            row = int(room.arrays.names.rows_of(room.arrays.structure)[number])
            if row != NOBODY:
                total = lent[lent[:, columns.SHARE] == number, columns.SHAPE_OF_PROCESS :].sum(axis=0)
                grants.grant(row, -total)
        rows = room.arrays.names.rows_of(room.arrays.structure)[cells[:, columns.SHARE]]
        return grants.withheld(rows, cells[:, columns.TOTAL :])

    def lent_by(self, pool: PoolId, owner: int) -> Ints:
        """Return what elastic workers of an institution hold, those too that were told to leave."""
        cells = _cells_of_lent(self._room)
        own = (cells[:, columns.POOL] == self._room.arrays.names.pools.of(pool)) & (
            cells[:, columns.INSTITUTION] == owner
        )
        return np.asarray(cells[own, columns.SHAPE_OF_PROCESS :].sum(axis=0))

    def leaving_of(self, pool: PoolId, owner: int) -> Ints:
        """Return what an institution holds by workers that were told to leave, in this cycle or before."""
        cells = _cells_of_lent(self._room)
        going = (cells[:, columns.INSTITUTION] == owner) & (cells[:, columns.LENT] == columns.LEAVING)
        lent = self._in(pool)
        before = cells[going, columns.SHAPE_OF_PROCESS :].sum(axis=0)
        return np.asarray(before + lent.shapes[lent.taken & (lent.owners == owner)].sum(axis=0))

    def _in(self, pool: PoolId) -> _Lent:
        if pool not in self._lent:
            self._lent[pool] = _lent_in(self._room, pool)
        return self._lent[pool]

    def _victims(self, request: Request, claim: Claim) -> Ints:
        """Return which of the lent workers a request may have, in the order in which they have to go."""
        lent, names = self._in(request.pool), self._room.arrays.names
        own = names.vertices.of((ShareId(request.institution), request.pool))
        left = ~lent.taken
        share = self._room.grants.row(request.project, request.pool)
        mine = np.flatnonzero(left & (lent.owners == own))
        mine = np.concatenate([mine[lent.shares[mine] == share], mine[lent.shares[mine] != share]])
        borrowed = self._borrowed_by_others(request.pool, own)
        others = np.setdiff1d(np.flatnonzero(left & (lent.owners != own)), borrowed)
        victims = np.concatenate([mine, borrowed, others if claim <= Claim.GUARANTEED else others[:0]])
        return np.asarray(victims[~lent.urgent[victims] | (lent.owners[victims] == own)])

    def _borrowed_by_others(self, pool: PoolId, own: int) -> Ints:
        """Return which workers other institutions have borrowed, of those first that hold the most beside their own."""
        lent, names = self._in(pool), self._room.arrays.names
        left = ~lent.taken & (lent.owners != own)
        others = [int(one) for one in np.unique(lent.owners[left])]
        others.sort(key=lambda one: (-self._satisfaction(one, pool), names.vertices.key(one)))
        found = [np.zeros(0, dtype=np.int64)]
        for other in others:
            rows = np.flatnonzero(left & (lent.owners == other))
            found.append(rows[: self._borrowed(pool, other, lent.shapes[rows])])
        return np.concatenate(found)

    def _borrowed(self, pool: PoolId, owner: int, shapes: Ints) -> int:
        """Return how many of an institution's workers it has borrowed, if they go in the order of their shapes."""
        row = int(self._room.arrays.names.rows_of(self._room.arrays.structure)[owner])
        if row == NOBODY:
            return len(shapes)
        excess = self._room.grants.granted[row] - self.leaving_of(pool, owner)
        excess = excess - self._room.arrays.structure.effective[row]
        beyond = excess - (np.cumsum(shapes, axis=0) - shapes) > 0
        beyond[:, PLACES] = False
        return int(np.argmin(np.append(beyond.any(axis=1), False)))

    def _satisfaction(self, owner: int, pool: PoolId) -> float:
        row = int(self._room.arrays.names.rows_of(self._room.arrays.structure)[owner])
        held, entitled = held_and_entitled(self._room, row, (pool, None))
        return held / entitled if entitled else float("inf")

    def _take(self, request: Request, claim: Claim, chosen: Ints) -> None:
        """Have workers leave: their nodes and their quota are free from then on."""
        room, lent = self._room, self._in(request.pool)
        floor, lent.taken[chosen] = room.floor_for(request), True
        floor.lent = floor.lent - lent.shapes[chosen].sum(axis=0)
        for running in np.unique(lent.running[chosen]):
            rows = chosen[lent.running[chosen] == running]
            ends = _released(room, int(running))
            taken, shapes = np.zeros_like(floor.timeline.free), lent.shapes[rows]
            np.add.at(taken, lent.nodes[rows], shapes)
            floor.timeline.leave(Hold(room.after_notice, ends, taken, shapes.sum(axis=0)))
            floor.dues.leave(Due(int(lent.shares[rows[0]]), shapes.sum(axis=0), room.after_notice, ends))
            victim = room.arrays.running.key(int(running))
            going = self._taken.setdefault(victim, _Taken())
            keys = (room.arrays.processes.key(int(row)) for row in lent.processes[rows])
            going.processes += [room.snapshot.processes[one][ordinal] for one, ordinal in keys]
            going.by.add(request.institution)
            going.claim = min(going.claim, claim)
        room.decisions += 1


class _Attempt:
    """Whether a gang fits on nodes and into quotas once the first so many of some workers have gone."""

    def __init__(self, room: Room, request: Request, gang: Gang, lent: _Lent, victims: Ints) -> None:
        self._room: Final = room
        self._gang: Final = gang
        self._then: Final = room.after_notice
        self._lent: Final = lent
        self._victims: Final = victims
        self._floor: Final[Floor] = room.floor_for(request)
        self._ends: Final = Seconds(room.after_notice + room.lasts(request))
        self._share: Final = room.grants.row(request.project, request.pool)
        self._free: Final = self._floor.timeline.open_from(self._then, self._ends)

    def fits(self, count: int) -> bool:
        """Tell whether it is enough that the first so many go."""
        return isinstance(self._packing(count), Packing) and self._has_quota(self._victims[:count])

    def chosen(self, count: int) -> tuple[Ints, Packing]:
        """Return who of the first so many has to go, and where the gang goes then."""
        packing = self._packing(count)
        assert packing is not None, self
        lacks = packing.taken(self._gang, self._free) - self._free
        needed: list[int] = []
        for victim in self._victims[:count]:
            node = self._lent.nodes[victim]
            if (lacks[node] > 0).any():
                needed.append(int(victim))
                lacks[node] -= self._lent.shapes[victim]
        chosen = np.array(needed, dtype=np.int64)
        return (chosen if self._has_quota(chosen) else self._victims[:count]), packing

    def _packing(self, count: int) -> Packing | None:
        some, back = self._victims[:count], np.zeros_like(self._free)
        np.add.at(back, self._lent.nodes[some], self._lent.shapes[some])
        packing = place(self._gang, self._free + back, back)
        return packing if isinstance(packing, Packing) else None

    def _has_quota(self, some: Ints) -> bool:
        shares = np.unique(self._lent.shares[some])
        less = [(int(one), self._lent.shapes[some[self._lent.shares[some] == one]].sum(axis=0)) for one in shares]
        return self._floor.dues.allows_without(self._share, self._gang.total, (self._then, self._ends), less)


def _lent_in(room: Room, pool: PoolId) -> _Lent:
    """Return what can be taken back in a pool: nothing that ends by itself as soon, and of no cluster its smallest."""
    arrays = room.arrays
    cells, ground = arrays.processes.cells, arrays.grounds[pool]
    is_lent = (cells[:, columns.ALIVE] == 1) & (cells[:, columns.LENT] == ELASTIC) & (cells[:, columns.ENDING] == 0)
    rows = np.flatnonzero(is_lent & (cells[:, columns.POOL] == arrays.names.pools.of(pool)))
    rows = rows[ground.ready[cells[rows, columns.NODE]] & ~_booked(room, pool)[cells[rows, columns.NODE]]]
    keys = [arrays.processes.key(int(row)) for row in rows]
    running = np.array([arrays.running.row(request) for request, _ in keys], dtype=np.int64)
    clusters = np.unique(running)
    has = staying_workers(room.snapshot, arrays.running.cells)
    by_work = arrays.running.sorted(clusters, (-work_left(room, clusters, has),))
    place_of = np.zeros(len(arrays.running.cells), dtype=np.int64)
    place_of[by_work] = np.arange(len(by_work))
    order = np.lexsort((-np.array([ordinal for _, ordinal in keys], dtype=np.int64), place_of[running]))
    rows, running = rows[order], running[order]
    first = np.flatnonzero(np.append(True, running[1:] != running[:-1])[: len(running)])
    nth = np.arange(len(running)) - np.repeat(first, np.diff(np.append(first, len(running))))
    spare = has - arrays.running.cells[:, columns.LEAST]
    lasts = expected_seconds(room, clusters, has)
    stays: Bools = np.zeros(len(arrays.running.cells), dtype=bool)
    stays[clusters] = lasts > room.policy.notice_seconds
    can = (nth < spare[running]) & stays[running]
    rows, running = rows[can], running[can]
    return _Lent(
        processes=rows,
        running=running,
        nodes=cells[rows, columns.NODE],
        shares=arrays.names.rows_of(arrays.structure)[cells[rows, columns.SHARE]],
        owners=cells[rows, columns.INSTITUTION],
        shapes=cells[rows, columns.SHAPE_OF_PROCESS :],
        urgent=cells[rows, columns.CLASS] == CLASSES.index(RequestClass.URGENT),
        taken=np.zeros(len(rows), dtype=bool),
    )


def _booked(room: Room, pool: PoolId) -> Bools:
    """Tell which nodes somebody has booked, now or for later: they are nobody's to be had back."""
    ground = room.arrays.grounds[pool]
    booked = np.zeros(len(ground.ids), dtype=bool)
    for booking in room.snapshot.bookings.values():
        if booking.pool == pool and not is_over(booking, room.now):
            booked[[ground.row_of[node] for node in booking.nodes if node in ground.row_of]] = True
    return booked


def _cells_of_lent(room: Room) -> Ints:
    cells = room.arrays.processes.cells
    return np.asarray(cells[(cells[:, columns.ALIVE] == 1) & (cells[:, columns.LENT] > 0)])


def _released(room: Room, running: int) -> Seconds:
    """Return when a cluster's workers would be gone at the latest if nobody took them."""
    deadline = int(room.arrays.running.cells[running, columns.RUNS_UNTIL])
    return Seconds(max(deadline + room.policy.termination_slack_seconds, room.now + 1))


def _share_of(room: Room, request: Request) -> int:
    return room.arrays.structure.row_of.get((ShareId(request.institution), request.pool), NOBODY)
