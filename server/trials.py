"""A log of work replayed under policies at one site, while whoever waits is told how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Final, TextIO

from scheduler.policy import Policy
from server.speech import Speech
from simulator.comparison import Figures
from simulator.replay import Replay
from simulator.report import Outcome
from simulator.site import Site
from simulator.swf import RigidJob, SwfError, read_log, rigid_jobs

MEMBERS: Final = ("group", "user", "queue")
"""The fields of a log that may say whose a job is."""
NODES: Final[Mapping[str, Callable[[int], int]]] = {"one": lambda _processors: 1, "per-core": lambda each: each}
_PATIENCE_SECONDS: Final = 2.0
_TERMINAL_SECONDS: Final = 0.5
_PIPE_SECONDS: Final = 10.0
_LOOKS_EVERY: Final = 16
"""Jobs; the clock is not asked more often."""


class NotReplayedError(Exception):
    """A log cannot be replayed; the message says why, in the language of whoever asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What every policy is tried on: the jobs of a log, and the site they come to.

    `began` is when second 0 was, in seconds since 1970, if anybody knows; `member` names what makes institutions, and
    `names` what their numbers stand for, where that is known.
    """

    name: str
    jobs: Sequence[RigidJob]
    site: Site
    member: str
    began: int | None
    names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One policy tried on a log: what became of each job that started, in the order of the starts."""

    name: str
    policy: Policy
    outcomes: Sequence[Outcome]
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """A policy tried on a log, and another to compare it with, unless it is the same or nobody wants to."""

    course: Course
    after: Trial
    before: Trial | None


def course_of(
    path: Path, speech: Speech, *, processors: int | None, nodes: str, member: str, limit: int | None
) -> Course:
    """Read a log for a site of so many processors, by default those of its header, on nodes of a kind.

    Raises:
        NotReplayedError: it is not there, is not of the format, or does not say enough.
    """
    try:
        log = read_log(path)
    except FileNotFoundError as error:
        raise NotReplayedError(speech("no_file", path=path)) from error
    except (OSError, EOFError) as error:
        raise NotReplayedError(speech("unreadable", path=path, problem=error)) from error
    except SwfError as error:
        raise NotReplayedError(str(error)) from error
    there_are = processors or log.processors
    if not there_are:
        raise NotReplayedError(speech("no_processors", path=path))
    jobs = rigid_jobs(log, there_are)[:limit]
    if not jobs:
        raise NotReplayedError(speech("no_jobs", path=path, processors=there_are))
    site = Site(processors=there_are, nodes=NODES[nodes](there_are), member=attrgetter(member))
    return Course(name=path.name, jobs=jobs, site=site, member=member, began=log.began)


def tried(course: Course, name: str, policy: Policy, progress: Progress) -> Trial:
    """Replay a log under a policy."""
    run = Replay(course.site, course.jobs, policy).run()
    outcomes = tuple(progress.through(run, course, name))
    figures = Figures.of(outcomes, len(course.jobs), course.site.processors)
    return Trial(name=name, policy=policy, outcomes=outcomes, figures=figures)


class Progress:
    """How far a replay is: on one line of a terminal, or as lines of a pipe, once it takes longer than a moment."""

    def __init__(self, speech: Speech, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Tell on standard error, unless told where."""
        self._speech: Final = speech
        self._out: Final = out or sys.stderr
        self._clock: Final = clock
        self._in_place: Final = self._out.isatty()

    def through(self, run: Iterator[Outcome], course: Course, name: str) -> Iterator[Outcome]:
        """Hand on what became of each job, and tell meanwhile how many have started."""
        began = told = self._clock()
        pause = _TERMINAL_SECONDS if self._in_place else _PIPE_SECONDS
        shown = False
        for done, outcome in enumerate(run, start=1):
            yield outcome
            if done % _LOOKS_EVERY:
                continue
            now = self._clock()
            if now - began > _PATIENCE_SECONDS and (now - told > pause or not shown):
                self._tell(name, done, course, outcome.start, done / (now - began))
                told, shown = now, True
        if shown and self._in_place:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def _tell(self, name: str, done: int, course: Course, second: int, speed: float) -> None:
        number = self._speech.number
        line = self._speech(
            "progress",
            policy=name,
            done=number(done),
            jobs=number(len(course.jobs)),
            date=self._speech.date(second, course.began),
            speed=number(speed),
        )
        self._out.write(f"\r{line}\x1b[K" if self._in_place else f"{line}\n")
        self._out.flush()
