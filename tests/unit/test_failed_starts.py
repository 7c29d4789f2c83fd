"""Sentences about starts that the outside world refuses, or that stand still: the request waits its turn again."""

import pytest

from operations.cycle import run_cycle
from operations.events import EventKind
from operations.requests import cancel, scale
from quotas.ledger import ABSORBED, EntryKind
from registry.ids import Seconds
from registry.resources import NOTHING
from scheduler.clusters import HEAD_ORDINAL, Part, Process
from scheduler.explain import explain
from scheduler.policy import DEFAULT_POLICY
from scheduler.reasons import StartFailed
from scheduler.requests import End, Request, State
from scheduler.troubles import REFUSALS, Trouble
from tests.builders import POOL, request_id
from tests.seeding import award
from tests.unit.test_metering import PROJECT, SmallCenter

REQUEST = request_id(1)
PAUSES = DEFAULT_POLICY.retry_pauses_seconds


class HinderedCenter(SmallCenter):
    """A small center, and what a test asks it."""

    def __init__(self) -> None:
        super().__init__()
        award(self.store, PROJECT)

    def request(self) -> Request:
        found = self.store.read(lambda work: work.requests.get(REQUEST))
        assert found is not None
        return found

    def slots(self) -> list[Process]:
        return [slot for slot in self.store.read(lambda work: work.clusters.slots(REQUEST)) if slot.released is None]

    def later(self, seconds: int) -> None:
        """Let time pass, and the loops act three times after that."""
        self.clock.time = Seconds(self.clock.time + seconds)
        for _ in range(3):
            run_cycle(self.ports, self.follower)
            self.reconcile()

    def told(self, kind: EventKind) -> list[dict[str, str]]:
        return [dict(event.details) for event in self.store.events() if event.kind is kind]


@pytest.fixture
def center() -> HinderedCenter:
    return HinderedCenter()


@pytest.mark.parametrize("trouble", sorted(REFUSALS))
def test_a_start_that_is_refused_gives_everything_back_and_says_why_it_waits(
    center: HinderedCenter, trouble: Trouble
) -> None:
    center.backend.hinder(trouble)
    began = center.clock.now()
    center.start()
    request = center.request()
    assert (request.state, request.placed, request.allocation) == (State.PENDING, None, None)
    (node,) = center.store.read(lambda work: work.capacity.nodes(POOL))
    assert node.granted == NOTHING
    assert all(allocation.held == 0 for allocation in center.follower.catch_up().allocations.values())
    assert center.told(EventKind.START_FAILED) == [
        {"trouble": trouble, "processes": "2", "detail": "the simulated world refuses"}
    ]
    explained = explain(center.follower.catch_up(), REQUEST, center.clock.now())
    assert explained is not None
    assert explained.reasons == (StartFailed(trouble=trouble, until=Seconds(began + PAUSES[0])),)


def test_it_is_tried_again_after_pauses_that_grow_and_starts_when_nothing_is_in_the_way(center: HinderedCenter) -> None:
    center.backend.hinder(Trouble.OUTSIDE_QUOTA)
    center.start()
    for failures, pause in enumerate((*PAUSES, PAUSES[-1]), start=1):
        assert center.request().failed_starts == failures
        center.later(pause - 1)
        assert center.request().failed_starts == failures, "its time has not come"
        center.later(1)
    center.backend.hinder(None)
    center.later(PAUSES[-1])
    assert center.request().state is State.PLACED
    assert all(slot.ready for slot in center.slots())


def test_what_is_started_again_has_names_that_nothing_ever_had(center: HinderedCenter) -> None:
    center.backend.hinder(Trouble.UNSCHEDULABLE)
    center.start()
    first = {slot.name for slot in center.slots()}
    assert len(first) == 2
    center.backend.hinder(Trouble.UNSCHEDULABLE)
    center.later(DEFAULT_POLICY.unschedulable_patience_seconds)
    center.later(PAUSES[0])
    second = {slot.name for slot in center.slots()}
    assert len(second) == 2
    assert first.isdisjoint(second)


@pytest.mark.parametrize("trouble", sorted(set(Trouble) - REFUSALS))
def test_what_stands_still_is_told_at_once_and_turned_back_when_it_was_waited_for(
    center: HinderedCenter, trouble: Trouble
) -> None:
    center.backend.hinder(trouble)
    center.start()
    assert [told["trouble"] for told in center.told(EventKind.TROUBLED)] == [trouble] * 2
    center.later(DEFAULT_POLICY.patience_seconds(trouble) - 1)
    assert (center.request().state, center.request().ending) == (State.PLACED, None)
    center.later(1)
    assert center.request().state is State.PENDING
    assert len(center.told(EventKind.TROUBLED)) == 2, "it is told once"
    assert not center.backend.observe().processes


def test_a_trouble_that_passes_leaves_no_trace(center: HinderedCenter) -> None:
    center.backend.hinder(Trouble.IMAGE)
    center.start()
    center.backend.hinder(None)
    center.later(DEFAULT_POLICY.start_patience_seconds)
    assert all(slot.ready and slot.trouble is None for slot in center.slots())
    assert not center.told(EventKind.START_FAILED)


def test_nobody_pays_for_a_gang_that_was_never_whole(center: HinderedCenter) -> None:
    center.start()
    center.backend.kill(next(slot.name for slot in center.slots() if slot.ordinal != HEAD_ORDINAL))
    center.later(0)
    assert center.request().ending is None, "it was whole once, and its worker is replaced"

    lonely = HinderedCenter()
    lonely.backend.hinder(Trouble.UNSCHEDULABLE, heads_too=False)
    lonely.start()
    lonely.later(DEFAULT_POLICY.unschedulable_patience_seconds)
    charges = [entry for entry in lonely.store.entries() if entry.kind is EntryKind.CHARGE and entry.amount]
    assert charges, "its head ran meanwhile"
    assert {entry.source for entry in charges} == {ABSORBED}
    assert lonely.request().state is State.PENDING


def test_a_cluster_that_runs_goes_on_without_the_worker_that_cannot_start(center: HinderedCenter) -> None:
    request = center.start()
    for trouble in (Trouble.OUTSIDE_QUOTA, Trouble.UNSCHEDULABLE):
        center.backend.hinder(trouble)
        center.store.transact(scale, request, 2, DEFAULT_POLICY, now=center.clock.now())
        center.later(PAUSES[-1])
        center.later(DEFAULT_POLICY.patience_seconds(trouble))
        assert (center.request().state, center.request().ending) == (State.PLACED, None)
        assert [slot.part for slot in center.slots()] == [Part.HEAD, Part.GUARANTEED]
    center.backend.hinder(None)
    center.later(PAUSES[-1])
    assert [slot.part for slot in center.slots() if slot.ready] == [Part.HEAD, Part.GUARANTEED, Part.ELASTIC]


def test_to_cancel_what_is_being_turned_back_ends_it(center: HinderedCenter) -> None:
    center.backend.hinder(Trouble.UNSCHEDULABLE)
    center.start()
    center.clock.time = Seconds(center.clock.time + DEFAULT_POLICY.unschedulable_patience_seconds)
    center.reconcile()
    assert center.request().ending is End.TURNED_BACK
    center.store.transact(cancel, REQUEST, now=center.clock.now())
    center.later(1)
    assert (center.request().state, center.request().end) == (State.ENDED, End.CANCELLED)
