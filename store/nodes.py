"""Nodes: one row each, and one for each of its resources, so that each amount has its own condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Table,
    bindparam,
    case,
    select,
    update,
)

from registry.centers import Node, NodeState
from registry.ids import Mark, NodeId, PoolId
from registry.resources import Resources
from store.connections import Transaction
from store.marks import current_mark, mark_column
from store.schema import METADATA, TEXT, Choice, Row

NODES: Final = Table(
    "nodes",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("pool", ForeignKey("pools.id"), nullable=False, index=True),
    Column("state", Choice(NodeState), nullable=False),
    Column("places", BigInteger),
    mark_column(),
)

NODE_AMOUNTS: Final = Table(
    "node_amounts",
    METADATA,
    Column("node", ForeignKey("nodes.id"), primary_key=True),
    Column("resource", TEXT, primary_key=True),
    Column("capacity", BigInteger, nullable=False),
    Column("granted", BigInteger, nullable=False),
    Column("ceiling", BigInteger, nullable=False),
    mark_column(),
    CheckConstraint("capacity >= 0", "capacity"),
    CheckConstraint("0 <= granted AND granted <= ceiling", "granted"),
)

_NODES: Final = (
    select(NODES.c.id, NODES.c.pool, NODES.c.state, NODES.c.places, NODE_AMOUNTS)
    .join(NODE_AMOUNTS, NODE_AMOUNTS.c.node == NODES.c.id)
    .order_by(NODES.c.id, NODE_AMOUNTS.c.resource)
)
_NODES_OF_POOL: Final = _NODES.where(NODES.c.pool == bindparam("in_pool"))


def larger(left: ColumnElement[int], right: ColumnElement[int]) -> ColumnElement[int]:
    """Return the larger of two amounts; the function for it has another name on each database."""
    return case((left > right, left), else_=right)


def read_nodes(transaction: Transaction, *conditions: ColumnElement[bool]) -> tuple[Node, ...]:
    """Return the nodes that meet conditions on their own row, by id."""
    return _grouped(transaction.rows(_NODES.where(*conditions)))


def nodes_of(transaction: Transaction, pool: PoolId) -> tuple[Node, ...]:
    """Return the nodes of a pool, by id."""
    return _grouped(transaction.rows(_NODES_OF_POOL, {"in_pool": pool}))


def changed_nodes(transaction: Transaction, since: Mark) -> tuple[Node, ...]:
    """Return every node of which anything changed since a mark."""
    changed = (
        select(NODES.c.id)
        .where(NODES.c.mark >= since)
        .union(select(NODE_AMOUNTS.c.node).where(NODE_AMOUNTS.c.mark >= since))
    )
    return read_nodes(transaction, NODES.c.id.in_(changed))


@dataclass(frozen=True, slots=True)
class SqlNodes:
    """`Nodes` in SQL."""

    transaction: Transaction

    def get(self, node: NodeId) -> Node | None:
        return next(iter(read_nodes(self.transaction, NODES.c.id == node)), None)

    def put(self, node: Node) -> None:
        own: dict[str, Any] = {"pool": node.pool, "state": node.state, "places": node.places}
        new = self.transaction.insert(NODES).values(id=node.id, **own)
        self.transaction.run(
            new.on_conflict_do_update(index_elements=NODES.primary_key, set_={**own, "mark": current_mark()})
        )
        granted = NODE_AMOUNTS.c.granted
        # What the node no longer names, it no longer has; what runs on it keeps its place until it leaves.
        self.transaction.run(
            update(NODE_AMOUNTS).where(NODE_AMOUNTS.c.node == node.id).values(capacity=0, ceiling=granted)
        )
        amounts = self.transaction.insert(NODE_AMOUNTS)
        capacity = amounts.excluded.capacity
        amounts = amounts.on_conflict_do_update(
            index_elements=NODE_AMOUNTS.primary_key,
            set_={"capacity": capacity, "ceiling": larger(capacity, granted), "mark": current_mark()},
        )
        for name, amount in node.capacity.items():
            self.transaction.run(
                amounts.values(node=node.id, resource=name, capacity=amount, granted=0, ceiling=amount)
            )

    def page(self, *, pool: PoolId | None, after: str, limit: int) -> tuple[Node, ...]:
        wanted = select(NODES.c.id).where(NODES.c.id > after).order_by(NODES.c.id).limit(limit)
        if pool is not None:
            wanted = wanted.where(NODES.c.pool == pool)
        return read_nodes(self.transaction, NODES.c.id.in_(wanted))


def _grouped(rows: Sequence[Row]) -> tuple[Node, ...]:
    return tuple(_node(list(own)) for _, own in groupby(rows, lambda row: row["id"]))


def _node(rows: Sequence[Row]) -> Node:
    return Node(
        id=rows[0]["id"],
        pool=rows[0]["pool"],
        state=rows[0]["state"],
        places=rows[0]["places"],
        capacity=Resources.of((row["resource"], row["capacity"]) for row in rows),
        granted=Resources.of((row["resource"], row["granted"]) for row in rows),
    )
