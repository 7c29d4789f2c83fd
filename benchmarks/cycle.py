"""What one cycle of a large center costs: from nothing, and after one submission and one end, as its queue grows."""

from __future__ import annotations

import resource
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median
from typing import Final

from benchmarks.crowds import NOW, Center, Crowd
from benchmarks.figures import Measured, Row, percentile
from benchmarks.profiles import profiled
from registry.ids import Seconds
from registry.resources import GIB
from scheduler.decide import decide_and_foresee
from scheduler.requests import State
from scheduler.snapshot import Snapshot
from simulator.replay import Given, outcome_of

PENDING: Final = 100_000
SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
CHANGES: Final = 200
FEWEST: Final = 3
BUDGET_SECONDS: Final = 120.0
"""Of deciding: after it no more than the fewest changes are measured, and nothing larger than the goal's size."""
SECONDS_APART: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What cycles of one center cost, in CPU seconds, and the most memory that its process ever had, in bytes."""

    pending: int
    reading: float
    first: float
    learning: Sequence[float]
    deciding: Sequence[float]
    placements: int
    peak: int


def measure(*options: str) -> Measured:
    """Measure each size in a process of its own, one after the other; the goal is about one of them."""
    asked = _asked(options)
    costs: list[Costs] = []
    for pending in asked.pending:
        if costs and pending > PENDING and costs[-1].first > BUDGET_SECONDS:
            print(f"{pending:,} pending are left out: fewer took {costs[-1].first:.0f} s", file=sys.stderr, flush=True)
            continue
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
            costs.append(process.submit(costs_of, Crowd(pending=pending), asked.changes, asked.profile).result())
        print("  ".join(_row(costs[-1])), file=sys.stderr, flush=True)
    head = (
        "pending",
        "cycles",
        "decide p50 s",
        "p99 s",
        "max s",
        "with_facts p50 s",
        "first decide s",
        "reading s",
        "peak GiB",
    )
    of_goal = next((one for one in costs if one.pending == PENDING), costs[-1])
    return Measured(value=percentile(of_goal.deciding, 99), table=(head, *map(_row, costs)))


def costs_of(crowd: Crowd, changes: int, profile: int) -> Costs:
    """Read a center, decide once from nothing, and then after each change; each plan is applied before the next."""
    center = Center(crowd)
    facts = list(center.facts())
    began = time.process_time()
    snapshot = Snapshot().with_facts(facts)
    reading = time.process_time() - began
    del facts
    began = time.process_time()
    plan = decide_and_foresee(snapshot, NOW)
    first = time.process_time() - began
    snapshot = snapshot.with_facts(outcome_of(snapshot, plan, NOW))
    deciding: list[float] = []
    learning: list[float] = []
    placements = 0
    leaving = iter(sorted(one.id for one in snapshot.requests.values() if one.state is State.PLACED))
    with profiled(profile):
        for change in range(1, changes + 1):
            now = Seconds(NOW + change * SECONDS_APART)
            given = Given(snapshot)
            ended = tuple(given.end(snapshot.requests[next(leaving)], now))
            news = (center.arrival(now), *ended, *given.facts())
            began = time.process_time()
            snapshot = snapshot.with_facts(news)
            learned = time.process_time()
            plan = decide_and_foresee(snapshot, now)
            learning.append(learned - began)
            deciding.append(time.process_time() - learned)
            placements += len(plan.placements)
            snapshot = snapshot.with_facts(outcome_of(snapshot, plan, now))
            if change >= FEWEST and sum(deciding) > BUDGET_SECONDS:
                break
    return Costs(
        pending=crowd.pending,
        reading=reading,
        first=first,
        learning=learning,
        deciding=deciding,
        placements=placements,
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _row(one: Costs) -> Row:
    times = (median(one.deciding), percentile(one.deciding, 99), max(one.deciding), median(one.learning))
    cells = [f"{seconds:.4f}" for seconds in times]
    return (
        f"{one.pending:,}",
        str(len(one.deciding)),
        *cells,
        f"{one.first:.2f}",
        f"{one.reading:.1f}",
        f"{one.peak / GIB:.2f}",
    )


def _asked(options: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks cycle", description=__doc__)
    parser.add_argument("--pending", type=int, nargs="+", default=SIZES, metavar="N", help="how many requests wait")
    parser.add_argument("--changes", type=int, default=CHANGES, metavar="N", help="how many cycles are measured")
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="print the N functions that take longest")
    return parser.parse_args(options)
