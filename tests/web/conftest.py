"""What every test of the web has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.store import open_test_store
from zajil.store.engine.open import Store


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """An empty store on SQLite: enough where the store's own tests have seen both."""
    opened = open_test_store("sqlite", tmp_path / "data")
    yield opened
    opened.close_now()
