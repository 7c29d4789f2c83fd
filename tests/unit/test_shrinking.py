"""Sentences about workers that the center takes back, in the loops of a center: told, drained, gone, and used again."""

import pytest

from operations.cycle import apply, run_cycle
from operations.events import Event, EventKind
from operations.requests import cancel, scale, submit
from registry.ids import RequestId, Seconds
from scheduler.clusters import Process
from scheduler.decide import decide
from scheduler.policy import DEFAULT_POLICY
from tests.builders import a_booking, a_draft, cores
from tests.seeding import award
from tests.unit.test_metering import PROJECT, SmallCenter

ELASTIC = a_draft(1, PROJECT, head=cores(0.5, 1), worker=cores(1, 1), workers_min=1, workers_max=7)
WAITING = a_draft(2, PROJECT, head=cores(0.5, 1), worker=cores(1, 1), workers_min=3, workers_max=3)
NOTICE = DEFAULT_POLICY.notice_seconds


@pytest.fixture
def center() -> SmallCenter:
    """Return a center of eight cores that an elastic cluster fills, while another request has begun to wait."""
    center = SmallCenter()
    award(center.store, PROJECT)
    center.store.transact(submit, ELASTIC, None, DEFAULT_POLICY, now=center.clock.now())
    run_cycle(center.ports, center.follower)
    center.store.transact(scale, ELASTIC.id, 7, DEFAULT_POLICY, now=center.clock.now())
    run_cycle(center.ports, center.follower)
    settle(center)
    center.store.transact(submit, WAITING, None, DEFAULT_POLICY, now=center.clock.now())
    return center


def settle(center: SmallCenter) -> None:
    for _ in range(3):
        center.reconcile()


def slots(center: SmallCenter, request: RequestId) -> list[Process]:
    found = center.store.read(lambda work: work.clusters.slots(request))
    return [slot for slot in found if slot.released is None]


def told(center: SmallCenter, kind: EventKind) -> list[Event]:
    return [event for event in center.store.events() if event.kind is kind]


def test_it_is_told_by_whom_and_why_and_what_the_start_waits_for(center: SmallCenter) -> None:
    applied = run_cycle(center.ports, center.follower)
    assert applied.shrunk == (ELASTIC.id,)
    (shrank,) = told(center, EventKind.SHRANK)
    assert dict(shrank.details) == {
        "reason": "own-start",
        "by": "vmu",
        "claim": "borrowed-guaranteed",
        "workers": "3",
        "stop_by": str(center.clock.now() + NOTICE),
    }
    (promised,) = told(center, EventKind.PROMISED)
    assert promised.request == WAITING.id
    assert [slot.wanted for slot in slots(center, ELASTIC.id)].count(False) == 3
    assert not run_cycle(center.ports, center.follower).shrunk, "it is told once"


def test_once_they_have_left_the_other_starts(center: SmallCenter) -> None:
    run_cycle(center.ports, center.follower)
    settle(center)
    center.clock.time = Seconds(center.clock.time + NOTICE)
    settle(center)
    assert run_cycle(center.ports, center.follower).placed == (WAITING.id,)
    assert len(slots(center, ELASTIC.id)) == 5
    settle(center)
    assert not told(center, EventKind.ENDED)


def test_a_plan_that_a_cluster_has_overtaken_takes_nothing_of_it_and_the_next_one_does(center: SmallCenter) -> None:
    snapshot, now = center.follower.catch_up(), center.clock.now()
    plan = decide(snapshot, now)
    center.store.transact(scale, ELASTIC.id, 6, DEFAULT_POLICY, now=now)
    applied = center.store.transact(apply, plan, snapshot, now=now)
    assert (applied.shrunk, applied.turned_away) == ((), (ELASTIC.id,))
    assert [slot.wanted for slot in slots(center, ELASTIC.id)].count(False) == 1
    assert run_cycle(center.ports, center.follower).shrunk == (ELASTIC.id,)
    assert [slot.wanted for slot in slots(center, ELASTIC.id)].count(False) == 3, "one by itself, two for the start"


def test_who_takes_its_wish_back_gives_the_workers_back_too(center: SmallCenter) -> None:
    run_cycle(center.ports, center.follower)
    center.store.transact(cancel, WAITING.id, now=center.clock.now())
    settle(center)
    center.clock.time = Seconds(center.clock.time + NOTICE)
    settle(center)
    assert run_cycle(center.ports, center.follower).grown == (ELASTIC.id,)
    assert len(slots(center, ELASTIC.id)) == 8


def test_maintenance_that_displaces_ends_what_still_runs_on_its_nodes_when_it_begins_and_not_before() -> None:
    center = SmallCenter()
    award(center.store, PROJECT)
    center.store.transact(submit, ELASTIC, None, DEFAULT_POLICY, now=center.clock.now())
    run_cycle(center.ports, center.follower)
    settle(center)
    (slot, *_) = slots(center, ELASTIC.id)
    begins = Seconds(center.clock.now() + 60)
    swap = a_booking(1, project=None, nodes=(slot.node,), begins=begins, ends=Seconds(begins + 3600), displaces=True)
    center.store.transact(lambda work: work.bookings.add(swap))
    run_cycle(center.ports, center.follower)
    settle(center)
    assert slots(center, ELASTIC.id)
    center.clock.time = begins
    run_cycle(center.ports, center.follower)
    settle(center)
    assert not slots(center, ELASTIC.id)
    (ended,) = told(center, EventKind.ENDED)
    assert dict(ended.details)["why"] == "displaced"
    center.store.transact(submit, WAITING, None, DEFAULT_POLICY, now=center.clock.now())
    run_cycle(center.ports, center.follower)
    assert not slots(center, WAITING.id), "the nodes are nobody's now"
