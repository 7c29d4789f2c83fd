"""A running cluster goes on for longer on every store: what that costs is held, and nobody is overtaken by it."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from operations.clusters import free_unseen, let_end
from operations.cycle import Applied, apply, run_cycle
from operations.extending import extend
from operations.follower import Follower, Seen
from operations.ports import Inside
from operations.ports.store import Store, Work
from operations.reasons import NotRunning, Refused, Unknown
from operations.requests import cancel, submit
from quotas.allocations import Allocation
from quotas.reasons import NoCredit
from quotas.tree import Share
from registry.ids import BEGINNING, MicroCredits, PoolId, RequestId, Seconds
from scheduler.clusters import Process
from scheduler.decide import decide
from scheduler.facts import Fact
from scheduler.policy import DAY, DEFAULT_POLICY, HOUR
from scheduler.reasons import BookedAhead, ExtensionTooLong, WouldDelayPromised
from scheduler.requests import Draft, End, Request, State
from server.ids import RandomIds
from tests.builders import NOW, POOL, a_booking, a_draft, a_node, a_request, cores, facts_of_a_center, request_id
from tests.contracts.test_store_races import THREADS, at_once
from tests.properties.test_loops import SteppedClock
from tests.seeding import A_POOL, AN_ENVIRONMENT, Thing, a_project, award, seed

PROJECT = "vmu.vision"
ONE, WIDE, SMALL = (request_id(number) for number in (1, 9, 5))
SLACK = DEFAULT_POLICY.termination_slack_seconds


class Pool:
    """One node of four cores, on which a cluster of one worker runs for an hour; `follower` follows the store."""

    def __init__(self, store: Store[Work], credit: int = 10**12) -> None:
        self.store = store
        self.clock = SteppedClock()
        self.ports: Inside[Work] = Inside(store=store, clock=self.clock, ids=RandomIds())
        self.follower = Follower(store, DEFAULT_POLICY)
        facts = facts_of_a_center([a_node(capacity=cores(4, 64))], [PROJECT])
        things = [fact for fact in facts if not isinstance(fact, Allocation)]
        seed(store, A_POOL, AN_ENVIRONMENT, a_project(PROJECT), *cast("list[Thing]", things))
        award(store, PROJECT, credit)
        self.submit(a_draft(1, PROJECT, walltime_seconds=HOUR))
        self.cycle()

    def submit(self, draft: Draft, ago_seconds: int = 0) -> None:
        now = Seconds(self.clock.now() - ago_seconds)
        accepted = self.store.transact(submit, draft, None, DEFAULT_POLICY, now=now)
        assert isinstance(accepted, Request), accepted

    def submit_wide(self) -> None:
        """Have asked long ago for what fits only when the first cluster is gone."""
        self.submit(a_draft(9, PROJECT, workers_min=3), ago_seconds=4 * DAY)

    def cycle(self) -> Applied:
        return run_cycle(self.ports, self.follower)

    def extend(self, seconds: int, seen: Seen | None = None, request: RequestId = ONE) -> Request | Refused:
        return self.store.transact(extend, request, seconds, seen or self.follower.look(), now=self.clock.now())

    def request(self, request: RequestId = ONE) -> Request:
        found = self.store.read(lambda work: work.requests.get(request))
        assert found is not None
        return found

    def slots(self) -> tuple[Process, ...]:
        return self.store.read(lambda work: work.clusters.slots(ONE))

    def allocation(self) -> Allocation:
        (found,) = self.follower.catch_up().allocations.values()
        return found

    def end(self) -> None:
        """End the cluster before any of its processes was seen."""
        self.store.transact(cancel, ONE, now=self.clock.now())
        names = frozenset(slot.name for slot in self.slots())
        self.store.transact(free_unseen, ONE, names, now=self.clock.now())


@pytest.fixture
def pool(store: Store[Work]) -> Pool:
    return Pool(store)


def reasons(answer: Request | Refused) -> list[type]:
    assert isinstance(answer, Refused), answer
    return [type(reason) for reason in answer.reasons]


def test_the_deadline_moves_and_what_the_time_may_cost_is_held(pool: Pool) -> None:
    before, held = pool.slots(), pool.allocation().held
    answer = pool.extend(2 * HOUR)
    assert isinstance(answer, Request)
    assert answer == pool.request()
    assert (answer.deadline, answer.extended_seconds, answer.walltime_seconds) == (NOW + 3 * HOUR, 2 * HOUR, HOUR)
    assert [slot.hold for slot in pool.slots()] == [3 * slot.hold for slot in before]
    assert pool.allocation().held == 3 * held == sum(slot.hold for slot in pool.slots())


def test_who_ends_early_gets_back_what_was_not_used_of_all_that_was_held(pool: Pool) -> None:
    whole = pool.allocation().available + pool.allocation().held
    for seconds in (1, HOUR, 7):
        assert isinstance(pool.extend(seconds), Request)
    pool.end()
    assert pool.request().state is State.ENDED
    assert (pool.allocation().held, pool.allocation().available) == (0, whole)


def test_a_refusal_changes_nothing(pool: Pool) -> None:
    pool.submit_wide()
    pool.cycle()
    mark = pool.store.facts(BEGINNING).mark
    assert reasons(pool.extend(1)) == [ExtensionTooLong, WouldDelayPromised]
    assert pool.store.facts(mark).facts == ()


def test_only_what_runs_can_go_on(pool: Pool) -> None:
    pool.submit_wide()
    assert pool.extend(60, request=request_id(77)) == Refused(reasons=(Unknown(what="request"),))
    assert pool.extend(60, request=WIDE) == Refused(reasons=(NotRunning(state=State.PENDING),))
    pool.clock.time = Seconds(NOW + HOUR)
    assert reasons(pool.extend(60)) == [NotRunning], "its time is up"
    pool.clock.time = NOW
    pool.store.transact(cancel, ONE, now=NOW)
    assert reasons(pool.extend(60)) == [NotRunning]
    assert pool.request().deadline == NOW + HOUR


def test_who_cannot_pay_is_refused_and_told_what_they_can(store: Store[Work]) -> None:
    """Two credits an hour, of which an hour is held already."""
    poor = Pool(store, 6_000_000)
    hour = poor.allocation().held
    assert hour == 2_000_000
    assert poor.extend(3 * HOUR) == Refused(
        reasons=(
            ExtensionTooLong(asked=3 * HOUR, longest=2 * HOUR),
            NoCredit(project=poor.request().project, needed=MicroCredits(3 * hour), available=MicroCredits(2 * hour)),
        )
    )
    assert isinstance(poor.extend(2 * HOUR), Request)
    assert poor.allocation().available == 0


def test_what_was_promised_meanwhile_is_seen(pool: Pool) -> None:
    seen = pool.follower.look()
    pool.submit_wide()
    pool.cycle()
    promise = pool.request(WIDE).promise
    assert promise is not None
    assert pool.extend(60, seen) == Refused(
        reasons=(
            ExtensionTooLong(asked=60, longest=0),
            WouldDelayPromised(pool=POOL, promised_from=promise.starts),
        )
    )


def test_what_was_booked_meanwhile_is_seen(pool: Pool) -> None:
    seen = pool.follower.look()
    booking = a_booking(project=None, begins=Seconds(NOW + 2 * HOUR), ends=Seconds(NOW + 3 * HOUR))
    pool.store.transact(lambda work: work.bookings.add(booking))
    assert pool.extend(HOUR, seen) == Refused(
        reasons=(
            ExtensionTooLong(asked=HOUR, longest=HOUR - SLACK),
            BookedAhead(booking=booking.id, begins=booking.begins),
        )
    )


def test_a_cycle_that_did_not_know_of_an_extension_promises_and_takes_nothing_there(pool: Pool) -> None:
    """It counts on room that the cluster keeps: the next one finds what is true by then."""
    pool.submit_wide()
    pool.submit(a_draft(5, PROJECT, workers_min=1, walltime_seconds=60))
    snapshot = pool.follower.catch_up()
    plan = decide(snapshot, NOW)
    assert [placement.request.id for placement in plan.placements] == [SMALL]
    assert [change.request.id for change in plan.promises] == [WIDE]
    assert isinstance(pool.extend(HOUR), Request)
    applied = pool.store.transact(apply, plan, snapshot, now=NOW)
    assert applied.turned_away == (SMALL,)
    assert pool.request(WIDE).promise is None
    assert pool.request(SMALL).state is State.PENDING
    assert pool.cycle().placed == (SMALL,)
    promise = pool.request(WIDE).promise
    assert promise is not None
    assert promise.starts == NOW + 2 * HOUR + SLACK


def test_an_extension_that_a_cycle_knew_is_in_nobodys_way(pool: Pool) -> None:
    assert isinstance(pool.extend(HOUR), Request)
    pool.submit(a_draft(5, PROJECT, workers_min=1, walltime_seconds=60))
    assert pool.cycle() == Applied(placed=(SMALL,))


def test_a_pass_that_saw_the_old_deadline_does_not_end_who_was_extended(pool: Pool) -> None:
    assert isinstance(pool.extend(HOUR), Request)
    pool.store.transact(let_end, ONE, End.WALLTIME, now=Seconds(NOW + HOUR))
    assert pool.request().ending is None
    pool.store.transact(let_end, ONE, End.WALLTIME, now=Seconds(NOW + 2 * HOUR))
    assert pool.request().ending is End.WALLTIME


def test_each_of_many_extensions_at_once_is_added_and_held(pool: Pool) -> None:
    hour, seen = pool.allocation().held, pool.follower.look()
    answers = at_once(lambda _: pool.extend(HOUR, seen))
    assert all(isinstance(answer, Request) for answer in answers)
    assert pool.request().deadline == NOW + (1 + THREADS) * HOUR
    assert pool.allocation().held == (1 + THREADS) * hour


def test_of_promises_and_extensions_at_once_none_overtakes_another(pool: Pool) -> None:
    """Whoever is first: what is promised in the end is the moment at which the cluster is gone."""
    pool.submit_wide()
    granted: list[Request] = []

    def act(number: int) -> None:
        follower = Follower(pool.store, DEFAULT_POLICY)
        for _ in range(3):
            if number % 2:
                answer = pool.extend(60, follower.look())
                granted.extend([answer] if isinstance(answer, Request) else [])
            elif number % 8 == 0:
                run_cycle(pool.ports, follower)

    at_once(act)
    given = pool.request(WIDE).promise
    pool.cycle()
    promise, deadline = pool.request(WIDE).promise, pool.request().deadline
    assert promise is not None
    assert given in {None, promise}, "it stays as it was given"
    assert deadline == NOW + HOUR + 60 * len(granted)
    assert promise.starts == deadline + SLACK
    assert pool.allocation().held == sum(slot.hold for slot in pool.slots())


def test_the_extended_requests_of_a_pool_are_those_that_are_placed(store: Store[Work]) -> None:
    def placed(number: int, extended: int) -> Request:
        request = a_request(number)
        where = {"deadline": Seconds(NOW + 9), "placed": NOW, "allocation": "some", "extended_seconds": extended}
        return replace(request, state=State.PLACED, **where)  # type: ignore[arg-type]

    def add(work: Work) -> None:
        for request in (placed(3, 5), placed(2, 0), placed(1, 7), a_request(4)):
            work.requests.add(request)

    def extended(work: Work, *pools: PoolId) -> list[RequestId]:
        return [request.id for request in work.clusters.extended(pools)]

    store.transact(add)
    assert store.read(extended, POOL, PoolId("other")) == [request_id(1), request_id(3)]
    assert store.read(extended, PoolId("other")) == []
    ended = replace(placed(1, 7), state=State.ENDED, end=End.CANCELLED, ended=NOW)
    assert store.transact(lambda work: work.requests.swap(placed(1, 7), ended))
    assert store.read(extended, POOL) == [request_id(3)]


def test_what_is_new_inside_a_transaction_is_what_is_new_outside(pool: Pool) -> None:
    mark = pool.store.facts(BEGINNING).mark
    pool.submit_wide()

    def news(work: Work) -> tuple[Fact, ...]:
        work.capacity.lock([POOL])
        return work.news(mark).facts

    assert set(pool.store.transact(news)) == set(pool.store.facts(mark).facts) != set()
    assert not any(isinstance(fact, Share) for fact in pool.store.transact(news)), "and nothing else"
