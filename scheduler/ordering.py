"""Who is next: one printed score of class, fair share and slowdown, and a limit to being overtaken."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import log, log2
from typing import Final

from registry.ids import PoolId, Seconds, ShareId
from registry.resources import NOTHING, Resources, dominant_ppm
from scheduler.policy import DAY
from scheduler.requests import Request
from scheduler.snapshot import Snapshot

_WITHIN_INSTITUTION: Final = 0.1
"""How much the standing of a project counts beside that of its institution: it orders equals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """Every factor of a request's place in the order; the larger total goes first, whoever is overdue before that.

    `fair_share` is weight x 2^-(use / entitlement), the form of Slurm's multifactor plugin, of the institution and,
    at a tenth, of the project. `slowdown` is wait / (log2(1 + n) x walltime) after Gaussier et al., "Improving
    backfilling by using machine learning to predict running times" (SC 2015) and Tang et al., "Fault-aware,
    utility-based job scheduling on Blue Gene/P systems" (Cluster 2009), with the walltime bounded from below and n
    the total of the dominant resource in hundredths of the pool: many small workers weigh what few large ones do.
    """

    class_weight: float
    fair_share: float
    slowdown: float
    overdue: bool

    @property
    def total(self) -> float:
        """Return the score."""
        return self.class_weight + self.fair_share + self.slowdown


class Standings:
    """How much of its entitlement each share has used, with what this cycle has placed already."""

    def __init__(self, snapshot: Snapshot, now: Seconds) -> None:
        self._policy = snapshot.policy
        self._shares = snapshot.shares
        # Whole numbers: a sum of fractions would depend on their order, and with it who is next.
        self._used: dict[tuple[ShareId, PoolId], int] = {}
        self._factors: dict[tuple[ShareId, PoolId], float] = {}
        self._wholes = snapshot.wholes()
        for day in snapshot.days.values():
            age = max(0, now - (day.day * DAY + DAY // 2))
            self._add(day.share, day.pool, round(day.ppm_seconds * 2.0 ** (-age / self._policy.half_life_seconds)))
        for cluster in snapshot.clusters():
            for process in cluster.processes:
                uncharged = process.charged_until or process.started
                if uncharged is not None:
                    self.use(cluster.request, process.shape, max(0, now - uncharged))

    def use(self, request: Request, amount: Resources, seconds: int) -> None:
        """Count an amount held for a time as used by the request's project and institution."""
        ppm_seconds = dominant_ppm(amount, self._wholes.get(request.pool, NOTHING)) * seconds
        for share in _lineage(request):
            self._add(share, request.pool, ppm_seconds)

    def factor(self, share: ShareId, pool: PoolId) -> float:
        """Return 2^-(use / entitlement): 1 for no use, 1/2 for use at exactly the entitlement, toward 0 beyond.

        Use is the mean over the half-life's window; the entitlement is the nominal quota as a part of the pool.
        """
        known = self._factors.get((share, pool))
        if known is None:
            known = self._factors[share, pool] = self._factor(share, pool)
        return known

    def rank(self, request: Request, now: Seconds) -> Rank:
        """Return the factors of a request's place."""
        rule = self._policy.classes[request.request_class]
        institution, project = (self.factor(share, request.pool) for share in _lineage(request))
        waited = request.waited_seconds(now)
        hundredths = dominant_ppm(request.gang_total(), self._wholes.get(request.pool, NOTHING)) / 10_000
        length = max(request.walltime_seconds, self._policy.slowdown_bound_seconds)
        return Rank(
            class_weight=rule.weight,
            fair_share=self._policy.fair_share_weight * (institution + _WITHIN_INSTITUTION * project),
            slowdown=self._policy.slowdown_weight * waited / (log2(1 + max(hundredths, 1.0)) * length),
            overdue=waited > rule.overtaking_seconds,
        )

    def _factor(self, share: ShareId, pool: PoolId) -> float:
        vertex = self._shares.get((share, pool))
        entitled = dominant_ppm(vertex.quota.nominal, self._wholes.get(pool, NOTHING)) if vertex else 0
        mean_ppm = self._used.get((share, pool), 0) * log(2) / self._policy.half_life_seconds
        return 2.0 ** -(mean_ppm / entitled) if entitled else 0.0

    def _add(self, share: ShareId, pool: PoolId, ppm_seconds: int) -> None:
        self._used[share, pool] = self._used.get((share, pool), 0) + ppm_seconds
        self._factors.pop((share, pool), None)


def in_turn(pending: Iterable[Request], standings: Standings, now: Seconds) -> Iterator[Request]:
    """Yield the requests in their order, looking again at the standings before each.

    A placement counts as use at once and only ever lowers ranks, so a stale place in the heap is always too early:
    it is put back with the rank that it has now. Equal ranks go by time of submission, then by id.
    """
    heap = [_place(request, standings, now) for request in pending]
    heapq.heapify(heap)
    while heap:
        stale, request = heap[0]
        fresh, _ = _place(request, standings, now)
        if fresh > stale:
            heapq.heapreplace(heap, (fresh, request))
            continue
        heapq.heappop(heap)
        yield request


def _lineage(request: Request) -> tuple[ShareId, ShareId]:
    return ShareId(request.institution), ShareId(request.project)


def _place(request: Request, standings: Standings, now: Seconds) -> tuple[tuple[bool, float, Seconds, str], Request]:
    rank = standings.rank(request, now)
    score = 0.0 if rank.overdue else rank.total
    return (not rank.overdue, -score, request.submitted, request.id), request
