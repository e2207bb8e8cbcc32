"""What alembic runs: migrations on the connection it is given, never on a URL of its own."""

from __future__ import annotations

from alembic import context

from orchestration.service.store.schema import metadata


def run() -> None:
    """Run the migrations."""
    # SQLite cannot alter most of a table in place: alembic copies it ("batch").
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if getattr(context, "config", None) is not None:  # only while alembic runs
    run()
