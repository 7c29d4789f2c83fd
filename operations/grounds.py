"""One look at the cluster's own list of machines, which the center's nodes follow, and at the places of its tenants."""

from collections.abc import Iterable, Sequence
from typing import Final

from operations.facilities import NodePlan, put_node, put_pool, set_node_state
from operations.ports.grounds import Grounds, Machine, Tenant
from operations.ports.office import Office
from operations.ports.store import Store
from registry.centers import Node, NodeState, Pool
from registry.ids import InstitutionId
from registry.people import EVERYTHING
from registry.resources import NOTHING, Resources

_ALL: Final = 1_000_000


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
    nodes = {node.id: node for node in _nodes(work)}
    gone = nodes.keys() - {machine.id for machine in machines}
    return any(nodes[name].state is not NodeState.LOST for name in gone) or any(
        not _agrees(machine, nodes.get(machine.id)) for machine in machines
    )


def follow_machines(work: Office, machines: Sequence[Machine]) -> None:
    """Make pools and nodes what the machines are; a node without a machine is lost, and what it ran is billed."""
    center = work.facilities.center()
    assert center is not None
    known = {pool.id for pool in work.facilities.pools()}
    for machine in machines:
        if machine.pool not in known:
            known.add(machine.pool)
            put_pool(work, Pool(id=machine.pool, center=center.id, tier=machine.tier, name=machine.pool))
        put_node(work, NodePlan(id=machine.id, pool=machine.pool, capacity=machine.capacity, places=machine.places))
        set_node_state(work, machine.id, machine.state)
    present = {machine.id for machine in machines}
    for node in _nodes(work):
        if node.id not in present:
            set_node_state(work, node.id, NodeState.LOST)


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


def _agrees(machine: Machine, node: Node | None) -> bool:
    return node is not None and (node.pool, node.capacity, node.state, node.places) == (
        machine.pool,
        machine.capacity,
        machine.state,
        machine.places,
    )


def _nodes(work: Office) -> Iterable[Node]:
    return work.nodes.page(pool=None, after="", limit=_ALL)
