"""Run by Alembic: migrate the connection that ``store.engine.migrate`` brings."""

from __future__ import annotations

from alembic import context

from zajil.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite can roll a CREATE TABLE back; Alembic does not count on it unless told.
    transactional_ddl=True,
)
context.run_migrations()
