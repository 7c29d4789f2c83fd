"""How much of their walltimes people's latest clusters ran is kept, to predict how long the next will."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "run_ratios",
        sa.Column("person", _TEXT, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("before", sa.BigInteger),
        sa.Column("mark", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("person", name="pk_run_ratios"),
    )
    op.create_index("ix_run_ratios_mark", "run_ratios", ["mark"])
