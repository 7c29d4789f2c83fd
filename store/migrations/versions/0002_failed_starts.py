"""Starts that fail are put off, and what keeps a process from starting is remembered."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A server that still writes rows of the schema before goes on meanwhile: what it leaves out has a value.
    op.add_column("requests", sa.Column("trouble", sa.Text))
    op.add_column("requests", sa.Column("not_before", sa.BigInteger))
    op.add_column("requests", sa.Column("failed_starts", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("requests", sa.Column("first_incarnation", sa.BigInteger, nullable=False, server_default="1"))
    op.add_column("processes", sa.Column("trouble", sa.Text))
    op.add_column("processes", sa.Column("troubled_since", sa.BigInteger))
