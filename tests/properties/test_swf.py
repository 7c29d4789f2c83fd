"""Whatever a log has, it is the same after it was written and read."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.swf import Job, Log, lines_of, parse, rigid_jobs

NUMBERS = st.integers(-1, 10**9)
AVERAGES = NUMBERS | st.floats(0, 1e9)
JOBS = st.builds(
    Job, job_id=NUMBERS, submit=NUMBERS, wait=NUMBERS, run=NUMBERS, allocated_procs=NUMBERS, average_cpu=AVERAGES,
    used_memory=AVERAGES, requested_procs=NUMBERS, requested_time=NUMBERS, requested_memory=AVERAGES, status=NUMBERS,
    user=NUMBERS, group=NUMBERS, executable=NUMBERS, queue=NUMBERS, partition=NUMBERS, preceding_job=NUMBERS,
    think_time=NUMBERS,
)  # fmt: skip
LABELS = st.from_regex(r"[A-Z][A-Za-z0-9]{0,12}", fullmatch=True)
VALUES = st.from_regex(r"([a-z0-9:]( ?[a-z0-9:;])*)?", fullmatch=True)
LOGS = st.builds(Log, jobs=st.lists(JOBS, max_size=5).map(tuple), header=st.dictionaries(LABELS, VALUES, max_size=4))


@given(log=LOGS)
def test_what_was_written_is_read_again(log: Log) -> None:
    assert parse(lines_of(log)) == log


@given(log=LOGS, processors=st.integers(1, 10**9))
def test_jobs_that_run_are_numbered_by_arrival_and_never_longer_than_announced(log: Log, processors: int) -> None:
    jobs = rigid_jobs(log, processors)
    assert [job.index for job in jobs] == list(range(len(jobs)))
    assert [job.submit for job in jobs] == sorted(job.submit for job in jobs)
    assert all(0 < job.procs <= processors and 0 < job.run <= job.est for job in jobs)
