"""Shares and nodes in memory: what may be taken is kept up to date, so that asking costs the depth of the tree."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from operations.ports.store import Claim, NodeFull
from quotas.claims import NO_QUOTA, Level, shortages
from quotas.reasons import NoShare, ShareFull
from quotas.tree import Promises, Quota, Share
from registry.centers import Node, NodeState
from registry.ids import Mark, NodeId, PoolId, ProjectId, ShareId
from registry.resources import NOTHING, Resources, total
from store.memory.shelves import FollowedShelf, History, Notes, Shelf

Family = ShareId | None
"""The children of one share of a pool, by their parent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """What follows for one share from the quotas of its pool alone: it changes when one of them does.

    `kept` is what nobody else may use of its nominal quota, after each loss above it took its part, never negative.
    """

    limit: Resources
    kept: Resources
    siblings: Quota


@dataclass(slots=True, kw_only=True)
class _Standings:
    """The standings of a pool's shares; `unused` is what each family keeps and nobody has taken, if it keeps any."""

    shares: dict[ShareId, _Standing] = field(default_factory=dict)
    unused: dict[Family, Resources] = field(default_factory=dict)
    center: ShareId | None = None


class MemoryCapacity:
    """`Capacity` in memory."""

    def __init__(self, history: History) -> None:
        self._shares: Final[FollowedShelf[tuple[ShareId, PoolId], Share]] = FollowedShelf(history)
        self._nodes: Final[FollowedShelf[NodeId, Node]] = FollowedShelf(history)
        self._in_pool: Final[Shelf[PoolId, tuple[NodeId, ...]]] = Shelf(history)
        self._standings: Final[Notes[PoolId, _Standings]] = Notes(history)
        self._listed: Final[Notes[PoolId, tuple[Node, ...]]] = Notes(history)

    def nodes(self, pool: PoolId) -> tuple[Node, ...]:
        listed = self._listed.get(pool)
        if listed is None:
            found = (self._nodes.get(node) for node in self._in_pool.get(pool) or ())
            listed = tuple(node for node in found if node is not None)
            self._listed.know(pool, listed)
        return listed

    def path(self, project: ProjectId, pool: PoolId) -> tuple[Level, ...]:
        standings = self._standings_of(pool)
        levels = []
        for share in self._lineage(project, pool):
            standing = standings.shares[share.id]
            kept = _of_siblings(standings, share, standing)
            levels.append(Level(share=share, kept_by_siblings=kept, siblings=standing.siblings))
        return tuple(levels)

    def lock(self, pools: Iterable[PoolId]) -> None:
        """Return at once: nobody else is here."""

    def take(self, claim: Claim) -> ShareFull | NoShare | NodeFull | None:
        lineage = self._lineage(claim.project, claim.pool)
        if not lineage:
            return NoShare(project=claim.project, pool=claim.pool)
        needed = total(part for _, part in claim.nodes)
        if not self._may_take(lineage, needed) and (short := shortages(self.path(claim.project, claim.pool), needed)):
            return short[0]
        self._grant(lineage, needed)
        for node, part in sorted(claim.nodes, key=lambda one: one[0]):
            found = self._nodes.get(node)
            if found is None or found.pool != claim.pool or not _has_room(found, part):
                return NodeFull(node=node)
            self._put_node(_node_with(found, found.granted + part))
        return None

    def give_back(self, claim: Claim) -> None:
        lineage = self._lineage(claim.project, claim.pool)
        assert lineage, claim
        self._grant(lineage, total(part for _, part in claim.nodes) * -1)
        for node, part in claim.nodes:
            found = self._nodes.get(node)
            assert found is not None, claim
            assert part.within(found.granted), claim
            self._put_node(_node_with(found, found.granted - part))
            if found.state is not NodeState.READY:
                self._lower_center(claim.pool, part)

    def put_share(self, share: Share) -> None:
        """Keep a share's parent and quota; what is granted stays."""
        before = self._shares.get((share.id, share.pool))
        granted = before.granted if before else NOTHING
        assert before is None or before.parent == share.parent or granted == NOTHING, share
        self._shares.put((share.id, share.pool), replace(share, granted=granted))
        self._standings.forget(share.pool)

    def put_node(self, node: Node) -> None:
        """Keep a node's pool, capacity and state; what is granted stays."""
        before = self._nodes.get(node.id)
        if before is None or before.pool != node.pool:
            if before is not None:
                others = self._in_pool.get(before.pool) or ()
                self._in_pool.put(before.pool, tuple(one for one in others if one != node.id))
                self._listed.forget(before.pool)
            self._in_pool.put(node.pool, tuple(sorted((*(self._in_pool.get(node.pool) or ()), node.id))))
        self._put_node(replace(node, granted=before.granted if before else NOTHING))

    def changed_shares(self, since: Mark) -> list[Share]:
        """Return the shares that changed since a mark."""
        return self._shares.changed(since)

    def changed_nodes(self, since: Mark) -> list[Node]:
        """Return the nodes that changed since a mark."""
        return self._nodes.changed(since)

    def _lineage(self, project: ProjectId, pool: PoolId) -> list[Share]:
        """Return the shares from the center down to a project; none if it has none in the pool."""
        found: list[Share] = []
        share = self._shares.get((ShareId(project), pool))
        while share is not None:
            found.append(share)
            share = self._shares.get((share.parent, pool)) if share.parent else None
        found.reverse()
        return found

    def _may_take(self, lineage: Sequence[Share], needed: Resources) -> bool:
        """Tell whether `claimable` of this path covers what is needed, without making it."""
        standings = self._standings_of(lineage[0].pool)
        room: Resources | None = None
        for share in lineage:
            standing = standings.shares[share.id]
            left = standing.limit - share.granted
            if room is not None:
                left = (room - _of_siblings(standings, share, standing)).least(left)
            room = left
        return room is not None and needed.within(room)

    def _grant(self, lineage: Sequence[Share], amount: Resources) -> None:
        pool = lineage[0].pool
        standings = self._standings_of(pool)
        if standings.unused:
            self._standings.doubt(pool)
        for share in lineage:
            granted = share.granted + amount
            assert NOTHING.within(granted), share
            self._shares.put((share.id, pool), _with_granted(share, granted))
            if share.parent in standings.unused:
                kept = standings.shares[share.id].kept
                moved = (kept - granted).most(NOTHING) - (kept - share.granted).most(NOTHING)
                standings.unused[share.parent] += moved

    def _put_node(self, node: Node) -> None:
        self._nodes.put(node.id, node)
        self._listed.forget(node.pool)

    def _lower_center(self, pool: PoolId, amount: Resources) -> None:
        """Take back the room that the center's share had for what ran on a node that is not ready."""
        share = self._standings_of(pool).center
        center = self._shares.get((share, pool)) if share else None
        assert center is not None, pool
        quota = replace(center.quota, borrowing=(center.quota.borrowing - amount).most(NOTHING))
        self.put_share(replace(center, quota=quota))

    def _standings_of(self, pool: PoolId) -> _Standings:
        known = self._standings.get(pool)
        if known is None:
            known = _standings([share for share in self._shares if share.pool == pool])
            self._standings.know(pool, known)
        return known


def _standings(shares: Sequence[Share]) -> _Standings:
    """Work out what follows from the quotas of a pool's shares and from what is granted of them."""
    promised: dict[Family, Quota] = {}
    for share in shares:
        promised[share.parent] = promised.get(share.parent, NO_QUOTA) + share.quota
    found = _Standings()
    has: dict[ShareId, Resources] = {}
    for share in _from_the_top(shares):
        whole = share.quota.nominal if share.parent is None else has[share.parent]
        promises = Promises(nominal=whole, promised=promised[share.parent].nominal)
        has[share.id] = promises.scaled(share.quota.nominal)
        kept = promises.scaled(share.quota.kept).most(NOTHING)
        siblings = promised[share.parent] - share.quota
        found.shares[share.id] = _Standing(limit=share.quota.limit, kept=kept, siblings=siblings)
        if kept != NOTHING:
            unused = (kept - share.granted).most(NOTHING)
            found.unused[share.parent] = found.unused.get(share.parent, NOTHING) + unused
        if share.parent is None:
            found.center = share.id
    return found


def _from_the_top(shares: Sequence[Share]) -> Iterator[Share]:
    """Yield shares, each after its parent."""
    children: dict[Family, list[Share]] = {}
    for share in shares:
        children.setdefault(share.parent, []).append(share)
    level = children.get(None, [])
    while level:
        yield from level
        level = [child for share in level for child in children.get(share.id, ())]


def _of_siblings(standings: _Standings, share: Share, standing: _Standing) -> Resources:
    """Return what the siblings of a share keep and do not use."""
    unused = standings.unused.get(share.parent)
    return NOTHING if unused is None else unused - (standing.kept - share.granted).most(NOTHING)


def _with_granted(share: Share, granted: Resources) -> Share:
    return Share(id=share.id, pool=share.pool, parent=share.parent, quota=share.quota, granted=granted)


def _node_with(node: Node, granted: Resources) -> Node:
    return Node(
        id=node.id, pool=node.pool, capacity=node.capacity, granted=granted, state=node.state, places=node.places
    )


def _has_room(node: Node, needed: Resources) -> bool:
    left = node.capacity - node.granted
    return node.state is NodeState.READY and (
        needed.within(left) or all(amount <= left.amount(name) for name, amount in needed.items() if amount)
    )
