"""A store of each earlier schema, written by the code of that time, is upgraded and whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.old_store import ARCHIVES, contents, load_into_postgres, unpack
from kit.store import open_test_store, small_store_options
from zajil.net.system import SystemClock
from zajil.read.indexer import reindex
from zajil.store.engine.life import upgrade_store
from zajil.store.engine.migrate import known_schemas
from zajil.store.repair.check import find_damage

_NEVER_ALONE = {"0040"}
"""Schemas that no commit had as its newest one: no store of them was ever written."""


def test_each_schema_has_an_archive() -> None:
    """Those from 0046 on get theirs with their release."""
    assert {name for name in known_schemas() if name < "0046"} - _NEVER_ALONE <= set(ARCHIVES)


@pytest.mark.parametrize("schema", ARCHIVES)
def test_a_store_of_an_earlier_schema(schema: str, tmp_path: Path) -> None:
    """It is upgraded, has no damage, and every message is as it was, byte for byte."""
    _upgrade_and_compare(schema, "sqlite", tmp_path)


@pytest.mark.parametrize("schema", sorted({*ARCHIVES[::10], *ARCHIVES[-3:]}))
def test_the_rows_of_an_earlier_schema_in_postgresql(
    schema: str, postgres_url: str, tmp_path: Path
) -> None:
    """The same rows, written into tables of that schema."""
    _upgrade_and_compare(schema, postgres_url, tmp_path)


def _upgrade_and_compare(schema: str, url: str, folder: Path) -> None:
    expected = unpack(schema, folder)
    if url != "sqlite":
        load_into_postgres(folder, schema, url)
    assert len(expected["messages"]) >= 13
    assert [row[1] for row in expected["queue"]].count("waiting") == 3
    done = upgrade_store(small_store_options(url), folder, clock=SystemClock())
    assert (done and done.found) == (None if schema == known_schemas()[-1] else schema)
    store = open_test_store(url, folder)
    try:
        assert contents(store) == expected
        assert find_damage(store, is_served=False, progress=lambda done, total: None) == []
        reindex(store, lambda done, total: None)
        assert find_damage(store, is_served=False, progress=lambda done, total: None) == []
        assert contents(store) == expected
    finally:
        store.close_now()
