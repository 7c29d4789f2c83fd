"""Whatever the tree and whatever is taken, every store says what the pure rules say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.ports.store import Claim, NodeFull, Store, Work
from quotas.claims import NO_QUOTA, Level, shortages
from quotas.reasons import NoShare, ShareFull
from quotas.tree import Quota, Share
from registry.centers import Node
from registry.ids import NodeId, PoolId, ProjectId, ShareId
from registry.resources import NOTHING, GpuModel, ResourceName, Resources, total
from store.memory import MemoryStore
from tests.databases import PostgresqlServer, SqliteFiles, opened
from tests.seeding import a_pool, seed

Refusal = ShareFull | NoShare | NodeFull

SMALL = st.integers(0, 6)
AMOUNTS = st.builds(
    lambda millicores, memory, gpus: Resources(
        millicores=millicores, memory=memory, gpus=((GpuModel("a"), gpus),) if gpus else ()
    ),
    SMALL,
    SMALL,
    st.integers(0, 1),
)
POOLS = (PoolId(f"pool{number}") for number in itertools.count())
PROJECTS = ("a.p", "a.q", "b.p", "b.q", "c.none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Something that is tried: a claim of one project on a node, or the return of the n-th that was granted.

    Before it the quota of a share may change, as the center's does when nodes are lost.
    """

    project: str
    amount: Resources
    gives_back: int | None
    changed: tuple[str, Quota] | None


QUOTAS = st.builds(Quota, nominal=AMOUNTS, borrowing=AMOUNTS, lending=AMOUNTS)
CLAIMED = AMOUNTS.filter(lambda amount: amount != NOTHING)
RETURNED = st.none() | st.integers(0, 3)
CHANGED = st.none() | st.tuples(st.sampled_from(("root", "a", "b")), QUOTAS)
MOVE = st.builds(Move, project=st.sampled_from(PROJECTS), amount=CLAIMED, gives_back=RETURNED, changed=CHANGED)
MOVES = st.lists(MOVE, max_size=10)


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgresql"])
def shared_store(request: pytest.FixtureRequest) -> Iterator[Store[Work]]:
    """One store of each kind for all examples: each example has a pool of its own in it."""
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "sqlite":
        files: SqliteFiles = request.getfixturevalue("sqlite_files")
        with files.fresh() as url, opened(url) as store:
            yield store
    else:
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        with opened(server.fresh()) as store:
            yield store


@st.composite
def trees(draw: st.DrawFn) -> tuple[Share, ...]:
    """A center, two institutions, up to two projects each; quotas of any kind, also such as nobody would give."""
    pool = PoolId("")

    def share_of(name: str, parent: str | None) -> Share:
        return Share(id=ShareId(name), pool=pool, parent=ShareId(parent) if parent else None, quota=draw(QUOTAS))

    projects = draw(st.sets(st.sampled_from(PROJECTS[:4]), min_size=1))
    return (
        share_of("root", None),
        *(share_of(name, "root") for name in ("a", "b")),
        *(share_of(name, name[0]) for name in sorted(projects)),
    )


class Oracle:
    """The shares of one pool, changed by the pure rules alone."""

    def __init__(self, shares: tuple[Share, ...]) -> None:
        self.shares = {share.id: share for share in shares}

    def path(self, project: str) -> tuple[Level, ...]:
        levels = []
        share = self.shares.get(ShareId(project))
        while share is not None:
            siblings = [one for one in self._children(share.parent) if one.id != share.id]
            kept = total(self._unused(one) for one in siblings)
            quotas = sum((one.quota for one in siblings), start=NO_QUOTA)
            levels.append(Level(share=share, kept_by_siblings=kept, siblings=quotas))
            share = self.shares.get(share.parent) if share.parent else None
        return tuple(reversed(levels))

    def _children(self, parent: ShareId | None) -> list[Share]:
        return [one for one in self.shares.values() if one.parent == parent]

    def _unused(self, share: Share) -> Resources:
        """What nobody has taken of what a share keeps, after each loss above it took its part, rounded down."""
        kept = share.quota.kept
        for name, amount in share.quota.kept.items():
            left = self._scaled(share, name, amount)
            kept += Resources.of([(name, left - amount)])
        return (kept - share.granted).most(NOTHING)

    def _scaled(self, share: Share, name: ResourceName, amount: int) -> int:
        if share.parent is None:
            return amount
        parent = self.shares[share.parent]
        has = self._scaled(parent, name, parent.quota.nominal.amount(name))
        promised = sum(one.quota.nominal.amount(name) for one in self._children(share.parent))
        return amount * has // promised if promised > has else amount

    def change(self, share: str, quota: Quota) -> Share:
        changed = self.shares[ShareId(share)] = replace(self.shares[ShareId(share)], quota=quota)
        return changed

    def grant(self, project: str, amount: Resources) -> None:
        for level in self.path(project):
            share = level.share
            self.shares[share.id] = replace(share, granted=share.granted + amount)


class Refused(Exception):
    """Leaves the trial of a claim that was refused."""


def take(work: Work, claim: Claim) -> Refusal | None:
    answer: Refusal | None = None
    with suppress(Refused), work.trial():
        answer = work.capacity.take(claim)
        if answer is not None:
            raise Refused
    return answer


def expected(oracle: Oracle, claim: Claim) -> Refusal | None:
    path = oracle.path(claim.project)
    if not path:
        return NoShare(project=claim.project, pool=claim.pool)
    return next(iter(shortages(path, total(amount for _, amount in claim.nodes))), None)


@settings(max_examples=40)
@given(tree=trees(), moves=MOVES)
def test_a_store_grants_exactly_what_the_rules_grant(
    shared_store: Store[Work], tree: tuple[Share, ...], moves: list[Move]
) -> None:
    store = shared_store
    pool = next(POOLS)
    shares = tuple(replace(share, pool=pool) for share in tree)
    node = Node(
        id=NodeId(f"{pool}-n"), pool=pool, capacity=Resources(millicores=99, memory=99, gpus=((GpuModel("a"), 99),))
    )
    seed(store, a_pool(pool), node, *shares)
    oracle = Oracle(shares)
    granted: list[Claim] = []
    for move in moves:
        if move.changed is not None:
            seed(store, oracle.change(*move.changed))
        if move.gives_back is not None and granted:
            claim = granted.pop(move.gives_back % len(granted))
            store.transact(lambda work, claim: work.capacity.give_back(claim), claim)
            oracle.grant(claim.project, total(amount for _, amount in claim.nodes) * -1)
        else:
            claim = Claim(project=ProjectId(move.project), pool=pool, nodes=((node.id, move.amount),))
            answer = store.transact(take, claim)
            assert answer == expected(oracle, claim)
            if answer is None:
                granted.append(claim)
                oracle.grant(claim.project, move.amount)
    paths, (left,) = store.read(everything, pool)
    assert paths == tuple(oracle.path(project) for project in PROJECTS)
    assert left.granted == total(amount for claim in granted for _, amount in claim.nodes)


def everything(work: Work, pool: PoolId) -> tuple[tuple[tuple[Level, ...], ...], tuple[Node, ...]]:
    paths = tuple(work.capacity.path(ProjectId(project), pool) for project in PROJECTS)
    return paths, work.capacity.nodes(pool)
