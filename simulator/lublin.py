"""Made-up logs of batch work with the shapes of real ones: sizes, run times and a daily cycle of arrivals.

The model is that of Lublin and Feitelson, "The workload on parallel supercomputers: modeling the characteristics of
rigid jobs" (Journal of Parallel and Distributed Computing 63(11), 2003), with its constants for batch jobs. Estimates
are those of Mu'alem and Feitelson, "Utilization, predictability, workloads, and user runtime estimates in scheduling
the IBM SP2 with backfilling" (IEEE TPDS 12(6), 2001); who submits is drawn by Zipf's law, as few people make most jobs.
"""

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp, gamma, log, log2
from typing import Final, Protocol

from simulator.swf import Job, Log


class Chance(Protocol):
    """What a run draws from, so that the same seed makes the same log; a `random.Random` is one."""

    def random(self) -> float:
        """Return a number from 0 to less than 1, each as likely."""
        ...

    def gammavariate(self, alpha: float, beta: float) -> float:
        """Return a number of the gamma distribution of that shape and scale."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is to be made: so many jobs for so many processors, by so many users of so many groups.

    `load` stretches or squeezes the times between arrivals: 2.0 lets twice as much come in the same time. An estimate
    lies between the run time and `overestimate` times as much, each as likely.
    """

    jobs: int
    processors: int
    users: int = 20
    groups: int = 5
    load: float = 1.0
    overestimate: float = 5.0


_SERIAL: Final = 0.2927
_POWER_OF_TWO: Final = 0.6686
_LOWEST_LOG_SIZE: Final = 1.2
_MEDIUM_BELOW_HIGHEST: Final = 2.5
_SMALLER: Final = 0.875

_SHORT: Final = (6.57, 0.823)
_LONG: Final = (639.1, 0.0156)
_SHORT_PER_PROCESSOR: Final = -0.003
_SHORT_AT_ZERO: Final = 0.6986
_LONGEST_LOG_RUN: Final = 12.0

_RUSH: Final = (6.0415 * 1.0519, 0.8531)
"""Of the logarithm of the time between arrivals, stretched from the rush hours to the whole day."""
_LONGEST_LOG_PAUSE: Final = 13.0
_DAY_CYCLE: Final = (6.1271, 5.2740)
_BUCKETS: Final = 48
_BUCKET_SECONDS: Final = 1800
_CYCLE_STARTS: Final = 11
"""The bucket, of half an hour, in which the distribution of arrivals over the day begins."""


def made_up_log(workload: Workload, chance: Chance) -> Log:
    """Return a log, its first arrival some time after midnight of its first day."""
    users = _zipf(workload.users)
    times = arrivals(chance)
    jobs = tuple(_job(number, int(next(times) / workload.load), workload, users, chance)
                 for number in range(1, workload.jobs + 1))  # fmt: skip
    header = {"Version": "2.2", "Computer": "Lublin-Feitelson 2003 model, batch jobs", "MaxJobs": str(workload.jobs)}
    return Log(jobs=jobs, header=header | {"MaxProcs": str(workload.processors)})


def size(chance: Chance, processors: int) -> int:
    """Return a number of processors: one, a power of two, or the power of two of a two-stage uniform number."""
    kind, highest = chance.random(), log2(processors)
    if kind <= _SERIAL or processors == 1:
        return 1
    lowest, medium = min(_LOWEST_LOG_SIZE, highest), max(highest - _MEDIUM_BELOW_HIGHEST, 1.0)
    low, high = (lowest, medium) if chance.random() <= _SMALLER else (medium, highest)
    log_size = low + chance.random() * (high - low)
    if kind <= _SERIAL + _POWER_OF_TWO:
        log_size = int(log_size + 0.5)
    return max(1, min(processors, int(2**log_size + 0.5)))


def run_seconds(chance: Chance, procs: int) -> int:
    """Return a run time: its logarithm is hyper-gamma, of the shorter kind more rarely the larger the job is."""
    part = min(1.0, max(0.0, _SHORT_PER_PROCESSOR * procs + _SHORT_AT_ZERO))
    while True:
        log_run = chance.gammavariate(*(_SHORT if chance.random() <= part else _LONG))
        if log_run <= _LONGEST_LOG_RUN:
            return max(1, int(exp(log_run)))


def arrivals(chance: Chance) -> Iterator[float]:
    """Yield moments of arrival, in seconds, for ever: gamma times of the rush hours, longer where the day is quiet.

    A time drawn is a number of points, and each half hour costs as many as are its part of a day's arrivals.
    """
    weights = _weights()
    bucket, points, begun, spent = 0, 0.0, 0.0, 0.0
    while True:
        log_pause = chance.gammavariate(*_RUSH)
        if log_pause > _LONGEST_LOG_PAUSE:
            continue
        points = spent + exp(log_pause) / _BUCKET_SECONDS
        while points > weights[bucket]:
            points -= weights[bucket]
            bucket = (bucket + 1) % _BUCKETS
            begun += _BUCKET_SECONDS
        spent = points
        yield begun + _BUCKET_SECONDS * points / weights[bucket]


def _weights() -> Sequence[float]:
    """Return the part of each half hour from midnight in a day's arrivals, 1 in the mean."""
    alpha, beta = _DAY_CYCLE
    parts = [0.0] * _BUCKETS
    for number in range(_CYCLE_STARTS, _BUCKETS + _CYCLE_STARTS):
        part = _gamma_below((number + 0.5) / beta, alpha) - _gamma_below((number - 0.5) / beta, alpha)
        parts[(number - 1) % _BUCKETS] = part
    mean = sum(parts) / _BUCKETS
    return [part / mean for part in parts]


def _gamma_below(x: float, alpha: float) -> float:
    """Return the regularized lower incomplete gamma function by its series (Abramowitz and Stegun, 6.5.29)."""
    term = total = 1.0 / gamma(alpha + 1)
    count = 0
    while term > total * 1e-16:
        count += 1
        term *= x / (alpha + count)
        total += term
    return total * exp(alpha * log(x) - x)


def _job(number: int, submit: int, workload: Workload, users: Sequence[float], chance: Chance) -> Job:
    procs = size(chance, workload.processors)
    run = run_seconds(chance, procs)
    user = 1 + bisect(users, chance.random() * users[-1])
    return Job(
        job_id=number,
        submit=submit,
        run=run,
        allocated_procs=procs,
        requested_procs=procs,
        requested_time=int(run * (1 + chance.random() * (workload.overestimate - 1))),
        status=1,
        user=user,
        group=1 + user % workload.groups,
    )


def _zipf(users: int) -> Sequence[float]:
    """Return the running sums of 1, 1/2, 1/3 ..."""
    return tuple(accumulate(1 / rank for rank in range(1, users + 1)))
