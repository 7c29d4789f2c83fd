"""Named policies start every job when the rules of published schedules do, written down as plainly as can be."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.policies import NAMED
from simulator.lublin import Workload, made_up_log
from simulator.replay import Replay
from simulator.schedules import starts_of
from simulator.site import Site, unbounded
from simulator.swf import RigidJob, rigid_jobs

PROCESSORS: Final = 16
FIRST_COME: Final = ("fcfs", "fcfs-easy", "fcfs-easy-sjbf", "fcfs-conservative")


@dataclass
class Machine:
    """Processors, what runs on them until when by its estimate, and what waits, in the order of arrival."""

    running: dict[int, RigidJob] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)
    waiting: list[RigidJob] = field(default_factory=list)
    reserved: dict[int, int] = field(default_factory=dict)

    @property
    def free(self) -> int:
        return PROCESSORS - sum(job.procs for job in self.running.values())

    def start(self, job: RigidJob, now: int) -> None:
        self.running[job.index], self.starts[job.index] = job, now
        self.waiting.remove(job)
        self.reserved.pop(job.index, None)

    def until(self, job: RigidJob) -> int:
        return self.starts[job.index] + job.est

    def taken(self, at: int, but: RigidJob) -> int:
        """Return how many processors are taken at a moment to come, by what runs and by what others have reserved."""
        runs = sum(job.procs for job in self.running.values() if self.until(job) > at)
        others = (one for one in self.waiting if one is not but and one.index in self.reserved)
        return runs + sum(
            one.procs for one in others if self.reserved[one.index] <= at < self.reserved[one.index] + one.est
        )

    def earliest(self, job: RigidJob, now: int) -> int:
        """Return the first moment from which on a job has its processors all the time."""
        ends = {self.until(one) for one in self.running.values()}
        ends |= {at + one.est for one in self.waiting if (at := self.reserved.get(one.index)) is not None}
        begins = {at for one in self.waiting if one is not job and (at := self.reserved.get(one.index)) is not None}
        for at in sorted({now} | {end for end in ends if end > now}):
            within = [at, *(one for one in begins if at < one < at + job.est)]
            if all(self.taken(moment, job) + job.procs <= PROCESSORS for moment in within):
                return at
        raise AssertionError("every job fits at last")


def in_turn(machine: Machine, now: int) -> None:
    """Start those that are first while they fit."""
    while machine.waiting and machine.waiting[0].procs <= machine.free:
        machine.start(machine.waiting[0], now)


def easy(machine: Machine, now: int, *, shortest: bool) -> None:
    """Start who comes first while it fits, then whoever does not put off the first that does not."""
    in_turn(machine, now)
    if not machine.waiting:
        return
    head, at, left = machine.waiting[0], now, machine.free
    for end in sorted({machine.until(job) for job in machine.running.values()}):
        at, left = end, PROCESSORS - sum(job.procs for job in machine.running.values() if machine.until(job) > end)
        if left >= head.procs:
            break
    extra = left - head.procs
    for job in sorted(machine.waiting[1:], key=lambda one: (one.est, one.index) if shortest else one.index):
        if job.procs <= machine.free and (now + job.est <= at or job.procs <= extra):
            extra -= job.procs if now + job.est > at else 0
            machine.start(job, now)


def conservative(machine: Machine, now: int, *, any_ended: bool) -> None:
    """Reserve the first possible start for each as it comes; after an end each in turn may have an earlier one."""
    for job in list(machine.waiting):
        known = machine.reserved.get(job.index)
        if known is None or (any_ended and known > now):
            machine.reserved[job.index] = machine.earliest(job, now)
    for job in [one for one in machine.waiting if machine.reserved[one.index] <= now]:
        machine.start(job, now)


def by_the_rules(jobs: Sequence[RigidJob], policy: str) -> Mapping[int, int]:
    machine, coming = Machine(), sorted(jobs, key=lambda job: (job.submit, job.index))
    while coming or machine.running or machine.waiting:
        now = min(_moments(machine, coming))
        ended = [job for job in machine.running.values() if machine.starts[job.index] + job.run == now]
        for job in ended:
            del machine.running[job.index]
        while coming and coming[0].submit == now:
            machine.waiting.append(coming.pop(0))
        match policy:
            case "fcfs":
                in_turn(machine, now)
            case "fcfs-conservative":
                conservative(machine, now, any_ended=bool(ended))
            case _:
                easy(machine, now, shortest=policy.endswith("sjbf"))
    return machine.starts


def _moments(machine: Machine, coming: Sequence[RigidJob]) -> Iterator[int]:
    yield from (machine.starts[job.index] + job.run for job in machine.running.values())
    yield from machine.reserved.values()
    if coming:
        yield coming[0].submit


@pytest.mark.parametrize("policy", FIRST_COME)
@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), load=st.sampled_from([4.0, 8.0, 20.0]), nodes=st.sampled_from([1, PROCESSORS]))
def test_a_named_policy_starts_every_job_when_its_published_rules_do(
    policy: str, seed: int, load: float, nodes: int
) -> None:
    workload = Workload(jobs=60, processors=PROCESSORS, users=6, groups=3, load=load)
    jobs = rigid_jobs(made_up_log(workload, Random(seed)), PROCESSORS)
    replayed = Replay(Site(processors=PROCESSORS, nodes=nodes), jobs, unbounded(NAMED[policy]))
    assert starts_of(replayed.run()) == by_the_rules(jobs, policy)
