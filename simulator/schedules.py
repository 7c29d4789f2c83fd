"""When each job of a log started, as reference schedules are written: one line a job, in seconds of the log."""

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TextIO

from simulator.report import Outcome
from simulator.swf import RigidJob

COLUMNS: Final = ("index", "job_id", "submit", "procs", "run", "est", "start")
_GZIP: Final = ".gz"


class ScheduleError(Exception):
    """A file is no schedule; the message says which, and what is wrong with it."""


def starts_of(outcomes: Iterable[Outcome]) -> Mapping[int, int]:
    """Return when each job started, by its index."""
    return {one.index: one.start for one in outcomes}


def write_schedule(jobs: Iterable[RigidJob], outcomes: Iterable[Outcome], path: Path) -> None:
    """Write a schedule, packed by gzip if its name ends so; a job that never started has no start."""
    starts = starts_of(outcomes)
    if path.suffix == _GZIP:
        with gzip.open(path, "wt", encoding="ascii", newline="") as packed:
            _write(jobs, starts, packed)
    else:
        with path.open("w", encoding="ascii", newline="") as plain:
            _write(jobs, starts, plain)


def _write(jobs: Iterable[RigidJob], starts: Mapping[int, int], out: TextIO) -> None:
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows(
        (job.index, job.job_id, job.submit, job.procs, job.run, job.est, starts.get(job.index, "")) for job in jobs
    )


def read_starts(path: Path) -> Sequence[tuple[int, int]]:
    """Return which job started when, by index, of a schedule packed by gzip or not.

    Raises:
        ScheduleError: its first line does not name the columns, or something in another is no number.
    """
    with gzip.open(path, "rt", encoding="ascii") if path.suffix == _GZIP else path.open(encoding="ascii") as lines:
        try:
            return tuple(_starts(lines))
        except ValueError as error:
            raise ScheduleError(f"{path}: {error}") from error


def _starts(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    rows = csv.reader(lines)
    if tuple(next(rows, ())) != COLUMNS:
        raise ValueError(f"its first line is not {','.join(COLUMNS)}")
    yield from ((int(row[0]), int(row[-1])) for row in rows if row and row[-1])
