"""Answers of the responses API, for `previous_response_id`; servers that are only like OpenAI are called so."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "responses",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("previous_id", sa.String(), nullable=True),
        sa.Column(
            "items",
            sa.Text(),
            nullable=False,
            comment="JSON list: what the caller said in this turn and what came back",
        ),
        sa.Column("answer", sa.Text(), nullable=False, comment="the answer as it was given"),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="characters of both"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_responses")),
    )
    with op.batch_alter_table("responses", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_responses_expires_at"), ["expires_at"], unique=False)

    # Until now `openai` stood for every server that speaks its dialect.
    op.execute(
        "UPDATE connections SET flavour = 'compatible' "
        "WHERE flavour = 'openai' AND base_url NOT LIKE 'https://api.openai.com%'"
    )


def downgrade() -> None:
    op.execute("UPDATE connections SET flavour = 'openai' WHERE flavour = 'compatible'")
    with op.batch_alter_table("responses", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_responses_expires_at"))

    op.drop_table("responses")
