"""More buckets of usage, and what a translation lost."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BUCKETS = ("cache_write_1h", "audio_input", "audio_output")


def upgrade() -> None:
    # Added in place: a ledger may hold millions of rows, and SQLite would copy them all in batch mode.
    for name in BUCKETS:
        op.add_column("ledger", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("ledger", sa.Column("loss", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    for name in ("loss", *reversed(BUCKETS)):
        op.drop_column("ledger", name)
