"""A request may say how much of its work several workers can share, and is told what extra ones have spared it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A server that still writes rows of the schema before goes on meanwhile: what it leaves out has a value.
    op.add_column("requests", sa.Column("parallel_fraction", sa.BigInteger))
    op.add_column("requests", sa.Column("spared_milliseconds", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("requests", sa.Column("spared_since", sa.BigInteger))
