"""What a second start finds again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zajil.lab.state import LabInUse, LabState, locked_folder, remove_abandoned


def test_passwords_and_schemas_are_kept(tmp_path: Path) -> None:
    first = LabState(tmp_path)
    kept = first.password("amal@north.test"), first.password("سلمى"), first.schema_prefix
    assert first.port_block is None
    first.port_block = 20_100
    first.save()
    second = LabState(tmp_path)
    assert second.port_block == 20_100
    again = second.password("amal@north.test"), second.password("سلمى"), second.schema_prefix
    assert kept == again
    assert len(set(kept)) == 3


def test_passwords_are_closed_to_others(tmp_path: Path) -> None:
    state = LabState(tmp_path)
    state.password("amal")
    state.save()
    assert (tmp_path / "lab.json").stat().st_mode & 0o777 == 0o600


def test_a_folder_is_for_one_lab_at_a_time(tmp_path: Path) -> None:
    with (
        locked_folder(tmp_path / "new"),
        pytest.raises(LabInUse, match="another lab"),
        locked_folder(tmp_path / "new"),
    ):
        pass
    with locked_folder(tmp_path / "new"):
        pass


def test_only_what_a_killed_lab_left_is_removed(tmp_path: Path) -> None:
    names = ["zajil-lab-left", "zajil-lab-running", "zajil-lab-young", "another"]
    left, running, young, other = (tmp_path / name for name in names)
    for folder in (left, running, young, other):
        (folder / "north.test").mkdir(parents=True)
    (tmp_path / "zajil-lab-link").symlink_to(other)
    with locked_folder(running):
        for folder in (left, running, other):
            os.utime(folder, (0, 0))
        assert remove_abandoned(tmp_path) == [left]
    assert not left.exists()
    assert all((folder / "north.test").exists() for folder in (running, young, other))
