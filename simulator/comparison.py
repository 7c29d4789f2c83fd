"""One log under two policies: the figures of both, and which institution waits longer or shorter than before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from registry.ids import InstitutionId
from simulator.report import (
    Outcome,
    institution_shares,
    longest_wait_seconds,
    makespan_seconds,
    mean_bounded_slowdown,
    mean_wait_seconds,
    user_mean_bounded_slowdown,
    utilization,
    weighted_wait_seconds,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A run in the figures of the literature, over all jobs that started; `waiting` are those that never did."""

    jobs: int
    waiting: int
    mean_wait_seconds: float
    longest_wait_seconds: int
    mean_bounded_slowdown: float
    user_mean_bounded_slowdown: float
    weighted_wait_seconds: float
    utilization: float
    makespan_seconds: int

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], jobs: int, processors: int) -> "Figures":
        """Return the figures of a run of so many jobs on so many processors."""
        return cls(
            jobs=len(outcomes),
            waiting=jobs - len(outcomes),
            mean_wait_seconds=mean_wait_seconds(outcomes),
            longest_wait_seconds=longest_wait_seconds(outcomes),
            mean_bounded_slowdown=mean_bounded_slowdown(outcomes),
            user_mean_bounded_slowdown=user_mean_bounded_slowdown(outcomes),
            weighted_wait_seconds=weighted_wait_seconds(outcomes),
            utilization=utilization(outcomes, processors),
            makespan_seconds=makespan_seconds(outcomes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One institution before and after: `share` is its part of all that was used; of jobs that started in both runs."""

    institution: InstitutionId
    jobs: int
    share: float
    wait_before_seconds: float
    wait_after_seconds: float
    slowdown_before: float
    slowdown_after: float

    @property
    def wait_change_seconds(self) -> float:
        """Return how much longer a job of it waits in the mean; less than nothing if it gains."""
        return self.wait_after_seconds - self.wait_before_seconds


def members(before: Iterable[Outcome], after: Sequence[Outcome]) -> Sequence[Member]:
    """Return every institution of a log, who gains most first and who loses most last, by the mean wait."""
    shares = institution_shares(after)
    earlier, later = _by_institution(before), _by_institution(after)
    compared = [_member(name, earlier.get(name, []), later[name], shares[name]) for name in later]
    return sorted(compared, key=lambda one: (one.wait_change_seconds, one.institution))


def _member(name: InstitutionId, before: Sequence[Outcome], after: Sequence[Outcome], share: float) -> Member:
    both = {one.index for one in before} & {one.index for one in after}
    earlier, later = ([one for one in run if one.index in both] for run in (before, after))
    return Member(
        institution=name,
        jobs=len(after),
        share=share,
        wait_before_seconds=mean_wait_seconds(earlier),
        wait_after_seconds=mean_wait_seconds(later),
        slowdown_before=mean_bounded_slowdown(earlier),
        slowdown_after=mean_bounded_slowdown(later),
    )


def _by_institution(outcomes: Iterable[Outcome]) -> Mapping[InstitutionId, list[Outcome]]:
    found: dict[InstitutionId, list[Outcome]] = {}
    for one in outcomes:
        found.setdefault(one.institution, []).append(one)
    return found
