"""The nodes of the center: described, listed and read, drained and taken into use again."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.addresses import NewNodeDep, NodeDep
from api.dependencies import OWN_NODES, PortsDep, policy
from api.paging import Page, page_of
from api.problems import accepted, problems
from api.schemas.nodes import NodeIn, NodeOut, NodesQuery
from operations import facilities
from registry.centers import NodeState
from registry.ids import SLUG_PATTERN, PoolId

router = APIRouter(prefix="/v1/nodes", tags=["nodes"])


@router.put("/{node}", responses=problems(409), dependencies=[OWN_NODES], openapi_extra=policy("nodes:put"))
def put_node(node: NewNodeDep, body: NodeIn, ports: PortsDep) -> NodeOut:
    """Make a node, resize it, or move it to another pool while nothing runs on it."""
    return NodeOut.from_node(accepted(ports.store.transact(facilities.put_node, body.to_plan(node))))


@router.get("", openapi_extra=policy("nodes:list"))
def list_nodes(query: Annotated[NodesQuery, Query()], ports: PortsDep) -> Page[NodeOut]:
    """List nodes with what they have and what of it is granted."""
    pool, after = PoolId(query.pool) if query.pool else None, query.after(SLUG_PATTERN)
    rows = ports.store.read(facilities.list_nodes, pool=pool, after=after, limit=query.limit + 1)
    return page_of(rows, query.limit, NodeOut.from_node, lambda row: row.id)


@router.get("/{node}", responses=problems(404), openapi_extra=policy("nodes:read"))
def read_node(node: NodeDep, ports: PortsDep) -> NodeOut:
    """Return one node."""
    return NodeOut.from_node(accepted(ports.store.read(facilities.see_node, node)))


@router.post(
    "/{node}/drain", responses=problems(404, 409), dependencies=[OWN_NODES], openapi_extra=policy("nodes:drain")
)
def drain_node(node: NodeDep, ports: PortsDep) -> NodeOut:
    """Let a node take no new work; what runs there goes on."""
    return NodeOut.from_node(accepted(ports.store.transact(facilities.set_node_state, node, NodeState.DRAINING)))


@router.post(
    "/{node}/undrain", responses=problems(404, 409), dependencies=[OWN_NODES], openapi_extra=policy("nodes:drain")
)
def undrain_node(node: NodeDep, ports: PortsDep) -> NodeOut:
    """Let a drained node take new work again."""
    return NodeOut.from_node(accepted(ports.store.transact(facilities.set_node_state, node, NodeState.READY)))
