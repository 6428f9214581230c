"""The units are what systemd takes, and what it calls well protected."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from kit.foreign import need_program
from zajil.config.options_server import ListenOptions

_UNITS = Path(__file__).parent.parent / "packaging" / "systemd"
_SOCKETS = sorted(_UNITS.glob("*.socket"))
_LOCAL = {"lmtp", "web", "metrics"}
"""Services that are not for other computers have no socket unit."""


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """All units, with a program and a user that are on this machine."""
    for path in [_UNITS / "zajil.service", *_SOCKETS]:
        text = path.read_text("utf-8")
        text = text.replace("=zajil serve\n", "=/bin/true\n").replace(
            "=zajil reload\n", "=/bin/true\n"
        )
        for option in ("User", "Group"):
            text = text.replace(f"{option}=zajil\n", f"{option}=daemon\n")
        (tmp_path / path.name).write_text(text, "utf-8")
    return sorted(tmp_path.iterdir())


@pytest.mark.interop
def test_systemd_takes_the_units(units: list[Path]) -> None:
    done = subprocess.run(
        [need_program("systemd-analyze"), "verify", "--man=no", *map(str, units)],
        capture_output=True,
        text=True,
    )
    complaints = [line for line in done.stderr.splitlines() if "zajil" in line]
    assert (done.returncode, complaints) == (0, [])


@pytest.mark.interop
def test_the_service_is_protected() -> None:
    """The exposure is at most 2.0 of 10."""
    done = subprocess.run(
        [
            *(need_program("systemd-analyze"), "security", "--offline=true", "--threshold=20"),
            str(_UNITS / "zajil.service"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def test_the_service_reloads_and_starts_again() -> None:
    text = (_UNITS / "zajil.service").read_text("utf-8")
    for line in ("ExecReload=zajil reload", "Restart=on-failure", "Type=notify"):
        assert f"\n{line}\n" in text


def test_each_service_for_other_computers_has_a_socket_unit() -> None:
    """It opens the port of the default, if there is one, and says whose it is."""
    found = {}
    for path in _SOCKETS:
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment, method-assign]  # names have capitals
        unit.read(path, "utf-8")
        assert unit["Socket"]["Service"] == "zajil.service"
        assert path.stem == f"zajil-{unit['Socket']['FileDescriptorName']}"
        found[unit["Socket"]["FileDescriptorName"]] = unit["Socket"]["ListenStream"]
    for name, field in ListenOptions.model_fields.items():
        if name not in _LOCAL:
            ports = {address.rpartition(":")[2] for address in field.get_default()}
            assert {found[name]} == (ports or {found[name]}), name


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="needs systemd-sysusers")
def test_user_and_folder_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    root = f"--root={tmp_path}"
    users, folders = _UNITS / "zajil.sysusers", _UNITS / "zajil.tmpfiles"
    subprocess.run(["systemd-sysusers", root, str(users)], check=True, capture_output=True)
    entry = (tmp_path / "etc" / "passwd").read_text("utf-8").strip().split(":")
    assert (entry[0], entry[5], entry[6]) == ("zajil", "/var/lib/zajil", "/usr/sbin/nologin")
    subprocess.run(
        ["systemd-tmpfiles", root, "--create", str(folders)], check=True, capture_output=True
    )
    made = (tmp_path / "var" / "lib" / "zajil").stat()
    assert (made.st_mode & 0o777, made.st_uid) == (0o700, int(entry[2]))
