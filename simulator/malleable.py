"""A log of jobs that run on more or fewer workers, decided cycle by cycle with nothing but the engine."""

from __future__ import annotations

import csv
import gzip
import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf
from pathlib import Path
from typing import Final

from operations.follower import Follower
from registry.ids import RequestId, Seconds
from registry.resources import GIB, MILLI, Resources
from scheduler.decide import decide
from scheduler.facts import Fact
from scheduler.plan import Plan
from scheduler.policy import Policy
from scheduler.requests import Draft
from scheduler.scaling import WHOLE_FRACTION, speedup
from scheduler.snapshot import Snapshot
from simulator.elastic import ElasticJob
from simulator.outside import NumberedIds
from simulator.replay import Given, outcome_of
from simulator.site import Site, found
from simulator.swf import RigidJob
from store.memory import MemoryStore

_HEAD: Final = Resources(millicores=1, memory=0)
_WORKER: Final = Resources(millicores=MILLI - 1, memory=GIB)
"""A worker and a head share a core: a node has room for as many workers as it has cores, by its memory."""
_EXACT: Final = 1e-6
"""So much of a second is no time: sums of fractions are no more exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MalleableJob:
    """A job of `work_seconds` on one worker that runs on `least` to `most` workers, rigid where those are equal.

    `estimate_seconds` is how long it says it would take on its smallest number. It is compared with a run of
    `asked_seconds`, on the number of workers that it would ask for if it could not change.
    """

    index: int
    submit: int
    least: int
    most: int
    parallel_fraction: float
    work_seconds: float
    estimate_seconds: int
    asked_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """When a job was submitted, started and done, in seconds of its log, and how long it would run as asked."""

    index: int
    submit: int
    start: int
    end: int
    asked_seconds: float

    @property
    def turnaround_seconds(self) -> int:
        """Return how long it took from its submission."""
        return self.end - self.submit

    @property
    def wait_seconds(self) -> int:
        """Return how long it waited before it began."""
        return self.start - self.submit


@dataclass(slots=True)
class _Running:
    """A job that runs: what is left of it since a moment, on how many workers, and when it is to be done."""

    job: MalleableJob
    left: ElasticJob
    since: int
    workers: int
    start: int
    ends: int = 0

    def resize(self, now: int, more: int) -> int:
        """Go on with more workers, or with fewer; return when it is done then."""
        self.left = self.left.after(now - self.since, self.workers)
        self.since, self.workers = now, self.workers + more
        seconds = self.left.seconds_on(self.workers)
        assert seconds < inf, self
        self.ends = now + max(0, ceil(seconds - _EXACT))
        return self.ends


def malleable_jobs(path: Path, seed: str) -> list[MalleableJob]:
    """Read the jobs of one seed from a packed table, by their submission; rigid ones run on `nodes_pref`."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["seed"] == seed]
    return sorted(map(_malleable, rows), key=lambda job: (job.submit, job.index))


def elastic_jobs(jobs: Iterable[RigidJob], per_worker: int = 1) -> list[MalleableJob]:
    """Return the jobs of a log as work that goes on anyhow: on one worker or on as many as it asked for.

    A worker stands for `per_worker` processors. All of the work can be shared.
    """
    return [
        MalleableJob(
            index=job.index,
            submit=job.submit,
            least=1,
            most=-(-job.procs // per_worker),
            parallel_fraction=1.0,
            work_seconds=float(job.run * -(-job.procs // per_worker)),
            estimate_seconds=job.est * -(-job.procs // per_worker),
            asked_seconds=float(job.run),
        )
        for job in jobs
    ]


def _malleable(row: dict[str, str]) -> MalleableJob:
    least, pref, most = (int(row[name]) for name in ("nodes_min", "nodes_pref", "nodes_max"))
    if row["type"] == "RIGID":
        least = most = pref
    fraction, work = float(row["parallel_fraction"]), float(row["work_s_on_1_node"])
    return MalleableJob(
        index=int(row["job"]),
        submit=int(row["submit_s"]),
        least=least,
        most=most,
        parallel_fraction=fraction,
        work_seconds=work,
        estimate_seconds=ceil(work / speedup(least, fraction)),
        asked_seconds=float(row["runtime_at_pref_s"]),
    )


class MalleableReplay:
    """One run of jobs that change their size, by decisions alone, of one institution with the whole machine.

    At each moment first all that are done end and all that were told to leave have left, then all that arrive are
    pending, then cycles decide until nobody more is placed. A worker that was told to leave works no more and holds
    its place until its notice is over; one that is given works at once.
    """

    def __init__(self, site: Site, jobs: Sequence[MalleableJob], policy: Policy) -> None:
        """Found the center."""
        store = MemoryStore()
        found(store, site, [_as_rigid(job) for job in jobs[:1]])
        self._site: Final = site
        self._snapshot: Snapshot = Follower(store, policy).catch_up()
        self._ids: Final = NumberedIds()
        self._arrivals: Final = sorted(jobs, key=lambda job: (job.submit, job.index), reverse=True)
        self._waiting: Final[dict[RequestId, MalleableJob]] = {}
        self._running: Final[dict[RequestId, _Running]] = {}
        self._coming: Final[list[tuple[int, RequestId]]] = []
        self.lost_seconds = 0
        """Worker-seconds that were held without work, by workers that had been told to leave."""
        self.cycles = 0

    def run(self) -> Iterator[Lived]:
        """Run to the end, yielding what became of each job as it is done."""
        while self._arrivals or self._coming:
            moments = [self._coming[0][0]] if self._coming else []
            moments += [self._arrivals[-1].submit] if self._arrivals else []
            yield from self._live_through(min(moments))
        assert not self._waiting, self._waiting

    def _live_through(self, moment: int) -> Iterator[Lived]:
        now = Seconds(self._site.epoch + moment)
        due: set[RequestId] = set()
        while self._coming and self._coming[0][0] == moment:
            due.add(heapq.heappop(self._coming)[1])
        given, news = Given(self._snapshot), list[Fact]()
        for request in sorted(due & self._running.keys()):
            if self._running[request].ends <= moment:
                yield self._done(request)
                news += given.end(self._snapshot.requests[request], now)
            else:
                news += self._left(given, request, now)
        while self._arrivals and self._arrivals[-1].submit == moment:
            news.append(self._submitted(self._arrivals.pop()))
        self._snapshot = self._snapshot.with_facts((*news, *given.facts()))
        while True:
            plan = decide(self._snapshot, now)
            self.cycles += 1
            self._carry_out(plan, moment)
            self._snapshot = self._snapshot.with_facts(outcome_of(self._snapshot, plan, now))
            if not plan.placements:
                return

    def _submitted(self, job: MalleableJob) -> Fact:
        draft = _draft_of(job, self._site, self._ids)
        self._waiting[draft.id] = job
        return replace(draft.accepted(Seconds(self._site.epoch + job.submit)), workers_wanted=job.most)

    def _done(self, request: RequestId) -> Lived:
        run = self._running.pop(request)
        return Lived(
            index=run.job.index,
            submit=run.job.submit,
            start=run.start,
            end=run.ends,
            asked_seconds=run.job.asked_seconds,
        )

    def _left(self, given: Given, request: RequestId, now: Seconds) -> Iterator[Fact]:
        processes = self._snapshot.cluster(self._snapshot.requests[request]).processes
        gone = [one for one in processes if one.stop_by is not None and one.stop_by <= now]
        yield from given.leave(self._snapshot.requests[request], gone, now)

    def _carry_out(self, plan: Plan, moment: int) -> None:
        for placement in plan.placements:
            job = self._waiting.pop(placement.request.id)
            left = ElasticJob(work_seconds=job.work_seconds, parallel_fraction=job.parallel_fraction)
            self._running[placement.request.id] = _Running(job, left, moment, 0, moment)
            self._resize(placement.request.id, moment, job.least)
        for growth in plan.growths:
            self._resize(growth.request.id, moment, len(growth.processes))
        for shrink in plan.shrinks:
            self._resize(shrink.request.id, moment, -len(shrink.processes))
            stops = shrink.stop_by - self._site.epoch
            self.lost_seconds += (stops - moment) * len(shrink.processes)
            heapq.heappush(self._coming, (stops, shrink.request.id))

    def _resize(self, request: RequestId, moment: int, more: int) -> None:
        run = self._running[request]
        ends = run.resize(moment, more)
        assert run.job.least <= run.workers <= run.job.most, run
        heapq.heappush(self._coming, (ends, request))


def _draft_of(job: MalleableJob, site: Site, ids: NumberedIds) -> Draft:
    return replace(
        site.draft_of(_as_rigid(job), ids),
        head=_HEAD,
        worker=_WORKER,
        workers_min=job.least,
        workers_max=job.most,
        walltime_seconds=job.estimate_seconds,
        parallel_fraction=round(job.parallel_fraction * WHOLE_FRACTION),
    )


def _as_rigid(job: MalleableJob) -> RigidJob:
    return RigidJob(
        index=job.index,
        job_id=job.index,
        submit=job.submit,
        procs=job.most,
        run=max(1, round(job.asked_seconds)),
        est=job.estimate_seconds,
        user=1,
        group=1,
    )
