"""A job on more workers is faster as far as it is parallel, and what is left of it does not depend on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.scaling import speedup
from simulator.elastic import ElasticJob

FRACTIONS = st.floats(0, 1)
WORK = st.floats(1, 1e6)


def a_job(work: float = 100.0, parallel: float = 0.75) -> ElasticJob:
    return ElasticJob(work_seconds=work, parallel_fraction=parallel)


@pytest.mark.parametrize(
    ("workers", "parallel", "expected"),
    [(0, 0.5, 0.0), (1, 0.3, 1.0), (8, 1.0, 8.0), (8, 0.0, 1.0), (2, 0.5, 4 / 3), (3, 0.75, 2.0)],
)
def test_the_serial_part_bounds_what_workers_add(workers: int, parallel: float, expected: float) -> None:
    assert speedup(workers, parallel) == pytest.approx(expected)


@given(workers=st.integers(1, 1000), parallel=st.floats(0, 0.999))
def test_more_workers_are_never_slower_and_never_beyond_the_bound(workers: int, parallel: float) -> None:
    assert speedup(workers, parallel) <= speedup(workers + 1, parallel) * (1 + 1e-12)
    assert speedup(workers, parallel) <= 1 / (1 - parallel) * (1 + 1e-12)


def test_a_job_whose_size_changes_does_the_rest_on_the_new_size() -> None:
    job = a_job(100.0, 0.75)
    assert job.seconds_on(3) == pytest.approx(50.0)
    rest = job.after(10.0, 3)
    assert rest.work_seconds == pytest.approx(80.0)
    assert rest.seconds_on(1) == pytest.approx(80.0)
    assert job.ends([(0.0, 3), (10.0, 1)]) == pytest.approx(90.0)
    assert job.ends([(5.0, 3)]) == pytest.approx(55.0), "until it begins nothing is done"
    assert job.ends([(0.0, 3), (60.0, 1)]) == pytest.approx(50.0), "it is done before it would change"


def test_on_no_workers_a_job_waits_for_ever_and_one_that_is_done_stays_done() -> None:
    assert a_job().seconds_on(0) == float("inf")
    assert a_job().ends([]) == float("inf")
    done = a_job().after(1e6, 1)
    assert done.is_done
    assert (done.seconds_on(4), done.seconds_on(0)) == (0.0, 0.0)


@given(work=WORK, parallel=FRACTIONS, workers=st.integers(1, 64), cut=st.floats(0, 1))
def test_to_look_at_a_job_on_the_way_changes_nothing(work: float, parallel: float, workers: int, cut: float) -> None:
    job = a_job(work, parallel)
    whole = job.seconds_on(workers)
    looked = cut * whole
    assert looked + job.after(looked, workers).seconds_on(workers) == pytest.approx(whole)
