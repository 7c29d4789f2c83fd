"""Whatever quotas are asked for in whatever order, the tree promises what it has, and refuses nothing it could give."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.callers import Caller
from operations.facilities import NodePlan, put_node, put_pool
from operations.ports.office import Office
from operations.reasons import Refused
from operations.shares import ABSENT, Version, set_quota
from quotas.tree import Quota
from registry.ids import NodeId, PersonId, PoolId, ShareId
from registry.people import EVERYTHING, Role, RoleGrant
from registry.resources import NOTHING, Resources, total
from store.transactions import SqlStore
from tests.builders import CENTER, cores
from tests.databases import SqliteFiles, opened
from tests.seeding import A_POOL, a_project, seed

PARENTS = {
    "vmu": CENTER,
    "hust": CENTER,
    "vmu.vision": "vmu",
    "vmu.ports": "vmu",
    "hust.climate": "hust",
}
ROOT = Caller(
    person=PersonId("root"),
    center=CENTER,
    grants=(RoleGrant(person=PersonId("root"), role=Role.CENTER_ADMIN, reach=CENTER),),
)
NUMBERS = itertools.count()


@dataclass(slots=True, kw_only=True)
class Tree:
    """What each share was promised, as it should be: the center's is what its node has."""

    nominal: dict[str, Resources] = field(default_factory=dict)

    def beneath(self, share: str) -> Resources:
        return total(amount for name, amount in self.nominal.items() if PARENTS.get(name) == share)

    def may_have(self, share: str, asked: Resources) -> bool:
        """Tell whether the parent has it left, or had given it before, and no child was promised more."""
        parent = PARENTS[share]
        if parent not in self.nominal:
            return False
        had = self.nominal.get(share, NOTHING)
        left = self.nominal[parent] - (self.beneath(parent) - had)
        return asked.within(left.most(had)) and self.beneath(share).within(asked)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    files = SqliteFiles(tmp_path_factory.mktemp("quotas"))
    with files.fresh() as url, opened(url) as store:
        seed(store, *(a_project(name) for name in PARENTS if "." in name))
        yield store


def edit(office: Office, pool: PoolId, share: str, amount: Resources) -> bool:
    """Set a quota, or resize the node that the center's follows; tell whether it was accepted."""
    if share == CENTER:
        node = put_node(office, NodePlan(id=NodeId(f"node-of-{pool}"), pool=pool, capacity=amount))
        return not isinstance(node, Refused)
    seen = office.shares.get(EVERYTHING, ShareId(share), pool)
    version = Version(seen.version) if seen else ABSENT
    outcome = set_quota(office, ROOT, ShareId(share), pool, Quota(nominal=amount), version=version)
    return not isinstance(outcome, Refused)


def promised(office: Office, pool: PoolId) -> dict[str, Resources]:
    page = office.shares.page(EVERYTHING, pool=pool, after="", limit=100)
    return {str(one.share.id): one.share.quota.nominal for one in page}


def make_all(office: Office, edits: list[tuple[str, Resources]]) -> None:
    """Make every edit in a pool of their own, and look after each at what stands there."""
    pool = PoolId(f"pool-{next(NUMBERS)}")
    put_pool(office, replace(A_POOL, id=pool))
    tree = Tree(nominal={CENTER: NOTHING})
    for share, amount in edits:
        expected = share == CENTER or tree.may_have(share, amount)
        assert edit(office, pool, share, amount) is expected, (share, amount, tree)
        if expected:
            tree.nominal[share] = amount
        assert promised(office, pool) == tree.nominal


def an_edit(chance: Random) -> tuple[str, Resources]:
    """Draw a share and an amount; what is high in the tree is large more often."""
    share = chance.choice([CENTER, *PARENTS])
    most = {CENTER: 12, "vmu": 8, "hust": 8}.get(share, 5)
    return share, cores(chance.randint(0, most), chance.randint(most // 2, most))


@given(chance=st.randoms(use_true_random=True))
@settings(max_examples=25)
def test_a_quota_is_given_exactly_where_the_tree_has_it(store: SqlStore, chance: Random) -> None:
    """Edits are drawn evenly: a tree of examples that are made simple stays empty."""
    store.transact(make_all, [an_edit(chance) for _ in range(30)])
