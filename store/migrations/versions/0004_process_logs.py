"""What processes printed last is kept for a while."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "process_logs",
        sa.Column("uid", kind, nullable=False),
        sa.Column("request", kind, nullable=False),
        sa.Column("institution", kind, nullable=False),
        sa.Column("process", kind, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("text", kind, nullable=False),
        sa.PrimaryKeyConstraint("uid", name="pk_process_logs"),
    )
    op.create_index("ix_process_logs_request", "process_logs", ["request"])
    op.create_index("ix_process_logs_at", "process_logs", ["at"])
    op.create_index("ix_process_logs_institution_at", "process_logs", ["institution", "at"])
