"""Sentences about passes in which something fails: it fails alone."""

from dataclasses import replace

import pytest

from operations.cycle import run_cycle
from operations.ports.backend import Credentials
from operations.reconcile import reconcile_once
from operations.requests import submit
from registry.ids import RequestId, Seconds
from scheduler.policy import DEFAULT_POLICY
from scheduler.requests import Request
from scheduler.steps import Step
from tests.builders import a_draft
from tests.seeding import award
from tests.unit.test_metering import PROJECT, DawdlingBackend, SmallCenter

POISONED, SOUND = (a_draft(number, PROJECT, workers_min=1, walltime_seconds=600) for number in (1, 2))


class ChokingBackend(DawdlingBackend):
    """A world in which one request chokes."""

    def carry_out(self, step: Step, credentials: Credentials | None) -> None:
        if step.request == POISONED.id:
            raise ValueError("nobody thought of this")
        super().carry_out(step, credentials)


@pytest.fixture
def center() -> SmallCenter:
    center = SmallCenter()
    center.backend = ChokingBackend(center.clock)
    center.ports = replace(center.ports, backend=center.backend)
    award(center.store, PROJECT)
    for draft in (POISONED, SOUND):
        center.store.transact(submit, draft, None, DEFAULT_POLICY, now=center.clock.now())
    run_cycle(center.ports, center.follower)
    return center


def request_in(center: SmallCenter, request: RequestId) -> Request:
    found = center.store.read(lambda work: work.requests.get(request))
    assert found is not None
    return found


def test_a_step_that_nobody_thought_of_stops_no_other_cluster(center: SmallCenter) -> None:
    first = reconcile_once(center.ports, DEFAULT_POLICY)
    assert (first.begun, first.failed) == (1, 1)
    assert {process.request for process in center.backend.observe().processes} == {SOUND.id}


def test_an_outage_before_the_first_start_is_not_held_against_a_cluster(center: SmallCenter) -> None:
    center.clock.time = Seconds(center.clock.time + DEFAULT_POLICY.start_patience_seconds + 60)
    for _ in range(3):
        reconcile_once(center.ports, DEFAULT_POLICY)
    assert request_in(center, SOUND.id).ending is None
    assert len(center.backend.observe().processes) == 2
