"""Elastic workers that somebody with a stronger claim may have back, and who has to give up which of them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np

from quotas.grants import NOBODY
from registry.axes import PLACES, Bools, Ints, exceeds, within
from registry.ids import InstitutionId, PoolId, RequestId, Seconds, ShareId
from scheduler import arrays as columns
from scheduler.arrays import CLASSES
from scheduler.clusters import Process
from scheduler.dues import Due
from scheduler.elastic import held_and_entitled
from scheduler.fitting import Gang, Packing
from scheduler.lent import Lent, lent_in, released
from scheduler.names import Vertex
from scheduler.plan import Claim, Shrink
from scheduler.profile import Hold
from scheduler.requests import Request, RequestClass
from scheduler.room import Room
from scheduler.scaling import spared_milliseconds
from scheduler.vacating import Vacating

_MOST_SEARCHES: Final = 16
"""So many requests of a pool look in one cycle for what could stop or break for them: each search is dear."""
_MOST_SEARCHES_OF_ONE: Final = 4
"""So many of those are of one institution: whoever searches in vain leaves some to others."""


@dataclass(slots=True)
class _Taken:
    """What one cluster has to give up, and to whom."""

    processes: list[Process] = field(default_factory=list)
    by: set[InstitutionId] = field(default_factory=set)
    claim: Claim = Claim.BORROWED_ELASTIC


class Recalls:
    """What elastic workers are taken back while a plan is made, and by what claim anybody asks."""

    def __init__(self, room: Room) -> None:
        self._room: Final = room
        self._lent: Final[dict[PoolId, Lent]] = {}
        self._taken: Final[dict[RequestId, _Taken]] = {}
        self._ended: Final[dict[int, Ints]] = {}
        self._own_left: tuple[int, Ints] | None = None
        self._searches: Final[Counter[Vertex]] = Counter()
        """How often an institution looked in this cycle for work that could stop, or promises that could break."""

    @property
    def shrinking(self) -> frozenset[RequestId]:
        """Return the clusters that have to give anything up."""
        return frozenset(self._taken)

    @cached_property
    def lent_of(self) -> Ints:
        """Return by vertex what elastic workers of institutions hold, those too that were told to leave."""
        return self._room.arrays.held_by_lent()

    def back(self, request: Request, gang: Gang, claim: Claim, victims: Ints) -> Packing | None:
        """Take back as few of the victims, in their order, as let a gang start when a notice is over."""
        rows = self.lent(request.pool).processes
        vacating = Vacating(self._room, request, gang)
        if not vacating.fits(rows[victims]):
            return None
        return self.take_besides(request, claim, vacating, (victims, rows[:0]))

    def take_besides(
        self, request: Request, claim: Claim, vacating: Vacating, leaving: tuple[Ints, Ints]
    ) -> Packing:  # fmt: skip
        """Take back as few of the victims as will do besides processes that go anyway; return where the gang goes."""
        victims, gone = leaving
        rows = self.lent(request.pool).processes

        def with_first(count: int) -> Ints:
            return np.unique(np.concatenate([gone, rows[victims[:count]]]))

        least = bisect_left(range(len(victims)), 1, key=lambda count: vacating.fits(with_first(count)))
        packing = vacating.packing(with_first(least))
        assert packing is not None, request
        chosen = victims[:least][~np.isin(rows[victims[:least]], gone)]
        needed = vacating.needed(np.concatenate([gone, rows[chosen]]), packing)
        fewer = chosen[np.isin(rows[chosen], needed)]
        enough = vacating.has_quota(np.concatenate([gone, rows[fewer]]))
        self._take(request, claim, fewer if enough else chosen)
        return packing

    def call_back(self, request: Request, count: int, busy: Collection[RequestId]) -> bool:
        """Take back what others borrowed for more workers of a running cluster, which its institution is entitled to.

        Nobody gives back anything who is `busy`, and nobody has to where others leave anyway.
        """
        room, names = self._room, self._room.arrays.names
        lent, own = self.lent(request.pool), names.vertices.of((ShareId(request.institution), request.pool))
        victims = self._borrowed_by_others(request.pool, own)
        going = [room.arrays.running.key(int(one)) in busy for one in lent.running[victims]]
        victims = victims[~np.array(going, dtype=bool)]
        return self.back(request, _workers_of(room, request, count), Claim.ELASTIC, victims) is not None

    def pass_on(self, request: Request, count: int, beyond: Mapping[int, int]) -> bool:
        """Have other clusters give up what more workers of a running cluster need, and keep it for those until then.

        `beyond` says how many workers each cluster, a row of `running`, may lose at the most.
        """
        room, lent = self._room, self.lent(request.pool)
        victims = np.sort(np.concatenate([np.flatnonzero(lent.running == row)[:most] for row, most in beyond.items()]))
        gang = _workers_of(room, request, count)
        packing = self.back(request, gang, Claim.ELASTIC, victims[~(lent.taken | lent.urgent)[victims]])
        if packing is None:
            return False
        timeline, ends = room.floor_for(request).timeline, Seconds(room.after_notice + 1)
        timeline.hold(Hold(room.after_notice, ends, packing.taken(gang, timeline.free), gang.total))
        return True

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
        promised = room.floor_for(request).promised_to(request.institution, apart=request)
        held = room.grants.granted[share] - self.lent_of[owner] + promised + gang.total
        within = not exceeds(held, room.arrays.structure.effective[share])
        return Claim.GUARANTEED if within else Claim.BORROWED_GUARANTEED

    def overrules(self, claim: Claim, request: Request) -> bool:
        """Tell whether by a claim of a request guaranteed work is stopped and promises are broken.

        For an owner that is so where the policy says for how long whoever borrows is guaranteed anything. Once so many
        have looked in a cycle as may, the others have to wait for those that follow.
        """
        owns = self._room.policy.minimum_run_seconds is not None
        return self._may_search(request) and (claim is Claim.URGENT or (claim is Claim.GUARANTEED and owns))

    def may_overrule(self, request: Request) -> bool:
        """Tell whether any claim of a request could overrule others: where that is clear without finding it out."""
        owns = self._room.policy.minimum_run_seconds is not None
        return (owns or request.request_class is RequestClass.URGENT) and self._may_search(request)

    def searched(self, request: Request) -> None:
        """Know that a request has looked for what could stop, or break, for it."""
        self._searches[ShareId(request.institution), request.pool] += 1

    def _may_search(self, request: Request) -> bool:
        is_spent = self._searches[ShareId(request.institution), request.pool] >= _MOST_SEARCHES_OF_ONE
        return not is_spent and request.pool not in self._searched_enough()

    def _which_may_search(self, cells: Ints) -> Bools:
        """Tell the same of each of some pending requests, rows of the queue."""
        names = self._room.arrays.names
        spent = [names.vertices.of(one) for one, count in self._searches.items() if count >= _MOST_SEARCHES_OF_ONE]
        enough = [names.pools.of(pool) for pool in self._searched_enough()]
        return ~(np.isin(cells[:, columns.INSTITUTION], spent) | np.isin(cells[:, columns.POOL], enough))

    def _searched_enough(self) -> list[PoolId]:
        """Return the pools in which nobody looks any more."""
        in_pools: Counter[PoolId] = Counter()
        for (_, pool), count in self._searches.items():
            in_pools[pool] += count
        return [pool for pool, count in in_pools.items() if count >= _MOST_SEARCHES]

    def own_left(self) -> Ints:
        """Return by vertex what of its nominal quota an institution is neither guaranteed nor promised.

        It is below zero where that borrows, or owns nothing.
        """
        if self._own_left is None or self._own_left[0] != self._room.decisions:
            room, names = self._room, self._room.arrays.names
            left = room.arrays.own_left(room.grants.granted, self.lent_of)
            for kept in (one for one in room.kept() if not one.is_latest):
                owner = names.vertices.of((ShareId(kept.request.institution), kept.request.pool))
                left[owner] -= kept.due.total
            self._own_left = room.decisions, left
        return self._own_left[1]

    def is_owned(self, cells: Ints) -> Bools:
        """Tell which pending requests, rows of the queue, `overrule` others by their claim."""
        owned = cells[:, columns.CLASS] == CLASSES.index(RequestClass.URGENT)
        if self._room.policy.minimum_run_seconds is not None:
            own_left = self.own_left()[cells[:, columns.INSTITUTION]]
            owned = owned | within(cells[:, columns.TOTAL :], own_left)
        return np.asarray(owned & self._which_may_search(cells)) if self._searches else np.asarray(owned)

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

    def leaving_of(self, pool: PoolId, owner: int) -> Ints:
        """Return what an institution holds by workers that were told to leave, in this cycle or before."""
        cells = self._room.arrays.lent()
        going = (cells[:, columns.INSTITUTION] == owner) & (cells[:, columns.LENT] == columns.LEAVING)
        lent = self.lent(pool)
        before = cells[going, columns.SHAPE_OF_PROCESS :].sum(axis=0)
        now = lent.shapes[lent.taken & (lent.owners == owner)].sum(axis=0)
        return np.asarray(before + now + self._ended.get(owner, 0))

    def end(self, pool: PoolId, running: int, guaranteed: Ints) -> None:
        """Know that a cluster ends as a whole, with what is guaranteed to it: it has nothing else to give up."""
        lent, floor = self.lent(pool), self._room.floor((pool, None))
        elastic = ~lent.taken & (lent.running == running)
        floor.take_back(lent.shapes[elastic].sum(axis=0))
        lent.taken[elastic] = True
        owner = int(self._room.arrays.running.cells[running, columns.OWNER])
        self._ended[owner] = self._ended.get(owner, 0) + guaranteed

    def without_taken(self, rows: Ints) -> Ints:
        """Return which of some processes were not told to leave in this cycle."""
        taken = [lent.processes[lent.taken] for lent in self._lent.values()]
        return rows[~np.isin(rows, np.concatenate(taken))] if taken else rows

    def lent(self, pool: PoolId) -> Lent:
        """Return the elastic workers of a pool that can be taken back."""
        if pool not in self._lent:
            self._lent[pool] = lent_in(self._room, pool)
        return self._lent[pool]

    def victims(self, request: Request, claim: Claim) -> Ints:
        """Return which of the lent workers a request may have, in the order in which they have to go."""
        lent, names = self.lent(request.pool), self._room.arrays.names
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
        lent, names = self.lent(pool), self._room.arrays.names
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
        room, lent = self._room, self.lent(request.pool)
        floor, lent.taken[chosen] = room.floor_for(request), True
        floor.take_back(lent.shapes[chosen].sum(axis=0))
        for running in np.unique(lent.running[chosen]):
            rows = chosen[lent.running[chosen] == running]
            ends = released(room, int(running))
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


def _workers_of(room: Room, request: Request, count: int) -> Gang:
    """Return so many workers of a request as something to be placed, without a head."""
    gang = room.gang(request)
    return replace(gang, head=gang.head * 0, count=count, total=gang.worker * count)


def _share_of(room: Room, request: Request) -> int:
    return room.arrays.structure.row_of.get((ShareId(request.institution), request.pool), NOBODY)
