"""Booked nodes are there for the work of their booking, in its time, and for nobody else's."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from registry.centers import Node
from registry.ids import NodeId, PersonId, Seconds
from scheduler.bookings import Booking, BookingKind, crosses, until
from scheduler.clusters import Cluster
from scheduler.decide import decide
from scheduler.explain import explain
from scheduler.facts import Fact
from scheduler.leaving import releases_at
from scheduler.policy import DEFAULT_POLICY, HOUR
from scheduler.reasons import BookingNotBegun, BookingOver, NodesFull, WouldDelayReserved
from scheduler.requests import Request
from scheduler.snapshot import Snapshot
from tests.builders import ALICE, NOW, a_booking, a_node, a_request, a_snapshot, booking_id, cores, facts_of_a_center
from tests.properties.worlds import PROJECTS, applied, ended, facts, overfull

BOOKED = booking_id(1)


def booked(begins: int, ends: int, *nodes: str, **changes: Any) -> Booking:  # noqa: ANN401 - `replace` checks them
    own = tuple(map(NodeId, sorted(nodes)))
    return replace(a_booking(1, nodes=own, begins=Seconds(NOW + begins), ends=Seconds(NOW + ends)), **changes)


@st.composite
def booked_centers(draw: st.DrawFn) -> Snapshot:
    """Return a center some nodes of which are booked one after the other, with requests for the booking and others."""
    some = draw(facts())
    nodes = [one.id for one in some if isinstance(one, Node)]
    moments = sorted(draw(st.lists(st.integers(-3000, 6000), min_size=2, max_size=4, unique=True)))
    chosen = draw(st.lists(st.sampled_from(nodes), min_size=1, unique=True))
    project = draw(st.sampled_from([None, *PROJECTS]))
    kind = BookingKind.COURSE if project else BookingKind.MAINTENANCE
    bookings = [
        booked(begins, ends, *chosen, id=booking_id(1 + number), project=project, kind=kind)
        for number, (begins, ends) in enumerate(pairwise(moments))
        if number % 2 == 0
    ]
    mine = {one.id for one in some if isinstance(one, Request) and one.project == project and draw(st.booleans())}
    queue = [
        replace(one, booking=bookings[0].id) if isinstance(one, Request) and one.id in mine else one for one in some
    ]
    return a_snapshot([*queue, *bookings], replace(DEFAULT_POLICY, reservations=2))


@given(booked_centers())
def test_no_work_crosses_a_booking_and_that_of_a_booking_stays_within_it(snapshot: Snapshot) -> None:
    now, slack = NOW, snapshot.policy.termination_slack_seconds
    for _ in range(6):
        snapshot = applied(snapshot, decide(snapshot, now), now)
        assert not list(overfull(snapshot))
        for cluster in snapshot.clusters():
            assert stays_clear(snapshot, cluster, now)
        due = sorted(
            (releases_at(cluster, snapshot.policy, now), cluster.request.id) for cluster in snapshot.clusters()
        )
        begins = [one.begins for one in snapshot.bookings.values() if one.begins > now]
        moments = [at for at, _ in due] + begins + [until(one) + slack for one in snapshot.bookings.values()]
        later = [at for at in moments if at > now]
        if not later:
            return
        now = Seconds(min(later))
        for at, request in due:
            if at <= now:
                snapshot = ended(snapshot, snapshot.requests[request], now)


def stays_clear(snapshot: Snapshot, cluster: Cluster, now: Seconds) -> bool:
    """Tell whether a cluster is where it may be, from now until it is gone."""
    request, slack = cluster.request, snapshot.policy.termination_slack_seconds
    nodes = {process.node for process in cluster.processes}
    assert request.placed is not None
    assert request.deadline is not None
    if request.booking is not None:
        own = snapshot.bookings[request.booking]
        return nodes <= set(own.nodes) and own.begins <= request.placed and request.deadline <= until(own)
    gone = Seconds(request.deadline + slack)
    return not any(crosses(one, request, nodes, request.placed, gone) for one in snapshot.bookings.values())


def two_nodes() -> list[Fact]:
    return facts_of_a_center([a_node(name, cores(4, 64)) for name in ("n0", "n1")], ["vmu.vision", "uit.nlp"])


def waiting_for(*some: Fact) -> tuple[type, ...]:
    snapshot = a_snapshot([*two_nodes(), *some])
    explained = explain(snapshot, a_request(1).id, NOW)
    assert explained is not None
    return tuple(type(reason) for reason in explained.reasons)


def test_who_names_a_booking_waits_until_it_begins_and_not_beyond_its_end() -> None:
    mine = a_request(1, booking=BOOKED, walltime_seconds=600)
    assert waiting_for(booked(60, HOUR, "n0"), mine) == (BookingNotBegun,)
    assert waiting_for(booked(-60, HOUR, "n0"), mine) == ()
    gone = booked(-HOUR, HOUR, "n0", released=Seconds(NOW - 1), released_by=ALICE)
    assert waiting_for(gone, mine) == (BookingOver,)
    assert waiting_for(mine) == (BookingOver,)


def test_others_wait_for_booked_nodes_and_have_them_when_they_are_given_back() -> None:
    theirs = a_request(1, "uit.nlp", head=cores(2, 4), worker=cores(2, 4), workers_min=3, walltime_seconds=600)
    assert waiting_for(booked(-60, HOUR, "n0"), theirs) == (NodesFull,)
    assert waiting_for(booked(300, HOUR, "n0"), theirs) == (WouldDelayReserved,)
    given_back = booked(-60, HOUR, "n0", released=Seconds(NOW), released_by=ALICE)
    assert waiting_for(given_back, theirs) == ()


def test_a_promise_begins_when_a_booking_is_over() -> None:
    theirs = a_request(1, "uit.nlp", head=cores(2, 4), worker=cores(2, 4), workers_min=3, walltime_seconds=600)
    waited = replace(theirs, submitted=Seconds(NOW - 4 * HOUR))
    snapshot = a_snapshot([*two_nodes(), booked(-60, HOUR, "n0"), waited])
    (change,) = decide(snapshot, NOW).promises
    assert change.promise is not None
    assert change.promise.starts == NOW + HOUR + DEFAULT_POLICY.termination_slack_seconds


def test_a_whole_class_computes_in_its_booking_and_ends_with_it() -> None:
    pupils = [
        a_request(number, booking=BOOKED, person=PersonId(letter * 26), walltime_seconds=HOUR)
        for number, letter in enumerate("abc", start=1)
    ]
    plan = decide(a_snapshot([*two_nodes(), booked(-1800, 1800, "n0"), *pupils]), NOW)
    assert [placement.deadline for placement in plan.placements] == [NOW + 1800] * 2
    assert {process.node for placement in plan.placements for process in placement.processes} == {"n0"}
