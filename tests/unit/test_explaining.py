"""To explain costs what a cycle does: however many ask, it is done rarely, and never told of what has changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from operations.explaining import Explainer
from operations.reasons import AskedTooSoon, Refused
from operations.requests import cancel, hold, release, submit
from registry.ids import PersonId, Seconds
from scheduler.advice import ReleaseHold
from scheduler.policy import DEFAULT_POLICY, ClassRule
from scheduler.prospects import Prospect, prospect
from scheduler.reasons import HeldByUser, InstitutionWaitsEnough, TooManyWaiting
from scheduler.requests import Draft, Request, RequestClass
from tests.builders import NOW, a_draft, a_request
from tests.seeding import award
from tests.unit.test_metering import PROJECT, SmallCenter

MOST = DEFAULT_POLICY.classes[RequestClass.COURSE].most_waiting


class Deliberate:
    """A clock by which every look comes a second after the one before."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> int:
        self.looks += 1
        return self.looks * 10**9


@pytest.fixture
def center() -> SmallCenter:
    center = SmallCenter()
    award(center.store, PROJECT)
    return center


def submitted(center: SmallCenter, draft: Draft) -> Request:
    answer = center.store.transact(submit, draft, None, DEFAULT_POLICY, now=center.clock.now())
    assert isinstance(answer, Request), answer
    return answer


def test_who_asks_within_ten_times_what_it_took_is_told_what_was_found(center: SmallCenter) -> None:
    one, other = (submitted(center, a_draft(number, PROJECT)) for number in (1, 2))
    clock = Deliberate()
    explainer = Explainer(center.follower, center.clock, nanoseconds=clock)
    assert explainer.explain(one.id) is not None
    looks = clock.looks
    for _ in range(4):
        assert explainer.explain(other.id) is not None
    assert clock.looks == looks + 4, "who decides looks at the clock once more"
    for _ in range(8):
        explainer.explain(one.id)
    assert clock.looks > looks + 12


def test_what_has_changed_is_explained_as_it_stands(center: SmallCenter) -> None:
    request = submitted(center, a_draft(1, PROJECT))
    explainer = Explainer(center.follower, center.clock, nanoseconds=Deliberate())
    before = explainer.explain(request.id)
    assert before is not None
    assert before.reasons == ()
    center.store.transact(hold, request.id, by_operator=False, now=center.clock.now())
    after = explainer.explain(request.id)
    assert after is not None
    assert after.reasons == (HeldByUser(),)
    assert explainer.explain(a_request(9).id) is None


def test_advice_is_found_once_for_a_request_that_stays_as_it_is(center: SmallCenter) -> None:
    request, clock = submitted(center, a_draft(1, PROJECT)), Deliberate()
    center.store.transact(hold, request.id, by_operator=False, now=center.clock.now())
    explainer = Explainer(center.follower, center.clock, nanoseconds=clock)
    assert explainer.advise(request.id) == (ReleaseHold(),)
    looks = clock.looks
    assert explainer.advise(request.id) == (ReleaseHold(),)
    assert clock.looks == looks + 1, "who looks for it looks at the clock once more"
    center.store.transact(release, request.id, by_operator=False, now=center.clock.now())
    assert explainer.advise(request.id) == ()
    assert explainer.advise(a_request(9).id) == ()


def test_who_has_had_an_estimate_asks_again_after_ten_times_what_it_took_and_nobody_else_waits(
    center: SmallCenter,
) -> None:
    clock = Deliberate()
    explainer = Explainer(center.follower, center.clock, nanoseconds=clock)
    mine, theirs = a_draft(1, PROJECT), a_draft(2, PROJECT, person=PersonId("b" * 26))
    assert isinstance(explainer.foresee(mine), Prospect)
    assert explainer.foresee(mine) == Refused(reasons=(AskedTooSoon(),))
    assert isinstance(explainer.foresee(theirs), Prospect)
    clock.looks += 20
    assert isinstance(explainer.foresee(mine), Prospect)


def test_nothing_stays_of_what_an_estimate_was_asked_for(center: SmallCenter) -> None:
    waiting = submitted(center, a_draft(1, PROJECT))
    snapshot = center.follower.look().snapshot
    names = snapshot.arrays.names
    known = len(names.shapes), len(names.priced), len(snapshot.requests)
    for seconds in (100, 200, 300):
        prospect(snapshot, a_draft(9, PROJECT, walltime_seconds=seconds, workers_min=2), center.clock.now())
    assert (len(names.shapes), len(names.priced), len(snapshot.requests)) == known
    assert snapshot.requests[waiting.id] == waiting


def test_a_person_has_only_so_many_requests_waiting(center: SmallCenter) -> None:
    drafts = [a_draft(number, PROJECT, request_class=RequestClass.COURSE) for number in range(MOST + 1)]
    for draft in drafts[:-1]:
        submitted(center, draft)
    refused = center.store.transact(submit, drafts[-1], None, DEFAULT_POLICY, now=center.clock.now())
    assert not isinstance(refused, Request)
    assert refused.reasons == (TooManyWaiting(request_class=RequestClass.COURSE, most=MOST),)
    submitted(center, replace(drafts[-1], person=PersonId("b" * 26)))
    submitted(center, a_draft(MOST + 2, PROJECT, request_class=RequestClass.NORMAL))


def test_an_institution_has_only_so_many_requests_waiting_however_many_people_it_has(center: SmallCenter) -> None:
    rule = replace(DEFAULT_POLICY.classes[RequestClass.COURSE], most_waiting_of_institution=3)
    policy = replace(DEFAULT_POLICY, classes={**DEFAULT_POLICY.classes, RequestClass.COURSE: rule})
    drafts = [
        a_draft(number, PROJECT, request_class=RequestClass.COURSE, person=PersonId(letter * 26))
        for number, letter in enumerate("abcde", start=1)
    ]
    for draft in drafts[:3]:
        assert isinstance(center.store.transact(submit, draft, None, policy, now=center.clock.now()), Request)
    full = InstitutionWaitsEnough(institution=drafts[0].institution, request_class=RequestClass.COURSE, most=3)
    assert center.store.transact(submit, drafts[3], None, policy, now=center.clock.now()) == Refused(reasons=(full,))
    submitted(center, replace(drafts[3], request_class=RequestClass.NORMAL))
    center.store.transact(cancel, drafts[0].id, now=center.clock.now())
    assert isinstance(center.store.transact(submit, drafts[4], None, policy, now=center.clock.now()), Request)


@pytest.mark.parametrize("rule", DEFAULT_POLICY.classes.values())
def test_one_person_alone_does_not_fill_what_an_institution_may_have_waiting(rule: ClassRule) -> None:
    assert rule.most_waiting_of_institution == 20 * rule.most_waiting


def test_who_is_held_does_not_wait() -> None:
    request = a_request(1).with_holds(user=True, operator=False, now=Seconds(NOW + 10))
    assert request.waited_seconds(Seconds(NOW + 100)) == 10
    both = request.with_holds(user=True, operator=True, now=Seconds(NOW + 100))
    assert both.with_holds(user=False, operator=True, now=Seconds(NOW + 200)).waited_seconds(Seconds(NOW + 300)) == 10
    released = both.with_holds(user=False, operator=False, now=Seconds(NOW + 400))
    assert released.waited_seconds(Seconds(NOW + 405)) == 15
    assert (
        released.with_holds(user=True, operator=False, now=Seconds(NOW + 500)).waited_seconds(Seconds(NOW + 999)) == 110
    )
