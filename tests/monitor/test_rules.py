"""The alerting rules for Prometheus: promtool checks and tests them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from kit.foreign import need_program
from zajil.monitor.meters import METERS, MeterKind

FOLDER = Path(__file__).parents[2] / "packaging" / "prometheus"
RULES = FOLDER / "zajil.rules.yml"


def known_names() -> set[str]:
    """Give the names that a query may ask for."""
    names: set[str] = set()
    for meter in METERS:
        parts = ("_bucket", "_count", "_sum") if meter.kind is MeterKind.HISTOGRAM else ("",)
        names |= {meter.name + part for part in parts}
    return names


def test_every_metric_in_a_rule_exists() -> None:
    asked = set(re.findall(r"\bzajil_\w+", RULES.read_text()))
    assert asked
    assert asked <= known_names()


@pytest.mark.interop
def test_promtool_checks_the_rules() -> None:
    promtool = need_program("promtool")
    done = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.interop
def test_promtool_tests_the_rules() -> None:
    promtool = need_program("promtool")
    done = subprocess.run(
        [promtool, "test", "rules", "zajil.rules.test.yml"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
