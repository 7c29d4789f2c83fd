"""What holds for every cycle of every center."""

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quotas.claims import Tree, claimable, withheld
from quotas.tree import Share
from registry.centers import NodeState
from registry.ids import ProjectId, Seconds, ShareId
from registry.resources import NOTHING
from scheduler.decide import answer, decide, is_answered
from scheduler.explain import explain
from scheduler.facts import DayOfUse, Fact
from scheduler.ordering import Standings
from scheduler.policy import DAY, DEFAULT_POLICY
from scheduler.promising import Decided, keep_promises, promise_latest_starts, promise_next_in_line
from scheduler.requests import Request, State
from scheduler.snapshot import Snapshot
from tests.builders import (
    CENTER,
    NOW,
    POOL,
    a_node,
    a_rate_card,
    a_request,
    a_share,
    a_snapshot,
    an_allocation,
    cores,
    facts_of_a_center,
    request_id,
)
from tests.properties.worlds import PROJECTS, applied, facts, overfull, snapshots, started_when


@given(snapshots())
def test_no_plan_overfills_a_node_or_a_share(snapshot: Snapshot) -> None:
    assert not list(overfull(applied(snapshot, decide(snapshot, NOW), NOW)))


@given(snapshots())
def test_what_siblings_keep_for_themselves_stays_free(snapshot: Snapshot) -> None:
    after = applied(snapshot, decide(snapshot, NOW), NOW)
    tree = Tree(after.shares.values())
    for project in PROJECTS:
        for parent, child in pairwise(tree.path(ProjectId(project), POOL)):
            assert child.kept_by_siblings.within(parent.share.limit - parent.share.granted)


@given(st.integers(1, 8), st.integers(1, 8))
def test_each_institution_can_use_its_part_of_what_is_left_when_nodes_are_lost(left: int, lost: int) -> None:
    both = ("vmu.vision", "uit.bio")
    center = facts_of_a_center([a_node(capacity=cores(left, 32))], both, cores((left + lost) / 2, 16))
    part = cores(left / 4, 8)
    queue = [a_request(number, both[number - 1], head=part, worker=part, workers_min=1) for number in (1, 2)]
    assert len(decide(a_snapshot([*center, *queue]), NOW).placements) == len(both)


@given(st.integers(1, 4), st.sampled_from([state for state in NodeState if state is not NodeState.READY]))
def test_a_node_that_is_not_ready_is_no_room_for_what_others_keep(quarter: int, state: NodeState) -> None:
    half, both = cores(4 * quarter, 8), ("vmu.vision", "uit.bio")
    nodes = [a_node("n1", cores(4 * quarter, 8)), a_node("n2", half, state=state)]
    greedy = a_request(1, both[0], head=cores(4 * quarter - 0.5, 7), worker=cores(0.5, 1), workers_min=1)
    modest = a_request(2, both[1], head=cores(quarter, 1), worker=cores(quarter, 1), workers_min=1)
    plan = decide(a_snapshot([*facts_of_a_center(nodes, both, half), greedy, modest]), NOW)
    assert [placement.request.id for placement in plan.placements] == [modest.id]


@given(st.integers(1, 8))
def test_projects_share_what_is_left_to_their_institution(left: int) -> None:
    """Half of the nodes are lost: each institution has half of its own left, and each of its projects half of that."""
    projects = ("vmu.vision", "vmu.nlp", "uit.bio")
    whole, own = cores(2 * left, 64), cores(left, 32)
    center = [
        a_node(capacity=cores(left, 32)),
        a_rate_card(),
        a_share(CENTER, cores(left, 32), parent=None),
        *(a_share(one, own) for one in ("vmu", "uit")),
        *(a_share(one, cores(left / 2, 16), parent="vmu") for one in projects[:2]),
        a_share("uit.bio", own, parent="uit"),
        *(an_allocation(one) for one in projects),
    ]
    tree = Tree(fact for fact in center if isinstance(fact, Share))
    parts = [claimable(tree.path(ProjectId(one), POOL)).millicores for one in projects]
    assert parts == [left * 250, left * 250, left * 500], whole


def decided_one_by_one(snapshot: Snapshot) -> Decided:
    """Decide the slow and obvious way: rank all anew before each turn, ask each alone what stops it."""
    decided = Decided.nothing_yet(snapshot, NOW)
    keep_promises(decided)
    promise_latest_starts(decided)
    apart = {one.request.id for one in decided.placements} | decided.waits_for.keys() - decided.latest.keys()
    rows = {snapshot.arrays.queue.row(one.id) for one in snapshot.pending() if one.id not in apart}
    while rows:
        row = min(rows, key=decided.standings.place)
        rows.remove(row)
        request = snapshot.requests[snapshot.arrays.queue.key(row)]
        if request.id in decided.latest or not decided.reclaims.stopped(np.array([row]))[0]:
            is_answered(decided, request)
    promise_next_in_line(decided)
    return decided


@given(snapshots())
def test_what_is_decided_for_many_at_once_is_what_each_in_turn_would_get(snapshot: Snapshot) -> None:
    twins = [replace(one, id=request_id(1000 + number)) for number, one in enumerate(snapshot.pending())]
    crowd = snapshot.with_facts(twins)
    decided, slowly = answer(crowd, NOW), decided_one_by_one(crowd)
    assert decided.placements == slowly.placements
    assert decided.promises == slowly.promises


@given(facts(), st.integers(0, 20))
def test_a_snapshot_that_was_followed_is_the_same_as_one_that_is_made_anew(some: list[Fact], cut: int) -> None:
    """Whatever came first, and however often things changed meanwhile."""
    once = decide(a_snapshot(some), NOW)
    changing = [replace(one, reasons=("nodes-full",)) for one in some if isinstance(one, Request)]
    followed = a_snapshot(some[cut:]).with_facts(changing).with_facts(some[:cut]).with_facts(some)
    assert followed == a_snapshot(some)
    assert decide(followed, NOW) == once
    rebuilt = Snapshot(policy=followed.policy).with_facts(followed.facts())
    assert rebuilt == followed
    assert decide(rebuilt, NOW) == once


@given(snapshots())
def test_the_tree_in_arrays_allows_what_the_tree_of_shares_does(snapshot: Snapshot) -> None:
    after = applied(snapshot, decide(snapshot, NOW), NOW)
    grants, tree = after.arrays.grants(), Tree(after.shares.values())
    for request in snapshot.pending():
        path, amount = tree.path(request.project, POOL), request.gang_total()
        row, axes = grants.row(request.project, POOL), after.arrays.axes
        assert axes.amount(grants.claimable(row)) == claimable(path)
        assert axes.amount(grants.claimable_by_all()[row]) == claimable(path)
        found = grants.withheld(np.array([row]), np.array([axes.row(amount)]))
        assert bool(found[0]) == bool(withheld(path, amount))
        if found[0]:
            assert grants.reasons(after.arrays.shares, row, np.array(axes.row(amount))) == withheld(path, amount)


@given(facts(), st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_the_order_of_the_facts(some: list[Fact], chance: random.Random) -> None:
    shuffled = list(some)
    chance.shuffle(shuffled)
    assert decide(a_snapshot(shuffled), NOW) == decide(a_snapshot(some), NOW)


@given(
    st.lists(st.integers(1, 10**12), min_size=2, max_size=40), st.integers(0, 10**6), st.randoms(use_true_random=False)
)
def test_the_standing_of_a_share_does_not_depend_on_the_order_of_its_days(
    uses: list[int], since: int, chance: random.Random
) -> None:
    today, share = NOW // DAY, ShareId("vmu")
    days = [DayOfUse(share=share, pool=POOL, day=today - n, ppm_seconds=use) for n, use in enumerate(uses)]
    center = facts_of_a_center([a_node()], ["vmu.vision"], cores(1, 4))
    shuffled = list(days)
    chance.shuffle(shuffled)
    now = Seconds(NOW + since)
    factors = {Standings(a_snapshot([*center, *some]), now).factor(share, POOL) for some in (days, shuffled)}
    assert len(factors) == 1


@given(snapshots())
def test_every_pending_request_has_one_answer(snapshot: Snapshot) -> None:
    plan = decide(snapshot, NOW)
    answered = [placement.request.id for placement in plan.placements]
    answered += [request for wait in plan.waits for request in wait.requests]
    assert sorted(answered) == sorted(request.id for request in snapshot.pending())


@given(snapshots())
def test_a_second_cycle_on_the_same_state_has_nothing_to_say(snapshot: Snapshot) -> None:
    after = applied(snapshot, decide(snapshot, NOW), NOW)
    again = decide(after, NOW)
    assert not again.placements
    assert not again.growths


@given(snapshots())
def test_what_is_explained_is_what_is_decided(snapshot: Snapshot) -> None:
    plan = decide(snapshot, NOW)
    waits = {request: wait.codes for wait in plan.waits for request in wait.requests}
    for request in snapshot.pending():
        explanation = explain(snapshot, request.id, NOW)
        assert explanation is not None
        codes = tuple(dict.fromkeys(reason.code for reason in explanation.reasons))
        assert codes == waits.get(request.id, ())


@given(snapshots(), st.integers(0, 4))
def test_a_cluster_never_grows_beyond_what_was_wanted(snapshot: Snapshot, more: int) -> None:
    running = applied(snapshot, decide(snapshot, NOW), NOW)
    wanting = running.with_facts(
        replace(cluster.request, workers_wanted=min(cluster.request.workers_min + more, cluster.request.workers_max))
        for cluster in running.clusters()
    )
    after = applied(wanting, decide(wanting, NOW), NOW)
    assert not list(overfull(after))
    for cluster in after.clusters():
        assert len(cluster.workers) <= cluster.request.workers_wanted


@given(snapshots(replace(DEFAULT_POLICY, reservations=2)))
def test_a_protected_start_is_kept_when_all_run_to_their_deadlines(snapshot: Snapshot) -> None:
    running = applied(snapshot, decide(snapshot, NOW), NOW)
    promised = {request.id: request.promise.starts for request in running.pending() if request.promise}
    started = started_when(running, NOW)
    for request, latest in promised.items():
        assert started[request] <= latest


@given(snapshots())
def test_what_a_path_can_claim_never_exceeds_what_any_share_on_it_has_left(snapshot: Snapshot) -> None:
    tree = Tree(snapshot.shares.values())
    for request in snapshot.pending():
        path = tree.path(request.project, POOL)
        for level in path:
            left = (level.share.limit - level.share.granted).most(NOTHING)
            assert claimable(path).within(left)


@given(snapshots())
def test_only_pending_requests_are_placed_and_only_once(snapshot: Snapshot) -> None:
    placed = [placement.request for placement in decide(snapshot, NOW).placements]
    assert all(request.state is State.PENDING for request in placed)
    assert len({request.id for request in placed}) == len(placed)
