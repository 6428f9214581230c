"""One lab for all journeys of a run: its servers are real, its clients are others' programs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from zajil.testing.lab_process import LabDomain, LabProcess


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
