"""A setup that is killed at any moment, or that runs twice at once, leaves nothing half made."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from zajil.config.load import load_configuration
from zajil.operations.run import open_admin_store
from zajil.operations.setup_undo import undone_on_failure
from zajil.store.people.accounts import list_accounts

SCRIPT = '''
import os, signal, sys
from pathlib import Path
from zajil.net.system import SystemClock
from zajil.operations.setup import set_up
from zajil.operations.setup_plan import SetupPlan

folder, data, kill_at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
inside, seen = {str(folder), data}, 0

def watch(event, arguments):
    """Count what changes or opens a file of the new server; end at once where it is asked for."""
    global seen
    if not event.startswith(("open", "os.", "sqlite3.")) or not arguments:
        return
    if any(str(arguments[0]).startswith(one) for one in inside):
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

plan = SetupPlan(
    domain="north.test", folder=folder, data_dir=Path(data), hostname=None, admin=None, login=None,
    password="correct horse battery", user=None, store_url=None,
    more=("keys.algorithms=['ed25519-sha256']",),
)
sys.addaudithook(watch)
set_up(plan, SystemClock(), os.urandom)
print(seen)
'''


def attempt(folder: Path, data: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(data), str(kill_at)],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def number(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many moments there are to kill a setup."""
    folder = tmp_path_factory.mktemp("whole")
    return int(attempt(folder, folder / "data", 0).stdout)


@pytest.mark.parametrize("share", [0.3, 0.8, 1.0])
def test_the_next_setup_clears_away_what_a_killed_one_left(
    share: float, number: int, tmp_path: Path
) -> None:
    """The folder for mail was there already, as that of a package; other files stay."""
    folder, data = tmp_path / "etc", tmp_path / "var"
    data.mkdir()
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", "utf-8")
    killed = attempt(folder, data, max(1, int(number * share)))
    assert killed.returncode == -signal.SIGKILL
    if not (folder / "zajil.toml").exists():
        assert attempt(folder, data, 0).returncode == 0
    with open_admin_store(load_configuration(folder / "zajil.toml")) as store:
        assert [row.login for row in store.read_now(list_accounts)] == ["admin"]
    names = {path.name for path in folder.iterdir()}
    assert names == {"notes.txt", "tls", "zajil.toml"}
    assert (folder / "zajil.toml").stat().st_mode & 0o777 == 0o600


def test_two_setups_at_once_make_one_server(tmp_path: Path) -> None:
    """The one that loses removes nothing of the other."""
    folder = tmp_path / "mail"
    command = [sys.executable, "-c", SCRIPT, str(folder), str(folder / "data"), "0"]
    both = [
        subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]
    texts = [one.communicate(timeout=60)[1] for one in both]
    assert sorted(one.returncode for one in both) == [0, 1]
    assert any("another setup" in text or "already exists" in text for text in texts)
    with open_admin_store(load_configuration(folder / "zajil.toml")) as store:
        assert len(store.read_now(list_accounts)) == 1
    assert {path.name for path in folder.iterdir()} == {"data", "tls", "zajil.toml"}


def test_a_file_that_appears_meanwhile_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    folder.mkdir()
    (folder / "zajil.toml.new").write_text("mine", "utf-8")
    assert "zajil.toml.new" in attempt(folder, folder / "data", 0).stderr
    assert os.listdir(folder) == ["zajil.toml.new"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_terminal_that_is_closed_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    command = [sys.executable, "-m", "zajil", "setup", "north.test", "--dir", str(folder)]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A shell that runs the tests in the background has them ignore SIGINT; no terminal does.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as setup:
        while not (folder / "setup.unfinished").exists() and setup.poll() is None:
            time.sleep(0.002)
        setup.send_signal(number)
        assert setup.wait(60) != 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("function", ["open", "flock", "fstat"])
def test_an_interrupt_while_the_list_is_made_leaves_nothing(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl+C is raised anywhere: here, when one of the first calls returns."""
    owner = fcntl if function == "flock" else os
    call = getattr(owner, function)
    interrupts = iter([KeyboardInterrupt])

    def interrupted(*arguments: Any) -> Any:
        result = call(*arguments)
        for error in interrupts:
            raise error
        return result

    monkeypatch.setattr(owner, function, interrupted)
    with pytest.raises(KeyboardInterrupt), undone_on_failure(tmp_path / "new" / "mail"):
        pytest.fail("it was interrupted")
    assert list(tmp_path.iterdir()) == []
