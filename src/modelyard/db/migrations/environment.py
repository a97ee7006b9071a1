"""Runs one line of migrations on the connection that `db.migrate` hands over. Shared by both lines' env.py."""

from alembic import context
from sqlalchemy import MetaData


def run(metadata: MetaData) -> None:
    """Called by env.py."""
    attributes = context.config.attributes
    connection = attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=attributes["version_table"],
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=False,
        # Both lines may share one PostgreSQL database: each sees its own tables only.
        include_name=lambda name, kind, parents: kind != "table" or name in metadata.tables,
    )
    context.run_migrations()
