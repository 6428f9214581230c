"""The browser that the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kit.browser import running_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for the file; each test has profiles of its own in it.

    Not for the whole run: while Playwright runs, other tests cannot call ``asyncio.run``.
    """
    with running_chromium() as browser:
        yield browser
