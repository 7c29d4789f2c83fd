"""Institutions that own equal parts of a pool and always ask for more: what each has had of it, and an owner's return.

The loops of production run on virtual time. What was used is what fair share counts: decayed, as a part of what is
owned. In each mix of work four institutions ask without end; in the last the fourth stays away at first, lends what it
owns to the others, and comes back to a full pool.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, log, log2
from typing import Final

import numpy as np

from benchmarks.figures import Measured, Row
from operations.events import Event, EventKind
from registry.ids import RequestId, ShareId
from scheduler.ordering import Standings
from scheduler.policy import DAY, DEFAULT_POLICY, HOUR, Policy
from simulator.site import NEW_YEAR, POOL, Site, unbounded
from simulator.swf import RigidJob
from simulator.world import World

MEMBERS: Final = 4
PROCESSORS: Final = 128
WAITING_OF_EACH: Final = 12
HALF_LIVES: Final = 10
ALLOWED_SPREAD: Final = 0.02
SEED: Final = 2026


@dataclass(frozen=True, slots=True)
class Work:
    """What one member asks for: processors, and run times of which every ratio is as likely between two."""

    processors: tuple[int, ...]
    shortest: int
    longest: int


SMALL: Final = (1, 2)
ANY: Final = Work(SMALL, HOUR, 8 * HOUR)
MIXES: Final = {
    "the same work": (ANY,) * MEMBERS,
    "short to long": tuple(Work(SMALL, hours * HOUR, 2 * hours * HOUR) for hours in (1, 2, 4, 8)),
    "small to wide": tuple(Work((size,), HOUR, 8 * HOUR) for size in (1, 2, 4, 8)),
}


class Saturated:
    """A center in which everybody who has come always has requests waiting: for each that starts another one comes."""

    def __init__(self, mix: Sequence[Work], policy: Policy, days: int, comes: Sequence[int]) -> None:
        self._chance: Final = np.random.default_rng(SEED)
        self._mix: Final = mix
        self._over_at: Final = days * DAY
        self._made = 0
        self.begun: Final[set[RequestId]] = set()
        self.stopped = 0
        first = [self._another(who, at) for who, at in enumerate(comes) for _ in range(WAITING_OF_EACH)]
        self._world: Final = World(Site(processors=PROCESSORS, epoch=NEW_YEAR), first, policy, forgetful=True)
        self._world.store.subscribe(self._hear)

    @property
    def now(self) -> int:
        """Return how many seconds have passed."""
        return self._world.clock.time - self._world.site.epoch

    def run(self) -> Iterator[int]:
        """Go on for ever, yielding the moment whenever a job has ended."""
        for _ in self._world.run():
            yield self.now

    def _another(self, who: int, submit: int) -> RigidJob:
        work = self._mix[who]
        run = int(exp(self._chance.uniform(log(work.shortest), log(work.longest))))
        asked, procs = int(run * self._chance.uniform(1, 2)), int(self._chance.choice(work.processors))
        self._made += 1
        return RigidJob(
            index=self._made, job_id=self._made, submit=submit, procs=procs, run=run, est=asked, user=who, group=who
        )

    def _hear(self, told: Sequence[Event]) -> None:
        for event in told:
            self.stopped += event.kind is EventKind.PREEMPTED
            if event.kind is EventKind.PLACED and event.request not in self.begun and self.now < self._over_at:
                self.begun.add(event.request)
                self._world.add(self._another(self._world.job_of(event.request).group, self.now + 1))

    def used(self) -> list[float]:
        """Return the decayed use of each member over what it owns, as fair share counts it by now."""
        standings = Standings(self._world.snapshot, self._world.clock.time)
        return [-log2(standings.factor(ShareId(f"g{who}"), POOL)) for who in range(MEMBERS)]

    def held(self, who: int) -> float:
        """Return what a member holds, as a part of what it owns."""
        share = self._world.snapshot.shares[ShareId(f"g{who}"), POOL]
        return share.granted.millicores / share.quota.nominal.millicores


def measure(*options: str) -> Measured:
    """Run all mixes and the return of an owner; the value is the worst over what is allowed."""
    asked = _asked(options)
    policy = replace(unbounded(DEFAULT_POLICY), half_life_seconds=DAY, minimum_run_seconds=HOUR)
    rows: list[Row] = [("", "least", "most", "spread", "stops", "starts")]
    worst = 0.0
    for name, mix in MIXES.items():
        world = Saturated(mix, policy, asked.half_lives, [0] * MEMBERS)
        _live(world, asked.half_lives * DAY)
        used = world.used()
        spread = (max(used) - min(used)) / (sum(used) / MEMBERS)
        worst = max(worst, spread / ALLOWED_SPREAD)
        numbers = (f"{min(used):.3f}", f"{max(used):.3f}", f"{spread:.1%}", str(world.stopped), str(len(world.begun)))
        rows.append((name, *numbers))
    took, bound = owner_comes_back(policy)
    worst = max(worst, took / bound)
    rows.append((f"an owner has its own back after {took} s, {bound} s allowed", *[""] * 5))
    return Measured(value=worst, table=rows)


def owner_comes_back(policy: Policy) -> tuple[int, int]:
    """Return how long it takes until an owner holds all of its own again that its requests fit into, and the bound.

    All, but for less than its largest request. The bound is the least run time of who borrows, a notice, and what a
    process may take to end.
    """
    assert policy.minimum_run_seconds is not None
    comes = DAY
    world = Saturated((ANY,) * MEMBERS, policy, 2, [0] * (MEMBERS - 1) + [comes])
    for now in world.run():
        if now > comes and world.held(MEMBERS - 1) > 1 - max(SMALL) / (PROCESSORS / MEMBERS):
            return now - comes, policy.minimum_run_seconds + policy.notice_seconds + policy.termination_slack_seconds
    raise AssertionError("it never had its own back")


def _live(world: Saturated, seconds: int) -> None:
    """Live through so many seconds, telling of each day."""
    day = 0
    for now in world.run():
        if now // DAY > day:
            day = now // DAY
            print(f"day {day}:", *(f"{one:.3f}" for one in world.used()), file=sys.stderr, flush=True)
        if now >= seconds:
            return


def _asked(options: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks fairness", description=__doc__)
    parser.add_argument(
        "--half-lives", type=int, default=HALF_LIVES, metavar="N", help="how long, in half-lives of use"
    )
    return parser.parse_args(options)
