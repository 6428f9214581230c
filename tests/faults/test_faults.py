"""Nodes that are killed, frozen and cut off under load: every 250 is accounted for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kit.fault_run import FaultReport, FaultRun, run_faults


def look(folder: Path, plan: FaultRun) -> FaultReport:
    lines: list[str] = []
    report = asyncio.run(run_faults(folder, plan, lines.append))
    assert not report.wrong, "\n".join([*lines, report.table(), *report.wrong])
    return report


@pytest.mark.timeout(600)
def test_twenty_brief_faults_of_two_nodes(tmp_path: Path) -> None:
    report = look(tmp_path, FaultRun(faults=20, seed=2, nodes=2, objects=False, brief=True))
    assert len(report.faults) == 20


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_faults_of_three_nodes(tmp_path: Path) -> None:
    report = look(tmp_path, FaultRun(faults=200, seed=1))
    assert len(report.faults) == 200
