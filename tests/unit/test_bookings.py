"""Bookings hold whole nodes for a time: who overlaps, what is in the way, and what could never run in one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.centers import Node, NodeState
from registry.ids import AllocationId, NodeId, PoolId, ProjectId, Seconds
from registry.reasons import PeriodEndsBeforeItBegins, TooEarly
from scheduler.bookings import (
    LONGEST_BOOKING_SECONDS,
    Booking,
    BookingKind,
    collisions,
    crosses,
    is_over,
    left_seconds,
    misfits,
    overlaps,
    period_faults,
    purpose_faults,
    unknown_nodes,
    until,
)
from scheduler.clusters import Cluster
from scheduler.policy import DEFAULT_POLICY, HOUR
from scheduler.reasons import (
    BookedWorkRuns,
    BookingNodeUnknown,
    BookingNotOfProject,
    BookingOfOtherPool,
    BookingOver,
    BookingOverlaps,
    BookingTooLong,
    BookingTooShort,
    BookingTooSmall,
    BookingWithoutProject,
    MaintenanceOfProject,
    OnlyMaintenanceDisplaces,
    TooFewNodesFree,
)
from scheduler.remainders import Remainder, choose_nodes, in_the_way, remainders
from scheduler.requests import End, State
from tests.builders import (
    ALICE,
    NOW,
    POOL,
    a_booking,
    a_draft,
    a_node,
    a_request,
    a_slot,
    booking_id,
    cores,
    request_id,
)

SLACK = DEFAULT_POLICY.termination_slack_seconds
NAMES = [NodeId(f"n{number}") for number in range(1, 6)]
MOMENTS = st.integers(NOW, NOW + 50).map(Seconds)
PERIODS = st.tuples(MOMENTS, st.integers(1, 20)).map(lambda one: (one[0], Seconds(one[0] + one[1])))
SOME_NODES = st.sets(st.sampled_from(NAMES), min_size=1).map(lambda nodes: tuple(sorted(nodes)))


@st.composite
def some_bookings(draw: st.DrawFn) -> Booking:
    begins, ends = draw(PERIODS)
    released = draw(st.none() | st.integers(NOW, ends).map(Seconds))
    return a_booking(
        draw(st.integers(1, 9)),
        nodes=draw(SOME_NODES),
        begins=begins,
        ends=ends,
        released=released,
        released_by=None if released is None else ALICE,
    )


def released(booking: Booking, at: int) -> Booking:
    return replace(booking, released=Seconds(at), released_by=ALICE)


def running(number: int, node: str, deadline: int, *, ending: End | None = None) -> Cluster:
    request = replace(
        a_request(number),
        state=State.PLACED,
        placed=NOW,
        deadline=Seconds(deadline),
        allocation=AllocationId("alloc"),
        ending=ending,
    )
    slots = (a_slot(number, 0, node=NodeId(node)), a_slot(number, 1, node=NodeId(node)))
    return Cluster(request=request, processes=slots)


# When a booking holds its nodes


@given(booking=some_bookings(), period=PERIODS)
def test_two_periods_overlap_where_they_share_a_second(booking: Booking, period: tuple[Seconds, Seconds]) -> None:
    held = set(range(booking.begins, until(booking)))
    assert overlaps(booking, *period) == bool(held & set(range(*period)))


@given(booking=some_bookings(), now=MOMENTS)
def test_what_is_over_holds_nothing_any_more(booking: Booking, now: Seconds) -> None:
    to_come = [moment for moment in range(now, NOW + 100) if overlaps(booking, Seconds(moment), Seconds(moment + 1))]
    assert len(to_come) == left_seconds(booking, now)
    if is_over(booking, now):
        assert to_come == []


def test_a_booking_that_is_given_back_before_it_begins_was_never_one() -> None:
    booking = released(a_booking(), NOW)
    assert is_over(booking, NOW)
    assert not overlaps(booking, booking.begins, booking.ends)


def test_a_booking_ends_when_it_was_given_back_and_never_later() -> None:
    booking = a_booking()
    assert until(released(booking, booking.begins + 60)) == booking.begins + 60
    assert until(released(booking, booking.ends + 60)) == booking.ends


# What may be booked


def test_nodes_are_booked_for_a_time_to_come_that_is_not_too_long() -> None:
    later = Seconds(NOW + 1)
    assert list(period_faults(NOW, later, NOW)) == []
    assert list(period_faults(NOW, later, later)) == [TooEarly(field="begins", earliest=later)]
    assert list(period_faults(NOW, NOW, NOW)) == [PeriodEndsBeforeItBegins()]
    longest = Seconds(NOW + LONGEST_BOOKING_SECONDS)
    assert list(period_faults(NOW, longest, NOW)) == []
    assert list(period_faults(NOW, Seconds(longest + 1), NOW)) == [
        BookingTooLong(asked=LONGEST_BOOKING_SECONDS + 1, longest=LONGEST_BOOKING_SECONDS)
    ]


@pytest.mark.parametrize("kind", BookingKind)
def test_only_maintenance_is_for_nobody_and_only_for_it_work_makes_way(kind: BookingKind) -> None:
    project, is_maintenance = ProjectId("vmu.vision"), kind is BookingKind.MAINTENANCE
    assert list(purpose_faults(kind, project, displaces=False)) == [MaintenanceOfProject()] * is_maintenance
    assert list(purpose_faults(kind, None, displaces=False)) == [BookingWithoutProject()] * (not is_maintenance)
    displacing = list(purpose_faults(kind, None if is_maintenance else project, displaces=True))
    assert displacing == [OnlyMaintenanceDisplaces()] * (not is_maintenance)


def test_each_node_that_the_pool_does_not_have_is_named() -> None:
    wanted = [NodeId("n1"), NodeId("x"), NodeId("m")]
    assert unknown_nodes(POOL, wanted, [a_node("n1")]) == tuple(
        BookingNodeUnknown(node=NodeId(name), pool=POOL) for name in ("m", "x")
    )


@given(bookings=st.lists(some_bookings(), max_size=6, unique_by=lambda one: one.id), wanted=SOME_NODES, period=PERIODS)
def test_a_collision_is_a_node_that_another_booking_has_at_the_same_time(
    bookings: list[Booking], wanted: tuple[NodeId, ...], period: tuple[Seconds, Seconds]
) -> None:
    found = collisions(wanted, *period, bookings)
    colliding = [one for one in bookings if overlaps(one, *period) and set(one.nodes) & set(wanted)]
    assert sorted(one.booking for one in found) == sorted(one.id for one in colliding)
    assert all(one.node in wanted and one.begins < period[1] and period[0] < one.until for one in found)
    assert found == collisions(wanted, *period, bookings[::-1])


def test_bookings_that_follow_each_other_do_not_collide() -> None:
    first = a_booking()
    following = (first.ends, Seconds(first.ends + HOUR))
    assert collisions(first.nodes, *following, [first]) == ()
    assert collisions(first.nodes, Seconds(first.ends - 1), following[1], [first]) == (
        BookingOverlaps(booking=first.id, node=NodeId("n1"), begins=first.begins, until=first.ends),
    )


# What runs where a booking is to begin


def test_what_may_run_until_the_begin_and_its_slack_is_not_in_the_way() -> None:
    begins = Seconds(NOW + HOUR)
    just, too_long = running(1, "n1", begins - SLACK), running(2, "n1", begins - SLACK + 1)
    assert remainders([just], begins, DEFAULT_POLICY, NOW) == {}
    remains = remainders([just, too_long], begins, DEFAULT_POLICY, NOW)
    assert remains == {NodeId("n1"): Remainder(clusters=frozenset({request_id(2)}), gone=Seconds(begins + 1))}
    assert in_the_way([NodeId("n2")], remains) is None
    assert in_the_way([NodeId("n1"), NodeId("n2")], remains) == BookedWorkRuns(clusters=1, earliest=Seconds(begins + 1))


def test_what_is_ending_or_overdue_is_gone_soon() -> None:
    remains = remainders(
        [running(1, "n1", NOW + HOUR, ending=End.CANCELLED), running(2, "n2", NOW - HOUR)], NOW, DEFAULT_POLICY, NOW
    )
    assert {node: one.gone for node, one in remains.items()} == {"n1": NOW + SLACK, "n2": NOW + 1}


CLUSTERS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 3 * HOUR)), max_size=8).map(
    lambda found: [running(number, node, NOW + seconds) for number, (node, seconds) in enumerate(found, start=1)]
)


@given(clusters=CLUSTERS, nodes=SOME_NODES)
def test_the_earliest_begin_that_is_told_works_and_no_earlier_one_does(
    clusters: list[Cluster], nodes: tuple[NodeId, ...]
) -> None:
    def obstacle(begins: int) -> BookedWorkRuns | None:
        return in_the_way(nodes, remainders(clusters, Seconds(begins), DEFAULT_POLICY, NOW))

    if found := obstacle(NOW + HOUR):
        assert obstacle(found.earliest) is None
        assert obstacle(found.earliest - 1) is not None


@given(clusters=CLUSTERS, taken=st.sets(st.sampled_from(NAMES)), count=st.integers(1, 5))
def test_nodes_are_chosen_that_are_empty_as_soon_as_any_are(
    clusters: list[Cluster], taken: set[NodeId], count: int
) -> None:
    nodes = [a_node(name) for name in NAMES]
    remains = remainders(clusters, Seconds(NOW + HOUR), DEFAULT_POLICY, NOW)
    chosen = choose_nodes(POOL, nodes, count, taken, remains)
    free = [name for name in NAMES if name not in taken]
    if isinstance(chosen, TooFewNodesFree):
        assert (chosen.asked, chosen.free) == (count, len(free))
        assert count > len(free)
        return
    assert chosen == choose_nodes(POOL, nodes[::-1], count, taken, remains)
    assert len(set(chosen)) == count
    assert taken.isdisjoint(chosen)
    gone = sorted(remains[name].gone if name in remains else 0 for name in free)
    assert max(remains[name].gone if name in remains else 0 for name in chosen) == gone[count - 1]


def test_no_node_is_chosen_that_takes_no_work() -> None:
    states = dict(zip(NAMES, NodeState, strict=False))
    nodes: list[Node] = [a_node(name, state=state) for name, state in states.items()]
    usable = tuple(name for name in states if states[name] in {NodeState.READY, NodeState.PRESSED})
    assert choose_nodes(POOL, nodes, 2, (), {}) == usable
    assert choose_nodes(POOL, nodes, 3, (), {}) == TooFewNodesFree(pool=POOL, asked=3, free=2)


# What names a booking


def test_what_could_never_run_in_a_booking_is_told_with_every_reason() -> None:
    booking = a_booking()
    fitting = a_draft(booking=booking.id, walltime_seconds=2 * HOUR)
    nodes = [a_node("n1"), a_node("n2")]
    assert misfits(fitting, booking, nodes, NOW) == ()
    assert misfits(fitting, booking, nodes, Seconds(booking.begins + 1)) == (
        BookingTooShort(booking=booking.id, asked=2 * HOUR, left=2 * HOUR - 1),
    )
    assert misfits(fitting, booking, nodes, booking.ends) == (BookingOver(booking=booking.id),)
    assert misfits(fitting, replace(booking, pool=PoolId("gpu")), nodes, NOW) == (
        BookingOfOtherPool(booking=booking.id, pool=PoolId("gpu")),
    )
    wrong = replace(fitting, tags=a_draft(project="vmu.sound").tags, worker=cores(8, 8))
    assert misfits(wrong, booking, nodes, NOW) == (
        BookingNotOfProject(booking=booking.id, project=ProjectId("vmu.sound")),
        BookingTooSmall(booking=booking.id, processes=2, placeable=1),
    )
    nobodys = a_booking(project=None)
    assert misfits(fitting, nobodys, nodes, NOW) == (
        BookingNotOfProject(booking=booking.id, project=ProjectId("vmu.vision")),
    )


@given(booking=some_bookings(), nodes=SOME_NODES, period=PERIODS, named=st.none() | st.integers(1, 9))
def test_work_crosses_a_booking_that_it_does_not_name(
    booking: Booking, nodes: tuple[NodeId, ...], period: tuple[Seconds, Seconds], named: int | None
) -> None:
    draft = a_draft(booking=None if named is None else booking_id(named))
    collides = bool(collisions(nodes, *period, [booking]))
    assert crosses(booking, draft, nodes, *period) == (collides and draft.booking != booking.id)
