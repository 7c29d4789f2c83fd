"""Two runs of one log are compared by institution, and each is told over time."""

import pytest

from registry.ids import InstitutionId
from scheduler.requests import End
from simulator.comparison import Figures, members
from simulator.report import Outcome
from simulator.series import held, means, queued, span_of


def an_outcome(index: int, start: int, *, whose: str = "g1", procs: int = 1, run: int = 100) -> Outcome:
    return Outcome(
        index=index, job_id=index, institution=InstitutionId(whose), user=1, procs=procs, submit=0, start=start,
        end=start + run, why=End.CANCELLED,
    )  # fmt: skip


def test_who_gains_most_comes_first_and_who_loses_most_last() -> None:
    before = [an_outcome(0, 0), an_outcome(1, 100, whose="g2"), an_outcome(2, 0, whose="g3", procs=2)]
    after = [an_outcome(0, 300), an_outcome(1, 0, whose="g2"), an_outcome(2, 0, whose="g3", procs=2)]
    compared = members(before, after)
    assert [(one.institution, one.wait_change_seconds) for one in compared] == [("g2", -100), ("g3", 0), ("g1", 300)]
    assert [one.share for one in compared] == [0.25, 0.5, 0.25]
    assert (compared[2].slowdown_before, compared[2].slowdown_after) == (1, 4)


def test_who_started_in_one_run_only_is_not_compared() -> None:
    (one,) = members([an_outcome(0, 100)], [an_outcome(0, 200), an_outcome(1, 9000)])
    assert (one.jobs, one.wait_change_seconds) == (2, 100)


def test_jobs_that_never_start_are_counted_apart() -> None:
    figures = Figures.of([an_outcome(0, 100)], 3, 1)
    assert (figures.jobs, figures.waiting, figures.mean_wait_seconds) == (1, 2, 100)


def test_a_mean_of_a_step_weighs_each_level_by_its_time() -> None:
    assert means([(0, 2), (5, 2), (15, -4)], (0, 20), steps=4).values == pytest.approx([2, 4, 4, 0])
    assert means([(0, 1), (3, -1)], (0, 10), steps=2).values == pytest.approx([0.6, 0])
    assert means([], (0, 10), steps=2).values == [0, 0]


def test_what_is_held_over_time_is_a_part_of_the_machine_and_sums_to_what_jobs_held() -> None:
    run = [an_outcome(0, 0, procs=2), an_outcome(1, 50, procs=2), an_outcome(2, 333, run=1)]
    span = span_of(run)
    series = held(run, 4, span)
    assert span == (0, 334)
    assert max(series.values) == pytest.approx(1)
    assert sum(series.values) * series.step_seconds * 4 == pytest.approx(2 * 100 + 2 * 100 + 1)
    waiting = queued(run, span)
    assert sum(waiting.values) * waiting.step_seconds == pytest.approx(0 + 50 + 333)
