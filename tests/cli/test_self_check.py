"""``zajil self-check`` finds what is wrong with an installation; a line for each check."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import zoneinfo
from importlib import metadata
from pathlib import Path

import pytest

from kit.installation import set_up
from zajil.app.self_check import check_installation


def state_of(name: str) -> tuple[str, str]:
    found = {one.name: one for one in check_installation()}
    return found[name].state, found[name].text


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run in a process of its own: it imports all libraries; return exit status and output."""
    without = {key: value for key, value in os.environ.items() if key != "ZAJIL_CONFIG"}
    done = subprocess.run(
        [sys.executable, "-m", "zajil", *arguments],
        capture_output=True,
        text=True,
        env=without,
        cwd=folder,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_this_environment_is_right(tmp_path: Path) -> None:
    status, out = run(tmp_path, "self-check")
    assert status == 0
    assert {line.split()[0] for line in out.splitlines()} == {"ok"}


def test_the_configuration_is_checked_too(tmp_path: Path) -> None:
    file = str(set_up(tmp_path / "mail").configuration)
    status, out = run(
        tmp_path, "--config", file, "--set", "tls.key=/no/key", "self-check", "--json"
    )
    found = json.loads(out)
    assert (status, found["ok"]) == (1, False)
    problems = [one for one in found["checks"] if one["state"] == "problem"]
    assert {one["name"] for one in problems} == {"configuration"}
    assert "/no/key" in " ".join(one["text"] for one in problems)
    bad = tmp_path / "bad.toml"
    bad.write_text("[server\n")
    status, out = run(tmp_path, "--config", str(bad), "self-check", "--quiet")
    assert (status, out.split()[:2]) == (1, ["problem", "configuration"])


def test_a_missing_library_and_a_missing_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda name: ["nonesuch>=1"])
    assert state_of("libraries") == ("problem", "the library nonesuch is not installed")
    monkeypatch.setattr(zoneinfo, "ZoneInfo", lambda name: zoneinfo.ZoneInfo.no_cache("No/Where"))
    assert state_of("time zones")[0] == "problem"


def test_a_worker_that_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a filter of system calls that kills it."""
    monkeypatch.setattr(asyncio, "Runner", lambda loop_factory: os.kill(os.getpid(), 9))
    state, text = state_of("processes")
    assert (state, text.partition("ended with ")[2]) == ("problem", "-9")


def test_a_database_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    assert state_of("database")[0] == "problem"
