"""A center can be closed: what it made for its tenants is taken away and stays away."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("centers", sa.Column("closed", sa.BigInteger))
