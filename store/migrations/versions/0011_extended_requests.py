"""A running cluster may be let go on for longer than its walltime."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("requests", sa.Column("extended_seconds", sa.BigInteger, nullable=False, server_default="0"))
    extended = sa.text("state = 'placed' AND extended_seconds > 0")
    op.create_index("ix_requests_extended", "requests", ["pool"], sqlite_where=extended, postgresql_where=extended)
