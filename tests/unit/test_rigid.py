"""The inputs of the benchmark on rigid jobs, and what its table says of runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.rigid import ASKED, OURS, PATIENT_PEER, PEER, SIDES, Run, keep, kept, policy_of, ratios, shaken, table
from scheduler.policies import NAMED
from simulator.comparison import Figures
from simulator.site import unbounded
from simulator.swf import RigidJob

JOBS = [
    RigidJob(index=number, job_id=number, submit=1000 + 10 * number, procs=1, run=10_000, est=20_000)
    for number in range(50)
]
FIGURES = Figures(
    jobs=1,
    waiting=0,
    mean_wait_seconds=100.0,
    longest_wait_seconds=1000,
    mean_bounded_slowdown=10.0,
    user_mean_bounded_slowdown=10.0,
    weighted_wait_seconds=100.0,
    utilization=0.5,
    makespan_seconds=10_000,
)


def test_an_input_is_the_log_a_little_earlier_or_later_longer_or_shorter_and_always_the_same() -> None:
    first, again, other = shaken(JOBS, 0), shaken(JOBS, 0), shaken(JOBS, 1)
    assert first == again != other
    assert [job.index for job in first] == list(range(len(JOBS)))
    assert [job.submit for job in first] == sorted(job.submit for job in first)
    for job in first:
        before = JOBS[job.job_id]
        assert abs(job.submit - before.submit) <= 60
        assert abs(job.run - before.run) <= 100
        assert job.est == pytest.approx(2 * job.run, abs=2)
    assert len({job.run for job in first}) > len(JOBS) // 2


def test_an_estimate_that_was_lifted_to_the_run_time_does_not_give_it_away() -> None:
    lifted = [replace(job, est=job.run, lifted=True) for job in JOBS]
    for job in shaken(lifted, 3):
        assert job.est % 300 == 0
        assert 0 <= job.est - job.run < 300


def test_our_policy_runs_without_slack_and_with_fair_share_or_without_and_the_peers_as_they_are() -> None:
    assert [policy_of(side).termination_slack_seconds for side in SIDES] == [0] * len(SIDES)
    assert [policy_of(side).fair_share_weight > 0 for side in OURS] == list(OURS.values())
    assert policy_of(PEER) == unbounded(NAMED[PEER])


def done(log: str, **ours: float) -> dict[Run, Figures]:
    """Return two inputs that both peers and both of ours ran alike, but for what ours did otherwise."""
    runs = [Run(log=log, number=number, side=side, first=None) for number in (0, 1) for side in SIDES]
    return {run: replace(FIGURES, **ours) if run.side in OURS else FIGURES for run in runs}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("log", "ours", "expected"),
    [
        ("KTH-SP2", {"mean_bounded_slowdown": 9.0, "longest_wait_seconds": 1200}, 1.0),
        ("KTH-SP2", {"mean_bounded_slowdown": 9.9}, 1.1),
        ("KTH-SP2", {"mean_bounded_slowdown": 5.0, "mean_wait_seconds": 120.0}, 1.2),
        ("KTH-SP2", {"mean_bounded_slowdown": 5.0, "longest_wait_seconds": 1800}, 1.2),
        ("Lublin-1", {"mean_bounded_slowdown": 5.0, "longest_wait_seconds": 1200}, 1.2),
    ],
)
def test_the_value_is_the_worst_of_all_that_is_asked(log: str, ours: dict[str, float], expected: float) -> None:
    runs = done(log, **ours)
    found = [ratios(log, side, list(runs), runs) for side in OURS]
    assert table(found).value == pytest.approx(expected)
    assert len(table(found).table) == 1 + 2 * len(OURS)


def test_what_was_run_is_kept_and_read_again(tmp_path: Path) -> None:
    runs = done("KTH-SP2")
    for run, figures in runs.items():
        keep(tmp_path / "runs.jsonl", run, figures)
    assert kept(tmp_path / "runs.jsonl") == runs
    assert kept(tmp_path / "none.jsonl") == kept(None) == {}


def test_the_peers_are_policies_that_there_are() -> None:
    assert {PEER, PATIENT_PEER} <= NAMED.keys()
    assert all(bound > 0 for bound in ASKED["longest_wait_over_peer"].values())
