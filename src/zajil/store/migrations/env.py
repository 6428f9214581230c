"""Run by Alembic: migrate the connection that ``store.engine.migrate`` brings."""

from __future__ import annotations

from alembic import context

from zajil.store.partial_indexes import complete_metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=complete_metadata(),
    # SQLite can roll a CREATE TABLE back; Alembic does not count on it unless told.
    transactional_ddl=True,
)
context.run_migrations()
