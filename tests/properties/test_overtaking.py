"""However many come later, nobody is overtaken without end, and what was promised comes when it was to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.axes import Axes
from registry.ids import RequestId, Seconds
from scheduler.departures import Leaving
from scheduler.fitting import Gang
from scheduler.overtaking import Overtaking
from scheduler.plan import Plan
from scheduler.policy import DEFAULT_POLICY, Policy
from scheduler.profile import Hold, Timeline
from scheduler.requests import RequestClass
from scheduler.room import Room
from simulator.replay import Replay
from simulator.site import Site, unbounded
from simulator.swf import RigidJob
from tests.builders import NOW, cores

PROCESSORS: Final = 4
PATIENCE: Final = 1000


def impatient(**changes: object) -> Policy:
    """Return a policy under which a request of a short queue may be overtaken for some minutes only."""
    policy = unbounded(replace(DEFAULT_POLICY, termination_slack_seconds=0))
    normal = replace(policy.classes[RequestClass.NORMAL], overtaking_seconds=PATIENCE)
    return replace(policy, classes={**policy.classes, RequestClass.NORMAL: normal}, **changes)  # type: ignore[arg-type]


class Watched(Replay):
    """A replay that looks at every plan: what each request was promised, and for how long it might be overtaken."""

    def __init__(self, jobs: Sequence[RigidJob], nodes: int = 1, policy: Policy | None = None) -> None:
        super().__init__(Site(processors=PROCESSORS, nodes=nodes), jobs, policy or impatient())
        self.promised: dict[RequestId, Seconds] = {}
        self.latest: set[RequestId] = set()
        self.started: dict[RequestId, Seconds] = {}
        self.most: dict[RequestId, Seconds] = {}

    def decided(self, now: Seconds) -> Plan:
        plan = super().decided(now)
        queue, overtaking = self._snapshot.arrays.queue, Overtaking(Room(self._snapshot, now))
        for row in queue.alive():
            by = Seconds(self._snapshot.requests[queue.key(int(row))].submitted + int(overtaking.seconds[row]))
            self.most[queue.key(int(row))] = max(by, self.most.get(queue.key(int(row)), by))
        for change in plan.promises:
            assert change.promise is not None, "nothing but nodes stops anybody here"
            before = self.promised.get(change.request.id, change.promise.starts)
            assert change.promise.starts <= before, "a promise moves earlier only"
            self.promised[change.request.id] = change.promise.starts
            if change.promise.aim is not None:
                self.latest.add(change.request.id)
        self.started |= {one.request.id: now for one in plan.placements}
        return plan


def jobs_of(drawn: Sequence[tuple[int, int, int, int]]) -> list[RigidJob]:
    """Return jobs of which each comes so long after the one before, with its processors, its time and what is asked."""
    jobs, at = [], 0
    for index, (after, procs, run, more) in enumerate(drawn):
        at += after
        user = index % 3
        jobs.append(
            RigidJob(index=index, job_id=index, submit=at, procs=procs, run=run, est=run + more, user=user, group=user)
        )
    return jobs


JOB = st.tuples(
    st.integers(0, 900), st.integers(1, PROCESSORS), st.integers(1, 3000), st.sampled_from([0, 0, 500, 5000])
)


@settings(max_examples=20)
@given(st.lists(JOB, min_size=10, max_size=30), st.sampled_from([1, PROCESSORS]), st.integers(0, 3))
def test_whoever_was_promised_a_start_has_started_by_then(
    drawn: list[tuple[int, int, int, int]], nodes: int, latest: int
) -> None:
    run = Watched(jobs_of(drawn), nodes, impatient(latest_starts=latest))
    list(run.run())
    assert all(run.started[one] <= starts for one, starts in run.promised.items())
    assert latest or not run.latest


SHORT = st.tuples(st.integers(1, 200), st.integers(1, PROCESSORS - 1), st.integers(1, 200), st.integers(0, 200))


@settings(max_examples=8)
@given(st.lists(SHORT, min_size=5, max_size=40), st.integers(1, PROCESSORS), st.integers(500, 5000))
def test_who_is_long_and_wide_starts_in_time_whatever_short_work_keeps_coming(
    drawn: list[tuple[int, int, int, int]], procs: int, length: int
) -> None:
    flood = (drawn * 20)[:80]
    run = Watched(jobs_of([(0, procs, length, 0), *flood]))
    list(run.run())
    late = [run.started[one] - by for one, by in run.most.items()]
    asked = [length, *(seconds + more for _, _, seconds, more in flood)]
    # Whoever came before may have been promised the same time, and whoever runs, or is next in line, is let end.
    assert all(seconds <= sum(asked[:older]) + 2 * max(asked) for older, seconds in enumerate(late))


def test_without_latest_starts_a_flood_of_short_work_would_starve_the_wide() -> None:
    """So that the property above can fail: two of three processors' worth come anew before the two before are gone."""
    flood = [(100, 2, 199, 0)] * 40
    wide = jobs_of([(0, 2, 199, 0), (10, PROCESSORS, 900, 0), *flood])
    starts: Mapping[bool, int] = {
        promised: {one.index: one.start for one in Watched(wide, policy=policy).run()}[1]
        for promised, policy in ((True, impatient()), (False, impatient(latest_starts=0, reservations=0)))
    }
    assert starts[True] <= 2 * PATIENCE < 40 * 100 <= starts[False]


MOMENT = st.integers(1, 60)


@given(
    st.lists(st.tuples(MOMENT, st.integers(0, 1), st.integers(1, 3)), max_size=5),
    st.lists(st.tuples(MOMENT, st.integers(1, 20), st.integers(0, 1), st.integers(1, 2)), max_size=4),
    st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(1, 25), st.integers(0, 80)),
    st.integers(1, 2),
)
def test_the_latest_moment_is_the_last_of_all_at_which_there_is_room(
    leaving: list[tuple[int, int, int]],
    held: list[tuple[int, int, int, int]],
    asked: tuple[int, int, int, int],
    nodes: int,
) -> None:
    axes, now = Axes(), NOW
    first, count, seconds, until = asked
    some = sorted((at, node % nodes, amount) for at, node, amount in leaving)
    times, rows, amounts = (np.array([one[place] for one in some], dtype=np.int64) for place in range(3))
    shapes = np.array([axes.row(cores(int(amount)), 1) for amount in amounts], dtype=np.int64).reshape(-1, axes.width)
    free = np.array([axes.row(cores(1), 9)] * nodes, dtype=np.int64)
    timeline = Timeline(free, Leaving(now + times, rows, rows * 0, shapes), now)
    for starts, lasts, node, amount in held:
        taken = np.zeros_like(free)
        taken[node % nodes] = axes.row(cores(amount), 1)
        when = Seconds(now + starts), Seconds(now + starts + lasts)
        if (taken <= timeline.open_from(*when)).all():
            timeline.hold(Hold(*when, taken, taken.sum(axis=0)))
    gang = Gang.of_shapes(cores(first), cores(1), count, axes)

    def earliest_until(at: int) -> Seconds | None:
        """Return a moment with room that is no later than one, tried at every second."""
        found = timeline.latest(gang, seconds, until=Seconds(now + at), allows=lambda one: one == now + at)
        return found and found[0]

    found = timeline.latest(gang, seconds, until=Seconds(now + until), allows=lambda _: True)
    every = [at for at in range(until + 1) if earliest_until(at) is not None]
    assert (found and found[0]) == (now + max(every) if every else None)
    first_of_all = timeline.earliest(gang, seconds, until=Seconds(now + until), allows=lambda _: True)
    assert (first_of_all and first_of_all[0]) == (now + min(every) if every else None)
