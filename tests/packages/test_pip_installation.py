"""The commands of ``docs/run`` for an installation with pip, in a fresh Debian with systemd."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from kit.foreign import need_program
from kit.fresh_root import FreshRoot, make_fresh_root
from kit.operator_page import Command, read_page, section

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = "ca-certificates,man-db,python3-venv,systemd"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.timeout(1500),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> FreshRoot:
    """A system with a clone of this repository, and the resolver and authorities of our own."""
    need_program("unshare")
    suite = re.findall(r"VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text())[0]
    folder = tmp_path_factory.mktemp("fresh") / "root"
    system = make_fresh_root(folder, suite, PROGRAMS)
    clone = ["git", "clone", "--quiet", "--no-local", f"file://{ROOT}", str(folder / "clone")]
    subprocess.run(clone, check=True)
    for file in ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"):
        shutil.copy(file, f"{folder}{file}")
    return system


def test_the_pages_lead_to_an_installation_and_to_the_next_version(root: FreshRoot) -> None:
    """Long: one system goes through both, in the order of an operator."""
    commands = section("install", "pip")
    assert any("requirements.lock" in one.text for one in commands)
    follow(root, commands)
    assert root.run("id", "-gn", "zajil").strip() == "zajil"
    assert "problem" not in root.run("zajil", "self-check")
    man = "MANPATH=/opt/zajil/share/man: man zajil"
    assert f"`{man}`" in read_page("install")
    assert "complete mail system" in root.run("sh", "-c", man)

    (setup,) = [one for one in section("install", "2. Set up") if "--user zajil" in one.text]
    follow(root, [setup])
    follow(root, section("install", "4. Start"))
    follow(root, section("install", "Socket units"))
    wants = root.files("/etc/systemd/system")
    assert "multi-user.target.wants/zajil.service" in wants
    assert "sockets.target.wants/zajil-imaps.socket" in wants

    follow(root, section("upgrade", "Rehearsal")[2:])
    follow(root, section("upgrade", "pip"))
    assert "admin@example.org" in root.run("zajil", "account", "list")


def follow(root: FreshRoot, commands: list[Command]) -> None:
    """Type commands into one shell, as root in the clone; each must succeed.

    systemd does not run there: systemctl enables units, and ignores requests to start or stop them,
    except ``--now``.
    """
    head = ["set -e", "cd /clone", "export SYSTEMD_OFFLINE=1"]
    script = "\n".join([*head, *(one.text.replace(" --now ", " ") for one in commands)])
    print("\n".join(one.text for one in commands))
    print(root.run("sh", "-c", f"{_pip_settings()}\n{script}", has_network=True))


def _pip_settings() -> str:
    """Return what makes pip use the same index as our own."""
    found = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    found.pop("PIP_FIND_LINKS", None)
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in found.items())
