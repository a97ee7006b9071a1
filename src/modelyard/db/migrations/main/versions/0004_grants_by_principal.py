"""An index that answers by itself what somebody was granted."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = ["principal_type", "principal_id", "resource_type", "resource_id", "permission"]


def upgrade() -> None:
    # Without batch mode: SQLite makes and drops an index in place.
    op.create_index("ix_grants_principal_resource", "grants", COLUMNS)
    op.drop_index("ix_grants_principal", "grants")


def downgrade() -> None:
    op.create_index("ix_grants_principal", "grants", COLUMNS[:2])
    op.drop_index("ix_grants_principal_resource", "grants")
