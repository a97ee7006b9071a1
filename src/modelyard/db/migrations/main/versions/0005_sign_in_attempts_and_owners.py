"""Failed sign-ins, counted by all workers together; revisions that know the owners for whom a document has no name."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sign_in_attempts",
        sa.Column(
            "subject", sa.LargeBinary(length=32), nullable=False, comment="keyed digest of an account, an address, ..."
        ),
        sa.Column("count", sa.Double(), nullable=False, comment="as it was at the last one; it fades"),
        sa.Column("last_at", sa.Double(), nullable=False, comment="Unix seconds of the database"),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_sign_in_attempts")),
    )
    op.create_index("ix_sign_in_attempts_last_at", "sign_in_attempts", ["last_at"])
    # Without batch mode: SQLite adds and drops a column in place.
    op.add_column(
        "revisions",
        sa.Column(
            "owners",
            sa.JSON(none_as_null=True),
            comment="model -> its stored user_id, where a document has no name for the owner; null: not noted",
        ),
    )


def downgrade() -> None:
    op.drop_column("revisions", "owners")
    op.drop_index("ix_sign_in_attempts_last_at", "sign_in_attempts")
    op.drop_table("sign_in_attempts")
