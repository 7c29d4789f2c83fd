"""A request that waits for nodes is told once when it starts, and what that came to is learnt from once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.estimates import Said, constant_spans, interval_score, judged
from operations.cycle import run_cycle
from operations.requests import cancel, hold, release, submit
from registry.ids import RequestId, Seconds
from scheduler.estimates import Outcome, Side, Span
from scheduler.policy import DEFAULT_POLICY, HOUR
from scheduler.requests import Request
from simulator.replay import Replay
from simulator.site import Site, unbounded
from simulator.swf import RigidJob
from tests.builders import NOW, a_draft, request_id
from tests.seeding import award
from tests.unit.test_metering import PROJECT, SmallCenter

MOST_OF_THE_NODE = 5


@pytest.fixture
def center() -> SmallCenter:
    center = SmallCenter()
    award(center.store, PROJECT)
    return center


def ask(center: SmallCenter, number: int) -> RequestId:
    draft = a_draft(number, PROJECT, workers_min=MOST_OF_THE_NODE, workers_max=MOST_OF_THE_NODE)
    assert isinstance(center.store.transact(submit, draft, None, DEFAULT_POLICY, now=center.clock.now()), Request)
    run_cycle(center.ports, center.follower)
    return draft.id


def found(center: SmallCenter, request: RequestId) -> Request:
    request_now = center.store.read(lambda work: work.requests.get(request))
    assert request_now is not None
    return request_now


def end(center: SmallCenter, request: RequestId, at: int) -> None:
    center.clock.time = Seconds(at)
    center.store.transact(cancel, request, now=center.clock.now())
    for _ in range(3):
        center.reconcile()
    run_cycle(center.ports, center.follower)


def outcomes(center: SmallCenter) -> list[Outcome]:
    return list(center.follower.catch_up().outcomes.values())


def test_who_starts_at_once_is_told_nothing_and_who_waits_is_told_when(center: SmallCenter) -> None:
    one, other = ask(center, 1), ask(center, 2)
    assert found(center, one).estimate is None
    estimate = found(center, other).estimate
    assert estimate is not None
    assert estimate.issued == NOW
    assert NOW <= estimate.half.earliest <= estimate.half.latest < estimate.most.latest
    center.clock.time = Seconds(NOW + 60)
    third = ask(center, 3)
    assert found(center, other).estimate == estimate, "once and for all"
    later = found(center, third).estimate
    assert later is not None
    assert later.signs.by_walltimes > estimate.signs.by_walltimes


def test_what_an_estimate_came_to_is_a_fact_once_the_request_is_placed(center: SmallCenter) -> None:
    one, other = ask(center, 1), ask(center, 2)
    center.reconcile()
    estimate = found(center, other).estimate
    assert estimate is not None
    assert outcomes(center) == []
    end(center, one, NOW + HOUR // 2)
    expected = Outcome(pool=found(center, other).pool, number=1, estimate=estimate, placed=Seconds(NOW + HOUR // 2))
    assert outcomes(center) == [expected]
    assert expected.waited == HOUR // 2


def test_of_who_was_held_nothing_is_learnt(center: SmallCenter) -> None:
    one, other = ask(center, 1), ask(center, 2)
    center.reconcile()
    center.store.transact(hold, other, by_operator=False, now=center.clock.now())
    center.clock.time = Seconds(NOW + 10)
    center.store.transact(release, other, by_operator=False, now=center.clock.now())
    end(center, one, NOW + 20)
    assert found(center, other).placed == NOW + 20
    assert outcomes(center) == []


def test_who_waits_for_its_owner_is_told_nothing_until_nodes_alone_stop_it(center: SmallCenter) -> None:
    ask(center, 1)
    draft = a_draft(2, PROJECT, workers_min=MOST_OF_THE_NODE, workers_max=MOST_OF_THE_NODE)
    center.store.transact(submit, draft, None, DEFAULT_POLICY, now=center.clock.now())
    center.store.transact(hold, draft.id, by_operator=False, now=center.clock.now())
    run_cycle(center.ports, center.follower)
    assert found(center, draft.id).estimate is None
    center.store.transact(release, draft.id, by_operator=False, now=center.clock.now())
    run_cycle(center.ports, center.follower)
    assert found(center, request_id(2)).estimate is not None


def test_a_side_is_told_by_the_first_and_the_last_second() -> None:
    span = Span(earliest=Seconds(10), latest=Seconds(20))
    sides = {at: span.side(Seconds(at)) for at in (9, 10, 20, 21)}
    assert sides == {9: Side.EARLIER, 10: Side.WITHIN, 20: Side.WITHIN, 21: Side.LATER}
    assert [interval_score(span, at) for at in (5, 10, 20, 22)] == [110, 10, 10, 50]


def test_a_replay_that_foresees_starts_every_job_at_the_same_second_and_says_so_of_those_that_wait() -> None:
    jobs = [
        RigidJob(index=index, job_id=index, submit=40 * index, procs=1 + index % 4, run=100 + index, est=400)
        for index in range(40)
    ]
    plain, foreseeing = (
        list(Replay(Site(processors=4), jobs, unbounded(), foresees=foresees).run()) for foresees in (False, True)
    )
    assert plain == [replace(one, estimate=None) for one in foreseeing]
    waited = {one.index for one in plain if one.start > one.submit}
    assert waited
    assert {one.index for one in foreseeing if one.estimate is not None} == waited


def test_constant_quantiles_know_the_waits_that_have_ended_and_no_other() -> None:
    wide = Span(earliest=Seconds(0), latest=Seconds(10**6))
    times = ((0, 100), (50, 60), (100, 5000), (101, 400))
    said = [Said(submit=at, start=start, half=wide, most=wide) for at, start in times]
    found = zip(said, constant_spans(said), strict=True)
    spans = [(span.earliest - one.submit, span.latest - one.submit) for one, span in found]
    assert spans == [(0, 86_400), (0, 86_400), (10, 10), (14, 96)]
    told = judged(said)
    assert (told.requests, told.half, told.most, told.score) == (4, 1.0, 1.0, 10**6)
    assert told.of_what_is_asked > 1
