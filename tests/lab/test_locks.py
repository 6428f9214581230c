"""What pip installs is what uv.lock says: the exported lists are not older than it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_the_list_agrees_with_the_lock(name: str) -> None:
    """Made by ``uv export``; CONTRIBUTING.md has the commands."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    locked = {package["name"]: package["version"] for package in packages}
    listed = dict(re.findall(r"^([a-z0-9._-]+)==([^ \\;]+)", (ROOT / name).read_text(), re.M))
    assert listed
    assert listed == {package: locked[package] for package in listed}


def test_the_development_list_holds_every_package() -> None:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    listed = re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements-dev.lock").read_text(), re.M)
    assert {package["name"] for package in packages} - {"zajil"} == set(listed)
