"""Make the environment of `./lab` and `./test`: `.venv` at the root, from pinned packages.

Standard library only; runs under the python3 that the user has. Prints to stderr only, and only
when there is something to do. Two first starts at the same moment wait for each other.

    python3 tools/environment.py [--dev]
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def main(arguments: list[str]) -> int:
    """Bring `.venv` up to date; give the exit status."""
    dev = "--dev" in arguments
    lock = ROOT / ("requirements-dev.lock" if dev else "requirements.lock")
    if _is_current(dev=dev):
        return 0
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        _say(
            f"python3 has no module {missing[0]}, which makes virtual environments; "
            f"on Debian and Ubuntu: apt-get install python{version}-venv"
        )
        return 1
    VENV.mkdir(exist_ok=True)
    with (VENV / "making.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        # Whoever waited here finds the work done.
        return 0 if _is_current(dev=dev) else _make(lock)


def _is_current(*, dev: bool) -> bool:
    # What the tests need includes what the lab needs.
    stamps = ["requirements-dev.lock"] if dev else ["requirements.lock", "requirements-dev.lock"]
    return any(_read(_stamp(ROOT / name)) == _fingerprint(ROOT / name) for name in stamps)


def _make(lock: Path) -> int:
    _say(f"installing what {lock.name} pins into {VENV} (once; some minutes on a slow line)")
    pip = [str(PYTHON), "-m", "pip"]
    install = [*pip, "install", "--quiet", "--disable-pip-version-check"]
    checkout = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    commands = [
        [*install, "--require-hashes", "--requirement", str(lock)],
        [*install, *checkout],
    ]
    if not _works([*pip, "--version"]):
        # An interrupted first start leaves half an environment; `venv` completes it.
        commands.insert(0, [sys.executable, "-m", "venv", str(VENV)])
    for command in commands:
        # Security: nothing of the user's environment may point the install elsewhere than .venv.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        try:
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=2, env=environment)
        except (subprocess.CalledProcessError, OSError) as error:
            _say(f"this did not work: {' '.join(command)} ({error})")
            return 1
    _stamp(lock).write_text(_fingerprint(lock))
    return 0


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def _stamp(lock: Path) -> Path:
    return VENV / f"installed-{lock.stem}"


def _fingerprint(lock: Path) -> str:
    parts = [lock.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), str(ROOT).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _say(text: str) -> None:
    print(f"zajil: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
