"""Sentences about clusters that have to make way, in the loops of a center: told, ended, refunded, and begun again."""

from dataclasses import replace

import pytest

from operations.clusters import let_end
from operations.cycle import run_cycle
from operations.events import Event, EventKind, may_change_decisions
from operations.requests import cancel, scale, submit
from quotas.ledger import EntryKind
from registry.ids import RequestId, Seconds
from scheduler.clusters import Phase
from scheduler.policy import DEFAULT_POLICY, HOUR
from scheduler.requests import Cause, Draft, End, Request, RequestClass, State
from tests.builders import a_draft, cores, request_id
from tests.seeding import award
from tests.unit.test_metering import PROJECT, SmallCenter
from tests.unit.test_shrinking import NOTICE, settle, slots, told

SHAPES = {"head": cores(0.5, 1), "worker": cores(1, 1)}
WORK = a_draft(1, PROJECT, workers_min=6, workers_max=6, walltime_seconds=4 * HOUR, **SHAPES)
WORK = replace(WORK, request_class=RequestClass.NORMAL)
URGENT = a_draft(2, PROJECT, workers_min=3, workers_max=3, walltime_seconds=600, **SHAPES)
URGENT = replace(URGENT, request_class=RequestClass.URGENT)
RAN = HOUR + 500


def a_center(work: Draft = WORK) -> SmallCenter:
    """Return a center that one cluster fills, for more than an hour, when urgent work has come."""
    center = SmallCenter()
    award(center.store, PROJECT)
    center.store.transact(submit, work, None, DEFAULT_POLICY, now=center.clock.now())
    run_cycle(center.ports, center.follower)
    settle(center)
    center.clock.time = Seconds(center.clock.time + RAN)
    settle(center)
    center.store.transact(submit, URGENT, None, DEFAULT_POLICY, now=center.clock.now())
    assert run_cycle(center.ports, center.follower).stopped == (work.id,)
    return center


@pytest.fixture
def center() -> SmallCenter:
    return a_center()


def request(center: SmallCenter, number: int = 1) -> Request:
    found = center.store.read(lambda work: work.requests.get(request_id(number)))
    assert found is not None
    return found


def pass_by(center: SmallCenter, seconds: int = NOTICE) -> None:
    settle(center)
    center.clock.time = Seconds(center.clock.time + seconds)
    settle(center)


def amounts(center: SmallCenter, kind: EntryKind, of: RequestId = WORK.id) -> int:
    return sum(one.amount for one in center.store.entries() if one.kind is kind and one.request == of)


def test_its_owner_is_told_by_when_and_for_whom_and_it_runs_until_then(center: SmallCenter) -> None:
    (event,) = told(center, EventKind.PREEMPTED)
    stop_by = center.clock.now() + NOTICE
    assert dict(event.details) == {"cause": "urgent", "by": "vmu", "stop_by": str(stop_by)}
    assert request(center).deadline == stop_by
    assert not run_cycle(center.ports, center.follower).stopped, "it is told once"
    pass_by(center, NOTICE - 1)
    assert len(slots(center, WORK.id)) == 7
    assert request(center).ending is None


def test_it_waits_again_with_its_money_back_and_the_other_starts(center: SmallCenter) -> None:
    before = request(center)
    pass_by(center)
    after = request(center)
    assert (after.state, after.submitted, after.placed) == (State.PENDING, before.submitted, None)
    assert after.preempted is not None
    assert (after.preempted.cause, after.preempted.requeued) == (Cause.URGENT, center.clock.now())
    charged = amounts(center, EntryKind.CHARGE)
    assert charged > 0
    assert amounts(center, EntryKind.REFUND) == charged
    (event,) = told(center, EventKind.REQUEUED)
    assert dict(event.details) == {"refunded": str(charged)}
    assert not told(center, EventKind.ENDED)
    assert run_cycle(center.ports, center.follower).placed == (URGENT.id,)


def test_it_begins_anew_and_pays_for_that_alone(center: SmallCenter) -> None:
    pass_by(center)
    run_cycle(center.ports, center.follower)
    pass_by(center, 600)
    assert run_cycle(center.ports, center.follower).placed == (WORK.id,)
    settle(center)
    assert len(slots(center, WORK.id)) == 7
    refunded = amounts(center, EntryKind.REFUND)
    center.clock.time = Seconds(center.clock.time + 100)
    center.store.transact(cancel, WORK.id, now=center.clock.now())
    settle(center)
    assert request(center).end is End.CANCELLED
    assert amounts(center, EntryKind.REFUND) == refunded, "it has ended as it wished"
    assert 0 < amounts(center, EntryKind.CHARGE) - refunded < refunded


def test_what_wanted_more_workers_than_its_gang_is_given_them_in_a_cycle_right_after_its_start() -> None:
    event = Event(request=WORK.id, at=Seconds(1), kind=EventKind.PLACED)
    assert not may_change_decisions([event])
    center = a_center(replace(WORK, workers_max=7))
    center.store.transact(scale, WORK.id, 7, DEFAULT_POLICY, now=center.clock.now())
    pass_by(center)
    run_cycle(center.ports, center.follower)
    pass_by(center, 600)
    run_cycle(center.ports, center.follower)
    *_, placed = told(center, EventKind.PLACED)
    assert dict(placed.details)["workers_wanted"] == "7"
    assert may_change_decisions([placed])
    assert run_cycle(center.ports, center.follower).grown == (WORK.id,)


def test_what_somebody_sits_at_ends_for_good_and_is_refunded_too() -> None:
    center = a_center(replace(WORK, request_class=RequestClass.INTERACTIVE))
    pass_by(center)
    assert (request(center).state, request(center).end) == (State.ENDED, End.PREEMPTED)
    assert amounts(center, EntryKind.REFUND) == amounts(center, EntryKind.CHARGE) > 0


def test_to_cancel_what_makes_way_ends_it(center: SmallCenter) -> None:
    center.clock.time = Seconds(center.clock.time + NOTICE)
    center.store.transact(let_end, WORK.id, End.PREEMPTED, now=center.clock.now())
    assert request(center).ending is End.PREEMPTED
    center.store.transact(cancel, WORK.id, now=center.clock.now())
    settle(center)
    assert request(center).end is End.CANCELLED
    assert not amounts(center, EntryKind.REFUND)


def test_a_plan_that_the_end_of_a_cluster_has_overtaken_stops_nothing() -> None:
    center = SmallCenter()
    award(center.store, PROJECT)
    center.store.transact(submit, WORK, None, DEFAULT_POLICY, now=center.clock.now())
    run_cycle(center.ports, center.follower)
    settle(center)
    center.store.transact(submit, URGENT, None, DEFAULT_POLICY, now=center.clock.now())
    seen = center.follower.catch_up()
    center.store.transact(cancel, WORK.id, now=center.clock.now())

    class Stale:
        def catch_up(self) -> object:
            return seen

    applied = run_cycle(center.ports, Stale())  # type: ignore[arg-type]
    assert (applied.stopped, applied.turned_away) == ((), (WORK.id,))
    assert request(center).preempted is None
    assert {Phase.ENDING} == {cluster.phase for cluster in center.store.read(lambda work: work.clusters.live())}
