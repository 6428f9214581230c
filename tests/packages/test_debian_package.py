"""The Debian package in a fresh system: install, set up, serve, upgrade, remove, purge."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from kit.foreign import need_program
from kit.fresh_root import FreshRoot, make_fresh_root
from kit.operator_page import section

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.timeout(1500),
]

_AS_THE_UNIT = ["setpriv", "--reuid=zajil", "--regid=zajil", "--init-groups", "--no-new-privs"]
_AS_THE_UNIT += ["--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service"]
_AS_THE_UNIT += ["--bounding-set=-all,+net_bind_service"]
_SERVE_AND_SEND = (Path(__file__).parent / "serve_and_send.py").read_text("utf-8")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built for the release of this machine."""
    need_program("dpkg-buildpackage")
    out = tmp_path_factory.mktemp("package")
    done = subprocess.run(
        [str(ROOT / "packaging" / "build-deb"), str(out)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def newer(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same package with a higher version, and a file more."""
    folder = tmp_path_factory.mktemp("newer")
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "-R", str(package), str(tree)], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^(Version: .*)$", r"\1+upgrade1", control.read_text()))
    made = folder / "zajil_newer.deb"
    subprocess.run(["dpkg-deb", "-b", "-Zgzip", str(tree), str(made)], check=True)
    return made


@pytest.fixture
def root(tmp_path: Path) -> FreshRoot:
    suite = re.findall(r"VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text())[0]
    return make_fresh_root(tmp_path / "root", suite)


def install(root: FreshRoot, package: Path) -> str:
    """Type the command of docs/run/install.md beside the package."""
    for older in root.folder.glob("zajil_*.deb"):
        older.unlink()
    (root.folder / package.name).write_bytes(package.read_bytes())
    return root.run("sh", "-c", "apt-get install --yes ./zajil_*.deb")


def test_lintian_finds_no_error(package: Path) -> None:
    done = subprocess.run(
        [need_program("lintian"), "--fail-on", "error,warning", str(package)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_the_same_commit_gives_the_same_package(package: Path, tmp_path: Path) -> None:
    subprocess.run(
        [str(ROOT / "packaging" / "build-deb"), str(tmp_path)], check=True, capture_output=True
    )
    assert (tmp_path / package.name).read_bytes() == package.read_bytes()


def test_the_life_of_an_installation(package: Path, newer: Path, root: FreshRoot) -> None:
    """Long: one system goes through everything, in the order of an operator."""
    # Installed without a network, and not started before it is set up.
    assert "zajil setup DOMAIN" in install(root, package)
    assert root.run("id", "-gn", "zajil").strip() == "zajil"
    assert "problem" not in root.run("zajil", "self-check")
    shared = root.files("/usr/share/zajil")
    assert {"prometheus/zajil.rules.yml", "grafana/zajil.json"} <= set(shared)
    assert "run/start.md" in root.files("/usr/share/doc/zajil/docs")
    assert root.run("sh", "-c", "zajil serve >/dev/null 2>&1; echo $(($? > 0))").strip() == "1"

    # Set up where the package expects it, and served without any privilege but low ports.
    (root.folder / "password").write_text("correct horse battery staple\n")
    arguments = ("y.test", "--password-file", "/password", "--admin", "b@y.test")
    root.run("zajil", "setup", *arguments)
    assert root.run("stat", "-c", "%U %a", "/var/lib/zajil").split() == ["zajil", "700"]
    assert root.run("stat", "-c", "%U:%G %a", "/etc/zajil/zajil.toml").split() == [
        "root:zajil",
        "640",
    ]
    assert "the mail arrived" in root.run_confined(_SERVE_AND_SEND, *_AS_THE_UNIT)

    # The newer version is tried beside the installed one.
    (root.folder / "zajil_new.deb").write_bytes(newer.read_bytes())
    (unpack, rehearse) = section("upgrade", "Rehearsal")[:2]
    root.run("sh", "-c", unpack.text.replace("zajil_*", "zajil_new"))
    said = root.run("sh", "-c", rehearse.text)
    assert "nothing to upgrade" in said
    assert "the copy is not damaged" in said
    (root.folder / "zajil_new.deb").unlink()

    # Upgraded: configuration, accounts and mail are as before, and it serves.
    configuration = (root.folder / "etc/zajil/zajil.toml").read_bytes()
    install(root, newer)
    assert "+upgrade1" in root.run("dpkg-query", "-W", "zajil")
    assert (root.folder / "etc/zajil/zajil.toml").read_bytes() == configuration
    assert "b@y.test" in root.run("zajil", "account", "list")
    assert "the mail arrived" in root.run_confined(_SERVE_AND_SEND, *_AS_THE_UNIT)

    # Removed: the program is gone as a whole, the rest stays.
    mail = root.files("/var/lib/zajil")
    root.run("apt-get", "remove", "--yes", "zajil")
    assert root.files("/usr/lib/zajil") == []
    assert not (root.folder / "usr/bin/zajil").exists()
    assert (root.folder / "etc/zajil/zajil.toml").read_bytes() == configuration
    assert root.files("/var/lib/zajil") == mail

    # Installed again, it is what it was.
    install(root, package)
    assert "b@y.test" in root.run("zajil", "account", "list")

    # Purged: no configuration is left in /etc, but no mail is lost.
    said = root.run("apt-get", "purge", "--yes", "zajil")
    assert "rm -r /var/lib/zajil" in said
    assert not (root.folder / "etc/zajil").exists()
    kept = root.folder / "var/lib/zajil/etc-zajil/zajil.toml"
    assert kept.read_bytes() == configuration
    assert set(mail) <= set(root.files("/var/lib/zajil"))


def test_purge_leaves_nothing_where_no_mail_was(package: Path, root: FreshRoot) -> None:
    before = set(root.files("/usr")) | set(root.files("/etc"))
    install(root, package)
    root.run("apt-get", "purge", "--yes", "zajil")
    after = set(root.files("/usr")) | set(root.files("/etc"))
    left = {name for name in after - before if "zajil" in name}
    assert left == set()
    assert root.files("/var/lib/zajil") == []
