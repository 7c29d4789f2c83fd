"""Logs of work are read as they are written; a line that is wrong is named with its number and field."""

from pathlib import Path

import pytest

from simulator.swf import Job, Log, RigidJob, SwfError, parse, read_log, rigid_jobs, write_log
from tests.traces import trace

HEAD = """; Version: 2.2
; Computer: IBM SP2
; UnixStartTime: 843480031
; MaxNodes: 50
; MaxProcs: 100
; Note: uses the EASY scheduler
;       which is explained here: nowhere
"""
LINE = "   15   599850 192180   3477    4     -1    -1    5  53940    -1  1  12  13  -1 2 -1 -1 -1\n"


def a_job(number: int = 1, **changes: int) -> Job:
    known = {"submit": 10, "run": 60, "requested_procs": 4, "requested_time": 90}
    return Job(job_id=number, **known | changes)


def test_a_log_is_read_with_its_header() -> None:
    log = parse((HEAD + LINE).splitlines(keepends=True))
    assert (log.processors, log.began, log.header["Computer"]) == (100, 843480031, "IBM SP2")
    (job,) = log.jobs
    assert (job.job_id, job.submit, job.wait, job.run) == (15, 599850, 192180, 3477)
    assert (job.allocated_procs, job.requested_procs, job.requested_time) == (4, 5, 53940)
    assert (job.user, job.group, job.queue, job.partition) == (12, 13, 2, -1)


def test_a_machine_of_which_only_nodes_are_told_has_as_many_processors() -> None:
    assert parse(["; MaxNodes: 256"]).processors == 256
    assert parse(["; MaxProcs: many", ";;", "", LINE]).processors is None


def test_a_comment_after_the_first_job_is_no_header() -> None:
    assert parse([LINE, "; MaxProcs: 7"]).processors is None


def test_averages_may_have_fractions() -> None:
    (job,) = parse([LINE.replace("   4     -1    -1", "   4  12.5  2048.25", 1)]).jobs
    assert (job.average_cpu, job.used_memory) == (12.5, 2048.25)


def test_a_whole_number_with_a_point_is_one() -> None:
    (job,) = parse([LINE.replace("3477", "3477.0")]).jobs
    assert job.run == 3477
    assert isinstance(job.run, int)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (LINE.replace("3477", "3477.5"), r"some.swf:8: field 4 \(run\) is '3477.5'"),
        (LINE.replace("599850", "noon"), r"some.swf:8: field 2 \(submit\) is 'noon'"),
        (LINE.replace("   4     -1", "   4    nan", 1), r"field 6 \(average_cpu\) is 'nan'"),
        (LINE.replace("   4     -1", "   4    inf", 1), r"field 6 \(average_cpu\) is 'inf'"),
        (LINE.replace("192180", ""), "some.swf:8: 17 fields, not 18"),
        (f"{LINE.strip()} 7", "some.swf:8: 19 fields, not 18"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_field(line: str, complaint: str) -> None:
    with pytest.raises(SwfError, match=complaint):
        parse((HEAD + line).splitlines(keepends=True), "some.swf")


@pytest.mark.parametrize("name", ["log.swf", "log.swf.gz"])
def test_a_log_that_was_written_is_read_again_plain_or_packed(tmp_path: Path, name: str) -> None:
    log = Log(jobs=(a_job(1), a_job(2, user=3)), header={"MaxProcs": "8", "Note": "đèn biển"})
    write_log(log, tmp_path / name)
    assert read_log(tmp_path / name) == log


def rigid(*jobs: Job, processors: int = 8) -> tuple[RigidJob, ...]:
    return rigid_jobs(Log(jobs=jobs), processors)


@pytest.mark.parametrize("job", [a_job(run=0), a_job(run=-1), a_job(requested_procs=9), a_job(requested_procs=0)])
def test_what_did_not_run_or_does_not_fit_is_left_out(job: Job) -> None:
    assert rigid(job) == ()


def test_processors_are_those_requested_else_those_allocated() -> None:
    (one, other) = rigid(a_job(allocated_procs=2), a_job(requested_procs=-1, allocated_procs=2))
    assert (one.procs, other.procs) == (4, 2)


def test_no_estimate_is_less_than_the_job_ran_and_it_is_told_which_were() -> None:
    (announced, unknown, short) = rigid(a_job(), a_job(requested_time=-1), a_job(requested_time=30))
    assert (announced.est, announced.lifted) == (90, False)
    assert (unknown.est, unknown.lifted) == (60, False)
    assert (short.est, short.lifted) == (60, True)


def test_jobs_are_in_the_order_of_submission_then_of_the_log() -> None:
    jobs = rigid(a_job(5, submit=20), a_job(7, submit=10), a_job(6, submit=10))
    assert [(job.index, job.job_id) for job in jobs] == [(0, 7), (1, 6), (2, 5)]


@pytest.mark.parametrize(
    ("name", "kept", "processors"),
    [("KTH-SP2-1996-2.1-cln.swf.gz", 28_467, 100), ("DOST-ASTI-COARE-2020-cln.swf.gz", 19_760, 1728)],
)
def test_published_logs_are_read_whole(name: str, kept: int, processors: int) -> None:
    log = read_log(trace(name))
    assert log.processors == processors
    assert len(rigid_jobs(log, processors)) == kept
