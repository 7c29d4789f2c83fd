"""Advice is true: with the change that it names the request starts, and with one step less it does not."""

from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from registry.ids import MicroCredits, NodeId, Seconds
from registry.resources import CPU, GIB, MEMORY, MILLI, Resources
from scheduler.advice import (
    Advice,
    EndOwn,
    FewerWorkers,
    InBooking,
    MoreCredit,
    MoreQuota,
    ShorterWalltime,
    SmallerWorkers,
)
from scheduler.advising import MOST_DECISIONS, Advising
from scheduler.bookings import misfits
from scheduler.decide import answer, decide
from scheduler.explain import Explanations
from scheduler.requests import Request
from scheduler.snapshot import Snapshot
from tests.builders import NOW, a_booking, a_node, a_request, a_snapshot, cores, facts_of_a_center
from tests.properties.worlds import applied, snapshots

CREDIT = 1_000_000
AROUND, LENGTHS = st.integers(-3000, 1000), st.integers(1000, 5000)
STEPS = {CPU: MILLI // 10, MEMORY: GIB // 4}


def starts(snapshot: Snapshot, request: Request, advice: Advice) -> bool:
    plan = decide(advice.applied(snapshot, request, NOW), NOW)
    return request.id in {placement.request.id for placement in plan.placements}


def one_step_less(advice: Advice, request: Request) -> Advice | None:
    """Return the same kind of change, smaller by one step; None if that would be no change."""
    less: Advice | None = None
    match advice:
        case FewerWorkers(workers=count) if count + 1 < request.workers_min:
            less = FewerWorkers(workers=count + 1)
        case ShorterWalltime(walltime_seconds=seconds) if seconds + 60 < request.walltime_seconds:
            less = ShorterWalltime(walltime_seconds=seconds + 60)
        case SmallerWorkers(resource=name, each=each) if each + STEPS[name] < request.worker.amount(name):
            less = SmallerWorkers(resource=name, each=each + STEPS[name])
        case EndOwn(clusters=count, requests=some) if count > 1:
            less = EndOwn(clusters=count - 1, requests=some[:-1])
        case MoreCredit(more=credit) if credit > CREDIT:
            less = replace(advice, more=MicroCredits(credit - CREDIT))
        case MoreQuota(more=more):
            fewer = max(-(-amount // STEPS[name]) for name, amount in more.items() if amount) - 1
            amounts = ((name, min(fewer * STEPS[name], amount)) for name, amount in more.items())
            less = replace(advice, more=Resources.of(amounts)) if fewer else None
    return less


@settings(max_examples=40)
@given(snapshots(), st.data())
def test_what_is_advised_starts_the_request_and_a_step_less_does_not(empty: Snapshot, data: st.DataObject) -> None:
    center = applied(empty, decide(empty, NOW), NOW)
    waiting = sorted(center.pending(), key=lambda one: one.id)
    if waiting:
        check(center, data.draw(st.sampled_from(waiting)))


@st.composite
def courses(draw: st.DrawFn) -> Snapshot:
    """Return a node for everybody and two that are booked one after the other or at once, with requests for any."""
    nodes = [a_node(name, cores(4, 16)) for name in ("n0", "n1", "n2")]
    bookings = []
    for number, begins, lasts in draw(st.tuples(*(st.tuples(st.just(one), AROUND, LENGTHS) for one in (1, 2)))):
        start, end = Seconds(NOW + begins), Seconds(NOW + begins + lasts)
        bookings.append(a_booking(number, nodes=(NodeId(f"n{number}"),), begins=start, ends=end))
    queue = [
        a_request(
            number,
            workers_min=draw(st.integers(1, 3)),
            walltime_seconds=draw(st.sampled_from([600, 1800, 3600])),
            booking=draw(st.sampled_from([None, None, *(one.id for one in bookings)])),
        )
        for number in range(1, 6)
    ]
    return a_snapshot([*facts_of_a_center(nodes, ["vmu.vision"]), *bookings, *queue])


@settings(max_examples=40)
@given(courses())
def test_so_does_what_is_advised_where_nodes_are_booked(empty: Snapshot) -> None:
    center = applied(empty, decide(empty, NOW), NOW)
    for request in sorted(center.pending(), key=lambda one: one.id):
        check(center, request)


def check(center: Snapshot, request: Request) -> None:
    """Hold everything that is advised about a request to what deciding says."""
    explanation = Explanations(center, NOW).of(request.id)
    assert explanation is not None
    advising = Advising(center, request.id, explanation.reasons, answer(center, NOW))
    for advice in advising.found():
        event(advice.code)
        assert starts(center, request, advice), advice
        less = one_step_less(advice, request)
        assert less is None or not starts(center, request, less), (advice, less)
        if isinstance(advice, InBooking):
            there = advice.applied(center, request, NOW).requests[request.id]
            assert not misfits(there, center.bookings[advice.booking], center.nodes.values(), NOW)
    assert advising.decisions <= MOST_DECISIONS
