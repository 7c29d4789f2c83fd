"""Capacity is taken by conditional updates alone, and what it says when it refuses is true."""

from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import Table, update
from sqlalchemy.exc import DBAPIError

from operations.ports.office import Office
from operations.ports.store import Claim, NodeFull, Store, Work
from quotas.claims import Level, claimable
from quotas.reasons import NoShare, ShareFull
from quotas.tree import Quota, Share
from registry.centers import Node, NodeState
from registry.ids import BEGINNING, NodeId, PoolId, ProjectId, ShareId
from registry.resources import CPU, MEMORY, NOTHING, GpuModel, ResourceName, Resources
from store.capacity import SqlCapacity
from store.nodes import NODE_AMOUNTS
from store.shares import SHARE_AMOUNTS
from store.transactions import SqlStore
from tests.builders import CENTER, POOL, a_node, a_share, cores
from tests.seeding import A_POOL, a_pool, seed

VISION = ProjectId("vmu.vision")
GPU = ResourceName("gpu/a100")
LENDING = (
    a_share(CENTER, cores(10, 10), parent=None),
    a_share("vmu", cores(4, 4), borrowing=cores(6, 6), lending=cores(4, 4)),
    a_share("vmu.vision", cores(4, 4), borrowing=cores(6, 6), parent="vmu"),
    a_share("hcmut", cores(6, 6), lending=cores(4, 4)),
    a_share("hcmut.wind", cores(6, 6), parent="hcmut"),
)


def gpus(count: int) -> Resources:
    return Resources(gpus=((GpuModel("a100"), count),))


def claim(*nodes: tuple[str, Resources], project: str = "vmu.vision", pool: str = POOL) -> Claim:
    return Claim(
        project=ProjectId(project), pool=PoolId(pool), nodes=tuple((NodeId(node), part) for node, part in nodes)
    )


def take(work: Work, wanted: Claim) -> ShareFull | NoShare | NodeFull | None:
    return work.capacity.take(wanted)


def give_back(work: Work, taken: Claim) -> None:
    work.capacity.give_back(taken)


def path(work: Work, project: str = "vmu.vision") -> tuple[Level, ...]:
    return work.capacity.path(ProjectId(project), POOL)


def granted(work: Work) -> dict[str, Resources]:
    shares = {level.share.id: level.share.granted for level in (*path(work), *path(work, "hcmut.wind"))}
    return shares | {node.id: node.granted for node in work.capacity.nodes(POOL)}


@pytest.fixture
def lending(store: Store[Work]) -> Store[Work]:
    """A center of ten cores on two nodes, with a member that may borrow and one that lends four of its six."""
    seed(store, A_POOL, a_node("n1", cores(6, 6)), a_node("n2", cores(4, 4)), *LENDING)
    return store


def test_what_is_taken_is_granted_on_every_share_above_and_on_each_node(lending: Store[Work]) -> None:
    wanted = claim(("n2", cores(1, 1)), ("n1", cores(2, 3)))
    assert lending.transact(take, wanted) is None
    there = {CENTER: cores(3, 4), "vmu": cores(3, 4), "vmu.vision": cores(3, 4), "n1": cores(2, 3), "n2": cores(1, 1)}
    nowhere = {"hcmut": NOTHING, "hcmut.wind": NOTHING}
    assert lending.read(granted) == there | nowhere
    lending.transact(give_back, wanted)
    assert lending.read(granted) == dict.fromkeys(there | nowhere, NOTHING)


def test_a_path_runs_from_the_center_down_with_what_siblings_keep(lending: Store[Work]) -> None:
    lending.transact(take, claim(("n1", cores(0.5, 1)), project="hcmut.wind"))
    shares = {share.id: share for share in LENDING}
    assert lending.read(path) == (
        Level(share=replace(shares[ShareId(CENTER)], granted=cores(0.5, 1))),
        Level(share=shares[ShareId("vmu")], kept_by_siblings=cores(1.5, 1), siblings=shares[ShareId("hcmut")].quota),
        Level(share=shares[ShareId("vmu.vision")]),
    )
    assert lending.read(path, "vmu.sound") == ()


def test_what_a_sibling_keeps_cannot_be_borrowed(lending: Store[Work]) -> None:
    assert lending.transact(take, claim(("n1", cores(6, 6)), ("n2", cores(2, 2)))) is None
    one_more = claim(("n2", cores(0.001)))
    assert lending.transact(take, one_more) == ShareFull(
        share=ShareId("vmu"), pool=POOL, resource=CPU, needed=1, claimable=0, granted=8000, limit=10_000
    )
    assert lending.transact(take, replace(one_more, project=ProjectId("hcmut.wind"))) is None, "but by its owner it can"


def test_when_nodes_are_lost_every_share_keeps_the_same_part_of_its_own(store: Store[Work]) -> None:
    whole = 2**50

    def memory(amount: int) -> Resources:
        return Resources(memory=amount)

    halves = (a_share("vmu", memory(whole // 2)), a_share("hcmut", memory(whole // 2)))
    vision = a_share("vmu.vision", memory(whole // 2), parent="vmu")
    seed(store, A_POOL, a_node("n1", memory(whole)), a_share(CENTER, memory(whole), parent=None), *halves, vision)
    part = whole // 3
    seed(store, a_share(CENTER, memory(part), parent=None))
    assert [level.kept_by_siblings for level in store.read(path)] == [NOTHING, memory(part // 2), NOTHING]
    theirs = claim(("n1", memory(part - part // 2)))
    assert isinstance(store.transact(take, claim(("n1", memory(part - part // 2 + 1)))), ShareFull)
    assert store.transact(take, theirs) is None
    store.transact(give_back, theirs)
    seed(store, a_share(CENTER, memory(whole), parent=None))
    assert store.read(path)[1].kept_by_siblings == memory(whole // 2), "all of it is kept again once nodes are back"


def test_what_leaves_a_drained_node_leaves_no_room_behind(store: Store[Work]) -> None:
    """The center may hold what still runs on a node that is drained, and not a core more once that has ended."""
    both = (
        a_share("vmu", cores(4, 4)),
        a_share("vmu.vision", cores(4, 4), parent="vmu"),
        a_share("hcmut", cores(4, 4)),
    )
    nodes = a_node("n1", cores(4, 4)), a_node("n2", cores(4, 4))
    seed(store, A_POOL, *nodes, a_share(CENTER, cores(8, 8), parent=None), *both)
    running = claim(("n2", cores(1, 1)))
    assert store.transact(take, running) is None
    drained = replace(nodes[1], state=NodeState.DRAINING)
    seed(store, drained, a_share(CENTER, cores(4, 4), parent=None, borrowing=cores(1, 1)))
    assert claimable(store.read(path)) == cores(2, 2), "the other half of what is left is kept for the other"
    store.transact(give_back, running)
    assert store.read(path)[0].share.limit == cores(4, 4)
    assert claimable(store.read(path)) == cores(2, 2)


def test_what_was_taken_in_a_trial_that_was_left_is_there_again(lending: Store[Work]) -> None:
    """Also of what siblings keep, and of what nodes have: what is worked out from a change goes with it."""
    before = lending.read(path), lending.read(lambda work: work.capacity.nodes(POOL))

    def undone(work: Work) -> None:
        with suppress(AssertionError), work.trial():
            assert take(work, claim(("n1", cores(1, 1)), project="hcmut.wind")) is None
            assert path(work)[1].kept_by_siblings == cores(1, 1)
            assert work.capacity.nodes(POOL)[0].granted == NOTHING, "leave the trial"

    lending.transact(undone)
    assert (lending.read(path), lending.read(lambda work: work.capacity.nodes(POOL))) == before
    assert lending.transact(take, claim(("n1", cores(1.5, 1)), project="hcmut.wind")) is None
    assert lending.read(path)[1].kept_by_siblings == cores(0.5, 1)


def test_a_refusal_names_the_tightest_share_with_its_numbers(store: Store[Work]) -> None:
    tight = a_share("vmu.vision", cores(2, 32), parent="vmu")
    seed(store, A_POOL, a_node(), a_share(CENTER, cores(8, 32), parent=None), a_share("vmu", cores(4, 32)), tight)
    assert store.transact(take, claim(("n1", cores(1, 8)))) is None
    assert store.transact(take, claim(("n1", cores(1.5, 8)))) == ShareFull(
        share=ShareId("vmu.vision"), pool=POOL, resource=CPU, needed=1500, claimable=1000, granted=1000, limit=2000
    )
    assert store.transact(take, claim(("n1", gpus(1)))) == ShareFull(
        share=ShareId(CENTER), pool=POOL, resource=GPU, needed=1, claimable=0, granted=0, limit=0
    ), "of what nobody was promised there is none"


def test_a_refusal_of_the_second_resource_tells_what_was_there_before(store: Store[Work]) -> None:
    shares = [a_share(name, cores(8, 4), parent=above) for name, above in ((CENTER, None), ("vmu", CENTER))]
    seed(store, A_POOL, a_node(), *shares, a_share("vmu.vision", cores(8, 4), parent="vmu"))

    def refused_in_a_trial(work: Work) -> list[object]:
        refusals: list[object] = []
        with suppress(AssertionError), work.trial():
            refusals.append(take(work, claim(("n1", cores(1, 5)))))
            assert not refusals, "leave the trial"
        return refusals

    (refusal,) = store.transact(refused_in_a_trial)
    assert isinstance(refusal, ShareFull)
    assert (refusal.resource, refusal.granted, refusal.claimable) == (MEMORY, 0, 4 * 2**30)
    assert all(level.share.granted == NOTHING for level in store.read(path)), "and the trial has undone the first"


def test_without_a_share_nothing_is_taken(lending: Store[Work]) -> None:
    stranger = claim(("n1", cores(1)), project="vmu.sound")
    assert lending.transact(take, stranger) == NoShare(project=ProjectId("vmu.sound"), pool=POOL)
    assert set(lending.read(granted).values()) == {NOTHING}


@pytest.mark.parametrize(
    ("node", "needed"),
    [("n1", cores(6.001)), ("n2", cores(1, 4.1)), ("draining", cores(1)), ("elsewhere", cores(1)), ("none", cores(1))],
)
def test_a_node_gives_what_it_has_to_its_own_pool_while_it_is_ready(
    lending: Store[Work], node: str, needed: Resources
) -> None:
    other = replace(a_node("elsewhere"), pool=PoolId("fog"))
    seed(lending, a_pool("fog"), other, a_node("draining", state=NodeState.DRAINING))
    assert lending.transact(take, claim((node, needed))) == NodeFull(node=NodeId(node))


def test_more_than_was_taken_cannot_be_given_back(lending: Store[Work]) -> None:
    lending.transact(take, claim(("n1", cores(2, 2))))
    before = lending.read(granted)
    for too_much in (claim(("n1", cores(3, 2))), claim(("n2", cores(1, 1))), claim(("n1", gpus(1)))):
        with pytest.raises((DBAPIError, AssertionError)):
            lending.transact(give_back, too_much)
        assert lending.read(granted) == before


# Quotas that change beneath what is granted


def put(office: Office, *things: Share | Node) -> None:
    for thing in things:
        if isinstance(thing, Share):
            office.shares.put(thing)
        else:
            office.nodes.put(thing)


@pytest.fixture
def full(sql_store: SqlStore) -> SqlStore:
    """A center where one member's project holds six cores."""
    seed(sql_store, A_POOL, a_node("n1", cores(8, 8)), *LENDING)
    assert sql_store.transact(take, claim(("n1", cores(6, 6)))) is None
    return sql_store


def test_a_lowered_quota_binds_new_work_at_once_and_lets_the_old_leave(full: SqlStore) -> None:
    less = a_share("vmu.vision", cores(2, 2), parent="vmu")
    full.transact(put, less)
    assert full.read(path)[-1].share == replace(less, granted=cores(6, 6))
    assert isinstance(full.transact(take, claim(("n1", cores(0.001)))), ShareFull)
    full.transact(give_back, claim(("n1", cores(3, 3))))
    assert isinstance(full.transact(take, claim(("n1", cores(0.001)))), ShareFull), "the ceiling came down with it"
    full.transact(give_back, claim(("n1", cores(2, 2))))
    assert full.transact(take, claim(("n1", cores(1, 1)))) is None


def test_a_quota_that_no_longer_names_a_resource_promises_none_of_it(sql_store: SqlStore) -> None:
    with_gpus = [
        a_share(name, cores(8, 8) + gpus(2), parent=above) for name, above in ((CENTER, None), ("vmu", CENTER))
    ]
    project = a_share("vmu.vision", cores(8, 8) + gpus(2), parent="vmu")
    seed(sql_store, A_POOL, a_node("n1", cores(8, 8) + gpus(2)), *with_gpus, project)
    assert sql_store.transact(take, claim(("n1", gpus(1)))) is None
    sql_store.transact(put, replace(project, quota=Quota(nominal=cores(8, 8))), a_node("n1", cores(8, 8)))
    share = sql_store.read(path)[-1].share
    assert (share.limit, share.granted) == (cores(8, 8), gpus(1))
    assert isinstance(sql_store.transact(take, claim(("n1", gpus(1)))), ShareFull)
    sql_store.transact(give_back, claim(("n1", gpus(1))))


def test_a_smaller_node_keeps_what_runs_on_it(full: SqlStore) -> None:
    smaller = a_node("n1", cores(4, 4))
    full.transact(put, smaller)
    assert full.read(lambda work: work.capacity.nodes(POOL)) == (replace(smaller, granted=cores(6, 6)),)
    assert full.transact(take, claim(("n1", cores(0.001)))) == NodeFull(node=NodeId("n1"))
    full.transact(give_back, claim(("n1", cores(3, 3))))
    assert full.transact(take, claim(("n1", cores(1, 1)))) is None


def test_a_share_is_moved_only_while_nothing_is_granted_on_it(full: SqlStore) -> None:
    moved = a_share("vmu.vision", cores(4, 4), parent="hcmut")
    with pytest.raises(AssertionError):
        full.transact(put, moved)
    full.transact(give_back, claim(("n1", cores(6, 6))))
    full.transact(put, moved)
    assert [level.share.id for level in full.read(path)] == [CENTER, "hcmut", "vmu.vision"]


def test_a_pool_has_one_center(full: SqlStore) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)unique"):
        full.transact(put, a_share("another", cores(1, 1), parent=None))


@pytest.mark.parametrize("table", [SHARE_AMOUNTS, NODE_AMOUNTS], ids=lambda table: table.name)
@pytest.mark.parametrize("amount", [-1, 2**40])
def test_the_database_itself_refuses_what_lies_outside_the_ceiling(full: SqlStore, table: Table, amount: int) -> None:
    def force(office: Office) -> None:
        assert isinstance(office.capacity, SqlCapacity)
        columns = table.c
        office.capacity.transaction.connection.execute(
            update(table).where(columns.resource == CPU).values(granted=amount)
        )

    with pytest.raises(DBAPIError, match=f"ck_{table.name}_granted"):
        full.transact(force)


@pytest.mark.parametrize("places", [None, 7])
def test_a_node_says_how_many_processes_it_takes_if_it_has_a_limit(store: Store[Work], places: int | None) -> None:
    seed(store, A_POOL, replace(a_node(), places=places))
    (node,) = store.read(lambda work: work.capacity.nodes(POOL))
    assert node.places == places
    (fact,) = [one for one in store.facts(BEGINNING).facts if isinstance(one, Node)]
    assert fact.places == places
