"""Wheel and sdist: what is in them, and that the wheel installs and serves by itself."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from zajil.cli.commands import PLACES as COMMANDS

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Built:
    wheel: Path
    sdist: Path


def build(folder: Path) -> Built:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1790000000"},
    )
    return Built(next(folder.glob("*.whl")), next(folder.glob("*.tar.gz")))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def program(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``zajil`` of the wheel in a new environment; its dependencies are those of the tests."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install"]
    subprocess.run(
        [*pip, "--quiet", "--no-deps", "--no-index", str(built.wheel)],
        check=True,
        capture_output=True,
    )
    packages = next((venv / "lib").glob("python*")) / "site-packages"
    # A line of a .pth file adds a folder behind this one; an editable checkout is not in it.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv / "bin" / "zajil"


def test_the_wheel_has_every_file_of_the_program_and_no_other(built: Built) -> None:
    files = set(zipfile.ZipFile(built.wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "src/zajil"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    wanted = {line.removeprefix("src/") for line in tracked if (ROOT / line).exists()}
    assert wanted - files == set()
    others = {name for name in files if not name.startswith(("zajil/", "zajil-"))}
    assert others == set()
    assert not [name for name in files if "test" in name.split("/")[:2]]


def test_the_wheel_has_manual_pages_completion_files_and_units(built: Built) -> None:
    files = zipfile.ZipFile(built.wheel).namelist()
    shared = {name.partition(".data/data/")[2] for name in files if ".data/data/" in name}
    pages = {f"share/man/man1/zajil-{name}.1" for name in COMMANDS}
    completion = {
        "share/bash-completion/completions/zajil",
        "share/zsh/vendor-completions/_zajil",
        "share/fish/vendor_completions.d/zajil.fish",
    }
    units = {
        f"share/zajil/systemd/{path.name}" for path in (ROOT / "packaging" / "systemd").iterdir()
    }
    assert "share/zajil/systemd/zajil.service" in units
    assert units <= shared
    assert pages | completion | {"share/man/man1/zajil.1", "share/man/man5/zajil.toml.5"} <= shared


def test_the_sdist_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    """Also: a second build is the same, byte by byte."""
    subprocess.run(["tar", "-xzf", str(built.sdist), "-C", str(tmp_path)], check=True)
    unpacked = next(tmp_path.iterdir())
    assert not (unpacked / "tests").exists()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "again")],
        cwd=unpacked,
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1790000000"},
    )
    again = next((tmp_path / "again").glob("*.whl"))
    assert again.read_bytes() == built.wheel.read_bytes()


def test_the_installed_program_runs_a_server(program: Path, tmp_path: Path) -> None:
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(program), *arguments], capture_output=True, text=True, env=clean, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("--version").startswith("zajil ")
    assert "[server]" in run("config", "example")
    folder = tmp_path / "server"
    made = json.loads(run("setup", "y.test", "--dir", str(folder), "--json"))
    ports = [f'listen.{name}=["127.0.0.1:0"]' for name in ("smtp", "imaps", "web")]
    off = [f"listen.{name}=[]" for name in ("submission", "submissions", "imap", "pop3", "pop3s")]
    off += ["listen.http=[]", "listen.https=[]"]
    read, write = os.pipe()
    options = [part for one in [*ports, *off, "server.workers=1"] for part in ("--set", one)]
    server = subprocess.Popen(
        [program, "--config", made["config"], *options, "serve", "--ready-fd", str(write)],
        pass_fds=(write,),
        env=clean,
        cwd=tmp_path,
    )
    os.close(write)
    try:
        with open(read) as ready:
            assert set(json.loads(ready.readline())) >= {"smtp", "imaps", "web", "pid"}
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


def test_self_check_finds_changed_files_and_other_versions(program: Path, tmp_path: Path) -> None:
    def check() -> tuple[int, dict[str, tuple[str, str]]]:
        done = subprocess.run(
            [str(program), "self-check", "--json"],
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            cwd=tmp_path,
        )
        checks = json.loads(done.stdout)["checks"]
        return done.returncode, {one["name"]: (one["state"], one["text"]) for one in checks}

    prefix = program.parent.parent
    status, found = check()
    assert (status, found["files"][0], found["versions"][0]) == (0, "ok", "ok")
    tested = prefix / "share" / "zajil" / "tested-versions.txt"
    tested.write_text(re.sub(r"(?m)^idna==.*", "idna==1.0", tested.read_text()))
    catalog = next(prefix.rglob("zajil/web/locale/ar/LC_MESSAGES/messages.po"))
    catalog.unlink()
    status, found = check()
    assert status == 1
    assert found["files"] == ("problem", f"{catalog} is missing: install Zajil again")
    state, text = found["versions"]
    assert (state, "(tested: 1.0)" in text) == ("warning", True)
