"""Sentences about the single changes that would start a request: each kind where it helps, in both languages."""

from dataclasses import fields, replace
from typing import Any

import pytest

from operations.sentences import Language, advice_sentence, texts
from quotas.rates import RateCard
from registry.ids import MicroCredits, NodeId, PoolId, ProjectId, RequestId, Seconds, ShareId
from registry.resources import MEMORY
from scheduler.advice import (
    Advice,
    EndOwn,
    FewerWorkers,
    InBooking,
    MoreCredit,
    MoreQuota,
    OtherPool,
    ReleaseHold,
    ShorterWalltime,
    SmallerWorkers,
    WithoutBooking,
)
from scheduler.bookings import Booking
from scheduler.decide import decide
from scheduler.explain import Borrowed, Explanations
from scheduler.facts import Fact
from scheduler.policy import DAY, DEFAULT_POLICY, HOUR
from scheduler.requests import Request, RequestClass
from scheduler.snapshot import Snapshot
from tests.builders import (
    NOW,
    POOL,
    a_booking,
    a_node,
    a_request,
    a_snapshot,
    an_allocation,
    booking_id,
    cores,
    facts_of_a_center,
    request_id,
)
from tests.properties.worlds import applied

PROJECT = "vmu.vision"
SHAPES = {"head": cores(0.5, 1), "worker": cores(1, 1)}


def asked(number: int, workers: int, project: str = PROJECT, **changes: object) -> Request:
    of_course: dict[str, Any] = {"submitted": Seconds(NOW - 100 + number), "walltime_seconds": 4 * HOUR}
    return a_request(number, project, **{**SHAPES, **of_course, "workers_min": workers, "workers_max": 20, **changes})


def a_center(size: int = 8, *more: Fact) -> Snapshot:
    return a_snapshot([*facts_of_a_center([a_node(capacity=cores(size, 64))], [PROJECT]), *more])


def begun(snapshot: Snapshot, *requests: Request) -> Snapshot:
    for request in requests:
        snapshot = snapshot.with_facts([request])
        snapshot = applied(snapshot, decide(snapshot, NOW), NOW)
    return snapshot


def advised(snapshot: Snapshot, number: int) -> dict[str, Advice]:
    return {one.code: one for one in Explanations(snapshot, NOW).advice_for(request_id(number))}


def test_fewer_or_smaller_workers_fit_where_nodes_are_full_and_so_does_the_end_of_ones_own() -> None:
    center = begun(a_center(), asked(1, 3)).with_facts([asked(2, 5)])
    found = advised(center, 2)
    assert found["fewer-workers"] == FewerWorkers(workers=4)
    assert found["end-own"] == EndOwn(clusters=1, requests=(request_id(1),))
    smaller = found["smaller-workers"]
    assert isinstance(smaller, SmallerWorkers)
    assert smaller.each == 800


def test_less_memory_is_advised_where_memory_is_short() -> None:
    hungry = asked(1, 4, worker=cores(1, 20))
    assert SmallerWorkers(resource=MEMORY, each=63 * 2**30 // 4 // 2**28 * 2**28) in Explanations(
        a_center().with_facts([hungry]), NOW
    ).advice_for(request_id(1))


def test_who_would_run_into_a_promised_start_may_ask_for_less_time() -> None:
    center = begun(a_center(), asked(1, 3, walltime_seconds=HOUR), asked(2, 7, submitted=NOW - 5 * DAY))
    found = advised(center.with_facts([asked(3, 1)]), 3)
    slack = DEFAULT_POLICY.termination_slack_seconds
    assert found["shorter-walltime"] == ShorterWalltime(walltime_seconds=HOUR)
    assert slack < 60, "so that the promised start is met to the minute"


def test_another_pool_is_advised_if_its_project_has_a_share_there_and_it_is_sold() -> None:
    other, node = PoolId("gpu"), a_node("g1", cores(8, 64))
    there = [replace(node, pool=other)]
    center = begun(a_center(), asked(1, 7))
    shares = [replace(one, pool=other) for one in center.shares.values()]
    card = center.rate_cards[min(center.rate_cards)]
    sold = RateCard(since=card.since, rules=(*card.rules, replace(card.rules[0], pool=other)))
    apart = center.with_facts([*there, *shares, sold, asked(2, 4)])
    assert advised(apart, 2)["other-pool"] == OtherPool(pool=other)
    unsold = center.with_facts([*there, *shares, asked(2, 4)])
    assert "other-pool" not in advised(unsold, 2)


def test_as_much_quota_is_advised_as_is_lacking() -> None:
    facts = facts_of_a_center([a_node(capacity=cores(16, 64))], [PROJECT], cores(4, 32))
    center = begun(a_snapshot(facts), asked(1, 2)).with_facts([asked(2, 3)])
    found = [one for one in Explanations(center, NOW).advice_for(request_id(2)) if isinstance(one, MoreQuota)]
    assert not found, "both its project and its institution are full: no single share would do"
    wider = replace(center.shares[ShareId("vmu"), POOL], quota=replace(facts[3].quota, borrowing=cores(16, 64)))  # type: ignore[union-attr]
    (quota,) = [
        one
        for one in Explanations(center.with_facts([wider]), NOW).advice_for(request_id(2))
        if isinstance(one, MoreQuota)
    ]
    assert quota == MoreQuota(share=ShareId(PROJECT), pool=POOL, more=cores(2, 0))


def test_as_much_credit_is_advised_as_is_lacking_to_the_credit() -> None:
    poor = replace(an_allocation(PROJECT), available=MicroCredits(1_500_000))
    center = a_center().with_facts([poor, asked(1, 4)])
    credit = advised(center, 1)["more-credit"]
    assert isinstance(credit, MoreCredit)
    assert credit.more % 1_000_000 == 0
    assert credit.allocation == poor.id


def a_course(number: int, begins: int, *nodes: str, ends: int = NOW + 6 * HOUR) -> Booking:
    booked = tuple(map(NodeId, nodes or ("m1",)))
    return a_booking(number, project=PROJECT, nodes=booked, begins=Seconds(begins), ends=Seconds(ends))


def test_who_waits_for_a_booking_that_has_not_begun_may_go_without_it_or_in_one_that_has() -> None:
    machine = a_node("m1", cores(8, 64))
    soon, now = a_course(1, NOW + HOUR), a_course(2, NOW - HOUR, "m2", ends=NOW + 5 * HOUR)
    center = a_center(8, machine, a_node("m2", cores(8, 64)), soon, now)
    waiting = asked(2, 3, booking=soon.id)
    found = advised(center.with_facts([waiting]), 2)
    assert found == {"without-booking": WithoutBooking(), "in-booking": InBooking(booking=now.id)}
    full = begun(center, asked(1, 7))
    assert list(advised(full.with_facts([waiting]), 2)) == ["in-booking"]
    long = asked(2, 3, booking=soon.id, walltime_seconds=5 * HOUR + 1)
    assert list(advised(center.with_facts([long]), 2)) == ["without-booking"], "what could never run there is no advice"


def test_who_finds_the_nodes_full_is_told_of_a_booking_of_the_project_and_of_no_others() -> None:
    machine, now = a_node("m1", cores(8, 64)), a_course(1, NOW - HOUR)
    full = begun(a_center(8, machine, now), asked(1, 7)).with_facts([asked(2, 3)])
    assert advised(full, 2)["in-booking"] == InBooking(booking=now.id)
    for other in (replace(now, project=ProjectId("vmu.nlp")), replace(now, begins=Seconds(NOW + 1))):
        assert "in-booking" not in advised(full.with_facts([other]), 2)


def test_who_is_held_or_at_the_cap_of_a_class_is_told_what_ends_that() -> None:
    held = asked(1, 1).with_holds(user=True, operator=False, now=NOW)
    assert list(advised(a_center().with_facts([held]), 1)) == ["release-hold"]
    course: dict[str, Any] = {"request_class": RequestClass.COURSE, "walltime_seconds": HOUR}
    center = begun(a_center(100), *(asked(number, 1, **course) for number in (1, 2)))
    at_cap = advised(center.with_facts([asked(3, 1, **course)]), 3)
    assert at_cap["end-own"] == EndOwn(clusters=1, requests=(request_id(1),))


def test_who_would_start_anyway_is_advised_nothing_and_nothing_is_made_up_where_no_single_change_would_do() -> None:
    assert not advised(a_center().with_facts([asked(1, 3)]), 1)
    others = asked(1, 7, person="b" * 26)
    full = begun(a_center(), others).with_facts([asked(2, 1, worker=cores(1, 1), head=cores(1, 1))])
    assert not advised(full, 2)


def test_who_has_borrowed_how_much_is_told_by_institution() -> None:
    facts = facts_of_a_center(
        [a_node(capacity=cores(8, 64))], [PROJECT, "uit.nlp"], cores(4, 32), borrowing=cores(8, 64)
    )
    center = begun(a_snapshot(facts), asked(1, 7, "uit.nlp")).with_facts([asked(2, 4)])
    explanation = Explanations(center, NOW).of(request_id(2))
    assert explanation is not None
    assert explanation.borrowed == (Borrowed(institution=explanation.borrowed[0].institution, amount=cores(3.5, 0)),)
    assert explanation.borrowed[0].institution == "uit"


SOME: list[Advice] = [
    ReleaseHold(),
    FewerWorkers(workers=3),
    ShorterWalltime(walltime_seconds=5400),
    SmallerWorkers(resource=MEMORY, each=3 * 2**30),
    OtherPool(pool=PoolId("gpu")),
    WithoutBooking(),
    InBooking(booking=booking_id(7)),
    EndOwn(clusters=2, requests=(RequestId("a"), RequestId("b"))),
    MoreQuota(share=ShareId("vmu"), pool=POOL, more=cores(1.5, 2)),
    MoreCredit(project=an_allocation(PROJECT).project, allocation=an_allocation(PROJECT).id, more=MicroCredits(10**6)),
]


@pytest.mark.parametrize("language", Language)
def test_every_advice_can_be_said_with_its_numbers(language: Language) -> None:
    assert {one.code for one in SOME} == set(texts(language).advice)
    for one in SOME:
        said = advice_sentence(one, language)
        assert said.endswith(".")
        assert "{" not in said
        names = [value for field in fields(one) if isinstance(value := getattr(one, field.name), str)]
        assert fields(one) == () or any(character.isdigit() for character in said) or any(map(said.count, names))
