"""A replay starts every job when the whole center would, and looks into nobody's future."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.policies import NAMED
from scheduler.policy import Policy
from simulator.lublin import Workload, made_up_log
from simulator.replay import Replay
from simulator.schedules import starts_of
from simulator.site import Site, unbounded
from simulator.swf import RigidJob, rigid_jobs
from simulator.world import World

PROCESSORS = 16
SEEDS = st.integers(0, 10**6)
NODES = st.sampled_from([1, PROCESSORS])


def made_up(seed: int, jobs: int, load: float) -> Sequence[RigidJob]:
    workload = Workload(jobs=jobs, processors=PROCESSORS, users=6, groups=3, load=load)
    return rigid_jobs(made_up_log(workload, Random(seed)), PROCESSORS)


def policy_of(name: str, slack_seconds: int | None = None) -> Policy:
    policy = unbounded(NAMED[name])
    return policy if slack_seconds is None else replace(policy, termination_slack_seconds=slack_seconds)


def starts(nodes: int, jobs: Sequence[RigidJob], policy: Policy) -> Mapping[int, int]:
    return starts_of(Replay(Site(processors=PROCESSORS, nodes=nodes), jobs, policy).run())


@pytest.mark.parametrize("name", ["default", "fcfs-easy"])
@settings(max_examples=8)
@given(seed=SEEDS, nodes=NODES, slack=st.sampled_from([0, None]))
def test_decisions_alone_start_every_job_when_the_loops_of_production_do(
    name: str, seed: int, nodes: int, slack: int | None
) -> None:
    jobs, policy = made_up(seed, 40, 8.0), policy_of(name, slack)
    world = World(Site(processors=PROCESSORS, nodes=nodes), jobs, policy)
    assert starts(nodes, jobs, policy) == starts_of(world.run())


@pytest.mark.parametrize("name", ["default", "fcfs-easy"])
@settings(max_examples=8)
@given(seed=SEEDS, nodes=NODES, chance=st.randoms(use_true_random=False), part=st.floats(0.1, 0.9))
def test_how_long_unfinished_work_will_run_changes_nothing_before(
    name: str, seed: int, nodes: int, chance: Random, part: float
) -> None:
    jobs, policy = made_up(seed, 40, 5.0), policy_of(name)
    before = starts(nodes, jobs, policy)
    moment = int(jobs[int(len(jobs) * part)].submit)

    def otherwise(job: RigidJob) -> RigidJob:
        lived = max(0, moment - before[job.index])
        if before[job.index] + job.run <= moment:
            return job
        return replace(job, run=chance.randint(lived + 1, max(job.est, lived + 1)))

    after = starts(nodes, [otherwise(job) for job in jobs], policy)
    assert {index: start for index, start in after.items() if start <= moment} == {
        index: start for index, start in before.items() if start <= moment
    }
