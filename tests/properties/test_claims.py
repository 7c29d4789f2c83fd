"""What holds while guaranteed work makes way: whose it is, for whom, that it is enough, and that promises say why."""

import random
from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from registry.ids import InstitutionId, RequestId, Seconds, ShareId
from registry.resources import Resources, total
from scheduler.clusters import Part
from scheduler.decide import decide
from scheduler.policy import DEFAULT_POLICY
from scheduler.requests import Cause, Request, RequestClass
from scheduler.snapshot import Snapshot
from tests.builders import POOL, a_snapshot
from tests.properties.test_elastic import arrivals, centers, histories
from tests.properties.worlds import overfull

LEAST = 90
POLICY = replace(DEFAULT_POLICY, minimum_run_seconds=LEAST)
CLASSES = st.sampled_from([RequestClass.NORMAL] * 4 + [RequestClass.URGENT, RequestClass.INTERACTIVE])


@st.composite
def comers(draw: st.DrawFn) -> list[tuple[int, Request]]:
    """Return what is asked for and how long after the one before, some of it urgent."""
    asked = draw(arrivals())
    return [(after, replace(one, request_class=draw(CLASSES))) for after, one in asked]


def guaranteed(snapshot: Snapshot, institution: InstitutionId, without: set[RequestId]) -> Resources:
    """Return what an institution holds that neither is elastic nor was told to leave."""
    clusters = (one for one in snapshot.clusters() if one.request.institution == institution)
    staying = (one for one in clusters if not one.request.makes_way and one.request.id not in without)
    return total(slot.shape for one in staying for slot in one.processes if slot.part is not Part.ELASTIC)


@settings(max_examples=60)
@given(centers(), comers())
def test_who_stops_had_borrowed_for_long_enough_or_makes_way_for_urgent_work_and_nothing_is_overfull(
    center: Snapshot, asked: list[tuple[int, Request]]
) -> None:
    for before, plan, after, now in histories(replace(center, policy=POLICY), asked):
        assert not list(overfull(after))
        for stop in plan.stops:
            victim, why = stop.request, stop.preemption
            event(why.cause)
            assert victim.request_class is not RequestClass.URGENT
            assert victim.placed is not None
            if why.cause is Cause.URGENT:
                continue
            assert victim.institution not in why.by
            assert now - victim.placed >= LEAST
            others = {one.request.id for one in plan.stops if one.request.institution == victim.institution}
            nominal = before.shares[ShareId(victim.institution), POOL].quota.nominal
            assert any(
                not guaranteed(before, victim.institution, others - {last}).within(nominal) for last in others
            ), "it had not borrowed anything"


@settings(max_examples=60)
@given(centers(), comers())
def test_a_promise_comes_later_only_for_a_stronger_claim_and_says_so(
    center: Snapshot, asked: list[tuple[int, Request]]
) -> None:
    for before, plan, _, _ in histories(replace(center, policy=POLICY), asked):
        for change in plan.promises:
            was = before.requests[change.request.id].promise
            if was is not None and (change.promise is None or change.promise.starts > was.starts):
                event("broken")
                assert change.cause is not None, change


@settings(max_examples=25)
@given(centers(), comers(), st.randoms(use_true_random=False))
def test_who_stops_does_not_depend_on_the_order_of_the_facts(
    center: Snapshot, asked: list[tuple[int, Request]], chance: random.Random
) -> None:
    for before, plan, _, now in histories(replace(center, policy=POLICY), asked):
        facts = list(before.facts())
        chance.shuffle(facts)
        assert decide(replace(a_snapshot(facts, POLICY), freed=before.freed), Seconds(now)) == plan
