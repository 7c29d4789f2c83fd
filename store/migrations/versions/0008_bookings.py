"""Nodes are booked in advance, no node by two at the same time, and requests may name a booking."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_APART = """
CREATE TRIGGER booked_nodes_apart_EVENT BEFORE EVENT ON booked_nodes
WHEN NEW.begins < NEW.until AND EXISTS (
    SELECT 1 FROM booked_nodes
    WHERE node = NEW.node AND booking <> NEW.booking AND begins < NEW.until AND NEW.begins < until AND begins < until
)
BEGIN SELECT RAISE(ABORT, 'a node is booked by one booking at a time'); END
"""


def upgrade() -> None:
    op.create_table(
        "bookings",
        *_text("id", "name", "pool", "nodes"),
        *_number("begins", "ends"),
        *_text("project", nullable=True),
        *_text("kind", "made_by"),
        *_number("made"),
        sa.Column("displaces", sa.Boolean, nullable=False),
        *_number("released", nullable=True),
        *_text("released_by", nullable=True),
        *_number("version", "mark"),
        sa.PrimaryKeyConstraint("id", name="pk_bookings"),
        sa.CheckConstraint("begins < ends", name=op.f("ck_bookings_period")),
        sa.ForeignKeyConstraint(["pool"], ["pools.id"], name="fk_bookings_pool"),
        sa.ForeignKeyConstraint(["project"], ["projects.id"], name="fk_bookings_project"),
    )
    op.create_index("ix_bookings_begins_id", "bookings", ["begins", "id"])
    op.create_index("ix_bookings_ends", "bookings", ["ends"])
    op.create_index("ix_bookings_made", "bookings", ["made"])
    op.create_index("ix_bookings_mark", "bookings", ["mark"])
    op.create_table(
        "booked_nodes",
        *_text("booking", "node"),
        *_number("begins", "until"),
        sa.PrimaryKeyConstraint("booking", "node", name="pk_booked_nodes"),
        sa.CheckConstraint("begins <= until", name=op.f("ck_booked_nodes_period")),
        sa.ForeignKeyConstraint(["booking"], ["bookings.id"], name="fk_booked_nodes_booking"),
        sa.ForeignKeyConstraint(["node"], ["nodes.id"], name="fk_booked_nodes_node"),
    )
    op.create_index("ix_booked_nodes_node", "booked_nodes", ["node"])
    _hold_apart()
    op.add_column("requests", sa.Column("booking", _TEXT))


_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _text(*names: str, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, _TEXT, nullable=nullable) for name in names]


def _number(*names: str, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger, nullable=nullable) for name in names]


def _hold_apart() -> None:
    """Have the database refuse a node that another booking has at the same time.

    On PostgreSQL by an exclusion constraint, which also sees what is not committed yet. It compares ranges only, so a
    node is the range from its name to its name. On SQLite writers take turns, and a trigger is enough.
    """
    if op.get_context().dialect.name == "postgresql":
        op.execute('CREATE TYPE node_names AS RANGE (subtype = text, collation = "C")')
        op.execute(
            "ALTER TABLE booked_nodes ADD CONSTRAINT ex_booked_nodes_apart EXCLUDE USING gist "
            "(node_names(node, node, '[]') WITH &&, int8range(begins, until) WITH &&)"
        )
        return
    for event in ("INSERT", "UPDATE"):
        op.execute(_APART.replace("EVENT", event))
