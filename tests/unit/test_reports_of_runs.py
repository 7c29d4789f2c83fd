"""The figures of a run, as the literature defines them."""

import pytest

from registry.ids import InstitutionId
from scheduler.requests import End
from simulator.report import (
    Outcome,
    bounded_slowdown,
    institution_shares,
    longest_wait_seconds,
    makespan_seconds,
    mean_bounded_slowdown,
    mean_wait_seconds,
    user_mean_bounded_slowdown,
    utilization,
    weighted_wait_seconds,
)


def an_outcome(
    start: int, run: int, *, submit: int = 0, procs: int = 1, institution: str = "g1", user: int = 1
) -> Outcome:
    return Outcome(
        index=0,
        job_id=1,
        institution=InstitutionId(institution),
        user=user,
        procs=procs,
        submit=submit,
        start=start,
        end=start + run,
        why=End.CANCELLED,
    )


@pytest.mark.parametrize(
    ("wait", "run", "expected"), [(0, 100, 1.0), (100, 100, 2.0), (90, 1, 9.1), (0, 1, 1.0), (9, 1, 1.0)]
)
def test_a_slowdown_is_bounded_below_by_one_and_for_the_shortest_by_ten_seconds(
    wait: int, run: int, expected: float
) -> None:
    assert bounded_slowdown(an_outcome(wait, run)) == pytest.approx(expected)


def test_means_are_over_all_jobs_and_weighted_waits_over_what_they_held() -> None:
    run = [an_outcome(0, 100, procs=3), an_outcome(100, 100), an_outcome(60, 100, submit=60, procs=2)]
    assert mean_wait_seconds(run) == pytest.approx(100 / 3)
    assert weighted_wait_seconds(run) == pytest.approx(100 * 100 / 600)
    assert mean_bounded_slowdown(run) == pytest.approx((1 + 2 + 1) / 3)


def test_whoever_submits_most_counts_once_in_the_mean_over_users() -> None:
    run = [an_outcome(0, 100, user=1) for _ in range(9)] + [an_outcome(200, 100, user=2)]
    assert user_mean_bounded_slowdown(run) == pytest.approx((1 + 3) / 2)
    assert longest_wait_seconds(run) == 200


def test_utilization_is_what_was_held_of_what_there_was_from_the_first_submission_to_the_last_end() -> None:
    run = [an_outcome(10, 90, submit=10, procs=4), an_outcome(100, 10, submit=20, procs=2)]
    assert makespan_seconds(run) == 100
    assert utilization(run, 4) == pytest.approx((360 + 20) / 400)


def test_each_institution_has_its_part_of_what_was_held() -> None:
    run = [an_outcome(0, 10, procs=3), an_outcome(0, 10, institution="g2"), an_outcome(0, 0, institution="g3")]
    assert institution_shares(run) == {"g1": pytest.approx(0.75), "g2": pytest.approx(0.25), "g3": 0.0}


def test_of_a_run_without_jobs_everything_is_nothing() -> None:
    assert (mean_bounded_slowdown([]), mean_wait_seconds([]), weighted_wait_seconds([]), utilization([], 4)) == (
        0.0,
        0.0,
        0.0,
        0.0,
    )
    assert institution_shares([an_outcome(0, 0)]) == {"g1": 0.0}
