"""What a second start finds again."""

from __future__ import annotations

from pathlib import Path

import pytest

from zajil.lab.state import LabInUse, LabState, locked_folder


def test_passwords_and_schemas_are_kept(tmp_path: Path) -> None:
    first = LabState(tmp_path)
    kept = first.password("amal@north.test"), first.password("سلمى"), first.schema_prefix
    first.save()
    second = LabState(tmp_path)
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
