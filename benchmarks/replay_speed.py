"""How many jobs of a log one CPU second decides, and what taking their facts into the snapshot costs beside it."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Final

from benchmarks.figures import Measured, Row
from benchmarks.logs import KTH
from benchmarks.profiles import profiled
from registry.ids import Seconds
from scheduler.facts import Fact
from scheduler.plan import Plan
from scheduler.policies import NAMED
from simulator.replay import Replay
from simulator.report import mean_bounded_slowdown
from simulator.site import Site, unbounded

POLICY: Final = "fcfs-easy"


class TimedReplay(Replay):
    """A replay that notes the CPU time of deciding and of learning, each apart from everything else."""

    deciding = 0.0
    learning = 0.0
    passes = 0

    def learn(self, facts: Sequence[Fact]) -> None:
        """Learn, by the clock."""
        began = time.process_time()
        super().learn(facts)
        self.learning += time.process_time() - began

    def decided(self, now: Seconds) -> Plan:
        """Decide, by the clock."""
        began = time.process_time()
        plan = super().decided(now)
        self.deciding += time.process_time() - began
        self.passes += 1
        return plan


def measure(*options: str) -> Measured:
    """Replay the log, or its first jobs."""
    asked = asked_for(options, "replay-speed")
    jobs = KTH.jobs()[: asked.first]
    replay = TimedReplay(Site(processors=KTH.processors), jobs, unbounded(NAMED[POLICY]))
    began = time.process_time()
    with profiled(asked.profile):
        outcomes = list(replay.run())
    whole = time.process_time() - began
    rest = whole - replay.deciding - replay.learning
    table: list[Row] = [("", "CPU s", "of all", "us a cycle", "jobs/s")]
    for name, seconds in (
        ("decide", replay.deciding),
        ("Snapshot.with_facts", replay.learning),
        ("  both", replay.deciding + replay.learning),
        ("what the run itself costs", rest),
        ("  all", whole),
    ):
        each = f"{seconds / replay.passes * 1e6:.0f}"
        table.append((name, f"{seconds:.2f}", f"{seconds / whole:.0%}", each, f"{len(jobs) / seconds:.0f}"))
    slowdown = f"{mean_bounded_slowdown(outcomes):.2f}"
    table.append((f"{len(jobs)} jobs, {replay.passes} cycles, mean bounded slowdown {slowdown}", "", "", "", ""))
    return Measured(value=len(jobs) / replay.deciding, table=table)


def asked_for(options: Sequence[str], name: str) -> Namespace:
    """Read the options of a benchmark that runs the log."""
    parser = ArgumentParser(prog=f"python -m benchmarks {name}")
    parser.add_argument("--first", type=int, metavar="N", help="the first N jobs of the log")
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="print the N functions that take longest")
    return parser.parse_args(options)
