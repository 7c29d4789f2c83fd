"""How many requests of an institution wait is counted at each submission, from an index of those that wait."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    waiting = sa.text("state = 'pending'")
    op.create_index(
        "ix_requests_waiting_of_institution",
        "requests",
        ["institution", "request_class"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
