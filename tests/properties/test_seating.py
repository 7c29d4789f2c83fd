"""What is promised is a time: on equal nodes of one core everybody starts when they would on one large node."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.axes import Axes, Ints
from registry.ids import RequestId, Seconds
from scheduler.decide import decide
from scheduler.departures import Leaving
from scheduler.fitting import Gang, Packing, place_when_empty
from scheduler.policy import Policy
from scheduler.profile import Hold, Timeline
from scheduler.requests import Request
from scheduler.seats import Reseated, Seat, seated_anew
from simulator.replay import Replay
from simulator.schedules import starts_of
from simulator.site import Site
from simulator.swf import RigidJob
from tests.builders import NOW, a_node, a_request, a_snapshot, cores, facts_of_a_center, request_id
from tests.properties.test_overtaking import impatient, jobs_of
from tests.properties.test_replay import PROCESSORS as MANY
from tests.properties.test_replay import made_up, policy_of
from tests.properties.worlds import applied, ended

FEW = 6
JOB = st.tuples(st.integers(0, 600), st.integers(1, FEW), st.integers(1, 3000), st.sampled_from([0, 0, 500, 5000]))


def starts(processors: int, nodes: int, jobs: Sequence[RigidJob], policy: Policy) -> dict[int, int]:
    return dict(starts_of(Replay(Site(processors=processors, nodes=nodes), jobs, policy).run()))


@pytest.mark.parametrize("name", ["fcfs-easy", "fcfs-conservative"])
@settings(max_examples=4)
@given(seed=st.integers(0, 10**6), load=st.sampled_from([2.0, 8.0]), slack=st.sampled_from([0, 30]))
def test_a_log_starts_on_nodes_of_one_core_as_it_does_on_one_node(
    name: str, seed: int, load: float, slack: int
) -> None:
    jobs, policy = made_up(seed, 40, load), policy_of(name, slack)
    assert starts(MANY, MANY, jobs, policy) == starts(MANY, 1, jobs, policy)


@settings(max_examples=20)
@given(st.lists(JOB, min_size=10, max_size=40), st.sampled_from(["fcfs-easy", "fcfs-conservative"]))
def test_so_do_jobs_of_any_length_and_size(drawn: list[tuple[int, int, int, int]], name: str) -> None:
    jobs, policy = jobs_of(drawn), policy_of(name)
    assert starts(FEW, FEW, jobs, policy) == starts(FEW, 1, jobs, policy)


@settings(max_examples=20)
@given(st.lists(JOB, min_size=10, max_size=40), st.integers(0, 5))
def test_so_do_those_that_were_promised_a_latest_start(drawn: list[tuple[int, int, int, int]], latest: int) -> None:
    jobs, policy = jobs_of(drawn), impatient(latest_starts=latest)
    assert starts(FEW, FEW, jobs, policy) == starts(FEW, 1, jobs, policy)


MOMENT = st.integers(1, 30)
GANG = st.tuples(st.integers(1, 2), st.integers(0, 3), st.integers(1, 2), st.integers(1, 20))
"""The cores of a head, workers and the cores of each, and for how long it runs."""
RUNNING = st.lists(st.tuples(MOMENT, st.integers(0, 5), st.integers(1, 2)), min_size=3, max_size=6)
PROMISED = st.lists(GANG, min_size=4, max_size=12)
BOOKED = st.lists(st.tuples(MOMENT, MOMENT, st.integers(0, 4)), max_size=2)
"""From when, for how long, and of which node everything that is free then."""


def a_gang(head: int, workers: int, each: int) -> Gang:
    return Gang.of_shapes(cores(head), cores(each), workers, Axes())


def a_timeline(sizes: Sequence[int], running: Sequence[tuple[int, int, int]]) -> Timeline:
    """Return so many nodes of some cores, on which cores are taken until a moment, where there are so many left."""
    free, leaving = np.array([Axes().row(cores(size), 9) for size in sizes]), list[tuple[int, int, Ints]]()
    for until, node, taken in sorted(running):
        shape = np.array(Axes().row(cores(taken), 1))
        if node < len(sizes) and (shape <= free[node]).all():
            free[node] -= shape
            leaving.append((NOW + until, node, shape))
    times, nodes = (np.array([one[column] for one in leaving], dtype=np.int64) for column in (0, 1))
    shapes = np.array([shape for *_, shape in leaving], dtype=np.int64).reshape(-1, free.shape[1])
    return Timeline(free, Leaving(times, nodes, nodes * 0, shapes), NOW)


def book(timeline: Timeline, booked: Sequence[tuple[int, int, int]]) -> None:
    for begins, seconds, node in booked:
        at, ends = Seconds(NOW + begins), Seconds(NOW + begins + seconds)
        taken = np.zeros_like(timeline.free)
        if node < len(taken):
            taken[node] = np.maximum(timeline.open_from(at, ends)[node], 0)
        timeline.hold(Hold(at, ends, taken, taken.sum(axis=0)))


def promise_all(timeline: Timeline, gangs: Sequence[tuple[int, int, int, int]]) -> list[Seat]:
    """Promise each the first start that nodes leave it, one after the other."""
    seats = list[Seat]()
    for number, (head, workers, each, seconds) in enumerate(gangs):
        gang = a_gang(head, workers, each)
        found = timeline.earliest(gang, seconds, allows=lambda _: True)
        if found is not None:
            at, packing = found
            hold = Hold(at, Seconds(at + seconds), packing.taken(gang, timeline.free), gang.total)
            seats.append(Seat(request_id(number), hold, gang))
            timeline.hold(hold)
    return seats


def seat(timeline: Timeline, gang: Gang, when: tuple[Seconds, Seconds], seats: Sequence[Seat], to: Reseated) -> None:
    of: dict[RequestId, Seat] = {one.request: one for one in seats}
    for request, packing in to.moved:
        before = of[request]
        assert before.hold.starts >= when[0], "what begins before stays where it is"
        after = replace(before.hold, taken=packing.taken(before.gang, timeline.free))
        timeline.move(before.hold, after)
    timeline.hold(Hold(*when, to.taken(gang, timeline.free), gang.total))


def is_overfull(timeline: Timeline) -> bool:
    moments = {at for one in timeline.promised for at in (one.starts, one.ends)}
    return any((timeline.free_at(at) < 0).any() for at in moments)


@settings(max_examples=200)
@given(st.integers(3, 6), RUNNING, PROMISED, GANG)
def test_on_equal_nodes_of_one_core_all_have_seats_whenever_sums_are_enough(
    nodes: int, running: list[tuple[int, int, int]], promised: list[tuple[int, int, int, int]], new: tuple[int, ...]
) -> None:
    def world() -> tuple[Timeline, list[Seat]]:
        timeline = a_timeline([1] * nodes, [(until, node, 1) for until, node, _ in running])
        return timeline, promise_all(timeline, [(1, workers, 1, seconds) for _, workers, _, seconds in promised])

    gang, seconds = a_gang(1, new[1], 1), new[3]
    for at in world()[0].moments(gang.total, seconds, None).tolist():
        timeline, seats = world()
        when = Seconds(at), Seconds(at + seconds)
        to = seated_anew(timeline, gang, when, seats)
        assert to is not None
        seat(timeline, gang, when, seats, to)
        assert not is_overfull(timeline)


@settings(max_examples=200)
@given(st.lists(st.integers(1, 3), min_size=3, max_size=6), RUNNING, BOOKED, PROMISED, GANG)
def test_wherever_others_are_moved_to_no_node_is_ever_overfull(
    sizes: list[int],
    running: list[tuple[int, int, int]],
    booked: list[tuple[int, int, int]],
    promised: list[tuple[int, int, int, int]],
    new: tuple[int, ...],
) -> None:
    timeline = a_timeline(sizes, running)
    book(timeline, booked)
    seats, gang = promise_all(timeline, promised), a_gang(*new[:3])
    before = {at: timeline.free_at(at).sum(axis=0) for at in {one.starts for one in timeline.promised}}
    for at in timeline.moments(gang.total, new[3], None).tolist():
        when = Seconds(at), Seconds(at + new[3])
        to = seated_anew(timeline, gang, when, seats)
        if to is not None:
            seat(timeline, gang, when, seats, to)
            assert not is_overfull(timeline)
            inside = {one for one in before if when[0] <= one < when[1]}
            assert all(
                (timeline.free_at(one).sum(axis=0) == sums - (gang.total if one in inside else 0)).all()
                for one, sums in before.items()
            ), "as much is held, and at the same times"
            return


def test_who_would_have_to_go_into_a_booking_stays_and_nobody_is_moved() -> None:
    timeline = a_timeline([1, 1], [(10, 0, 1)])
    book(timeline, [(40, 60, 1)])
    seats = promise_all(timeline, [(1, 0, 1, 50)])
    assert [one.hold.starts - NOW for one in seats] == [10], "the node that is not booked is the only one for so long"
    assert seated_anew(timeline, a_gang(1, 0, 1), (Seconds(NOW + 10), Seconds(NOW + 60)), seats) is None
    now = seated_anew(timeline, a_gang(1, 0, 1), (NOW, Seconds(NOW + 40)), seats)
    assert now == Reseated(1, (), ()), "it stays where it is, as the other node is free"
    assert isinstance(now, Packing)


MOSTLY_ONE = st.sampled_from([1, 1, 1, 2])
ASKED = st.tuples(
    st.tuples(MOSTLY_ONE, st.integers(0, 3), MOSTLY_ONE, st.integers(1, 20)), st.integers(0, 4), st.integers(1, 20)
)
"""What somebody asks for, how long after the one before, and for how long it really runs."""


def asked_on(sizes: Sequence[int], drawn: Sequence[tuple[tuple[int, int, int, int], int, int]]) -> list[Request]:
    """Return requests that each fit on empty nodes, one after the other as they come."""
    requests, at = list[Request](), int(NOW)
    nodes = [a_node(f"n{number}", cores(size, 9)) for number, size in enumerate(sizes)]
    for number, ((head, workers, each, walltime), after, _) in enumerate(drawn, start=1):
        at += after
        one = replace(a_request(number, submitted=at), walltime_seconds=walltime, head=cores(head), worker=cores(each))
        one = replace(one, workers_min=workers, workers_max=workers)
        if isinstance(place_when_empty(one, nodes), Packing):
            requests.append(one)
    return requests


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 3), min_size=3, max_size=5),
    st.lists(ASKED, min_size=12, max_size=25),
    st.sampled_from([policy_of("fcfs-conservative"), impatient(reservations=2)]),
)
def test_on_any_nodes_whoever_was_promised_a_start_has_started_by_then_wherever_it_was_moved_to(
    sizes: list[int], drawn: list[tuple[tuple[int, int, int, int], int, int]], policy: Policy
) -> None:
    nodes = [a_node(f"n{number}", cores(size, 9)) for number, size in enumerate(sizes)]
    center = a_snapshot(facts_of_a_center(nodes, ["vmu.vision"]), policy)
    coming = asked_on(sizes, drawn)
    runs = {one.id: min(seconds, one.walltime_seconds) for one, (*_, seconds) in zip(coming, drawn, strict=False)}
    promised: dict[RequestId, Seconds] = {}
    for at in range(NOW, NOW + 10**4):
        for one in [cluster.request for cluster in center.clusters()]:
            center = ended(center, one, Seconds(at)) if (one.placed or 0) + runs[one.id] <= at else center
        center = center.with_facts([one for one in coming if one.submitted == at])
        plan = decide(center, Seconds(at))
        for change in plan.promises:
            assert change.promise is not None
            assert change.promise.starts <= promised.get(change.request.id, change.promise.starts)
            promised[change.request.id] = change.promise.starts
        assert all(at <= promised.get(one.request.id, at) for one in plan.placements)
        center = applied(center, plan, Seconds(at))
        assert all(node.granted.within(node.capacity) for node in center.nodes.values())
        if not center.requests and at >= coming[-1].submitted if coming else True:
            return
    raise AssertionError("somebody never starts")
