"""Nodes follow the machines that there are: what one machine after the other would lead to, written as what differs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from operations.facilities import NodePlan, put_node, put_pool, set_node_state
from operations.grounds import differs, follow_machines, tend_once
from operations.ports.grounds import Machine, Tenant
from operations.ports.office import Office
from operations.ports.store import Claim
from operations.reasons import Refused
from quotas.tree import Share
from registry.centers import Node, NodeState, Pool, Tier
from registry.ids import BEGINNING, NodeId, PoolId, ProjectId
from registry.people import EVERYTHING
from registry.resources import NOTHING
from store.transactions import SqlStore
from tests.builders import CENTER, a_share, cores
from tests.databases import SqliteFiles, opened
from tests.seeding import A_POOL, seed

POOLS: Final = ("main", "fog")
NODES: Final = tuple(NodeId(f"n{number}") for number in range(4))
VISION: Final = ProjectId("vmu.vision")


def a_machine(
    node: NodeId, pool: str = "main", *, size: int = 4, places: int = 9, state: NodeState = NodeState.READY
) -> Machine:
    return Machine(id=node, pool=PoolId(pool), tier=Tier.HPC, capacity=cores(size, size), state=state, places=places)


class Grounds:
    """Grounds with these machines."""

    def __init__(self, *machines: Machine) -> None:
        self.here = machines

    def machines(self) -> tuple[Machine, ...]:
        return self.here

    def keep(self, tenants: Sequence[Tenant]) -> None: ...


def one_after_the_other(work: Office, machines: Sequence[Machine]) -> None:
    """Do what `follow_machines` does in the most obvious way, with every node's pools locked and refitted each time."""
    for machine in machines:
        if machine.pool not in {pool.id for pool in work.facilities.pools()}:
            put_pool(work, Pool(id=machine.pool, center=CENTER, tier=machine.tier, name=machine.pool))
        plan = NodePlan(id=machine.id, pool=machine.pool, capacity=machine.capacity, places=machine.places)
        state = machine.state
        if isinstance(put_node(work, plan), Refused):
            found = work.nodes.get(machine.id)
            assert found is not None
            put_node(work, replace(plan, pool=found.pool))
            state = state if state is NodeState.LOST else NodeState.DRAINING
        set_node_state(work, machine.id, state)
    for node in nodes_of(work):
        if node.id not in {machine.id for machine in machines}:
            set_node_state(work, node.id, NodeState.LOST)


def nodes_of(work: Office) -> tuple[Node, ...]:
    return work.nodes.page(pool=None, after="", limit=100)


All = tuple[tuple[Pool, ...], tuple[Node, ...], tuple[Share, ...]]


def all_of(work: Office) -> All:
    shares = (one.share for one in work.shares.page(EVERYTHING, pool=None, after="", limit=100))
    return work.facilities.pools(), nodes_of(work), tuple(shares)


def occupy(work: Office, nodes: Sequence[NodeId]) -> list[Claim]:
    """Let something run on some nodes of the first pool, as far as they are there and ready; return what was taken."""
    claims = [
        Claim(project=VISION, pool=node.pool, nodes=((node.id, cores(1, 1)),))
        for node in work.capacity.nodes(A_POOL.id)
        if node.id in nodes and cores(1, 1).within(node.free)
    ]
    assert [work.capacity.take(claim) for claim in claims] == [None] * len(claims)
    return claims


def vacate(work: Office, claims: Sequence[Claim]) -> None:
    for claim in claims:
        work.capacity.give_back(claim)


def found(store: SqlStore) -> None:
    whole = cores(100, 100)
    quotas = (a_share("vmu", NOTHING, borrowing=whole), a_share(VISION, NOTHING, parent="vmu", borrowing=whole))
    seed(store, A_POOL, a_share(CENTER, NOTHING, parent=None), *quotas)


def machines() -> st.SearchStrategy[list[Machine]]:
    one = st.builds(
        a_machine,
        st.sampled_from(NODES),
        st.sampled_from(POOLS),
        size=st.integers(2, 4),
        places=st.integers(1, 3),
        state=st.sampled_from(NodeState),
    )
    return st.lists(one, max_size=len(NODES), unique_by=lambda machine: machine.id)


Round = tuple[list[Machine], list[NodeId], bool]
ROUNDS: Final = st.lists(
    st.tuples(machines(), st.lists(st.sampled_from(NODES), unique=True), st.booleans()), min_size=1, max_size=3
)


def outcome(files: SqliteFiles, rounds: Sequence[Round], follow: Callable[[SqlStore, list[Machine]], object]) -> All:
    """Return what is in a store that followed some machines, round by round, while work came and went."""
    with files.fresh() as url, opened(url) as store:
        found(store)
        for here, busy, over in rounds:
            follow(store, here)
            claims = store.transact(occupy, busy)
            if over:
                store.transact(vacate, claims)
        follow(store, rounds[-1][0])
        return store.read(all_of)


@settings(max_examples=40)
@given(rounds=ROUNDS)
def test_what_differs_leads_where_one_machine_after_the_other_does(
    sqlite_files: SqliteFiles, rounds: list[Round]
) -> None:
    def at_once(store: SqlStore, here: list[Machine]) -> None:
        tend_once(store, Grounds(*here))
        assert not store.read(differs, here), "it is done"

    def slowly(store: SqlStore, here: list[Machine]) -> None:
        store.transact(one_after_the_other, here)

    assert outcome(sqlite_files, rounds, at_once) == outcome(sqlite_files, rounds, slowly)


def test_of_many_machines_only_the_node_that_differs_is_written(sql_store: SqlStore) -> None:
    found(sql_store)
    here = [a_machine(node) for node in NODES]
    tend_once(sql_store, Grounds(*here))
    since = sql_store.facts(BEGINNING).mark
    sql_store.transact(follow_machines, [replace(here[0], places=3), *here[1:]])
    written = {fact.id for fact in sql_store.facts(since).facts if isinstance(fact, Node)}
    assert written == {NODES[0]}


def test_a_busy_node_that_is_to_move_is_emptied_first_and_that_is_said_once(sql_store: SqlStore) -> None:
    found(sql_store)
    tend_once(sql_store, Grounds(a_machine(NODES[0])))
    claims = sql_store.transact(occupy, [NODES[0]])
    moved = Grounds(a_machine(NODES[0], "fog"))
    with capture_logs() as logs:
        for _ in range(2):
            tend_once(sql_store, moved)
    assert [(one["node"], one["pool"], one["to"]) for one in logs] == [("n0", "main", "fog")]
    assert [(node.pool, node.state) for node in sql_store.read(nodes_of)] == [("main", NodeState.DRAINING)]
    sql_store.transact(vacate, claims)
    tend_once(sql_store, moved)
    assert [(node.pool, node.state) for node in sql_store.read(nodes_of)] == [("fog", NodeState.READY)]
