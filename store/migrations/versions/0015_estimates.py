"""When a request starts is foreseen and kept with it, and what that came to is learnt from."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("requests", sa.Column("estimate", sa.Text))
    op.create_table(
        "outcomes",
        sa.Column("pool", _TEXT, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("estimate", sa.Text, nullable=False),
        sa.Column("placed", sa.BigInteger, nullable=False),
        sa.Column("half_side", sa.BigInteger, nullable=False),
        sa.Column("most_side", sa.BigInteger, nullable=False),
        sa.Column("mark", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("pool", "number", name="pk_outcomes"),
    )
    op.create_index("ix_outcomes_mark", "outcomes", ["mark"])
