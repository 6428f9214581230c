"""Alembic's folder: ``env.py`` is run by ``store.migrate``; ``versions`` has a file per change."""
