"""The real loops on the memory store and a simulated world: whatever happens in whatever order, the sums hold."""

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from backends.authority import ClusterAuthority
from backends.simulated import SimulatedBackend
from operations.cycle import run_cycle
from operations.extending import extend
from operations.follower import Follower
from operations.ports import Ports
from operations.ports.backend import BackendUnavailableError, Credentials, Leaf
from operations.ports.store import Work
from operations.reasons import Refused
from operations.reconcile import _changes, desired_clusters, reconcile_once
from operations.requests import cancel, hold, release, scale, submit
from operations.resting import moving
from quotas.ledger import ABSORBED, INCOME, EntryKind, Usage
from quotas.rates import price
from registry.ids import RequestId, Seconds, ShareId
from registry.resources import Resources, total
from scheduler.clusters import Process
from scheduler.diff import diff
from scheduler.observed import HeadClaim
from scheduler.policy import DEFAULT_POLICY
from scheduler.requests import Request, State
from scheduler.snapshot import Snapshot
from scheduler.troubles import Trouble
from server.ids import RandomIds
from store.memory import MemoryStore
from tests.builders import NOW, a_draft, a_node, a_rule, cores, facts_of_a_center
from tests.seeding import A_POOL, AN_ENVIRONMENT, a_project, award, seed

PROJECTS = ("vmu.vision", "uit.bio")
NODES = (a_node("n1", cores(6, 24)), a_node("n2", cores(4, 16)))
WORKERS = st.integers(1, 4)
A_LEAF = Leaf(certificate="certificate", key="key")


class SteppedClock:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> Seconds:
        return self.time


class QuickAuthority(ClusterAuthority):
    """Credentials that nobody checks: certificates are another test's matter."""

    def issue(self, request: RequestId, *, now: Seconds, until: Seconds) -> Credentials:
        return Credentials(authority=f"{request} {now} {until}", leaves={"head": A_LEAF}, token="token")


class Loops(RuleBasedStateMachine):
    """People, failures and time act at random between steps of the loops."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = SteppedClock()
        self.backend = SimulatedBackend(self.clock)
        self.store = MemoryStore()
        self.ports: Ports[Work] = Ports(
            store=self.store, backend=self.backend, authority=QuickAuthority(), clock=self.clock, ids=RandomIds()
        )
        self.follower = Follower(self.store, DEFAULT_POLICY)
        self.requests: list[RequestId] = []

    @initialize(credit=st.sampled_from([10**12, 3 * 10**6]))
    def found(self, credit: int) -> None:
        facts = facts_of_a_center(NODES, PROJECTS, cores(5, 20), borrowing=cores(3, 12))
        things = [fact for fact in facts if not hasattr(fact, "available")]
        seed(self.store, A_POOL, AN_ENVIRONMENT, *(a_project(name) for name in PROJECTS), *things)  # type: ignore[arg-type]
        for name in PROJECTS:
            award(self.store, name, credit)
        for name in PROJECTS:
            self.submit(name, 2, 2, 7200)

    @rule(
        project=st.sampled_from(PROJECTS), least=WORKERS, more=st.integers(0, 3), walltime=st.sampled_from([60, 7200])
    )
    def submit(self, project: str, least: int, more: int, walltime: int) -> None:
        draft = a_draft(
            len(self.requests) + 1, project, workers_min=least, workers_max=least + more, walltime_seconds=walltime
        )
        if not isinstance(self.store.transact(submit, draft, None, DEFAULT_POLICY, now=self.clock.now()), Refused):
            self.requests.append(draft.id)

    @precondition(lambda self: self.requests)
    @rule(
        chance=st.randoms(use_true_random=False), what=st.sampled_from([cancel, hold, release, scale]), workers=WORKERS
    )
    def act(self, chance: object, what: object, workers: int) -> None:
        request = chance.choice(self.requests)  # type: ignore[attr-defined]
        if what is scale:
            self.store.transact(scale, request, workers, DEFAULT_POLICY, now=self.clock.now())
        elif what is cancel:
            self.store.transact(cancel, request, now=self.clock.now())
        else:
            self.store.transact(what, request, by_operator=False, now=self.clock.now())  # type: ignore[arg-type]

    @precondition(lambda self: self.requests)
    @rule(chance=st.randoms(use_true_random=False), seconds=st.sampled_from([1, 600, 7200, 700_000]))
    def extend(self, chance: object, seconds: int) -> None:
        request = chance.choice(self.requests)  # type: ignore[attr-defined]
        self.store.transact(extend, request, seconds, self.follower.look(), now=self.clock.now())

    @rule(seconds=st.sampled_from([1, 30, 400, 3600, 9000]))
    def wait(self, seconds: int) -> None:
        self.clock.time = Seconds(self.clock.time + seconds)

    @rule(chance=st.randoms(use_true_random=False))
    def kill_a_process(self, chance: object) -> None:
        self.backend.cut_off(reachable=True)
        names = [process.name for process in self.backend.observe().processes]
        if names:
            self.backend.kill(chance.choice(names))  # type: ignore[attr-defined]

    @precondition(lambda self: self.requests)
    @rule(chance=st.randoms(use_true_random=False))
    def stand_idle(self, chance: object) -> None:
        claim = HeadClaim(desired_workers=0, idle_since=self.clock.now(), clients=0, tasks=0, workers=())
        self.backend.claim(chance.choice(self.requests), claim)  # type: ignore[attr-defined]

    @rule()
    def cut_off(self) -> None:
        self.backend.cut_off()

    @rule(trouble=st.sampled_from([None, None, *Trouble]))
    def hinder(self, trouble: Trouble | None) -> None:
        self.backend.hinder(trouble)

    @rule()
    def start_again(self) -> None:
        """A killed server remembers nothing but the store."""
        self.follower = Follower(self.store, DEFAULT_POLICY)

    @rule(seconds=st.sampled_from([0, 1, 60]))
    def pass_by(self, seconds: int) -> None:
        """What a quiet center does most of the time."""
        self.clock.time = Seconds(self.clock.time + seconds)
        self.cycle()
        self.reconcile()
        self.reconcile()

    @rule()
    def cycle(self) -> None:
        applied = run_cycle(self.ports, self.follower)
        assert not applied.turned_away, "alone, a plan meets the state that it was made from"

    @rule()
    def reconcile(self) -> None:
        try:
            reconcile_once(self.ports, DEFAULT_POLICY)
        except BackendUnavailableError:
            self.backend.cut_off(reachable=True)

    @invariant()
    def what_is_granted_is_what_slots_hold(self) -> None:
        snapshot = self.current()
        slots = [(snapshot.requests[one.request], one) for one in unreleased(snapshot)]
        for node in snapshot.nodes.values():
            assert node.granted == total(slot.shape for _, slot in slots if slot.node == node.id)
            assert node.granted.within(node.capacity)
        for share in snapshot.shares.values():
            mine = [slot.shape for request, slot in slots if is_under(request, share.id, root=share.parent is None)]
            assert share.granted == total(mine)
            assert share.granted.within(share.ceiling)

    @invariant()
    def every_account_agrees_with_the_slots_and_all_sum_to_zero(self) -> None:
        snapshot = self.current()
        assert sum(amount for _, amount in self.store.balances()) == 0
        for allocation in snapshot.allocations.values():
            held = [
                one.hold for one in unreleased(snapshot) if snapshot.requests[one.request].allocation == allocation.id
            ]
            assert allocation.held == sum(held)
            assert allocation.available >= 0

    @invariant()
    def a_request_that_has_ended_has_nothing_left(self) -> None:
        for request in self.requests:
            found, slots = self.store.read(everything_about, request)
            if found.state is State.ENDED:
                assert all(slot.released is not None and slot.hold == 0 for slot in slots)

    @invariant()
    def who_rests_needs_nothing(self) -> None:
        """What a pass leaves out at a glance has neither steps nor changes, looked at with care."""
        with suppress(BackendUnavailableError):
            now, desired, observed = self.clock.now(), self.store.read(desired_clusters), self.backend.observe()
            restless = moving(desired, observed, DEFAULT_POLICY, now)
            whole, rest = (desired, observed), (restless.clusters, restless.observed)
            assert diff(*rest, DEFAULT_POLICY, now) == diff(*whole, DEFAULT_POLICY, now)
            left, everything = (
                [change.request for change in _changes(*some, DEFAULT_POLICY, now)] for some in (rest, whole)
            )
            assert left == everything

    def teardown(self) -> None:
        """Everything can be ended, and then every second of every process was charged once."""
        self.backend.cut_off(reachable=True)
        for request in self.requests:
            self.store.transact(cancel, request, now=self.clock.now())
        for _ in range(4):
            self.clock.time = Seconds(self.clock.time + 1)
            reconcile_once(self.ports, DEFAULT_POLICY)
        assert not self.backend.observe().processes
        assert not self.current().requests
        self.every_account_agrees_with_the_slots_and_all_sum_to_zero()
        self.every_life_was_charged_once()

    def every_life_was_charged_once(self) -> None:
        charges = [entry for entry in self.store.entries() if entry.kind is EntryKind.CHARGE]
        lived = self.backend.lives
        for uid, life in lived.items():
            mine = [entry for entry in charges if f":{uid}:" in entry.key]
            assert life.ended is not None
            shape = self.shape(life.request, life.ordinal)
            seconds = 0 if life.started is None else life.ended - life.started
            assert sum((entry.usage for entry in mine), Usage()) == Usage.of(shape, seconds)
            assert sum(entry.amount for entry in mine) == price(a_rule(), shape, seconds * 1000)
            assert all(entry.target == INCOME for entry in mine)
            assert all(entry.source == ABSORBED for entry in mine if entry.key.startswith("absorb"))
        assert all(entry.key.split(":")[1] in lived for entry in charges)

    def shape(self, request: RequestId, ordinal: int) -> Resources:
        slots = self.store.read(lambda work: work.clusters.slots(request))
        return next(slot.shape for slot in slots if slot.ordinal == ordinal)

    def current(self) -> Snapshot:
        return Follower(self.store, DEFAULT_POLICY).catch_up()


def everything_about(work: Work, request: RequestId) -> tuple[Request, tuple[Process, ...]]:
    found = work.requests.get(request)
    assert found is not None
    return found, work.clusters.slots(request)


def unreleased(snapshot: Snapshot) -> list[Process]:
    return [slot for slots in snapshot.processes.values() for slot in slots.values()]


def is_under(request: Request, share: ShareId, *, root: bool) -> bool:
    return root or share in {ShareId(request.project), ShareId(request.institution)}


TestLoops = Loops.TestCase
TestLoops.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
