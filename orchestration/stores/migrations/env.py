"""What alembic runs: migrations on the connection it is given, never on a URL of its own."""

from __future__ import annotations

from alembic import context

from orchestration.stores.schema import metadata

_connection = context.config.attributes["connection"]
# SQLite cannot alter most of a table in place: alembic copies it ("batch").
context.configure(connection=_connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
