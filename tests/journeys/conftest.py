"""What all journeys share: the lab of the run, which is made in the conftest above."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let all journeys run in one process, beside the tests that use the same lab."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.xdist_group("lab"))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(240))
