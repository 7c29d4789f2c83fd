"""A center under virtual time: the loops that run in production, on the store in memory and simulated processes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Final

from backends.simulated import SimulatedBackend
from operations.cycle import run_cycle
from operations.events import Event, EventKind, leaves_work, may_change_decisions
from operations.follower import Follower
from operations.ports import Ports
from operations.ports.store import Work
from operations.reasons import Refused
from operations.reconcile import reconcile_once
from operations.requests import cancel, submit
from quotas.ledger import HOUR_SECONDS
from registry.ids import RequestId, Seconds, institution_of
from scheduler.policy import Policy
from scheduler.requests import End
from scheduler.snapshot import Snapshot
from simulator.invariants import BrokenInvariantError, check
from simulator.outside import NoAuthority, NumberedIds, VirtualClock
from simulator.report import Outcome
from simulator.site import Site, found, unbounded
from simulator.swf import RigidJob
from store.memory import MemoryStore

_COMPLETION: Final = 0
_WAKE: Final = 1
_RETHINK: Final = 2
_NOBODY: Final = RequestId("")
_FORGOTTEN_AT_ONCE: Final = 200
"""Enough that looking for what is left of them costs each of them little."""


class World:
    """One run of a log of rigid jobs at a site.

    At each moment first all that end do, then all that arrive submit, then one cycle decides, and the reconciler
    starts what was placed: starts take no time, and a job's run time counts from the second of its placement. Its
    processes end by themselves, and its client closes the request, as that of a batch user does. Whoever has announced
    less than they run is ended by the loops, and so is who has to make way, who begins anew later. Between moments at
    which anything can happen nobody is woken.
    """

    def __init__(
        self, site: Site, jobs: Sequence[RigidJob], policy: Policy | None = None, *, forgetful: bool = False
    ) -> None:
        """Found the center; `policy` is by default one that bounds nobody.

        A `forgetful` store keeps of jobs that have ended nothing but what they moved of money: then memory is needed
        for those that live, and millions can be run.
        """
        self.site: Final = site
        self.policy: Final = policy or unbounded()
        self.clock: Final = VirtualClock(site.epoch)
        self.backend: Final = SimulatedBackend(self.clock, forgetful=True)
        self.store: Final = MemoryStore()
        self.ids: Final = NumberedIds()
        self.refused: Final[list[tuple[RigidJob, Refused]]] = []
        """The jobs that the center did not accept, with its reasons."""
        self._ports: Final[Ports[Work]] = Ports(
            store=self.store, backend=self.backend, authority=NoAuthority(), clock=self.clock, ids=self.ids
        )
        self._follower: Final = Follower(self.store, self.policy)
        self._arrivals: Final = sorted(jobs, key=_turn, reverse=True)
        self._coming: Final[list[tuple[Seconds, int, RequestId]]] = []
        self._jobs: Final[dict[RequestId, RigidJob]] = {}
        self._starts: Final[dict[RequestId, Seconds]] = {}
        self._ended: Final[list[Outcome]] = []
        self._forgetful: Final = forgetful
        self._over: Final[list[RequestId]] = []
        self._cycle_is_due = self._pass_is_due = False
        found(self.store, site, jobs)
        self.store.subscribe(self._hear)
        self.backend.watch(self._see)

    @property
    def waiting(self) -> tuple[RigidJob, ...]:
        """Return the jobs that were accepted and have not ended; after the run, those that could never start."""
        return tuple(self._jobs.values())

    @property
    def snapshot(self) -> Snapshot:
        """Return the center as the next cycle would find it; for whoever looks between two moments."""
        return self._follower.look().snapshot

    def job_of(self, request: RequestId) -> RigidJob:
        """Return the job whose request has not ended."""
        return self._jobs[request]

    def add(self, job: RigidJob) -> None:
        """Have another job arrive, later than now, of who had one from the beginning: nobody else is a member."""
        assert self._at(job) > self.clock.time, job
        self._arrivals.append(job)
        self._arrivals.sort(key=_turn, reverse=True)

    def run(self) -> Iterator[Outcome]:
        """Run to the end, yielding what became of each job as it ends.

        Raises:
            BrokenInvariantError: a pass or an answer failed, though nothing stands in its way here; or at the end the
                ledger does not sum to zero, or something is still held.
        """
        while (moment := self._next_moment()) is not None:
            self.clock.time = moment
            self._live_through(moment)
            yield from self._ended
            self._ended.clear()
        check(self.store)

    def _next_moment(self) -> Seconds | None:
        """Return the next second at which anything can happen; running work is charged each full hour."""
        moments = [self._coming[0][0]] if self._coming else []
        if self._arrivals:
            moments.append(self._at(self._arrivals[-1]))
        if self._starts:
            now = self.clock.time
            moments.append(Seconds(now - now % HOUR_SECONDS + HOUR_SECONDS))
        return min(moments, default=None)

    def _live_through(self, moment: Seconds) -> None:
        self._pass_is_due = self._pass_is_due or moment % HOUR_SECONDS == 0
        while self._coming and self._coming[0][0] == moment:
            _, kind, request = heapq.heappop(self._coming)
            if kind == _COMPLETION:
                self._complete(request, moment)
            self._pass_is_due = True
            self._cycle_is_due = self._cycle_is_due or kind == _RETHINK
        self._reconcile()
        while self._arrivals and self._at(self._arrivals[-1]) == moment:
            self._submit(self._arrivals.pop(), moment)
        while self._cycle_is_due:
            self._cycle_is_due = False
            applied = run_cycle(self._ports, self._follower)
            if applied.turned_away:
                raise BrokenInvariantError(f"of a plan that nobody overtook was turned away: {applied.turned_away}")
            self._reconcile()
        if self._forgetful and len(self._over) >= _FORGOTTEN_AT_ONCE:
            self._follower.look()
            self.store.forget(self._over)
            self._over.clear()

    def _at(self, job: RigidJob) -> Seconds:
        return Seconds(self.site.epoch + job.submit)

    def _submit(self, job: RigidJob, now: Seconds) -> None:
        draft = self.site.draft_of(job, self.ids)
        self._jobs[draft.id] = job
        outcome = self.store.transact(submit, draft, None, self.policy, now=now)
        if isinstance(outcome, Refused):
            del self._jobs[draft.id]
            self.refused.append((job, outcome))

    def _complete(self, request: RequestId, now: Seconds) -> None:
        """Let a job be done, unless it has ended before or was begun anew since this was expected."""
        started = self._starts.get(request)
        if started is not None and started + self._jobs[request].run == now:
            self.store.transact(cancel, request, now=now)
            self.backend.finish(request)

    def _reconcile(self) -> None:
        """Reconcile until nothing is left to do."""
        while self._pass_is_due:
            self._pass_is_due = False
            done = reconcile_once(self._ports, self.policy)
            if done.failed:
                raise BrokenInvariantError(f"a pass failed in a world without failures, as its log says: {done}")
            self._pass_is_due = self._pass_is_due or done.postponed > 0

    def _see(self) -> None:
        self._pass_is_due = True

    def _hear(self, told: Sequence[Event]) -> None:
        """Hear of a commit: who is to look after it, and what became of which job.

        Unlike in production, a commit that told nothing wakes nobody: here no administration changes the center.
        """
        if not told:
            return
        self._cycle_is_due = self._cycle_is_due or may_change_decisions(told)
        over = {event.request for event in told if event.kind is EventKind.ENDED}
        self._pass_is_due = self._pass_is_due or leaves_work(event for event in told if event.request not in over)
        for event in told:
            if event.kind is EventKind.PLACED:
                self._expect(event)
            elif event.kind is EventKind.PROMISED:
                self._expect_promised(event)
            elif event.kind is EventKind.PREEMPTED:
                self._wake_at(int(dict(event.details)["stop_by"]))
            elif event.kind in {EventKind.TURNED_BACK, EventKind.REQUEUED}:
                del self._starts[event.request]
            elif event.kind is EventKind.ENDED:
                self._note_end(event)

    def _expect(self, placed: Event) -> None:
        job = self._jobs[placed.request]
        self._starts[placed.request] = placed.at
        if job.run <= job.est:
            heapq.heappush(self._coming, (Seconds(placed.at + job.run), _COMPLETION, placed.request))
        else:
            self._wake_at(placed.at + job.est)
        if self.policy.minimum_run_seconds is not None:
            # From then on it may be stopped for who owns what it has borrowed.
            self._wake_at(placed.at + self.policy.minimum_run_seconds, _RETHINK)

    def _expect_promised(self, promised: Event) -> None:
        """Decide again when a promised start has come, as production does at its tick."""
        starts = dict(promised.details).get("starts")
        if starts is not None:
            self._wake_at(int(starts), _RETHINK)

    def _wake_at(self, moment: int, kind: int = _WAKE) -> None:
        heapq.heappush(self._coming, (Seconds(moment), kind, _NOBODY))

    def _note_end(self, ended: Event) -> None:
        job = self._jobs.pop(ended.request)
        self._over.append(ended.request)
        start = self._starts.pop(ended.request, ended.at)
        project = self.site.project_of(job)
        self._ended.append(
            Outcome(
                index=job.index,
                job_id=job.job_id,
                institution=institution_of(project),
                user=job.user,
                procs=job.procs,
                submit=job.submit,
                start=start - self.site.epoch,
                end=ended.at - self.site.epoch,
                why=End(dict(ended.details)["why"]),
            )
        )


def _turn(job: RigidJob) -> tuple[int, int]:
    return job.submit, job.index
