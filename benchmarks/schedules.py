"""Published policies on published logs, job by job against reference schedules: how many start at another second."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from math import inf
from typing import Final

from benchmarks.figures import Measured, Row
from benchmarks.logs import KTH, LOGS
from scheduler.policies import NAMED
from simulator.replay import Replay
from simulator.report import Outcome
from simulator.schedules import read_starts, starts_of
from simulator.site import Site, unbounded
from simulator.swf import RigidJob

AT_A_TIME: Final = 2
ON_SMALL_NODES: Final = KTH
"""The log that is also run on a node of one core for each processor, where a gang is placed on many at once."""

BACKFILLS: Final[Mapping[str, str]] = {
    "fcfs": "none",
    "fcfs-easy": "easy",
    "fcfs-easy-sjbf": "easy_sjbf",
    "fcfs-conservative": "cons",
}
"""The policies, and what their reference schedules are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One log under one policy, on so many nodes; of the log the first jobs only, if `first` says how many."""

    log: str
    policy: str
    nodes: int
    first: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How a run differs from its reference: jobs that start at another second, and the first of them by its index."""

    run: Run
    jobs: int
    differing: int
    first_differing: int | None
    seconds: float


def measure(*options: str) -> Measured:
    """Run every log under every policy, two at a time, or those that the options name."""
    runs = list(_runs(_asked(options)))
    for log in {run.log for run in runs}:
        # What is not there is told now, and not after an hour.
        LOGS[log].jobs()
    compared: list[Compared] = []
    with ProcessPoolExecutor(max_workers=AT_A_TIME) as processes:
        for done in as_completed([processes.submit(compare, run) for run in runs]):
            compared.append(done.result())
            print("  ".join(_row(compared[-1])), file=sys.stderr, flush=True)
    compared.sort(key=lambda one: runs.index(one.run))
    head = ("log", "nodes", "policy", "jobs", "differing", "first", "s")
    return Measured(value=sum(one.differing for one in compared), table=(head, *map(_row, compared)))


def compare(run: Run) -> Compared:
    """Run a log and hold every start to that of the reference schedule.

    The first jobs of a log start as they do in the whole of it until the next one comes: later starts are left out.
    """
    began = time.process_time()
    log = LOGS[run.log]
    whole = log.jobs()
    jobs = whole[: run.first]
    until = whole[len(jobs)].submit if len(jobs) < len(whole) else inf
    expected = _before(until, dict(read_starts(log.schedule(BACKFILLS[run.policy]))))
    found = _before(until, starts_of(_outcomes(run, jobs, log.processors)))
    differing = sorted(index for index in expected.keys() | found.keys() if expected.get(index) != found.get(index))
    return Compared(
        run=run,
        jobs=len(expected),
        differing=len(differing),
        first_differing=differing[0] if differing else None,
        seconds=time.process_time() - began,
    )


def _runs(asked: Namespace) -> Iterator[Run]:
    for policy in asked.policies:
        for log in asked.logs:
            yield Run(log=log, policy=policy, nodes=1, first=asked.first)
            if log == ON_SMALL_NODES.name:
                yield Run(log=log, policy=policy, nodes=ON_SMALL_NODES.processors, first=asked.first)


def _outcomes(run: Run, jobs: Sequence[RigidJob], processors: int) -> Iterator[Outcome]:
    site = Site(processors=processors, nodes=run.nodes)
    return Replay(site, jobs, unbounded(NAMED[run.policy])).run()


def _before(until: float, starts: Mapping[int, int]) -> Mapping[int, int]:
    return {index: start for index, start in starts.items() if start < until}


def _row(one: Compared) -> Row:
    first = "" if one.first_differing is None else str(one.first_differing)
    numbers = (str(one.jobs), str(one.differing), first, f"{one.seconds:.0f}")
    return (one.run.log, str(one.run.nodes), one.run.policy, *numbers)


def _asked(options: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks schedules", description=__doc__)
    parser.add_argument("--logs", nargs="+", choices=LOGS, default=list(LOGS), metavar="LOG", help=", ".join(LOGS))
    parser.add_argument(
        "--policies", nargs="+", choices=BACKFILLS, default=list(BACKFILLS), metavar="POLICY", help=", ".join(BACKFILLS)
    )
    parser.add_argument("--first", type=int, metavar="N", help="the first N jobs of each log, as far as none follows")
    return parser.parse_args(options)
