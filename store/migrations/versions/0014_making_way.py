"""A cluster may have to make way for a stronger claim: its request says until when not, its slots what was paid."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A server that still writes rows of the schema before goes on meanwhile: what it leaves out has a value.
    op.add_column("requests", sa.Column("guaranteed_until", sa.BigInteger))
    op.execute("UPDATE requests SET guaranteed_until = deadline WHERE state = 'placed'")
    op.add_column("requests", sa.Column("preempted", sa.Text))
    op.add_column("processes", sa.Column("charged", sa.BigInteger, nullable=False, server_default="0"))
