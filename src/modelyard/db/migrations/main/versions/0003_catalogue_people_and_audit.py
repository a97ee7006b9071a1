"""Tags, versions, trash, stored settings, jobs, revisions; nested groups; the audit log becomes a chain."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _add_columns()
    _create_tables()
    connection = op.get_bind()
    _index_models(connection)
    _number_audit_log(connection)
    with op.batch_alter_table("billing_audit_log") as batch_op:
        batch_op.alter_column("position", existing_type=sa.BigInteger(), nullable=False)
        batch_op.create_unique_constraint(op.f("uq_billing_audit_log_position"), ["position"])
        batch_op.create_index("ix_billing_audit_log_action", ["action"])


def _add_columns() -> None:
    with op.batch_alter_table("users") as batch_op:
        batch_op.add_column(
            sa.Column(
                "kind",
                sa.String(),
                server_default="person",
                nullable=False,
                comment="person, or service: no password, keys only",
            )
        )
    with op.batch_alter_table("groups") as batch_op:
        batch_op.add_column(sa.Column("parent_id", sa.String(), nullable=True))
        batch_op.add_column(
            sa.Column("permissions", sa.JSON(), server_default="{}", nullable=False, comment="permission path -> true")
        )
        batch_op.add_column(
            sa.Column(
                "share",
                sa.Boolean(),
                server_default=sa.true(),
                nullable=False,
                comment="may be chosen when something is shared",
            )
        )
        batch_op.create_foreign_key(op.f("fk_groups_parent_id"), "groups", ["parent_id"], ["id"], ondelete="SET NULL")
        batch_op.create_index(op.f("ix_groups_parent_id"), ["parent_id"])
    with op.batch_alter_table("api_keys") as batch_op:
        batch_op.add_column(
            sa.Column(
                "replaced_by", sa.String(), nullable=True, comment="the key that a rotation made in place of this one"
            )
        )
    with op.batch_alter_table("sessions") as batch_op:
        batch_op.add_column(sa.Column("address", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("user_agent", sa.String(), server_default="", nullable=False))
    with op.batch_alter_table("connections") as batch_op:
        batch_op.add_column(
            sa.Column(
                "loads",
                sa.Boolean(),
                server_default=sa.true(),
                nullable=False,
                comment="activation loads, deactivation unloads",
            )
        )
    with op.batch_alter_table("models") as batch_op:
        batch_op.add_column(
            sa.Column("version_id", sa.String(), nullable=True, comment="the row of `versions` that is in force")
        )
        batch_op.add_column(
            sa.Column("sort_name", sa.String(), server_default="", nullable=False, comment="the name case-folded")
        )
        batch_op.add_column(
            sa.Column(
                "search_text",
                sa.Text(),
                server_default="",
                nullable=False,
                comment="name, id, base, description case-folded",
            )
        )
        # The last column: SQLite reads a row from its beginning up to the last column that is asked for.
        batch_op.add_column(
            sa.Column(
                "profile_image",
                sa.Text(),
                nullable=True,
                comment="data URI of an uploaded image; lists and the snapshot do not read it",
            )
        )
        batch_op.create_index("ix_models_sort_name_id", ["sort_name", "id"])
        batch_op.create_index("ix_models_updated_at_id", ["updated_at", "id"])
        batch_op.create_index("ix_models_created_at_id", ["created_at", "id"])
    with op.batch_alter_table("billing_audit_log") as batch_op:
        batch_op.add_column(sa.Column("position", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("digest", sa.LargeBinary(32), nullable=True))


def _create_tables() -> None:
    op.create_table(
        "model_tags",
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False, comment="case-folded, for an exact match in any script"),
        sa.Column("name", sa.String(), nullable=False, comment="as it was written"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_model_tags_model_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_id", "tag", name=op.f("pk_model_tags")),
    )
    op.create_index("ix_model_tags_tag", "model_tags", ["tag", "model_id"])
    op.create_table(
        "versions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("entity_type", sa.String(), nullable=False),
        sa.Column("entity_id", sa.String(), nullable=False),
        sa.Column("parent_id", sa.String(), nullable=True),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="1, 2, 3 ... of one object"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
        sa.UniqueConstraint("entity_type", "entity_id", "position", name="uq_versions_position"),
    )
    op.create_table(
        "trash",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("entity_type", sa.String(), nullable=False),
        sa.Column("entity_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False, comment="the whole object with its grants"),
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("deleted_by", sa.String(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trash")),
    )
    op.create_index("ix_trash_entity", "trash", ["entity_type", "entity_id"])
    for column in ("owner_id", "batch_id", "deleted_at"):
        op.create_index(op.f(f"ix_trash_{column}"), "trash", [column])
    op.create_table(
        "settings",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )
    op.create_table(
        "revisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False, comment="the whole document as YAML, secrets as references"),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revisions")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("upstream_model", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("process", sa.String(), nullable=False, comment="which process works on it"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    for column in ("model_id", "updated_at"):
        op.create_index(op.f(f"ix_jobs_{column}"), "jobs", [column])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "publication_log",
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("entity_type", sa.String(), nullable=False),
        sa.Column("entity_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("version", "entity_type", "entity_id", name=op.f("pk_publication_log")),
    )


def _index_models(connection: sa.Connection) -> None:
    """Search text, sort name and tags of the rows that are there. As `control.catalogue.indexing` does for new ones."""
    models = sa.table(
        "models", sa.column("id"), sa.column("name"), sa.column("base_model_id"), sa.column("meta", sa.JSON()),
        sa.column("sort_name"), sa.column("search_text"),
    )  # fmt: skip
    tags = sa.table("model_tags", sa.column("model_id"), sa.column("tag"), sa.column("name"))
    rows = connection.execute(sa.select(models.c.id, models.c.name, models.c.base_model_id, models.c.meta)).all()
    for model_id, name, base, meta in rows:
        known = meta if isinstance(meta, dict) else {}
        parts = [name, model_id, base or "", str(known.get("description") or "")]
        connection.execute(
            sa.update(models)
            .where(models.c.id == model_id)
            .values(sort_name=name.casefold(), search_text="\n".join(parts).casefold())
        )
        found: dict[str, str] = {}
        for tag in known.get("tags") or []:
            text = tag.get("name") if isinstance(tag, dict) else tag
            if isinstance(text, str) and text.strip():
                found.setdefault(text.strip().casefold(), text.strip())
        for tag, written in found.items():
            connection.execute(sa.insert(tags).values(model_id=model_id, tag=tag, name=written))


def _number_audit_log(connection: sa.Connection) -> None:
    log = sa.table("billing_audit_log", sa.column("id"), sa.column("created_at"), sa.column("position"))
    ordered = connection.execute(sa.select(log.c.id).order_by(log.c.created_at, log.c.id)).scalars().all()
    for position, row_id in enumerate(ordered, 1):
        connection.execute(sa.update(log).where(log.c.id == row_id).values(position=position))
    head = sa.table("audit_head", sa.column("id"), sa.column("position"))
    connection.execute(sa.insert(head).values(id=1, position=len(ordered)))


def downgrade() -> None:
    with op.batch_alter_table("billing_audit_log") as batch_op:
        batch_op.drop_index("ix_billing_audit_log_action")
        batch_op.drop_constraint(op.f("uq_billing_audit_log_position"), type_="unique")
        batch_op.drop_column("digest")
        batch_op.drop_column("position")
    for name in (
        "publication_log", "audit_head", "jobs", "revisions", "settings", "trash", "versions", "model_tags",
    ):  # fmt: skip
        op.drop_table(name)
    with op.batch_alter_table("models") as batch_op:
        for index in ("ix_models_created_at_id", "ix_models_updated_at_id", "ix_models_sort_name_id"):
            batch_op.drop_index(index)
        for column in ("search_text", "sort_name", "version_id", "profile_image"):
            batch_op.drop_column(column)
    with op.batch_alter_table("connections") as batch_op:
        batch_op.drop_column("loads")
    with op.batch_alter_table("sessions") as batch_op:
        batch_op.drop_column("user_agent")
        batch_op.drop_column("address")
    with op.batch_alter_table("api_keys") as batch_op:
        batch_op.drop_column("replaced_by")
    with op.batch_alter_table("groups") as batch_op:
        batch_op.drop_index(op.f("ix_groups_parent_id"))
        batch_op.drop_constraint(op.f("fk_groups_parent_id"), type_="foreignkey")
        batch_op.drop_column("share")
        batch_op.drop_column("permissions")
        batch_op.drop_column("parent_id")
    with op.batch_alter_table("users") as batch_op:
        batch_op.drop_column("kind")
