"""What was measured of a process's use stands beside what is charged for it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("processes", sa.Column("cpu_milliseconds", sa.BigInteger))
    op.add_column("processes", sa.Column("peak_memory", sa.BigInteger))
