"""The browsers that all tests of the folder share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kit.browser import running_chromium, running_firefox


@pytest.fixture(scope="package")
def playwright() -> Iterator[Any]:
    """Not for the whole run: while Playwright runs, other tests cannot call ``asyncio.run``."""
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def chromium(playwright: Any) -> Iterator[Any]:
    """One browser for all; each test has profiles of its own in it."""
    with running_chromium(playwright) as browser:
        yield browser


@pytest.fixture(scope="package")
def firefox(playwright: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Firefox, for all."""
    with running_firefox(playwright, tmp_path_factory.mktemp("firefox")) as browser:
        yield browser
