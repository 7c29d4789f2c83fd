"""Schedules are written as references are, read back alike, and held against them job by job."""

from pathlib import Path

import pytest

from benchmarks import schedules
from benchmarks.logs import LOGS
from registry.ids import InstitutionId
from scheduler.requests import End
from simulator.report import Outcome
from simulator.schedules import ScheduleError, read_starts, write_schedule
from simulator.swf import RigidJob
from tests.traces import trace

JOBS = [
    RigidJob(index=index, job_id=7 + index, submit=10 * index, procs=2, run=100, est=200 + index) for index in range(3)
]


def started(index: int, start: int) -> Outcome:
    job, whose = JOBS[index], InstitutionId("g1")
    return Outcome(
        index=index, job_id=job.job_id, institution=whose, user=1, procs=2, submit=job.submit, start=start,
        end=start + 100, why=End.CANCELLED,
    )  # fmt: skip


def test_a_schedule_has_a_line_for_each_job_and_no_start_where_there_was_none(tmp_path: Path) -> None:
    write_schedule(JOBS, [started(1, 60), started(0, 5)], tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "index,job_id,submit,procs,run,est,start",
        "0,7,0,2,100,200,5",
        "1,8,10,2,100,201,60",
        "2,9,20,2,100,202,",
    ]


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz"])
def test_what_was_written_is_read_alike(tmp_path: Path, name: str) -> None:
    write_schedule(JOBS, [started(1, 60), started(0, 5)], tmp_path / name)
    assert read_starts(tmp_path / name) == ((0, 5), (1, 60))


def test_what_is_no_schedule_is_told_by_its_name(tmp_path: Path) -> None:
    for text in ("", "job,start\n1,2\n", "index,job_id,submit,procs,run,est,start\n0,7,0,2,100,200,soon\n"):
        (tmp_path / "odd.csv").write_text(text)
        with pytest.raises(ScheduleError, match=r"odd\.csv"):
            read_starts(tmp_path / "odd.csv")


@pytest.mark.parametrize("policy", schedules.BACKFILLS)
@pytest.mark.parametrize("nodes", [1, 100])
def test_the_first_jobs_of_a_published_log_start_when_the_reference_says(policy: str, nodes: int) -> None:
    trace(LOGS["KTH-SP2"].file)
    # A promise names its nodes: promised to everybody they leave other holes than a count of nodes would.
    first = 100 if (policy, nodes) == ("fcfs-conservative", 100) else 300
    one = schedules.compare(schedules.Run(log="KTH-SP2", policy=policy, nodes=nodes, first=first))
    assert one.jobs > 50
    assert one.differing == 0
