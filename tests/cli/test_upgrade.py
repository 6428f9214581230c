"""``zajil upgrade`` as an operator meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.old_store import unpack
from zajil.cli.main import main
from zajil.config.load import RENAMED
from zajil.store.engine.migrate import known_schemas

Run = Callable[..., tuple[int, str, str]]
_NEWEST = known_schemas()[-1]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of an old store, beside its configuration."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    unpack("0042", folder)
    text = f'[server]\nhostname = "mail.north.test"\ndata_dir = "{folder}"\n'
    text += '[store]\nfree_space_reserve = "1MiB"\n'
    (tmp_path / "zajil.toml").write_text(text)
    return folder


@pytest.fixture
def run(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command for that server; return status, stdout, stderr."""
    monkeypatch.setenv("ZAJIL_CONFIG", str(data.parent / "zajil.toml"))

    def run_command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run_command


def test_an_upgrade_is_rehearsed_done_and_undone(run: Run, data: Path) -> None:
    """The page docs/run/upgrade.md, as a whole."""
    status, out, err = run("upgrade", "rehearse")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("0045 ")
    assert lines[0].endswith(" s  new table sts_policy")
    assert lines[1].strip() == "MTA-STS policies of other domains."
    assert f"upgraded a copy of the store from schema 0042 to {_NEWEST}; the store is " in out
    assert "the upgrade takes about 1 s and needs " in out
    assert "it cannot be undone: the way back is the copy that it makes, or a backup" in out
    assert lines[-1] == "the copy is not damaged"

    status, out, _ = run("upgrade", "run", "--json")
    told = json.loads(out)
    assert (status, told["found"], told["needed"]) == (0, "0042", _NEWEST)
    assert Path(told["copy"]).exists()
    assert run("store", "upgrade") == (0, "the store is up to date\n", "")  # its old name
    assert run("upgrade", "rehearse")[:2] == (
        0,
        f"the store has schema {_NEWEST}, which this version needs: nothing to upgrade\n"
        "the copy is not damaged\n",
    )
    status, out, err = run("upgrade", "undo")
    assert (status, out) == (1, "")
    assert err.startswith("zajil: the upgrade from schema 0042 cannot be undone, because schema 00")


def test_an_upgrade_from_0045_is_undone(run: Run, data: Path) -> None:
    (data / "store.sqlite").unlink()
    unpack("0045", data)
    assert run("upgrade", "run")[0] == 0
    status, out, err = run("upgrade", "undo")
    assert (status, err) == (0, "")
    first, copy, advice = out.splitlines()
    assert first == f"returned the store from schema {_NEWEST} to 0045"
    assert f"{data}/before-upgrade/store-{_NEWEST}-" in copy
    assert advice.startswith("now install the version that you had before")
    assert run("upgrade", "run")[0] == 0
    told = json.loads(run("upgrade", "undo", "--json")[1])
    assert (told["from"], told["to"]) == (_NEWEST, "0045")


def test_a_rehearsal_names_options_of_before(run: Run, data: Path) -> None:
    """The configuration of the older version is read as the newer one would have it."""
    file = data.parent / "zajil.toml"
    text = file.read_text() + "[limits]\nfree_errors = 7\n[check.sender]\nbimi = true\n"
    file.write_text(text)
    status, out, err = run("upgrade", "rehearse")
    assert (status, err) == (1, "")
    renamed = RENAMED["limits.free_errors"]
    told = (
        f"change the configuration first: {file}: limits.free_errors: it was renamed to {renamed}"
    )
    assert told in out.splitlines()
    assert "check.sender.bimi: it was removed: " in out
    told = json.loads(run("upgrade", "rehearse", "--json")[1])
    assert (told["ok"], len(told["options"]), told["damage"]) == (False, 2, [])
    file.write_text(text + "unknown = 1\n")
    assert "unknown" in run("upgrade", "rehearse")[2]
    assert file.read_text() == text + "unknown = 1\n"
