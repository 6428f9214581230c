"""Upgrades of a store that has rows in it: what a migration does to them."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from kit.store import open_test_store, small_store_options
from zajil.net.system import SystemClock
from zajil.store import migrations
from zajil.store.engine.life import upgrade_store
from zajil.store.engine.open import Store
from zajil.store.schema import app_password, metadata, scram_key


def test_app_passwords_of_pop3_are_removed(store: Store, store_url: str, tmp_path: Path) -> None:
    """They opened nothing, and the scope is no longer known."""
    _go_back(
        store,
        "0012",
        "INSERT INTO app_password (account_id, name, scope, label, password_hash, created_ms)"
        " VALUES (1, 'phone', 'pop3', 'abcd', '', 1), (1, 'tablet', 'imap', 'efgh', '', 1)",
        "INSERT INTO scram_key (login, app_password_id, salt, iterations, stored_key, server_key)"
        " VALUES ('amal', 1, '', 4096, '', ''), ('amal', 2, '', 4096, '', '')",
    )
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    kept = again.read_now(
        lambda conn: [
            conn.scalars(sa.select(column)).all()
            for column in (app_password.c.name, scram_key.c.app_password_id)
        ]
    )
    again.close_now()
    assert kept == [["tablet"], [2]]


def _go_back(store: Store, revision: str, *rows: str) -> None:
    """Make the tables anew as they were at a revision, put rows into them, close the store."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with store._dialect.writer.begin() as conn:
        metadata.drop_all(conn)
        conn.execute(sa.text("DROP TABLE alembic_version"))
        config.attributes["connection"] = conn
        command.upgrade(config, revision)
        for row in rows:
            conn.execute(sa.text(row))
    store._dialect.close()
