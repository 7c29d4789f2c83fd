"""One look at the cluster's own list of machines, which the center's nodes follow, and at the places of its tenants."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import structlog

from operations.facilities import lock_pools, put_pool, write_nodes
from operations.ports.grounds import Grounds, Machine, Tenant
from operations.ports.office import Office
from operations.ports.store import Store
from registry.centers import Node, NodeState, Pool
from registry.ids import InstitutionId
from registry.people import EVERYTHING
from registry.resources import NOTHING, Resources

_ALL: Final = 1_000_000

log = structlog.get_logger()


def tend_once(store: Store[Office], grounds: Grounds) -> None:
    """Follow the machines, then keep the tenants' places. Both are level-triggered and may be cut off anywhere.

    Raises:
        BackendUnavailableError: the cluster does not answer.
    """
    machines = grounds.machines()
    if store.read(differs, machines):
        store.transact(follow_machines, machines)
    grounds.keep(store.read(tenants))


def differs(work: Office, machines: Sequence[Machine]) -> bool:
    """Tell whether any node is not what its machine is: asked before the pools are locked."""
    return any(True for _ in _changes(machines, _nodes(work)))


def follow_machines(work: Office, machines: Sequence[Machine]) -> None:
    """Make pools and nodes what the machines are; a node without a machine is lost, and what it ran is billed.

    Only what differs is written, and each pool's share follows once: whoever decides waits for these locks.
    """
    center = work.facilities.center()
    assert center is not None
    known = {pool.id for pool in work.facilities.pools()}
    for machine in machines:
        if machine.pool not in known:
            known.add(machine.pool)
            put_pool(work, Pool(id=machine.pool, center=center.id, tier=machine.tier, name=machine.pool))
    pools = lock_pools(work)
    changes = tuple(_changes(machines, _nodes(work)))
    wanted = {machine.id: machine.pool for machine in machines}
    for _, node in changes:
        if node.pool != (pool := wanted.get(node.id, node.pool)):
            log.warning("a node moves to another pool when nothing runs there", node=node.id, pool=node.pool, to=pool)
    write_nodes(work, pools, changes)


def tenants(work: Office) -> tuple[Tenant, ...]:
    """Return every institution with the sum of its ceilings over all pools; a center that is closed has none."""
    center = work.facilities.center()
    if center is None or center.closed is not None:
        return ()
    ceilings: dict[InstitutionId, Resources] = {
        institution.id: NOTHING for institution in work.institutions.page(EVERYTHING, after="", limit=_ALL)
    }
    for seen in work.shares.page(EVERYTHING, pool=None, after="", limit=_ALL):
        institution = InstitutionId(seen.share.id)
        if institution in ceilings:
            ceilings[institution] += seen.share.ceiling
    return tuple(Tenant(institution=one, ceiling=ceiling) for one, ceiling in sorted(ceilings.items()))


def _changes(machines: Iterable[Machine], nodes: Iterable[Node]) -> Iterator[tuple[Node | None, Node]]:
    """Yield each node that is not what its machine makes of it, as it is and as it is to be."""
    known = {node.id: node for node in nodes}
    for machine in machines:
        before = known.pop(machine.id, None)
        if before != (after := _followed(machine, before)):
            yield before, after
    for node in known.values():
        if node.state is not NodeState.LOST:
            yield node, replace(node, state=NodeState.LOST)


def _followed(machine: Machine, before: Node | None) -> Node:
    """Return what a machine makes of its node; one on which something runs is emptied before it moves."""
    granted = before.granted if before else NOTHING
    stays = before is not None and before.pool != machine.pool and granted != NOTHING
    return Node(
        id=machine.id,
        pool=before.pool if before and stays else machine.pool,
        capacity=machine.capacity,
        granted=granted,
        state=NodeState.DRAINING if stays and machine.state is not NodeState.LOST else machine.state,
        places=machine.places,
    )


def _nodes(work: Office) -> Iterable[Node]:
    return work.nodes.page(pool=None, after="", limit=_ALL)
