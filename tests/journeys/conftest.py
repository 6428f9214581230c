"""One lab for all journeys of a run: its servers are real, its clients are others' programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from zajil.testing.lab_process import LabDomain, LabProcess

_START_SECONDS = 120
"""A lab is three servers of two workers each, on a machine that runs other tests beside."""


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let all journeys run in one process, so that they share a lab; they take longer."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.xdist_group("lab"))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(_START_SECONDS))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    folder = tmp_path_factory.mktemp("lab")
    process = LabProcess("--dir", str(folder), "--workers", "2")
    yield process
    process.stop()


@pytest.fixture(scope="session")
def north(lab: LabProcess) -> LabDomain:
    return lab.domains[0]


@pytest.fixture(scope="session")
def south(lab: LabProcess) -> LabDomain:
    return lab.domains[1]


@pytest.fixture(scope="session")
def zajil(lab: LabProcess) -> LabDomain:
    """The Arabic domain."""
    return lab.domains[2]
