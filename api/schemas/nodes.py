"""Nodes as they are described and shown."""

from typing import Annotated

from pydantic import Field

from api.paging import PageQuery
from api.schemas.amounts import AmountsIn, AmountsOut
from api.schemas.shape import Closed, Open, Slug
from operations.facilities import NodePlan
from registry.centers import Node, NodeState
from registry.ids import NodeId, PoolId


class NodeIn(Closed):
    """Where a node belongs, and what it has."""

    pool: Slug = Field(examples=["main"])
    capacity: AmountsIn

    def to_plan(self, node: NodeId) -> NodePlan:
        """Return what the node is to be."""
        return NodePlan(id=node, pool=PoolId(self.pool), capacity=self.capacity.to_resources())


class NodeOut(Open):
    """One machine: what it has, and what of it is granted to processes."""

    id: str
    pool: str
    state: NodeState
    capacity: AmountsOut
    granted: AmountsOut

    @classmethod
    def from_node(cls, node: Node) -> "NodeOut":
        """Return a node as it goes out."""
        return cls(
            id=node.id,
            pool=node.pool,
            state=node.state,
            capacity=AmountsOut.from_resources(node.capacity),
            granted=AmountsOut.from_resources(node.granted),
        )


class NodesQuery(PageQuery):
    """Which nodes are listed."""

    pool: Annotated[Slug | None, Field(default=None)]
