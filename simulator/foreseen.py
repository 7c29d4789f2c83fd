"""What would have been said of each start of a schedule that is known already, learnt from the past alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from registry.ids import PersonId, PoolId, Seconds
from scheduler.estimates import KEPT_OUTCOMES, Estimate, Outcome
from scheduler.facts import RunRatios
from scheduler.forecasting import Forecaster, table_of
from scheduler.foreseeing import seconds_left
from scheduler.ordering import length_scores, size_scores
from scheduler.outlook import Load, Queue, signs_of
from scheduler.policy import DEFAULT_POLICY
from simulator.swf import RigidJob

_POOL: Final = PoolId("log")
_WHOLE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """What was said of a job's start when it came and had to wait, and when it did start, in seconds of the log."""

    job: RigidJob
    estimate: Estimate
    start: int


class Recorded:
    """Goes through a schedule: until a job comes, others have ended and started; then it is said when it starts."""

    def __init__(self, jobs: Sequence[RigidJob], starts: Mapping[int, int], processors: int) -> None:
        """Take a log, when each of its jobs started by its index, and the processors of the machine."""
        self._starts: Final = starts
        self._processors: Final = processors
        self._coming: Final = sorted(jobs, key=lambda job: (job.submit, job.index))
        # Of what happens at one second only ends are known to who comes at that second.
        moves = [(starts[job.index], 1, job) for job in jobs] + [(starts[job.index] + job.run, 0, job) for job in jobs]
        self._moves: Final = deque(sorted(moves, key=lambda move: (*move[:2], move[2].index)))
        self._waiting: Final[dict[int, tuple[RigidJob, int]]] = {}
        self._running: Final[dict[int, RigidJob]] = {}
        self._ratios: Final[dict[int, RunRatios]] = {}
        self._said: Final[dict[int, Estimate]] = {}
        self._learnt: Final[deque[Outcome]] = deque(maxlen=KEPT_OUTCOMES)
        self._number = 0
        self._forecaster: Forecaster | None = None

    def run(self) -> Iterator[Foretold]:
        """Yield what is said of each job that does not start as it comes, in the order in which they come."""
        for job in self._coming:
            self._live_until(job.submit)
            self._waiting[job.index] = job, self._predicted(job)
            if self._starts[job.index] > job.submit:
                estimate = self._said[job.index] = self._foresee(job)
                yield Foretold(job=job, estimate=estimate, start=self._starts[job.index])

    def _live_until(self, now: int) -> None:
        while self._moves and self._moves[0][:2] < (now, 1):
            at, starts, job = self._moves.popleft()
            if starts:
                self._running[job.index] = job
                self._waiting.pop(job.index)
                self._learn(job.index, at)
            else:
                self._running.pop(job.index)
                before = self._ratios.get(job.user)
                self._ratios[job.user] = RunRatios(
                    person=_person(job), last=job.run * _WHOLE // job.est, before=before.last if before else None
                )

    def _learn(self, index: int, at: int) -> None:
        estimate = self._said.pop(index, None)
        if estimate is not None:
            self._number += 1
            self._learnt.append(Outcome(pool=_POOL, number=self._number, estimate=estimate, placed=Seconds(at)))
            self._forecaster = None

    def _foresee(self, job: RigidJob) -> Estimate:
        if self._forecaster is None:
            self._forecaster = Forecaster(table_of(self._learnt))
        queue = self._queue()
        (signs,) = signs_of(self._load(job.submit), queue, [len(queue.ranks) - 1])
        half, most = self._forecaster.spans(signs, Seconds(job.submit))
        run_seconds = self._waiting[job.index][1]
        return Estimate(issued=Seconds(job.submit), signs=signs, run_seconds=run_seconds, half=half, most=most)

    def _load(self, now: int) -> Load:
        running = list(self._running.values())
        ends = [self._starts[job.index] + job.est for job in running]
        walltimes = [end - now for end in ends]
        _, predicted = seconds_left(walltimes, [now - self._starts[job.index] for job in running])
        return Load.of(self._parts(running), [max(1, one) for one in walltimes], predicted)

    def _queue(self) -> Queue:
        """Return what waits, in the order of its submission, as it would rank at a center of one project."""
        jobs = [job for job, _ in self._waiting.values()]
        ests = [job.est for job in jobs]
        return Queue.of(
            Load.of(self._parts(jobs), ests, [run for _, run in self._waiting.values()]),
            length_scores(DEFAULT_POLICY, ests) + size_scores([job.procs for job in jobs]),
            [job.submit for job in jobs],
        )

    def _parts(self, jobs: Sequence[RigidJob]) -> list[float]:
        return [job.procs / self._processors for job in jobs]

    def _predicted(self, job: RigidJob) -> int:
        known = self._ratios.get(job.user)
        return max(1, job.est * min(_WHOLE, known.mean) // _WHOLE) if known else job.est


def _person(job: RigidJob) -> PersonId:
    return PersonId(str(job.user))
