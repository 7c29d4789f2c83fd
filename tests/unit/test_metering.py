"""Sentences about credit while clusters run: what is held, what is charged, and for how long."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from backends.simulated import SimulatedBackend
from operations.clusters import refill
from operations.cycle import run_cycle
from operations.follower import Follower
from operations.metering import accrue, renew_lease, settle
from operations.ports import Ports
from operations.ports.backend import BackendUnavailableError
from operations.ports.store import Work
from operations.reconcile import Pass, reconcile_once
from operations.requests import cancel, scale, submit
from quotas.allocations import Award
from quotas.charges import NO_CHARGES
from quotas.ledger import NO_USAGE, EntryKind, Usage, grant_entry
from registry.centers import NodeState
from registry.ids import AllocationId, MicroCredits, PersonId, ProcessUid, ProjectId, RequestId, Seconds
from registry.resources import NOTHING
from registry.tags import FundingSource
from scheduler.clusters import Process
from scheduler.facts import RunRatios
from scheduler.observed import Cause, Observed, ObservedProcess
from scheduler.policy import DEFAULT_POLICY, HOUR
from scheduler.requests import State
from server.ids import RandomIds
from store.memory import MemoryStore
from tests.builders import ALICE, CENTER, NOW, a_draft, a_node, a_share, cores, facts_of_a_center, request_id, tags
from tests.properties.test_loops import QuickAuthority, SteppedClock
from tests.seeding import A_POOL, AN_ENVIRONMENT, a_project, award, seed

PROJECT = "vmu.vision"
FULL_HOUR = NOW - NOW % HOUR + HOUR


class DawdlingBackend(SimulatedBackend):
    """A world in which time passes, and all processes end, just after it was looked at."""

    dawdles = 0

    def __init__(self, clock: SteppedClock) -> None:
        super().__init__(clock)
        self.clock = clock

    def observe(self) -> Observed:
        seen = super().observe()
        if self.dawdles:
            for process in seen.processes:
                self.kill(process.name)
            self.clock.time = Seconds(self.clock.time + self.dawdles)
            self.dawdles = 0
        return seen


class SmallCenter:
    """One node, one project, and the loops by hand."""

    def __init__(self, *, begins: int = NOW) -> None:
        self.clock = SteppedClock()
        self.clock.time = Seconds(begins)
        self.backend = DawdlingBackend(self.clock)
        self.store = MemoryStore()
        self.ports: Ports[Work] = Ports(
            store=self.store, backend=self.backend, authority=QuickAuthority(), clock=self.clock, ids=RandomIds()
        )
        self.follower = Follower(self.store, DEFAULT_POLICY)
        facts = facts_of_a_center([a_node(capacity=cores(8, 64))], [PROJECT])
        things = [fact for fact in facts if not hasattr(fact, "available")]
        seed(self.store, A_POOL, AN_ENVIRONMENT, a_project(PROJECT), *things)  # type: ignore[arg-type]

    def start(self, *, workers: int = 1, walltime_seconds: int = HOUR) -> RequestId:
        """Run a cluster with one guaranteed worker, and as many elastic ones as are wanted beyond it."""
        draft = a_draft(1, PROJECT, walltime_seconds=walltime_seconds)
        self.store.transact(submit, draft, None, DEFAULT_POLICY, now=self.clock.now())
        run_cycle(self.ports, self.follower)
        if workers > 1:
            self.store.transact(scale, draft.id, workers, DEFAULT_POLICY, now=self.clock.now())
            run_cycle(self.ports, self.follower)
        self.reconcile()
        self.reconcile()
        return draft.id

    def run(self, number: int, seconds: int) -> None:
        """Run a cluster for so long, and see it end."""
        draft = a_draft(number, PROJECT)
        self.store.transact(submit, draft, None, DEFAULT_POLICY, now=self.clock.now())
        run_cycle(self.ports, self.follower)
        self.reconcile()
        self.clock.time = Seconds(self.clock.time + seconds)
        self.store.transact(cancel, draft.id, now=self.clock.now())
        for _ in range(3):
            self.reconcile()

    def reconcile(self) -> Pass:
        return reconcile_once(self.ports, DEFAULT_POLICY)

    def slot(self, ordinal: int) -> Process:
        return self.store.read(lambda work: work.clusters.slots(request_id(1)))[ordinal]

    def charged(self) -> Usage:
        return sum((one.usage for one in self.store.entries() if one.kind is EntryKind.CHARGE), NO_USAGE)


def test_a_lease_that_lasts_until_the_deadline_is_left_alone() -> None:
    center = SmallCenter()
    award(center.store, PROJECT)
    center.start(workers=2, walltime_seconds=120)
    assert center.slot(2).lease_until == NOW + 120
    assert center.reconcile().written == 0


def test_nothing_is_charged_beyond_the_moment_at_which_a_process_was_seen() -> None:
    center = SmallCenter(begins=FULL_HOUR - 60)
    award(center.store, PROJECT)
    center.start()
    center.clock.time = Seconds(FULL_HOUR - 10)
    center.backend.dawdles = 20
    center.reconcile()
    center.reconcile()
    lived = (Usage.of(one.shape, 50) for one in (center.slot(0), center.slot(1)))
    assert center.charged() == sum(lived, NO_USAGE)


def test_who_ends_without_saying_when_it_began_pays_since_it_was_seen_to_begin() -> None:
    center = SmallCenter(begins=FULL_HOUR - 1800)
    award(center.store, PROJECT)
    center.start()
    (seen,) = (one for one in center.backend.observe().processes if one.ordinal == 1)
    ended = replace(seen, started=None, ended=Seconds(FULL_HOUR - 60), cause=Cause.EVICTED)
    began = center.slot(1).started
    assert began is not None
    center.store.transact(settle, ended, DEFAULT_POLICY, now=Seconds(FULL_HOUR - 50))
    assert center.charged() == Usage.of(center.slot(1).shape, FULL_HOUR - 60 - began)


def test_of_one_institution_no_more_is_settled_in_a_pass_than_leaves_time_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("operations.reconcile.MOST_SETTLED", 2)
    center = SmallCenter()
    award(center.store, PROJECT)
    request = center.start(workers=4)
    center.store.transact(cancel, request, now=center.clock.now())
    passes = [center.reconcile() for _ in range(4)]
    assert [(one.settled, one.postponed) for one in passes] == [(0, 0), (2, 3), (2, 1), (1, 0)]
    assert center.store.read(lambda work: work.requests.get(request)).state is State.ENDED  # type: ignore[union-attr]


def test_what_cannot_be_settled_keeps_no_other_process_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.reconcile.MOST_SETTLED", 2)
    center = SmallCenter()
    award(center.store, PROJECT)
    request = center.start(workers=4)
    forget = center.backend.forget

    def stick(name: str, uid: ProcessUid) -> None:
        if name in stuck:
            raise BackendUnavailableError("Kubernetes refuses")
        forget(name, uid)

    monkeypatch.setattr(center.backend, "forget", stick)
    names = sorted(one.name for one in center.backend.observe().processes)
    stuck = set(names[:2])
    center.store.transact(cancel, request, now=center.clock.now())
    for _ in range(10):
        center.reconcile()
        center.clock.time = Seconds(center.clock.time + 1)
    assert {one.name for one in center.backend.observe().processes} == stuck


def test_the_pause_before_a_worker_is_replaced_grows_with_its_own_deaths() -> None:
    center = SmallCenter()
    award(center.store, PROJECT)
    center.start()
    request = center.store.read(lambda work: work.requests.get(request_id(1)))
    assert request is not None
    pauses = []
    for first, incarnation in ((1, 1), (7, 7), (7, 8), (7, 9), (1, 99)):
        slot = replace(center.slot(1), incarnation=incarnation)

        def die(work: Work, slot: Process = slot, first: int = first) -> None:
            refill(work, replace(request, first_incarnation=first), slot, NO_CHARGES, now=NOW)

        center.store.transact(die)
        pauses.append(center.slot(1).not_before)
    assert pauses == [NOW, NOW, NOW + 1, NOW + 5, NOW + 1800]


def test_no_elastic_worker_is_held_for_from_credit_whose_period_is_over() -> None:
    center = SmallCenter()
    period = Award(
        id=AllocationId("spring"),
        project=ProjectId(PROJECT),
        funding=FundingSource("city"),
        credits=MicroCredits(10**12),
        begins=Seconds(0),
        ends=Seconds(NOW + 400),
    )
    center.store.transact(give, period)
    request = center.start(workers=2)
    center.clock.time = Seconds(NOW + 500)
    center.store.transact(renew_lease, request, 2, DEFAULT_POLICY, now=center.clock.now())
    assert not center.slot(2).wanted
    run_cycle(center.ports, center.follower)
    assert len(center.store.read(lambda work: work.clusters.slots(request))) == 3


def test_every_hour_of_a_process_that_lost_its_slot_is_charged_once() -> None:
    center = SmallCenter(begins=FULL_HOUR - 60)
    award(center.store, PROJECT)
    center.start(walltime_seconds=4 * HOUR)
    worker = next(one for one in center.backend.observe().processes if one.ordinal == 1)
    center.store.transact(accrue, worker, DEFAULT_POLICY, now=Seconds(FULL_HOUR + 5))
    center.store.transact(forget_slot, center.slot(1))
    ended = replace(worker, ended=Seconds(FULL_HOUR + HOUR + 30))
    for _ in range(2):
        center.store.transact(settle, ended, DEFAULT_POLICY, now=Seconds(FULL_HOUR + HOUR + 40))
    assert center.charged() == Usage.of(center.slot(1).shape, 60 + HOUR + 30)


def test_use_on_a_pool_that_is_drained_counts_as_a_part_of_what_is_drained() -> None:
    center = SmallCenter()
    award(center.store, PROJECT)
    center.start()
    whole = cores(8, 64)
    seed(
        center.store,
        a_node(capacity=whole, state=NodeState.DRAINING),
        a_share(CENTER, NOTHING, parent=None, borrowing=whole),
    )
    center.backend.kill(seen(center, 0).name)
    center.clock.time = Seconds(NOW + 100)
    worker = replace(seen(center, 1), ended=center.clock.now())
    center.store.transact(settle, worker, DEFAULT_POLICY, now=center.clock.now())
    used = {day.share: day.ppm_seconds for day in center.follower.catch_up().days.values()}
    assert used == {"vmu": 125_000 * 100, PROJECT: 125_000 * 100}


@pytest.mark.parametrize("state", NodeState)
def test_a_worker_that_dies_comes_back_to_its_node_only_while_that_is_ready(state: NodeState) -> None:
    center = SmallCenter()
    award(center.store, PROJECT)
    center.start(workers=2)
    capacity = cores(8, 64)
    seed(center.store, a_node(capacity=capacity, state=state), a_share(CENTER, capacity, parent=None))
    center.backend.kill(seen(center, 1).name)
    center.reconcile()
    is_back = center.slot(1).incarnation == 2 and center.slot(1).released is None
    assert is_back is (state is NodeState.READY)


def seen(center: SmallCenter, ordinal: int) -> ObservedProcess:
    return next(one for one in center.backend.observe().processes if one.ordinal == ordinal)


def forget_slot(work: Work, slot: Process) -> None:
    assert work.clusters.swap(slot, replace(slot, incarnation=slot.incarnation + 1, uid=None, started=None))


def give(work: Work, period: Award) -> None:
    work.accounts.open(period)
    assert work.accounts.post([grant_entry(period, tags(PROJECT), period.begins)])


def test_how_much_of_their_walltimes_a_persons_latest_clusters_ran_is_remembered() -> None:
    center = SmallCenter()
    award(center.store, PROJECT)
    assert ratios(center) == {}
    for number, seconds in ((1, HOUR // 2), (2, HOUR // 4), (3, HOUR // 10)):
        center.run(number, seconds)
        assert ratios(center)[ALICE].last == seconds * 1000 // HOUR
    assert ratios(center) == {ALICE: RunRatios(person=ALICE, last=100, before=250)}


def test_what_was_cancelled_before_anything_of_it_ran_says_nothing_of_how_long_the_next_will_run() -> None:
    center = SmallCenter()
    award(center.store, PROJECT)
    for number, is_placed in ((1, False), (2, True)):
        draft = a_draft(number, PROJECT)
        center.store.transact(submit, draft, None, DEFAULT_POLICY, now=center.clock.now())
        if is_placed:
            run_cycle(center.ports, center.follower)
        center.store.transact(cancel, draft.id, now=center.clock.now())
        center.reconcile()
        ended = center.store.read(lambda work, request: work.requests.get(request), draft.id)
        assert ended is not None
        assert ended.state is State.ENDED
    assert ratios(center) == {}


def ratios(center: SmallCenter) -> Mapping[PersonId, RunRatios]:
    return center.follower.catch_up().run_ratios
