"""Idle capacity for running clusters that want more workers, shared out between institutions."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from registry.ids import InstitutionId, PoolId, RequestId, Seconds, ShareId
from registry.resources import NOTHING, Resources, dominant_ppm
from scheduler.clusters import Cluster, Part, Process
from scheduler.evacuation import staying
from scheduler.plan import Growth
from scheduler.requests import Request
from scheduler.room import Room
from scheduler.snapshot import Snapshot


def share_out(snapshot: Snapshot, room: Room) -> Iterator[Growth]:
    """Give elastic workers, one at a time, to the institution that holds the least of its entitlement.

    Weighted max-min on dominant shares (Ghodsi et al., "Dominant Resource Fairness", NSDI 2011); inside one
    institution the oldest request goes first. A cluster that cannot be given one more is not asked again. What is
    given only ever raises an institution's part, so a stale place in the heap is too early, as in `in_turn`.
    """
    scale = _Scale(snapshot)
    appetites = (_Appetite.of(snapshot, cluster) for cluster in snapshot.clusters())
    hungry = [(*scale.place(one.request), one) for one in appetites if one]
    given: dict[RequestId, list[Process]] = {appetite.request.id: [] for *_, appetite in hungry}
    heapq.heapify(hungry)
    while hungry:
        *stale, appetite = hungry[0]
        fresh = scale.place(appetite.request)
        if fresh > tuple(stale):
            heapq.heapreplace(hungry, (*fresh, appetite))
            continue
        more = given[appetite.request.id]
        part = Part.GUARANTEED if len(more) < appetite.owed else Part.ELASTIC
        process = room.grow(appetite.cluster, appetite.request.next_ordinal + len(more), part)
        if process is not None:
            more.append(process)
            scale.add(appetite.request, process)
        if process is None or len(more) == appetite.missing:
            heapq.heappop(hungry)
            if more:
                yield Growth(request=appetite.request, processes=tuple(more))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Appetite:
    """A cluster that has fewer workers than it wants where they can stay; `owed` of the missing ones are guaranteed."""

    cluster: Cluster
    missing: int
    owed: int

    @classmethod
    def of(cls, snapshot: Snapshot, cluster: Cluster) -> _Appetite | None:
        request = cluster.request
        has = [worker for worker in staying(snapshot, cluster) if worker.wanted]
        missing = request.workers_wanted - len(has)
        if missing <= 0 or request.ending:
            return None
        owed = request.workers_min - sum(worker.part is Part.GUARANTEED for worker in has)
        return cls(cluster=cluster, missing=missing, owed=owed)

    @property
    def request(self) -> Request:
        return self.cluster.request


class _Scale:
    """What each institution holds of each pool, weighed against its nominal quota."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._wholes = snapshot.wholes()
        self._shares = snapshot.shares
        self._held: Counter[tuple[InstitutionId, PoolId]] = Counter()
        for cluster in snapshot.clusters():
            for process in cluster.processes:
                self.add(cluster.request, process)

    def add(self, request: Request, process: Process) -> None:
        self._held[request.institution, request.pool] += self._ppm(request.pool, process.shape)

    def place(self, request: Request) -> tuple[float, Seconds, RequestId]:
        """Return a request's place: by what its institution holds as a multiple of its nominal quota, then by age."""
        return self._satisfaction(request), request.submitted, request.id

    def _satisfaction(self, request: Request) -> float:
        share = self._shares.get((ShareId(request.institution), request.pool))
        entitled = self._ppm(request.pool, share.quota.nominal) if share else 0
        return self._held[request.institution, request.pool] / entitled if entitled else float("inf")

    def _ppm(self, pool: PoolId, amount: Resources) -> int:
        return dominant_ppm(amount, self._wholes.get(pool, NOTHING))
