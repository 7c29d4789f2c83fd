"""What became of the jobs of a run, in the figures of the literature."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from registry.ids import InstitutionId
from scheduler.estimates import Estimate
from scheduler.requests import End

SLOWDOWN_BOUND_SECONDS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one job: times in seconds of its log, its processors, whose it was, and how it ended.

    `user` is the number that the log gives its user, `estimate` what was said of its start once it had to wait.
    """

    index: int
    job_id: int
    institution: InstitutionId
    user: int
    procs: int
    submit: int
    start: int
    end: int
    why: End
    estimate: Estimate | None = None

    @property
    def wait_seconds(self) -> int:
        """Return how long it waited."""
        return self.start - self.submit

    @property
    def run_seconds(self) -> int:
        """Return how long it ran."""
        return self.end - self.start

    @property
    def area(self) -> int:
        """Return the processor-seconds that it held."""
        return self.procs * self.run_seconds


def bounded_slowdown(outcome: Outcome, bound_seconds: int = SLOWDOWN_BOUND_SECONDS) -> float:
    """Return max(1, (wait + run) / max(run, bound)).

    Feitelson et al., "Theory and practice in parallel job scheduling" (JSSPP 1997): the bound keeps the shortest jobs
    from making up the mean alone.
    """
    response = outcome.wait_seconds + outcome.run_seconds
    return max(1.0, response / max(outcome.run_seconds, bound_seconds))


def mean_bounded_slowdown(outcomes: Sequence[Outcome], bound_seconds: int = SLOWDOWN_BOUND_SECONDS) -> float:
    """Return the mean over all jobs, none of the first or the last left out; 0 without jobs."""
    return _mean([bounded_slowdown(one, bound_seconds) for one in outcomes])


def mean_wait_seconds(outcomes: Sequence[Outcome]) -> float:
    """Return the mean wait over all jobs; 0 without jobs."""
    return _mean([one.wait_seconds for one in outcomes])


def longest_wait_seconds(outcomes: Iterable[Outcome]) -> int:
    """Return the longest wait of all; 0 without jobs."""
    return max((one.wait_seconds for one in outcomes), default=0)


def user_mean_bounded_slowdown(outcomes: Iterable[Outcome], bound_seconds: int = SLOWDOWN_BOUND_SECONDS) -> float:
    """Return the mean over users of the mean over each one's jobs: whoever submits most counts once; 0 without jobs."""
    of_users: dict[int, list[float]] = {}
    for one in outcomes:
        of_users.setdefault(one.user, []).append(bounded_slowdown(one, bound_seconds))
    return _mean([_mean(values) for values in of_users.values()])


def weighted_wait_seconds(outcomes: Sequence[Outcome]) -> float:
    """Return the mean wait of a processor-second: of large jobs more than of the many small ones; 0 without any."""
    area = sum(one.area for one in outcomes)
    return sum(one.wait_seconds * one.area for one in outcomes) / area if area else 0.0


def makespan_seconds(outcomes: Sequence[Outcome]) -> int:
    """Return the time from the first submission to the last end; 0 without jobs."""
    return max((one.end for one in outcomes), default=0) - min((one.submit for one in outcomes), default=0)


def utilization(outcomes: Sequence[Outcome], processors: int) -> float:
    """Return the part of all processor-seconds of the makespan that jobs held; 0 without jobs."""
    there_were = processors * makespan_seconds(outcomes)
    return sum(one.area for one in outcomes) / there_were if there_were else 0.0


def institution_shares(outcomes: Iterable[Outcome]) -> Mapping[InstitutionId, float]:
    """Return the part of all processor-seconds held that each institution held, by institution."""
    areas: dict[InstitutionId, int] = {}
    for one in outcomes:
        areas[one.institution] = areas.get(one.institution, 0) + one.area
    whole = sum(areas.values())
    return {name: area / whole if whole else 0.0 for name, area in sorted(areas.items())}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
