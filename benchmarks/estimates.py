"""When requests are said to start on published logs, against what the waits before them would say of every one."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

from benchmarks.figures import Measured, Row
from benchmarks.logs import LOGS, NoLogsError, PublishedLog
from registry.ids import Seconds
from scheduler.estimates import Side, Span
from scheduler.policies import NAMED
from simulator.foreseen import Recorded
from simulator.replay import Replay
from simulator.schedules import read_starts
from simulator.site import NEW_YEAR, Site, unbounded
from simulator.swf import RigidJob

HITS: Final = (0.87, 0.93)
"""Between these the part of starts within their interval of 90 of 100 is to be, on every log."""
SCORE: Final = 0.7
"""The most that the mean interval score may be, as a part of that of constant quantiles."""
_MISSED: Final = 2 / 0.1
_UNKNOWN: Final = (0, 86_400)
"""Seconds. What constant quantiles say before anything is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """When something came and started, and the intervals that were said of its start, in seconds since one moment."""

    submit: int
    start: int
    half: Span
    most: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How often the intervals of a log held, and their mean score beside that of constant quantiles."""

    requests: int
    half: float
    most: float
    score: float
    constant: float

    @property
    def against(self) -> float:
        """Return the score as a part of that of constant quantiles."""
        return self.score / self.constant if self.constant else 0.0

    @property
    def of_what_is_asked(self) -> float:
        """Return by how much the worse of both limits is passed: at most 1 where both hold."""
        middle = sum(HITS) / 2
        return max(abs(self.most - middle) / (HITS[1] - middle), self.against / SCORE)


def measure(*options: str) -> Measured:
    """Judge every log, or those that the options name; the value is the worst part of what is asked."""
    asked = _asked(options)
    head = ("log", "had to wait", "within 50 %", "within 90 %", "score s", "constant s", "against it")
    table: list[Row] = [head]
    worst = 0.0
    for name in asked.logs:
        found = judged(list(_said(LOGS[name], asked)))
        worst = max(worst, found.of_what_is_asked)
        table.append(_row(name, found))
        print("  ".join(table[-1]), file=sys.stderr, flush=True)
    return Measured(value=worst, table=table)


def judged(said: Sequence[Said]) -> Judged:
    """Return how intervals fared beside the 5 and 95 % quantiles of all waits that were known when each was said.

    The interval score is that of Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation"
    (JASA 2007): the width, and 2 / alpha times the distance of what lies outside.
    """
    scores = [interval_score(one.most, one.start) for one in said]
    constant = [interval_score(span, one.start) for one, span in zip(said, constant_spans(said), strict=True)]
    return Judged(
        requests=len(said),
        half=_part(one.half.side(Seconds(one.start)) for one in said),
        most=_part(one.most.side(Seconds(one.start)) for one in said),
        score=fmean(scores) if scores else 0.0,
        constant=fmean(constant) if constant else 0.0,
    )


def interval_score(span: Span, at: int) -> float:
    """Return the score of an interval of 90 of 100 for what came at a moment; the less the better."""
    beside = max(span.earliest - at, at - span.latest, 0)
    return span.latest - span.earliest + _MISSED * beside


def constant_spans(said: Sequence[Said]) -> Iterator[Span]:
    """Yield for each the interval that the waits say which had ended when it came."""
    ended = sorted((one.start, one.start - one.submit) for one in said)
    known: list[int] = []
    for one in said:
        while len(known) < bisect_left(ended, (one.submit, -1)):
            insort(known, ended[len(known)][1])
        low, high = (_quantile(known, percent) for percent in (5, 95)) if known else _UNKNOWN
        yield Span(earliest=Seconds(one.submit + low), latest=Seconds(one.submit + high))


def _quantile(ordered: Sequence[int], percent: int) -> int:
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return round(ordered[below] + (place - below) * (ordered[above] - ordered[below]))


def _part(sides: Iterable[Side]) -> float:
    all_of_them = list(sides)
    return all_of_them.count(Side.WITHIN) / len(all_of_them) if all_of_them else 1.0


def _said(log: PublishedLog, asked: Namespace) -> Iterator[Said]:
    jobs = log.jobs()[: asked.first]
    return _of_schedule(log, jobs, asked.schedules) if asked.schedules else _of_replay(log, jobs, asked.policy)


def _of_schedule(log: PublishedLog, jobs: Sequence[RigidJob], pattern: str) -> Iterator[Said]:
    path = Path(pattern.format(log=log.name))
    if not path.is_file():
        raise NoLogsError(f"{path} is not there")
    starts = dict(read_starts(path))
    for told in Recorded(jobs, starts, log.processors).run():
        yield Said(submit=told.job.submit, start=told.start, half=told.estimate.half, most=told.estimate.most)


def _of_replay(log: PublishedLog, jobs: Sequence[RigidJob], policy: str) -> Iterator[Said]:
    replay = Replay(Site(processors=log.processors), jobs, unbounded(NAMED[policy]), foresees=True)
    told = [(one.submit, one.index, one.start, one.estimate) for one in replay.run() if one.estimate is not None]
    for submit, _, start, estimate in sorted(told, key=lambda one: one[:2]):
        yield Said(submit=NEW_YEAR + submit, start=NEW_YEAR + start, half=estimate.half, most=estimate.most)


def _row(name: str, found: Judged) -> Row:
    parts = (f"{100 * found.half:.1f} %", f"{100 * found.most:.1f} %")
    return (name, str(found.requests), *parts, f"{found.score:.0f}", f"{found.constant:.0f}", f"{found.against:.2f}")


def _asked(options: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks estimates", description=__doc__)
    parser.add_argument("--logs", nargs="+", choices=LOGS, default=list(LOGS), metavar="LOG", help=", ".join(LOGS))
    parser.add_argument("--policy", choices=NAMED, default="default", metavar="POLICY", help=", ".join(NAMED))
    parser.add_argument("--first", type=int, metavar="N", help="the first N jobs of each log")
    parser.add_argument(
        "--schedules", metavar="PATH", help="judge schedules that are known instead: their path, with {log} for the log"
    )
    return parser.parse_args(options)
