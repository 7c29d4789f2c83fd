"""The center's own policy on published logs of rigid jobs, beside published policies on the same shaken inputs."""

from __future__ import annotations

import json
import sys
import tomllib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from math import exp, inf, log
from operator import attrgetter
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Final

import numpy as np

from benchmarks.figures import Measured, Row
from benchmarks.logs import LOGS
from scheduler.policies import NAMED
from scheduler.policy import Policy
from simulator.comparison import Figures
from simulator.replay import Replay
from simulator.site import Site, unbounded
from simulator.swf import RigidJob

ASKED: Final[Mapping[str, Any]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
PEER: Final[str] = ASKED["peer"]
PATIENT_PEER: Final[str] = ASKED["peer_of_longest_wait"]
OURS: Final[Mapping[str, bool]] = {"off": False, "on": True}
"""Whether fair share counts, where each user of a log is an institution of its own."""
SIDES: Final = (PEER, PATIENT_PEER, *OURS)
SEED: Final = 2026
SHIFT_SECONDS: Final = 60
STRETCH: Final = 0.01
ROUND_SECONDS: Final = 300
"""Whose estimate was shorter than the run is taken to have asked for the next five minutes: nobody knows a run time."""
FIRST_LOOK: Final = 1
NUMBERS: Final = ("slowdown", "+-", "wait", "longest", "(asked)", "of users", "by area")
HEAD: Final = ("log", "fair share", "inputs", *NUMBERS, "margin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One side on one input of a log; of the log the first jobs only, if `first` says how many."""

    log: str
    number: int
    side: str
    first: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """One log with fair share on or off: ours over the peers, in the mean of all inputs, and how they spread."""

    log: str
    side: str
    inputs: int
    bounded_slowdown: float
    spread: float
    wait: float
    longest_wait: float
    longest_asked: float
    user_bounded_slowdown: float
    weighted_wait: float

    @property
    def missing(self) -> float:
        """Return the worst of what is asked of a log alone: 1 reaches it."""
        slowdown, wait = self.bounded_slowdown / float(ASKED["bounded_slowdown"]), self.wait / float(ASKED["wait"])
        return max(slowdown, wait, self.longest_wait / self.longest_asked)


def measure(*options: str) -> Measured:
    """Run what is asked for and is not kept yet, at most two at a time; the value is the worst ratio to what is asked.

    A single input proves nothing: thirty of each log are what the goal is about.
    """
    asked = _asked(options)
    runs = list(_runs(asked))
    for name in asked.logs:
        # What is not there is told now, and not after an hour.
        LOGS[name].jobs()
    done = kept(asked.keep)
    with ProcessPoolExecutor(max_workers=asked.processes) as processes:
        for run in as_completed([processes.submit(lived, run) for run in runs if run not in done]):
            one, figures = run.result()
            done[one] = figures
            keep(asked.keep, one, figures)
            slowdown = f"{figures.mean_bounded_slowdown:.2f}"
            print(one.log, one.number, one.side, slowdown, file=sys.stderr, flush=True)
    return table([ratios(name, side, runs, done) for side in OURS for name in asked.logs])


def lived(run: Run) -> tuple[Run, Figures]:
    """Live through one input under one side."""
    log, jobs = LOGS[run.log], shaken(LOGS[run.log].jobs()[: run.first], run.number)
    site = Site(processors=log.processors, member=attrgetter("user"))
    outcomes = list(Replay(site, jobs, policy_of(run.side)).run())
    return run, Figures.of(outcomes, len(jobs), log.processors)


def policy_of(side: str) -> Policy:
    """Return the policy of a side: ours without the slack that real processes need to end, which no log knows of."""
    if side not in OURS:
        return unbounded(NAMED[side])
    ours = replace(unbounded(NAMED["default"]), termination_slack_seconds=0)
    return ours if OURS[side] else replace(ours, fair_share_weight=0.0)


def shaken(jobs: Sequence[RigidJob], number: int) -> tuple[RigidJob, ...]:
    """Return one input: all of a log's jobs somewhat earlier or later, longer or shorter, for both sides the same."""
    chance = np.random.default_rng((SEED, number))
    shifts = chance.integers(-SHIFT_SECONDS, SHIFT_SECONDS, size=len(jobs), endpoint=True)
    stretches = chance.uniform(1 - STRETCH, 1 + STRETCH, size=len(jobs))
    moved = [_shaken(job, int(by), float(to)) for job, by, to in zip(jobs, shifts, stretches, strict=True)]
    moved.sort(key=lambda job: job.submit)
    return tuple(replace(job, index=index) for index, job in enumerate(moved))


def _shaken(job: RigidJob, shift: int, stretch: float) -> RigidJob:
    run = max(1, round(job.run * stretch))
    est = -(-run // ROUND_SECONDS) * ROUND_SECONDS if job.lifted else max(run, round(job.est * stretch))
    return replace(job, submit=max(0, job.submit + shift), run=run, est=est)


def ratios(name: str, side: str, runs: Sequence[Run], done: Mapping[Run, Figures]) -> Ratios:
    """Return one log's ratios: of the means over all inputs, the spread that of the ratio of each."""
    of = {one: [done[run] for run in runs if run.log == name and run.side == one] for one in SIDES}
    ours, peer = of[side], of[PEER]

    def over(field: str, other: Sequence[Figures]) -> float:
        theirs = mean(getattr(one, field) for one in other)
        own = mean(getattr(one, field) for one in ours)
        return float(own / theirs) if theirs else inf if own else 1.0

    each = [a.mean_bounded_slowdown / b.mean_bounded_slowdown for a, b in zip(ours, peer, strict=True)]
    over_peer: Mapping[str, float] = ASKED["longest_wait_over_peer"]
    return Ratios(
        log=name,
        side=side,
        inputs=len(ours),
        bounded_slowdown=over("mean_bounded_slowdown", peer),
        spread=stdev(each) if len(each) > 1 else 0.0,
        wait=over("mean_wait_seconds", peer),
        longest_wait=over("longest_wait_seconds", peer if name in over_peer else of[PATIENT_PEER]),
        longest_asked=over_peer.get(name, ASKED["longest_wait"]),
        user_bounded_slowdown=over("user_mean_bounded_slowdown", peer),
        weighted_wait=over("weighted_wait_seconds", peer),
    )


def table(found: Sequence[Ratios]) -> Measured:
    """Return all ratios, and by how much the worst misses what is asked: 1 reaches it."""
    rows: list[Row] = [HEAD]
    worst = max(one.missing for one in found)
    for side in OURS:
        some = [one for one in found if one.side == side]
        rows += map(_row, some)
        middle = exp(mean(log(one.bounded_slowdown) for one in some))
        missing = middle / ASKED["bounded_slowdown_geometric_mean"]
        worst = max(worst, missing)
        asked = f"({ASKED['bounded_slowdown_geometric_mean']:g})"
        rows.append(("geometric mean", side, "", f"{middle:.3f}", "", "", "", asked, "", "", f"{1 - missing:+.1%}"))
    return Measured(value=worst, table=rows)


def _row(one: Ratios) -> Row:
    numbers = (one.bounded_slowdown, one.spread, one.wait, one.longest_wait)
    more = (f"{one.user_bounded_slowdown:.3f}", f"{one.weighted_wait:.3f}", f"{1 - one.missing:+.1%}")
    printed = (f"{number:.3f}" for number in numbers)
    return (one.log, one.side, str(one.inputs), *printed, f"({one.longest_asked:g})", *more)


def _runs(asked: Namespace) -> Iterator[Run]:
    for number in range(asked.inputs):
        for name in asked.logs:
            for side in SIDES:
                yield Run(log=name, number=number, side=side, first=asked.first)


def kept(path: Path | None) -> dict[Run, Figures]:
    """Return what was run before, one object a line."""
    if path is None or not path.exists():
        return {}
    said = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {Run(**one["run"]): Figures(**one["figures"]) for one in said}


def keep(path: Path | None, run: Run, figures: Figures) -> None:
    """Keep what was run, if it is to be kept."""
    if path is not None:
        with path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"run": asdict(run), "figures": asdict(figures)}) + "\n")


def _asked(options: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks rigid", description=__doc__)
    parser.add_argument("--logs", nargs="+", choices=LOGS, default=list(LOGS), metavar="LOG", help=", ".join(LOGS))
    parser.add_argument("--inputs", type=int, default=FIRST_LOOK, metavar="N", help="shaken inputs of each log")
    parser.add_argument("--first", type=int, metavar="N", help="the first N jobs of each log, for a quick look")
    parser.add_argument("--processes", type=int, choices=(1, 2), default=2, help="how many runs at a time")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where runs are kept, and not run again")
    return parser.parse_args(options)
