"""The unit in docs/run/install.md is one that systemd takes, and that it calls well protected."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

_PAGE = Path(__file__).parent.parent / "docs" / "run" / "install.md"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze"
)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that is on this machine."""
    text = re.findall(r"(?s)```ini\n(.*?)```", _PAGE.read_text("utf-8"))[0]
    file = tmp_path / "zajil.service"
    here = text.replace("/opt/zajil/bin/zajil", "/bin/true").replace("User=zajil", "User=daemon")
    file.write_text(here, "utf-8")
    return file


@needs_systemd
def test_systemd_takes_the_unit(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True
    )
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, said) == (0, [])


@needs_systemd
def test_the_unit_is_protected(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def test_the_unit_reloads_and_starts_again() -> None:
    text = _PAGE.read_text("utf-8")
    for line in ("ExecReload=/bin/kill -HUP $MAINPID", "Restart=on-failure", "Type=notify"):
        assert f"\n{line}\n" in text
