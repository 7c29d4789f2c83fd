"""What holds while elastic workers come and go: room, quotas, guarantees, claims, and when owners have theirs back."""

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from registry.ids import InstitutionId, Seconds, ShareId
from registry.resources import NOTHING, Resources, total
from scheduler.clearing import Bidders, cleared
from scheduler.clusters import Part, Process
from scheduler.decide import decide
from scheduler.fitting import Gang, Packing, place
from scheduler.plan import Claim, Plan
from scheduler.policy import DEFAULT_POLICY, HOUR
from scheduler.requests import End, Request, State
from scheduler.scaling import WHOLE_FRACTION
from scheduler.snapshot import Snapshot
from tests.builders import NOW, POOL, a_node, a_request, a_snapshot, cores, facts_of_a_center
from tests.properties.worlds import PROJECTS, applied, ended, left, overfull

NOTICE, SLACK = DEFAULT_POLICY.notice_seconds, DEFAULT_POLICY.termination_slack_seconds


@st.composite
def centers(draw: st.DrawFn) -> Snapshot:
    """Return a center of equal nodes whose institutions own equal parts of it and lend each other all that is idle."""
    count, size = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    nodes = [a_node(f"n{number}", cores(size, size)) for number in range(count)]
    whole, part = cores(count * size, count * size), cores(count * size / 2, count * size / 2)
    return a_snapshot(facts_of_a_center(nodes, PROJECTS, part, borrowing=whole))


@st.composite
def arrivals(draw: st.DrawFn, most: int = 8) -> list[tuple[int, Request]]:
    """Return what is asked for and how long after the one before: each wants all the workers that it may have."""
    asked: list[tuple[int, Request]] = []
    for number in range(1, draw(st.integers(1, most)) + 1):
        least = draw(st.integers(1, 4))
        request = a_request(
            number,
            draw(st.sampled_from(PROJECTS)),
            head=cores(0.1),
            worker=cores(draw(st.sampled_from([0.9, 0.9, 1.9])), 1),
            workers_min=least,
            workers_max=least + draw(st.integers(0, 8)),
            walltime_seconds=draw(st.sampled_from([20, 600, 3600])),
            parallel_fraction=draw(st.sampled_from([None, 500, 1000])),
        )
        asked.append((draw(st.integers(0, 90)), replace(request, workers_wanted=request.workers_max)))
    return asked


def histories(
    snapshot: Snapshot, asked: list[tuple[int, Request]]
) -> Iterator[tuple[Snapshot, Plan, Snapshot, Seconds]]:
    """Yield each cycle of a small world: what was before it, what it decided, what is after it, and when it was."""
    now, coming = NOW, list(asked)
    arrives = now
    for _ in range(200):
        while coming and arrives + coming[0][0] <= now:
            arrives = Seconds(arrives + coming[0][0])
            snapshot = snapshot.with_facts([replace(coming.pop(0)[1], submitted=now)])
        for cluster in snapshot.clusters():
            if cluster.request.deadline is not None and cluster.request.deadline <= now:
                snapshot = ended(snapshot, cluster.request, now)
        snapshot = left(snapshot, now)
        plan = decide(snapshot, now)
        after = applied(snapshot, plan, now)
        yield snapshot, plan, after, now
        if plan.placements or plan.growths or plan.shrinks:
            snapshot = after
            continue
        moments = [one.request.deadline for one in after.clusters() if one.request.deadline is not None]
        moments += [one.stop_by for cluster in after.clusters() for one in cluster.processes if one.stop_by is not None]
        moments += [Seconds(arrives + coming[0][0])] if coming else []
        if not moments:
            return
        snapshot, now = after, Seconds(max(now + 1, min(moments)))


@settings(max_examples=60)
@given(centers(), arrivals())
def test_nothing_is_overfull_and_nobody_has_less_than_is_guaranteed(
    center: Snapshot, asked: list[tuple[int, Request]]
) -> None:
    for _, plan, after, _ in histories(center, asked):
        assert not list(overfull(after))
        for cluster in after.clusters():
            assert sum(one.wanted for one in cluster.workers) >= cluster.request.workers_min
            assert sum(one.wanted for one in cluster.workers) <= cluster.request.workers_max
        assert all(slot.part is Part.ELASTIC for shrink in plan.shrinks for slot in shrink.processes)


@settings(max_examples=60)
@given(centers(), arrivals())
def test_a_weaker_claim_takes_nothing_of_a_stronger_one(center: Snapshot, asked: list[tuple[int, Request]]) -> None:
    for before, plan, after, _ in histories(center, asked):
        for shrink in plan.shrinks:
            own = shrink.request.institution
            if shrink.by == (own,) or shrink.claim is Claim.GUARANTEED:
                continue
            # All but the last that went was borrowed for sure, so with that one its institution held more than its own.
            stays = held(after, own) + shrink.processes[0].shape
            nominal = before.shares[ShareId(own), POOL].quota.nominal
            assert not stays.within(nominal), shrink


def held(snapshot: Snapshot, institution: InstitutionId) -> Resources:
    """Return what an institution holds without what was told to leave."""
    clusters = (cluster for cluster in snapshot.clusters() if cluster.request.institution == institution)
    return total(slot.shape for cluster in clusters for slot in cluster.processes if slot.wanted)


@settings(max_examples=100)
@given(centers(), arrivals(4), st.integers(1, 3), st.sampled_from(PROJECTS))
def test_an_owner_has_its_own_back_when_a_notice_is_over(
    center: Snapshot, asked: list[tuple[int, Request]], least: int, project: str
) -> None:
    """Whatever fits into its nominal quota, and where elastic workers are, starts as soon as those have left."""
    full = settled(center, [replace(one, walltime_seconds=3600) for _, one in asked])
    owner = a_request(99, project, head=cores(0.1), worker=cores(0.9, 1), workers_min=least, workers_max=least)
    guaranteed = total(slot.shape for slot in processes_of(full, owner) if slot.part is not Part.ELASTIC)
    within = (guaranteed + owner.gang_total()).within(full.shares[ShareId(owner.institution), POOL].quota.nominal)
    waiting = full.with_facts([owner])
    plan = decide(waiting, NOW)
    if not within or not fits_without_elastic(full, owner) or plan.placements:
        assert within or plan.placements or not any(shrink.claim is Claim.GUARANTEED for shrink in plan.shrinks)
        return
    event("had back")
    assert [change.promise and change.promise.starts for change in plan.promises] == [NOW + NOTICE + SLACK]
    then = Seconds(NOW + NOTICE)
    later = left(applied(waiting, plan, NOW), then)
    assert [one.request.id for one in decide(later, then).placements] == [owner.id]


def settled(snapshot: Snapshot, asked: list[Request]) -> Snapshot:
    """Return a center in which all of these run that fit, with all the elastic workers that there is room for."""
    for request in asked:
        snapshot = snapshot.with_facts([request])
        snapshot = applied(snapshot, decide(snapshot, NOW), NOW)
        over = [replace(one, state=State.ENDED, end=End.CANCELLED, ended=NOW) for one in snapshot.pending()]
        snapshot = snapshot.with_facts(over)
        snapshot = left(snapshot, Seconds(NOW + NOTICE))
    while plan := decide(snapshot, NOW):
        snapshot = applied(snapshot, plan, NOW)
    return snapshot


def processes_of(snapshot: Snapshot, request: Request) -> list[Process]:
    return [
        slot
        for cluster in snapshot.clusters()
        if cluster.request.institution == request.institution
        for slot in cluster.processes
    ]


def fits_without_elastic(snapshot: Snapshot, request: Request) -> bool:
    axes = snapshot.arrays.axes
    back = dict.fromkeys(snapshot.nodes, NOTHING)
    for cluster in snapshot.clusters():
        for slot in cluster.processes:
            if slot.part is Part.ELASTIC and slot.wanted:
                back[slot.node] += slot.shape
    free = np.array([axes.row(node.free + back[node.id], 99) for node in snapshot.nodes.values()])
    return isinstance(place(Gang.of(request, axes), free), Packing)


@settings(max_examples=40)
@given(centers(), arrivals(5), st.randoms(use_true_random=False))
def test_what_is_decided_does_not_depend_on_the_order_of_the_facts(
    center: Snapshot, asked: list[tuple[int, Request]], chance: random.Random
) -> None:
    for before, plan, _, now in histories(center, asked):
        facts = list(before.facts())
        chance.shuffle(facts)
        anew = a_snapshot(facts)
        assert decide(replace(anew, freed=before.freed), now) == plan


@settings(max_examples=40)
@given(centers(), arrivals(5))
def test_workers_that_pass_on_come_to_rest(center: Snapshot, asked: list[tuple[int, Request]]) -> None:
    """Where nobody comes or goes, nobody is told to leave for ever: with each notice the sizes are those that stay."""
    wanting = [replace(one, walltime_seconds=10 * HOUR, parallel_fraction=WHOLE_FRACTION) for _, one in asked]
    snapshot, now = settled(center, wanting), NOW
    for _ in range(len(asked) + 2):
        while (plan := decide(snapshot, now)).growths or plan.shrinks:
            snapshot = applied(snapshot, plan, now)
        now = Seconds(now + NOTICE)
        snapshot = left(snapshot, now)
    assert not decide(snapshot, now).shrinks


BIDS = st.tuples(st.integers(0, 1000), st.integers(1, 4), st.integers(0, 12), st.sampled_from([1.0, 1.0, 2.5]))


@given(st.lists(BIDS, min_size=1, max_size=8), st.floats(0, 60))
def test_a_price_uses_up_what_there_is_and_leaves_everybody_their_least(
    bids: list[tuple[int, int, int, float]], budget: float
) -> None:
    fraction, least, more, weight = (np.array(column) for column in zip(*bids, strict=True))
    bidders = Bidders(fraction=fraction / 1000, weight=weight, least=least, most=least + more)
    sizes = cleared(bidders, budget)
    assert (sizes >= least).all()
    assert (sizes <= least + more).all()
    if bidders.takes(least) <= budget:
        rest, hungry = budget - bidders.takes(sizes), (sizes < least + more) & (fraction > 0)
        assert rest >= -1e-6
        assert not hungry.any() or rest < weight[hungry].sum() + 1e-6
