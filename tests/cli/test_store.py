"""`zajil store` as an operator meets it, and what every command says when there is no store."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.operator_world import listening_elsewhere
from kit.store import make_account, make_intake, open_test_store
from zajil.cli.main import main
from zajil.config.load import load_configuration
from zajil.operations.store import last_check
from zajil.store.engine.folder import ServerLock
from zajil.store.engine.open import make_dialect
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.summaries import newest_summaries

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(template, tmp_path / "mail"))


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command for that server; give status, stdout, stderr."""
    monkeypatch.setenv("ZAJIL_CONFIG", str(folder / "zajil.toml"))

    def run_command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run_command


def _remove_database(folder: Path) -> None:
    for path in (folder / "data").glob("store.sqlite*"):
        path.unlink()


_COMMANDS = (
    ("account", "list"),
    ("domain", "list"),
    ("domain", "add", "south.test"),
    ("queue", "list"),
    ("journey", "find"),
    ("store", "check"),
    ("store", "sweep"),
    ("upgrade", "run"),
    ("dkim", "keys"),
    ("dmarc", "reports"),
)


@pytest.mark.parametrize("command", _COMMANDS, ids=" ".join)
def test_no_command_makes_a_database_that_is_missing(
    command: tuple[str, ...], run: Run, folder: Path
) -> None:
    _remove_database(folder)
    status, out, err = run(*command)
    assert (status, out) == (1, "")
    assert f"the database {folder / 'data' / 'store.sqlite'} is missing: " in err
    assert "`zajil store create` creates a new store" in err
    assert not (folder / "data" / "store.sqlite").exists()


def test_serve_makes_no_database_that_is_missing(folder: Path) -> None:
    _remove_database(folder)
    ports = listening_elsewhere()
    done = subprocess.run(
        [sys.executable, "-m", "zajil", "--config", str(folder / "zajil.toml"), *ports, "serve"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"the database {folder / 'data' / 'store.sqlite'} is missing: " in done.stderr
    assert not (folder / "data" / "store.sqlite").exists()


def test_store_create_makes_a_new_store(run: Run, folder: Path) -> None:
    assert run("store", "create")[0] == 1
    _remove_database(folder)
    status, out, _ = run("store", "create")
    assert (status, "created an empty store" in out) == (0, True)
    assert stat.S_IMODE((folder / "data" / "store.sqlite").stat().st_mode) == 0o600
    assert json.loads(run("account", "list", "--json")[1]) == {"accounts": []}
    status, _, err = run("store", "create")
    assert (status, "already exists; nothing was changed" in err) == (1, True)


def test_store_create_makes_the_data_folder(run: Run, folder: Path) -> None:
    (folder / "data").rename(folder / "elsewhere")
    status, _, err = run("account", "list")
    assert (status, f"the data folder {folder / 'data'} is missing" in err) == (1, True)
    assert "for a new node of a store in PostgreSQL, create an empty folder" in err
    assert run("store", "create", "--json")[0] == 0
    assert stat.S_IMODE((folder / "data").stat().st_mode) == 0o700


def _make_older(folder: Path) -> None:
    """Take away what the last migration made, as far as the number goes."""
    configuration = load_configuration(folder / "zajil.toml")
    dialect = make_dialect(configuration.store, configuration.server.data_dir)
    with dialect.writer.begin() as conn:
        for name in sa.inspect(conn).get_table_names():
            if name not in ("alembic_version", "domain", "account", "mailbox", "message"):
                conn.execute(sa.text(f'DROP TABLE "{name}"'))
        conn.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    dialect.close()


def test_commands_ask_for_an_upgrade(run: Run, folder: Path) -> None:
    _make_older(folder)
    for command in (("account", "list"), ("store", "check")):
        status, out, err = run(*command)
        assert (status, out) == (1, "")
        assert err.startswith("zajil: the store has schema 0001, this program needs ")
        assert err.endswith("; run `zajil upgrade run`\n")


def test_a_current_store_is_not_upgraded(run: Run, folder: Path) -> None:
    assert run("upgrade", "run") == (0, "the store is up to date\n", "")
    assert json.loads(run("upgrade", "run", "--json")[1]) == {
        "upgraded": False,
        "copy": None,
        "waits_for": "",
    }
    lock = ServerLock(folder / "data")
    lock.take()
    assert run("account", "list")[0] == 0  # commands work beside a server
    status, _, err = run("upgrade", "run")
    lock.release()
    assert (status, f"another server (process {os.getpid()})" in err) == (1, True)


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o022])
def test_setup_writes_for_the_owner_alone_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with pytest.raises(SystemExit) as ended:
            main(["setup", "north.test", "--dir", str(tmp_path / "mail")])
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert ended.value.code == 0
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
    }
    assert modes.pop("mail/data/store.lock", 0o600) == 0o600
    assert modes == {
        "mail": 0o755,
        "mail/zajil.toml": 0o600,
        "mail/tls": 0o755,
        "mail/tls/certificate.pem": 0o644,
        "mail/tls/key.pem": 0o600,
        "mail/data": 0o700,
        "mail/data/blobs": 0o700,
        "mail/data/node.id": 0o600,
        "mail/data/store.sqlite": 0o600,
    }


def test_store_check_tells_and_mends(run: Run, folder: Path) -> None:
    status, out, _ = run("store", "check", "--json")
    told = json.loads(out)
    assert (status, told["ok"], told["findings"], told["accounts"]) == (0, True, [], 1)
    stray = folder / "data" / "blobs" / "xx" / "stray"
    stray.parent.mkdir()
    stray.write_bytes(b"x")
    status, out, err = run("store", "check")
    assert (status, err) == (1, "")
    assert "file blobs/xx/stray: no row of the store names it (orphan); zajil store check" in out
    assert out.endswith("the store is damaged\n")
    status, out, _ = run("store", "check", "--json")
    (finding,) = json.loads(out)["findings"]
    assert (status, finding["kind"], finding["can_repair"]) == (1, "orphan", True)
    status, out, _ = run("store", "check", "--repair")
    assert (status, "repaired: file blobs/xx/stray" in out) == (0, True)
    assert not stray.exists()


_SPOIL = (
    "UPDATE blob SET content = CAST(replace(CAST(content AS TEXT), '1', '7') AS BLOB)"
    " WHERE content LIKE '%: 1%'"
)


def test_store_check_reads_the_messages(run: Run, folder: Path) -> None:
    """What it found is kept for `zajil status`."""
    store = open_test_store("sqlite", folder / "data", None)
    who = make_account(store, "amal@north.test")
    for number in range(3):
        staged = store.blobs.stage([b"Subject: %d\r\n\r\n" % number])
        store.write_now(write_intakes, make_intake(staged, local=[who]))
    assert last_check(store) is None
    with store._dialect.writer.begin() as tx:
        tx.execute(sa.text("UPDATE blob SET digest = NULL WHERE content LIKE '%: 2%'"))
    status, out, _ = run("store", "check")
    assert (status, "\nread 3 messages; 1 have no digest yet" in out) == (0, True)
    with store._dialect.writer.begin() as tx:
        tx.execute(sa.text(_SPOIL))
    status, out, _ = run("store", "check", "--quick")
    assert (status, out.endswith("not read\nthe store is not damaged\n")) == (0, True)
    found = last_check(store)
    assert found is not None
    assert (found.faults, found.read_since_ms is not None) == (0, True)
    status, out, _ = run("store", "check", "--repair", "--json")
    told = json.loads(out)
    (finding,) = told["findings"]
    assert (status, finding["kind"], finding["can_repair"]) == (1, "wrong-bytes", False)
    assert finding["what"] == "message 2 in mailbox INBOX of amal"
    assert (told["messages_read"], told["repaired"]) == (3, [])
    found = last_check(store)
    store.close_now()
    assert found is not None
    assert found.faults == 1


def test_store_check_tells_that_space_is_short(run: Run) -> None:
    status, out, _ = run("--set", "store.free_space_reserve=1000000GiB", "store", "check")
    assert (status, "new mail is deferred (no-space)" in out) == (1, True)
    assert out.endswith("nothing is damaged, but space is short\n")


def test_store_reindex_writes_the_summaries(run: Run, folder: Path) -> None:
    """Also those that were spoilt; the progress bar is for a terminal."""
    message = b"Subject: Tea\r\n\r\nat five\r\n"
    store = open_test_store("sqlite", folder / "data", None)
    who = make_account(store, "amal@north.test")
    for _ in range(3):
        store.write_now(write_intakes, make_intake(store.blobs.stage([message]), local=[who]))
    store.close_now()
    assert run("store", "reindex") == (0, "indexed 3 messages\n", "")
    status, out, err = run("store", "reindex", "--json")
    assert (status, json.loads(out), err) == (0, {"messages": 3}, "")
    store = open_test_store("sqlite", folder / "data", None)
    page = store.read_now(lambda conn: newest_summaries(conn, who.inbox, 10))
    store.close_now()
    assert [found and (found.subject, found.preview) for _, found in page] == [
        ("Tea", "at five")
    ] * 3
