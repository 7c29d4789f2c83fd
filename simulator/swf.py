"""Logs of work in the Standard Workload Format: read, written, and taken as rigid jobs.

The format is that of Chapin et al., "Benchmarks and standards for the evaluation of parallel job schedulers" (JSSPP
1999), https://www.cs.huji.ac.il/labs/parallel/workload/swf.html: eighteen numbers a job, parted by blanks, in which
-1 stands for what is not known; `;` begins a comment, and those at the head of a log say what machine it was.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Final, Literal, TextIO

MISSING: Final = -1
_COMMENT: Final = ";"
_GZIP: Final = ".gz"


class SwfError(Exception):
    """A line of a log is not of the format; the message says which, and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One line of a log, its fields in their order; -1 is what is not known.

    Times are seconds, `submit` from the log's beginning; memory is KiB of each processor, `average_cpu` seconds.
    """

    job_id: int
    submit: int
    wait: int = MISSING
    run: int = MISSING
    allocated_procs: int = MISSING
    average_cpu: float = MISSING
    used_memory: float = MISSING
    requested_procs: int = MISSING
    requested_time: int = MISSING
    requested_memory: float = MISSING
    status: int = MISSING
    user: int = MISSING
    group: int = MISSING
    executable: int = MISSING
    queue: int = MISSING
    partition: int = MISSING
    preceding_job: int = MISSING
    think_time: int = MISSING


_FIELDS: Final = tuple(one.name for one in fields(Job))
_AVERAGES: Final = frozenset({"average_cpu", "used_memory", "requested_memory"})
"""The fields in which some logs have fractions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A whole log. `header` has what the comments at its head name, as it is written there, the first of each name."""

    jobs: tuple[Job, ...]
    header: Mapping[str, str] = field(default_factory=dict)

    @property
    def processors(self) -> int | None:
        """Return how many processors the machine had, as far as the header says: `MaxProcs`, else `MaxNodes`."""
        return self.number("MaxProcs") or self.number("MaxNodes")

    @property
    def began(self) -> int | None:
        """Return when second 0 was, in seconds since 1970, if the header says."""
        return self.number("UnixStartTime")

    def number(self, name: str) -> int | None:
        """Return a number of the header; None if it has none by that name, or something else."""
        first = self.header.get(name, "").split()[:1]
        return int(first[0]) if first and first[0].removeprefix("-").isdecimal() else None


def read_log(path: Path) -> Log:
    """Read a log, packed by gzip if its name ends so.

    Raises:
        SwfError: a line has not eighteen fields, or something else than a number in one of them.
    """
    with _opened(path, "rt") as lines:
        return parse(lines, str(path))


def parse(lines: Iterable[str], name: str = "log") -> Log:
    """Read a log from its lines; `name` is what an error calls it.

    Raises:
        SwfError: as `read_log`.
    """
    header: dict[str, str] = {}
    jobs: list[Job] = []
    for number, line in enumerate(lines, start=1):
        text, _, comment = line.partition(_COMMENT)
        if text.strip():
            jobs.append(_job(text.split(), f"{name}:{number}"))
        elif not jobs:
            label, colon, value = comment.strip().partition(":")
            if colon and label.isalnum():
                header.setdefault(label, value.strip())
    return Log(jobs=tuple(jobs), header=header)


def write_log(log: Log, path: Path) -> None:
    """Write a log so that reading it again gives the same, packed by gzip if its name ends so."""
    with _opened(path, "wt") as file:
        file.writelines(f"{line}\n" for line in lines_of(log))


@contextmanager
def _opened(path: Path, mode: Literal["rt", "wt"]) -> Iterator[TextIO]:
    """Open a log; what of its comments is in some other encoding is replaced."""
    if path.suffix == _GZIP:
        with gzip.open(path, mode, encoding="utf-8", errors="replace") as packed:
            yield packed
    else:
        with path.open(mode, encoding="utf-8", errors="replace") as plain:
            yield plain


def lines_of(log: Log) -> Iterator[str]:
    """Yield the lines of a log."""
    yield from (f"{_COMMENT} {label}: {value}".rstrip() for label, value in log.header.items())
    yield from (" ".join(map(str, astuple(job))) for job in log.jobs)


def _job(words: list[str], where: str) -> Job:
    if len(words) != len(_FIELDS):
        raise SwfError(f"{where}: {len(words)} fields, not {len(_FIELDS)}")
    return Job(**{name: _number(name, word, where) for name, word in zip(_FIELDS, words, strict=True)})  # type: ignore[arg-type]  # integers but for the averages


def _number(name: str, word: str, where: str) -> float:
    try:
        return int(word)
    except ValueError:
        pass
    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    if value.is_integer():
        return int(value)
    if name in _AVERAGES and value - value == 0:  # neither infinite nor not a number
        return value
    raise SwfError(f"{where}: field {_FIELDS.index(name) + 1} ({name}) is {word!r}, which is no number for it")


@dataclass(frozen=True, slots=True, kw_only=True)
class RigidJob:
    """A job that runs on `procs` processors for `run` seconds, neither more nor less, as its user announced `est`.

    `index` is its place in the order of arrival, which breaks every tie. `lifted` tells that the log's estimate was
    shorter than the job ran.
    """

    index: int
    job_id: int
    submit: int
    procs: int
    run: int
    est: int
    user: int = MISSING
    group: int = MISSING
    queue: int = MISSING
    lifted: bool = False


def rigid_jobs(log: Log, processors: int) -> tuple[RigidJob, ...]:
    """Return the jobs of a log that ran and fit on so many processors, by submission and then their place in the log.

    The processors are those requested, else those allocated; the estimate is the requested time, else the run time,
    and never less than that: nothing is ended at its estimate.
    """
    kept = [(job, procs) for job in log.jobs if job.run > 0 and 0 < (procs := _procs(job)) <= processors]
    kept.sort(key=lambda item: item[0].submit)
    return tuple(
        RigidJob(
            index=index,
            job_id=job.job_id,
            submit=job.submit,
            procs=procs,
            run=job.run,
            est=max(job.requested_time, job.run),
            user=job.user,
            group=job.group,
            queue=job.queue,
            lifted=0 < job.requested_time < job.run,
        )
        for index, (job, procs) in enumerate(kept)
    )


def _procs(job: Job) -> int:
    return job.requested_procs if job.requested_procs > 0 else job.allocated_procs
