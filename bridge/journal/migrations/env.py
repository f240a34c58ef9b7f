"""Runs migrations on the connection that `journal.database` hands over, inside its transaction."""

from alembic import context

from bridge.journal import schema  # noqa: F401 - the tables
from bridge.journal.metadata import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
context.run_migrations()
