"""Made-up logs have the shapes that the model's authors found, and the same seed makes the same log."""

from itertools import islice, pairwise
from math import log
from random import Random
from statistics import mean

import pytest

from simulator.lublin import Workload, arrivals, made_up_log, run_seconds, size
from simulator.swf import Log, rigid_jobs

DAY = 86_400


def a_log(seed: int = 1, jobs: int = 500, **changes: float) -> Log:
    workload = Workload(jobs=jobs, processors=128, **changes)  # type: ignore[arg-type]  # by name
    return made_up_log(workload, Random(seed))


def test_the_same_seed_makes_the_same_log() -> None:
    assert a_log(7) == a_log(7)
    assert a_log(7) != a_log(8)


def test_every_job_is_one_that_can_run_and_announces_no_less_than_it_runs() -> None:
    log = a_log()
    jobs = rigid_jobs(log, 128)
    assert log.processors == 128
    assert len(jobs) == 500
    assert not any(job.lifted for job in jobs)
    assert all(job.run <= job.est <= 5 * job.run for job in jobs)
    assert {job.user for job in jobs} <= set(range(1, 21))
    assert {job.group for job in jobs} <= set(range(1, 6))


def test_sizes_are_serial_or_powers_of_two_as_often_as_the_model_says() -> None:
    chance = Random(3)
    sizes = [size(chance, 128) for _ in range(20_000)]
    assert sizes.count(1) / len(sizes) == pytest.approx(0.2927, abs=0.02)
    powers = sum(one > 1 and one & (one - 1) == 0 for one in sizes)
    assert powers / len(sizes) == pytest.approx(0.6686, abs=0.03)
    assert max(sizes) == 128
    assert {size(chance, 1) for _ in range(50)} == {1}
    assert {size(chance, 3) for _ in range(500)} <= {1, 2, 3}


@pytest.mark.parametrize("procs", [1, 64, 200])
def test_run_times_are_of_two_kinds_the_longer_more_often_the_larger_the_job(procs: int) -> None:
    chance = Random(4)
    logs = [log(run_seconds(chance, procs)) for _ in range(5000)]
    part = 0.6986 - 0.003 * procs
    assert mean(logs) == pytest.approx(part * 6.57 * 0.823 + (1 - part) * 639.1 * 0.0156, rel=0.04)
    assert max(logs) <= 12


def test_more_arrives_by_day_than_at_night() -> None:
    times = list(islice(arrivals(Random(5)), 20_000))
    assert all(one <= later for one, later in pairwise(times))
    hours = [int(time % DAY) // 3600 for time in times]
    night, day = (sum(hours.count(hour) for hour in span) for span in (range(2, 6), range(11, 15)))
    assert day > 4 * night > 0


def test_a_load_squeezes_the_times_between_arrivals() -> None:
    one, two = a_log(load=1.0), a_log(load=2.0)
    assert [job.submit for job in two.jobs] == [pytest.approx(job.submit / 2, abs=1) for job in one.jobs]
    assert [job.run for job in two.jobs] == [job.run for job in one.jobs]


def test_few_users_make_most_jobs() -> None:
    users = [job.user for job in a_log(jobs=2000).jobs]
    assert users.count(1) > 5 * users.count(20) > 0
