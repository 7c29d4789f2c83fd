"""For how long a request may be overtaken is found when it begins to wait, and kept with it."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("requests", sa.Column("overtaking_seconds", sa.BigInteger))
    # Whoever waits is answered anew, as if it began to: what is found then is found for it, too.
    op.execute("UPDATE requests SET reasons = '[]' WHERE state = 'pending'")
