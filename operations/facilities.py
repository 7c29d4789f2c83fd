"""The pools of the center and their nodes: they are made, resized, drained, and the center's share follows them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from operations.ports.office import Office
from operations.reasons import Refused, Unknown
from quotas.tree import Quota, Share
from registry.centers import Node, NodeState, Pool
from registry.ids import NodeId, PoolId, ShareId
from registry.people import EVERYTHING
from registry.reasons import NodeBusy, NotThere
from registry.resources import NOTHING, Resources, total


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """What a node is to be: in which pool, how large, and for how many processes at once if there is a limit."""

    id: NodeId
    pool: PoolId
    capacity: Resources
    places: int | None = None


def put_pool(work: Office, pool: Pool) -> Pool:
    """Make a pool, or describe it anew. A new one has a share for the center from its beginning: that is its lock."""
    if work.facilities.put_pool(pool):
        work.shares.put(_center_share(pool, ()))
    return pool


def see_pool(work: Office, pool: PoolId) -> Pool | Refused:
    """Return one pool."""
    return work.register.pool(pool) or Refused(reasons=(Unknown(what="pool"),))


def list_pools(work: Office, *, after: str, limit: int) -> tuple[Pool, ...]:
    """Return pools by id."""
    return tuple(pool for pool in work.facilities.pools() if pool.id > after)[:limit]


def put_node(work: Office, plan: NodePlan) -> Node | Refused:
    """Make a node, resize it, or move it to another pool while nothing runs on it.

    What runs on a node that becomes smaller keeps its place until it leaves.
    """
    pools = lock_pools(work)
    if plan.pool not in {pool.id for pool in pools}:
        return Refused(reasons=(NotThere(field="pool", id=plan.pool),))
    before = work.nodes.get(plan.id)
    if before and before.pool != plan.pool and before.granted != NOTHING:
        return Refused(reasons=(NodeBusy(node=plan.id, pool=before.pool),))
    state = before.state if before else NodeState.READY
    after = Node(id=plan.id, pool=plan.pool, capacity=plan.capacity, state=state, places=plan.places)
    write_nodes(work, pools, [(before, after)])
    return _again(work, plan.id)


def set_node_state(work: Office, node_id: NodeId, state: NodeState) -> Node | Refused:
    """Let a node take new work, or none; what runs there goes on."""
    pools = lock_pools(work)
    node = work.nodes.get(node_id)
    if node is None:
        return Refused(reasons=(Unknown(what="node"),))
    if node.state is not state:
        write_nodes(work, pools, [(node, replace(node, state=state))])
    return _again(work, node_id)


def lock_pools(work: Office) -> tuple[Pool, ...]:
    """Lock every pool, because a node may be just moving between any two, and return them."""
    pools = work.facilities.pools()
    work.capacity.lock([pool.id for pool in pools])
    return pools


def write_nodes(work: Office, pools: Iterable[Pool], changes: Iterable[tuple[Node | None, Node]]) -> None:
    """Write nodes, each with what it was before, and then once for each locked pool that lost or got one its share."""
    touched: set[PoolId] = set()
    for before, after in changes:
        work.nodes.put(after)
        touched |= {after.pool} if before is None else {before.pool, after.pool}
    for pool in pools:
        if pool.id in touched:
            _refit(work, pool)


def see_node(work: Office, node: NodeId) -> Node | Refused:
    """Return one node."""
    return work.nodes.get(node) or Refused(reasons=(Unknown(what="node"),))


def list_nodes(work: Office, *, pool: PoolId | None, after: str, limit: int) -> tuple[Node, ...]:
    """Return nodes by id."""
    return work.nodes.page(pool=pool, after=after, limit=limit)


def center_quota(nodes: Iterable[Node]) -> Quota:
    """Return what the center has of a pool: its ready nodes, and room for exactly what still runs on the others.

    Without that room, work on a node that is drained would count against the nodes that are left; with more, what is
    kept for others would be taken for it. A store lessens it with what is given back there.
    """
    nodes = tuple(nodes)
    ready = total(node.capacity for node in nodes if node.state is NodeState.READY)
    others = total(node.granted for node in nodes if node.state is not NodeState.READY)
    return Quota(nominal=ready, borrowing=others)


def _refit(work: Office, pool: Pool) -> None:
    """Make the center's share of a locked pool follow its nodes."""
    before = work.shares.get(EVERYTHING, ShareId(pool.center), pool.id)
    after = _center_share(pool, work.capacity.nodes(pool.id))
    if before is None or before.share.quota != after.quota:
        work.shares.put(after)


def _center_share(pool: Pool, nodes: Iterable[Node]) -> Share:
    return Share(id=ShareId(pool.center), pool=pool.id, parent=None, quota=center_quota(nodes))


def _again(work: Office, node_id: NodeId) -> Node:
    node = work.nodes.get(node_id)
    assert node is not None, node_id
    return node
