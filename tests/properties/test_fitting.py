"""A gang is placed exactly when some assignment of its processes to nodes exists."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from registry.ids import NodeId
from registry.resources import Resources
from scheduler.fitting import Packing, place
from scheduler.requests import Draft
from tests.builders import a_draft
from tests.properties.worlds import amounts


def fits_somehow(draft: Draft, free: dict[NodeId, Resources]) -> bool:
    """Try every assignment: the slow and obvious version."""
    return any(
        all(amount.within(free[node]) for node, amount in taken(draft, nodes).items())
        for nodes in product(free, repeat=draft.workers_min + 1)
    )


def taken(draft: Draft, nodes: tuple[NodeId, ...]) -> dict[NodeId, Resources]:
    return Packing(head=nodes[0], workers=nodes[1:]).by_node(draft)


@given(st.lists(amounts(), min_size=1, max_size=3), amounts(4), amounts(3), st.integers(1, 4))
def test_a_gang_fits_exactly_when_some_assignment_does(
    free: list[Resources], head: Resources, worker: Resources, least: int
) -> None:
    draft = a_draft(head=head, worker=worker, workers_min=least, workers_max=least)
    nodes = {NodeId(f"n{number}"): amount for number, amount in enumerate(free)}
    packing = place(draft, nodes)
    assert isinstance(packing, Packing) == fits_somehow(draft, nodes)
    if isinstance(packing, Packing):
        assert all(amount.within(nodes[node]) for node, amount in packing.by_node(draft).items())
