"""Alembic's folder: ``store.engine.migrate`` runs ``env.py``; ``versions`` holds each change."""
