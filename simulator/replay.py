"""A log decided cycle by cycle with nothing but the engine: fast, for millions of jobs.

What the loops, the store and the ledger would write down of each plan is handed to the next snapshot as facts. That
this starts every job when the whole center would is held by a test.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from operations.clusters import ran_permille
from operations.follower import Follower
from registry.ids import PersonId, RequestId, Seconds
from scheduler.clusters import Process
from scheduler.decide import decide, decide_and_foresee
from scheduler.estimates import Outcome as Foreseen
from scheduler.facts import Fact, RunRatios
from scheduler.foreseeing import now_waiting
from scheduler.granting import Granting
from scheduler.plan import Growth, Placement, Plan, Shrink
from scheduler.policy import Policy
from scheduler.requests import End, Request, State
from scheduler.scaling import resized
from scheduler.snapshot import Snapshot
from simulator.outside import NumberedIds
from simulator.report import Outcome
from simulator.site import Site, found
from simulator.swf import RigidJob
from simulator.using import UseByDay
from store.memory import MemoryStore


class Replay:
    """One run of a log of rigid jobs at a site, by decisions alone.

    At each moment first all that end do, then all that arrive are pending, then one cycle decides. One decides, too,
    when somebody's promised start has come. One that `foresees` also says when those start who have to wait, and learns
    from what that came to.
    """

    def __init__(self, site: Site, jobs: Sequence[RigidJob], policy: Policy, *, foresees: bool = False) -> None:
        """Found the center."""
        store = MemoryStore()
        found(store, site, jobs)
        self._site: Final = site
        self._policy: Final = policy
        self._foresees: Final = foresees
        self._snapshot = Follower(store, policy).catch_up()
        self._use: Final = UseByDay(site.whole, policy)
        self._ids: Final = NumberedIds()
        self._jobs: Final[dict[RequestId, RigidJob]] = {}
        self._arrivals: Final = sorted(jobs, key=lambda job: (job.submit, job.index), reverse=True)
        self._ends: Final[list[tuple[int, int, RequestId]]] = []
        self._promised: Final[list[Seconds]] = []
        self._news: list[Fact] = []

    def run(self) -> Iterator[Outcome]:
        """Run to the end, yielding what became of each job as it starts."""
        while self._arrivals or self._ends:
            moments = [self._ends[0][0]] if self._ends else []
            moments += [self._site.epoch + self._arrivals[-1].submit] if self._arrivals else []
            moments += self._promised[:1]
            now = Seconds(min(moments))
            while self._promised and self._promised[0] <= now:
                heapq.heappop(self._promised)
            yield from self._live_through(now)

    def _live_through(self, now: Seconds) -> Iterator[Outcome]:
        ended: list[RequestId] = []
        while self._ends and self._ends[0][0] == now:
            ended.append(heapq.heappop(self._ends)[2])
        given = Given(self._snapshot)
        self._news += self._use.until(self._snapshot, now, ended)
        for request in ended:
            self._news += self._use.ended(self._snapshot, self._snapshot.requests[request], now)
            self._news += given.end(self._snapshot.requests[request], now)
        while self._arrivals and self._site.epoch + self._arrivals[-1].submit == now:
            job = self._arrivals.pop()
            draft = self._site.draft_of(job, self._ids)
            self._jobs[draft.id] = job
            self._news.append(draft.accepted(now))
        given_up = self._snapshot.freed
        self.learn((*self._news, *given.facts()))
        self._snapshot = replace(self._snapshot, freed=self._snapshot.freed | given_up)
        plan = self.decided(now)
        for placement in plan.placements:
            yield self._started(placement, now)
        for change in plan.promises:
            if change.promise is not None and change.promise.starts > now:
                heapq.heappush(self._promised, change.promise.starts)
        # To the next cycle only what the plan gave up is news of all this, as it is to whoever follows a store.
        self._snapshot = replace(self._snapshot, freed=frozenset())
        self.learn(tuple(outcome_of(self._snapshot, plan, now)))
        self._news = []

    def learn(self, facts: Sequence[Fact]) -> None:
        """Take facts into the snapshot; for whoever measures, apart from deciding."""
        self._snapshot = self._snapshot.with_facts(facts)

    def decided(self, now: Seconds) -> Plan:
        """Decide one cycle."""
        return (decide_and_foresee if self._foresees else decide)(self._snapshot, now)

    def _started(self, placement: Placement, now: Seconds) -> Outcome:
        job = self._jobs.pop(placement.request.id)
        heapq.heappush(self._ends, (now + job.run, job.index, placement.request.id))
        start = now - self._site.epoch
        return Outcome(
            index=job.index,
            job_id=job.job_id,
            institution=placement.request.institution,
            user=job.user,
            procs=job.procs,
            submit=job.submit,
            start=start,
            end=start + job.run,
            why=End.CANCELLED,
            estimate=placement.request.estimate,
        )


def outcome_of(snapshot: Snapshot, plan: Plan, now: Seconds) -> Iterator[Fact]:
    """Yield what a store would hand over once a plan is applied: all but who leaves a node that is to be emptied."""
    given = Given(snapshot)
    changed = {change.request.id: replace(change.request, promise=change.promise) for change in plan.promises}
    for wait in plan.waits:
        for request in wait.requests:
            before = changed.get(request, snapshot.requests[request])
            changed[request] = now_waiting(before, wait.codes, plan)
    yield from changed.values()
    for placement in plan.placements:
        yield from given.place(placement, now)
    yield from _came_to(snapshot, plan, now)
    for growth in plan.growths:
        yield from given.grow(growth, now)
    for shrink in plan.shrinks:
        yield from given.shrink(shrink, now)
    yield from given.facts()


def _came_to(snapshot: Snapshot, plan: Plan, now: Seconds) -> Iterator[Foreseen]:
    """Yield what the estimates came to of those who start."""
    last = {pool: 0 for pool, _ in snapshot.outcomes}
    for outcome in snapshot.outcomes.values() if plan.placements else ():
        last[outcome.pool] = max(last[outcome.pool], outcome.number)
    for request in (placement.request for placement in plan.placements):
        if request.estimate is not None and request.only_waited:
            last[request.pool] = last.get(request.pool, 0) + 1
            yield Foreseen(pool=request.pool, number=last[request.pool], estimate=request.estimate, placed=now)


class Given:
    """What becomes of several requests, and of what nodes and shares grant them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._granting = Granting(snapshot)
        self._ratios: dict[PersonId, RunRatios] = {}

    def grow(self, growth: Growth, now: Seconds) -> Iterator[Fact]:
        """Yield what a cluster is with its new workers, which take no time to begin."""
        request, more = growth.request, growth.processes
        self._granting.take(request, more)
        after = replace(request, next_ordinal=request.next_ordinal + len(more))
        yield resized(after, growth.spared_milliseconds, now)
        for process in more:
            yield replace(process, started=now)

    def shrink(self, shrink: Shrink, now: Seconds) -> Iterator[Fact]:
        """Yield what a cluster is when some workers were told to leave: they hold what they do until they have left."""
        yield resized(shrink.request, shrink.spared_milliseconds, now)
        for process in shrink.processes:
            yield replace(
                self._snapshot.processes[process.request][process.ordinal], wanted=False, stop_by=shrink.stop_by
            )

    def leave(self, request: Request, processes: Iterable[Process], now: Seconds) -> Iterator[Fact]:
        """Yield workers as they are once they have left."""
        gone = tuple(processes)
        self._granting.give_back(request, gone)
        for process in gone:
            yield replace(process, released=now)

    def place(self, placement: Placement, now: Seconds) -> Iterator[Fact]:
        request = placement.request
        self._granting.take(request, placement.processes)
        yield replace(
            request,
            state=State.PLACED,
            placed=now,
            deadline=placement.deadline,
            allocation=placement.allocation,
            guaranteed_until=placement.guaranteed_until,
            reasons=(),
            promise=None,
        )
        for process in placement.processes:
            yield replace(process, started=now)

    def end(self, request: Request, now: Seconds) -> Iterator[Fact]:
        self._granting.give_back(request, self._snapshot.cluster(request).processes)
        yield replace(request, state=State.ENDED, end=End.CANCELLED, ended=now)
        yield self._ran(request, now)

    def _ran(self, request: Request, now: Seconds) -> RunRatios:
        """Return which part of what they had asked for a person's latest work ran, with this."""
        person = request.person
        known = self._ratios.get(person) or self._snapshot.run_ratios.get(person)
        permille = ran_permille(request, now)
        self._ratios[person] = RunRatios(person=person, last=permille, before=known.last if known else None)
        return self._ratios[person]

    def facts(self) -> Iterator[Fact]:
        yield from self._granting.facts()
