"""Alembic's entry for this line of migrations."""

from modelyard.db.migrations.environment import run
from modelyard.db.schema import metadata

run(metadata)
