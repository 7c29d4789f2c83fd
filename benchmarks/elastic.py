"""How long jobs that can change their size take from submission to end, beside the best that is published or known."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Final

from benchmarks.figures import Measured, Row
from scheduler.policy import DEFAULT_POLICY, HOUR, Order, Policy
from scheduler.requests import RequestClass
from simulator.malleable import Lived, MalleableReplay, elastic_jobs, malleable_jobs
from simulator.site import Site, unbounded
from simulator.swf import read_log, rigid_jobs

FOLDER: Final = Path(os.environ.get("HAIDANG_TRACES") or Path(__file__).resolve().parents[2] / "shared" / "traces")
NODES: Final = 128
SEEDS: Final = ("S0", "S1", "S2", "S3", "S4")
PATIENCE_SECONDS: Final = 40 * HOUR
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A published log, its machine, how many of its processors one worker stands for, and what the fluid list waits."""

    file: str
    processors: int
    per_worker: int
    fluid_seconds: float


LOGS: Final[Mapping[str, Log]] = {
    "KTH": Log(file="KTH-SP2-1996-2.1-cln.swf.gz", processors=100, per_worker=1, fluid_seconds=813),
    "Theta": Log(file="ALCF-Theta-2023.norm.swf.gz", processors=4392, per_worker=8, fluid_seconds=1934),
    "Mira": Log(file="ALCF-Mira-2018.norm.swf.gz", processors=49152, per_worker=128, fluid_seconds=2459),
}
"""The fluid list is a clairvoyant preemptive list, the smallest area first, never above the requested size."""

GOALS: Final[Mapping[str, tuple[float, float]]] = {"100": (12_500, 13_054), "020": (25_500, 28_151)}
"""By percent of malleable jobs: the mean turnaround that is asked for, and the best that was known, in seconds."""
ASKED_OF_LOGS: Final = 1.2


def policy() -> Policy:
    """Return the one policy of all inputs: it refuses nobody, knows no slack, and bounds how long anybody waits.

    Nobody is promised a first start but who is waiting for others to leave: with jobs that shrink, a protected start
    for the first in the queue costs more than it saves.
    """
    free = replace(unbounded(DEFAULT_POLICY), termination_slack_seconds=0, reservations=0, order=Order.FILL)
    normal = replace(free.classes[RequestClass.NORMAL], overtaking_seconds=PATIENCE_SECONDS)
    return replace(free, classes={**free.classes, RequestClass.NORMAL: normal})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one input: how many jobs, their mean turnaround, mean and longest wait, and what notices cost."""

    name: str
    turnaround: float
    beyond_asked: float
    wait: float
    longest_wait: float
    lost: float


def measure() -> Measured:
    """Replay all inputs; the value is the worst of the ratios to what is asked for."""
    return table(run_all([*inputs()]))


def inputs() -> Iterator[tuple[str, str]]:
    """Yield what is replayed, by kind and name: made-up jobs by their percent and seed, and logs."""
    yield from (("log", name) for name in LOGS)
    yield from ((percent, seed) for percent in GOALS for seed in SEEDS)


def run_all(some: Sequence[tuple[str, str]]) -> list[Result]:
    """Replay inputs, as many at once as the machine has processors.

    Raises:
        FileNotFoundError: a log is not there; HAIDANG_TRACES names the folder of published logs.
    """
    if not FOLDER.is_dir():
        raise FileNotFoundError(f"the published logs are not in {FOLDER}; HAIDANG_TRACES names their folder")
    with ProcessPoolExecutor() as processes:
        coming = [processes.submit(replayed, *one) for one in some]
        for number, one in enumerate(as_completed(coming), 1):
            print(f"{number} of {len(some)}: {one.result()}", file=sys.stderr, flush=True)
        return [one.result() for one in coming]


def replayed(kind: str, name: str) -> Result:
    """Replay one input."""
    if kind == "log":
        log = LOGS[name]
        rigid = rigid_jobs(read_log(FOLDER / log.file), log.processors)
        jobs, places = elastic_jobs(rigid, log.per_worker), log.processors // log.per_worker
        return result_of(name, MalleableReplay(Site(processors=places), jobs, policy()))
    jobs = malleable_jobs(FOLDER / "malleable" / f"jobs_malleable_{kind}.csv.gz", name)
    return result_of(f"{kind} {name}", MalleableReplay(Site(processors=NODES), jobs, policy()))


def result_of(name: str, replay: MalleableReplay) -> Result:
    """Run a replay to its end."""
    lived: list[Lived] = list(replay.run())
    return Result(
        name=name,
        turnaround=mean(one.turnaround_seconds for one in lived),
        beyond_asked=mean(one.turnaround_seconds - one.asked_seconds for one in lived),
        wait=mean(one.wait_seconds for one in lived),
        longest_wait=max(one.wait_seconds for one in lived),
        lost=replay.lost_seconds,
    )


def table(results: Sequence[Result]) -> Measured:
    """Return the table of all results, and by how much the worst misses what is asked for: 1 reaches it."""
    rows: list[Row] = [("", "mean turnaround s", "asked s", "known s", "mean wait s", "longest wait d", "ratio")]
    ratios: list[float] = []
    for percent, (asked, known) in GOALS.items():
        some = [one for one in results if re.match(rf"{percent} ", one.name)]
        rows += [_row(one, "", "", "") for one in some]
        turnaround = mean(one.turnaround for one in some)
        ratios.append(turnaround / asked)
        waits = mean(one.wait for one in some), max(one.longest_wait for one in some) / DAY
        name, ratio = f"{int(percent)} % malleable", f"{ratios[-1]:.3f}"
        rows.append(
            (name, f"{turnaround:.0f}", f"{asked:.0f}", f"{known:.0f}", f"{waits[0]:.0f}", f"{waits[1]:.2f}", ratio)
        )
    for one in results:
        if one.name in LOGS:
            beyond = one.beyond_asked / LOGS[one.name].fluid_seconds
            ratios.append(beyond / ASKED_OF_LOGS)
            fluid = f"{LOGS[one.name].fluid_seconds:.0f} x {ASKED_OF_LOGS}"
            rows.append(_row(replace(one, turnaround=one.beyond_asked), fluid, "", f"{beyond:.3f}"))
    ratios.append(max(one.longest_wait for one in results) / (2 * DAY))
    return Measured(value=max(ratios), table=rows)


def _row(one: Result, asked: str, known: str, ratio: str) -> Row:
    return (
        one.name,
        f"{one.turnaround:.0f}",
        asked,
        known,
        f"{one.wait:.0f}",
        f"{one.longest_wait / DAY:.2f}",
        ratio,
    )
