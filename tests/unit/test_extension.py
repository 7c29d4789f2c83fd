"""Sentences about who may go on for longer than they asked for, and what is in the way."""

from __future__ import annotations

from dataclasses import replace

from quotas.rates import price
from quotas.reasons import NoCredit
from registry.ids import MicroCredits, NodeId, Seconds
from scheduler.clusters import Part
from scheduler.decide import decide
from scheduler.extension import extension_faults, extra_holds
from scheduler.facts import Fact
from scheduler.policy import DAY, DEFAULT_POLICY, HOUR
from scheduler.reasons import BookedAhead, BookingTooShort, ExtensionTooLong, WalltimeTooLong, WouldDelayPromised
from scheduler.requests import RequestClass
from scheduler.snapshot import Snapshot
from tests.builders import (
    NOW,
    POOL,
    a_booking,
    a_node,
    a_request,
    a_rule,
    a_snapshot,
    an_allocation,
    booking_id,
    cores,
    facts_of_a_center,
    request_id,
)
from tests.properties.worlds import applied

ONE, TWO, WIDE = (request_id(number) for number in (1, 2, 9))
SLACK = DEFAULT_POLICY.termination_slack_seconds
PROJECT = "vmu.vision"
LONG_AGO = NOW - 4 * DAY


def a_world(*more: Fact, capacity: float = 4) -> Snapshot:
    return a_snapshot([*facts_of_a_center([a_node(capacity=cores(capacity, 64))], [PROJECT, "uit.nlp"]), *more])


def after_a_cycle(snapshot: Snapshot) -> Snapshot:
    return applied(snapshot, decide(snapshot, NOW), NOW)


def a_promise_after_two() -> Snapshot:
    """Two clusters run, for one hour and for two, and somebody is promised the room of both."""
    first = a_request(1, workers_min=1, walltime_seconds=HOUR)
    second = a_request(2, "uit.nlp", workers_min=1, walltime_seconds=2 * HOUR)
    running = after_a_cycle(a_world(first, second))
    wide = a_request(9, "uit.nlp", workers_min=3, walltime_seconds=HOUR, submitted=LONG_AGO)
    return after_a_cycle(running.with_facts([wide]))


def test_who_is_alone_may_go_on_for_as_long_as_the_class_allows() -> None:
    running = after_a_cycle(a_world(a_request(1, request_class=RequestClass.INTERACTIVE, walltime_seconds=HOUR)))
    assert extension_faults(running, ONE, 11 * HOUR, NOW) == ()
    assert extension_faults(running, ONE, 11 * HOUR + 1, NOW) == (
        ExtensionTooLong(asked=11 * HOUR + 1, longest=11 * HOUR),
        WalltimeTooLong(request_class=RequestClass.INTERACTIVE, asked=12 * HOUR + 1, longest=12 * HOUR),
    )


def test_what_it_was_given_before_counts() -> None:
    running = after_a_cycle(a_world(a_request(1, request_class=RequestClass.INTERACTIVE, walltime_seconds=HOUR)))
    before = running.requests[ONE]
    assert before.deadline is not None
    longer = replace(before, deadline=Seconds(before.deadline + 10 * HOUR), extended_seconds=10 * HOUR)
    faults = extension_faults(running.with_facts([longer]), ONE, 2 * HOUR, NOW)
    assert faults[0] == ExtensionTooLong(asked=2 * HOUR, longest=HOUR)


def test_nobody_stays_beyond_a_moment_that_is_promised_to_somebody_else() -> None:
    promised = a_promise_after_two()
    starts = NOW + 2 * HOUR + SLACK
    promise = promised.requests[WIDE].promise
    assert promise is not None
    assert promise.starts == starts
    delayed = WouldDelayPromised(pool=POOL, promised_from=Seconds(starts))
    assert extension_faults(promised, ONE, HOUR, NOW) == ()
    assert extension_faults(promised, ONE, HOUR + 1, NOW) == (
        ExtensionTooLong(asked=HOUR + 1, longest=HOUR),
        delayed,
    )
    assert extension_faults(promised, TWO, 1, NOW) == (ExtensionTooLong(asked=1, longest=0), delayed)


def test_who_leaves_room_enough_for_what_is_promised_may_stay_beside_it() -> None:
    first = a_request(1, workers_min=1, head=cores(0.5, 1), worker=cores(0.5, 1), walltime_seconds=HOUR)
    second = a_request(2, "uit.nlp", workers_min=2, walltime_seconds=2 * HOUR)
    running = after_a_cycle(a_world(first, second))
    promised = after_a_cycle(running.with_facts([a_request(9, "uit.nlp", workers_min=2, submitted=LONG_AGO)]))
    assert promised.requests[WIDE].promise is not None
    assert extension_faults(promised, ONE, DAY, NOW) == ()
    assert extension_faults(promised, TWO, DAY, NOW)[0] == ExtensionTooLong(asked=DAY, longest=0)


def test_where_promises_are_found_anew_in_each_cycle_none_is_in_the_way() -> None:
    promised = a_promise_after_two()
    anew = Snapshot(policy=replace(DEFAULT_POLICY, keeps_promises=False)).with_facts(promised.facts())
    assert extension_faults(anew, TWO, HOUR, NOW) == ()


def test_nobody_stays_on_nodes_that_others_have_booked() -> None:
    begins = NOW + 3 * HOUR
    booking = a_booking(project=None, begins=Seconds(begins), ends=Seconds(begins + DAY))
    running = after_a_cycle(a_world(a_request(1))).with_facts([booking])
    assert extension_faults(running, ONE, 2 * HOUR - SLACK, NOW) == ()
    assert extension_faults(running, ONE, 2 * HOUR, NOW) == (
        ExtensionTooLong(asked=2 * HOUR, longest=2 * HOUR - SLACK),
        BookedAhead(booking=booking.id, begins=Seconds(begins)),
    )
    elsewhere = replace(booking, nodes=(NodeId("n2"),))
    assert extension_faults(running.with_facts([elsewhere]), ONE, DAY, NOW) == ()


def test_who_runs_in_a_booking_leaves_with_it() -> None:
    running = after_a_cycle(a_world(a_request(1)))
    booking = a_booking(begins=NOW, ends=Seconds(NOW + 3 * HOUR))
    inside = replace(running.requests[ONE], booking=booking_id(1))
    booked = running.with_facts([booking, inside])
    assert extension_faults(booked, ONE, 2 * HOUR, NOW) == ()
    assert extension_faults(booked, ONE, 2 * HOUR + 1, NOW) == (
        ExtensionTooLong(asked=2 * HOUR + 1, longest=2 * HOUR),
        BookingTooShort(booking=booking.id, asked=3 * HOUR + 1, left=3 * HOUR),
    )


def test_nobody_stays_for_longer_than_they_can_pay_for() -> None:
    running = after_a_cycle(a_world(a_request(1)))
    hour = sum(more for _, more in extra_holds(running, ONE, HOUR, NOW))
    poor = running.with_facts([an_allocation(micro_credits=3 * hour)])
    assert extension_faults(poor, ONE, 3 * HOUR, NOW) == ()
    longer, lacking = extension_faults(poor, ONE, 4 * HOUR, NOW)
    assert longer == ExtensionTooLong(asked=4 * HOUR, longest=3 * HOUR)
    assert lacking == NoCredit(project=running.requests[ONE].project, needed=4 * hour, available=3 * hour)  # type: ignore[arg-type]


def test_credit_that_is_kept_for_a_promised_start_is_not_spent_on_staying() -> None:
    promised = a_promise_after_two()
    kept = extra_holds(promised, TWO, HOUR, NOW)
    wide = 3 * price(a_rule(), cores(1, 2), HOUR * 1000) + price(a_rule(), cores(0.5, 1), HOUR * 1000)
    enough_for_one = an_allocation("uit.nlp", micro_credits=wide)
    assert sum(more for _, more in kept) < wide
    poor = promised.with_facts([enough_for_one])
    lacking = extension_faults(poor, TWO, HOUR, NOW)[-1]
    assert isinstance(lacking, NoCredit)
    assert lacking.available == 0


def test_an_extension_is_held_for_the_head_and_the_guaranteed_workers_alone() -> None:
    running = after_a_cycle(a_world(replace(a_request(1, workers_min=1), workers_wanted=3), capacity=8))
    running = after_a_cycle(running)
    assert [slot.part for slot in running.cluster(running.requests[ONE]).processes].count(Part.ELASTIC) == 2
    holds = extra_holds(running, ONE, HOUR, NOW)
    assert [slot.part for slot, _ in holds] == [Part.HEAD, Part.GUARANTEED]
    assert [more for _, more in holds] == [price(a_rule(), slot.shape, HOUR * 1000) for slot, _ in holds]


def test_what_a_hold_has_left_over_is_not_held_again() -> None:
    """Who came ten minutes late has ten minutes of the hold to spare."""
    running = after_a_cycle(a_world(a_request(1)))
    head, worker = running.cluster(running.requests[ONE]).processes
    late = [replace(slot, started=Seconds(NOW + 600)) for slot in (head, worker)]
    holds = extra_holds(running.with_facts(late), ONE, HOUR, Seconds(NOW + 700))
    assert [more for _, more in holds] == [price(a_rule(), slot.shape, (HOUR - 600) * 1000) for slot, _ in holds]
    charged = replace(head, started=NOW, charged_until=Seconds(NOW + HOUR // 2), hold=MicroCredits(head.hold // 2))
    (_, more), _ = extra_holds(running.with_facts([charged]), ONE, HOUR, Seconds(NOW + HOUR // 2))
    assert more == price(a_rule(), head.shape, HOUR * 1000)
