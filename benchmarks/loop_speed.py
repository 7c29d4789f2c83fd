"""How many jobs of a log one CPU second takes through the loops of production, their store and their ledger."""

import time

from benchmarks.figures import Measured
from benchmarks.logs import KTH
from benchmarks.profiles import profiled
from benchmarks.replay_speed import POLICY, asked_for
from scheduler.policies import NAMED
from simulator.report import mean_bounded_slowdown
from simulator.site import Site, unbounded
from simulator.world import World


def measure(*options: str) -> Measured:
    """Run the log, or its first jobs."""
    asked = asked_for(options, "loop-speed")
    jobs = KTH.jobs()[: asked.first]
    world = World(Site(processors=KTH.processors), jobs, unbounded(NAMED[POLICY]), forgetful=True)
    began = time.process_time()
    with profiled(asked.profile):
        outcomes = list(world.run())
    seconds = time.process_time() - began
    assert len(outcomes) == len(jobs), "a job never started"
    row = ("all loops", str(len(jobs)), f"{seconds:.2f}", f"{mean_bounded_slowdown(outcomes):.2f}")
    return Measured(value=len(jobs) / seconds, table=(("", "jobs", "CPU s", "mean bounded slowdown"), row))
