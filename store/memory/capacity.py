"""Shares and nodes in memory: the pure rules themselves decide what may be taken."""

from collections.abc import Iterable
from dataclasses import replace

from operations.ports.store import Claim, NodeFull
from quotas.claims import Level, Tree, shortages
from quotas.reasons import NoShare, ShareFull
from quotas.tree import Share
from registry.centers import Node, NodeState
from registry.ids import Mark, NodeId, PoolId, ProjectId, ShareId
from registry.resources import NOTHING, Resources, total
from store.memory.shelves import History, Shelf


class MemoryCapacity:
    """`Capacity` in memory."""

    def __init__(self, history: History) -> None:
        self._shares: Shelf[tuple[ShareId, PoolId], Share] = Shelf(history)
        self._nodes: Shelf[NodeId, Node] = Shelf(history)
        self._in_pool: Shelf[PoolId, tuple[NodeId, ...]] = Shelf(history)

    def nodes(self, pool: PoolId) -> tuple[Node, ...]:
        found = (self._nodes.get(node) for node in self._in_pool.get(pool) or ())
        return tuple(node for node in found if node is not None)

    def path(self, project: ProjectId, pool: PoolId) -> tuple[Level, ...]:
        return Tree(share for share in self._shares if share.pool == pool).path(project, pool)

    def lock(self, pools: Iterable[PoolId]) -> None:
        """Return at once: nobody else is here."""

    def take(self, claim: Claim) -> ShareFull | NoShare | NodeFull | None:
        path = self.path(claim.project, claim.pool)
        if not path:
            return NoShare(project=claim.project, pool=claim.pool)
        needed = total(part for _, part in claim.nodes)
        if short := shortages(path, needed):
            return short[0]
        for level in path:
            self._grant(level.share, needed)
        for node, part in sorted(claim.nodes, key=lambda one: one[0]):
            found = self._nodes.get(node)
            if found is None or found.pool != claim.pool or not _has_room(found, part):
                return NodeFull(node=node)
            self._nodes.put(node, replace(found, granted=found.granted + part))
        return None

    def give_back(self, claim: Claim) -> None:
        path = self.path(claim.project, claim.pool)
        assert path, claim
        for level in path:
            self._grant(level.share, total(part for _, part in claim.nodes) * -1)
        for node, part in claim.nodes:
            found = self._nodes.get(node)
            assert found is not None, claim
            assert part.within(found.granted), claim
            self._nodes.put(node, replace(found, granted=found.granted - part))
            if found.state is not NodeState.READY:
                self._lower_center(claim.pool, part)

    def put_share(self, share: Share) -> None:
        """Keep a share's parent and quota; what is granted stays."""
        before = self._shares.get((share.id, share.pool))
        granted = before.granted if before else NOTHING
        assert before is None or before.parent == share.parent or granted == NOTHING, share
        self._shares.put((share.id, share.pool), replace(share, granted=granted))

    def put_node(self, node: Node) -> None:
        """Keep a node's pool, capacity and state; what is granted stays."""
        before = self._nodes.get(node.id)
        if before is not None:
            others = self._in_pool.get(before.pool) or ()
            self._in_pool.put(before.pool, tuple(one for one in others if one != node.id))
        self._in_pool.put(node.pool, tuple(sorted((*(self._in_pool.get(node.pool) or ()), node.id))))
        self._nodes.put(node.id, replace(node, granted=before.granted if before else NOTHING))

    def changed_shares(self, since: Mark) -> list[Share]:
        """Return the shares that changed since a mark."""
        return self._shares.changed(since)

    def changed_nodes(self, since: Mark) -> list[Node]:
        """Return the nodes that changed since a mark."""
        return self._nodes.changed(since)

    def _lower_center(self, pool: PoolId, amount: Resources) -> None:
        """Take back the room that the center's share had for what ran on a node that is not ready."""
        (center,) = (share for share in self._shares if share.pool == pool and share.parent is None)
        quota = replace(center.quota, borrowing=(center.quota.borrowing - amount).most(NOTHING))
        self._shares.put((center.id, pool), replace(center, quota=quota))

    def _grant(self, share: Share, amount: Resources) -> None:
        granted = share.granted + amount
        assert NOTHING.within(granted), share
        self._shares.put((share.id, share.pool), replace(share, granted=granted))


def _has_room(node: Node, needed: Resources) -> bool:
    left = node.capacity - node.granted
    return node.state is NodeState.READY and all(
        amount <= left.amount(name) for name, amount in needed.items() if amount
    )
