"""A gang is placed exactly when some assignment of its processes to nodes exists."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quotas.claims import Tree
from quotas.reasons import BeyondLimit
from registry.axes import PLENTY, Axes
from registry.centers import Node, NodeState
from registry.ids import NodeId
from registry.resources import NOTHING, Resources, total
from scheduler.decide import decide
from scheduler.fitting import Gang, Packing, never_fits, place
from scheduler.policy import DEFAULT_POLICY
from scheduler.reasons import BeyondClassShare
from scheduler.requests import Draft, RequestClass
from tests.builders import NOW, POOL, a_draft, a_request, a_share, a_snapshot, facts_of_a_center
from tests.properties.worlds import amounts, nodes


def fits_somehow(draft: Draft, free: dict[NodeId, Resources], places: dict[NodeId, int]) -> bool:
    """Try every assignment: the slow and obvious version."""
    return any(
        all(amount.within(free[node]) for node, amount in taken(draft, nodes).items())
        and all(nodes.count(node) <= places.get(node, len(nodes)) for node in nodes)
        for nodes in product(free, repeat=draft.workers_min + 1)
    )


def taken(draft: Draft, nodes: Iterable[NodeId]) -> dict[NodeId, Resources]:
    shapes: dict[NodeId, Resources] = {}
    for node, shape in zip(nodes, draft.gang(), strict=True):
        shapes[node] = shapes.get(node, NOTHING) + shape
    return shapes


@given(
    st.lists(amounts(), min_size=1, max_size=3),
    st.lists(st.none() | st.integers(0, 4), min_size=3, max_size=3),
    amounts(4),
    amounts(3),
    st.integers(1, 4),
)
def test_a_gang_fits_exactly_when_some_assignment_does(
    free: list[Resources], limits: list[int | None], head: Resources, worker: Resources, least: int
) -> None:
    draft = a_draft(head=head, worker=worker, workers_min=least, workers_max=least)
    nodes = {NodeId(f"n{number}"): amount for number, amount in enumerate(free)}
    places = {node: limit for node, limit in zip(nodes, limits, strict=False) if limit is not None}
    axes, ids = Axes(), sorted(nodes)
    table = np.array([axes.row(nodes[node], places.get(node, PLENTY)) for node in ids], dtype=np.int64)
    packing = place(Gang.of(draft, axes), table)
    assert isinstance(packing, Packing) == fits_somehow(draft, nodes, places)
    if isinstance(packing, Packing):
        where = [ids[packing.head], *(ids[row] for row, count in packing.workers for _ in range(count))]
        assert all(amount.within(nodes[node]) for node, amount in taken(draft, where).items())
        assert all(where.count(node) <= limit for node, limit in places.items())
        assert (packing.taken(Gang.of(draft, axes), table) <= table).all()


@given(nodes(), amounts(2), amounts(3), st.integers(1, 4), st.integers(1, 99), st.integers(0, 8))
def test_what_is_accepted_starts_on_an_idle_center(
    some: list[Node], head: Resources, worker: Resources, least: int, percent: int, eighths: int
) -> None:
    ready = [replace(node, state=NodeState.READY) for node in some]
    rule = replace(DEFAULT_POLICY.classes[RequestClass.COURSE], share_percent=percent)
    policy = replace(DEFAULT_POLICY, classes={**DEFAULT_POLICY.classes, RequestClass.COURSE: rule})
    asked = a_request(request_class=RequestClass.COURSE, head=head, worker=worker, workers_min=least, workers_max=least)
    whole = total(node.capacity for node in ready)
    keeper = a_share("uit", Resources(millicores=whole.millicores * eighths // 8))
    snapshot = a_snapshot([*facts_of_a_center(ready, [asked.project]), keeper, asked], policy)
    path = Tree(snapshot.shares.values()).path(asked.project, POOL)
    never = never_fits(asked, rule, ready, path)
    assert bool(decide(snapshot, NOW).placements) == (not never)
    assert any(isinstance(one, BeyondClassShare) for one in never) == (
        not asked.gang_total().within(rule.share_of(whole))
    )
    kept = asked.gang_total().millicores > whole.millicores - keeper.quota.nominal.millicores
    assert any(isinstance(one, BeyondLimit) for one in never) >= kept
