"""`zajil backup restore-account` as an operator meets it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.backups import fill_store
from kit.command_line import Run
from kit.store import open_test_store
from zajil.store.mail.deleted import Chosen, purge_deleted
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.mail.room import NewQuota, set_quota
from zajil.store.people.accounts import find_by_login
from zajil.store.schema import deleted_message, mailbox, message


@pytest.fixture
def target(server: Path, run: Run, tmp_path: Path) -> str:
    """Fill the store, and make a backup."""
    store = open_test_store("sqlite", server.parent / "data")
    fill_store(store, messages=30, large=1)
    store.close_now()
    place = str(tmp_path / "target")
    assert run("backup", "create", "--target", place)[0] == 0
    return place


def empty_inbox(server: Path) -> None:
    """Expunge all messages of amal's INBOX, for good."""
    store = open_test_store("sqlite", server.parent / "data")
    row = store.read_now(lambda conn: find_by_login(conn, "amal"))
    assert row is not None
    inbox = sa.select(mailbox.c.id).where(
        mailbox.c.account_id == row.account_id, mailbox.c.role == "inbox"
    )
    inbox_id = store.read_now(lambda conn: conn.execute(inbox).scalar_one())
    store.write_now(expunge_messages, ExpungeMessages(row.account_id, inbox_id, deleted_only=False))
    ids = store.read_now(lambda conn: conn.scalars(sa.select(deleted_message.c.id)).all())
    store.write_now(purge_deleted, Chosen(row.account_id, tuple(ids)))
    store.close_now()


def messages(run: Run) -> int:
    found = json.loads(run("mailbox", "list", "amal", "--json")[1])["mailboxes"]
    return sum(one["messages"] for one in found)


def test_an_inbox_that_was_emptied_comes_back(run: Run, server: Path, target: str) -> None:
    restore = ("backup", "restore-account", "amal", "--target", target)
    status, out, err = run(*restore)
    assert (status, err) == (0, "")
    assert "restored 0 messages of amal; there before: 31" in out
    empty_inbox(server)
    status, out, err = run(*restore, "--mailbox", "INBOX", "--dry-run")
    assert (status, err) == (0, "")
    assert "INBOX    31         31       4.8 MiB  INBOX" in out
    assert "would restore 31 messages" in out
    assert messages(run) == 0
    assert run(*restore, "--since", "2023-11-15")[1].startswith("restored 0 messages")
    status, out, err = run(*restore, "--since", "2023-11-14", "--until", "2023-11-14", "--json")
    assert (status, err, json.loads(out)["restored"]) == (0, "", 31)
    assert messages(run) == 31
    assert run("store", "check")[0] == 0
    assert not list((server.parent / "data").glob("restore-*"))


def test_an_account_that_was_removed_comes_back(run: Run, target: str) -> None:
    assert run("account", "remove", "amal", "--yes")[0] == 0
    restore = ("backup", "restore-account", "amal@north.test", "--target", target)
    status, _, err = run(*restore, "--contacts")
    assert (status, "restore the account itself" in err) == (1, True)
    assert "would be created again" in run(*restore, "--dry-run")[1]
    status, out, err = run(*restore)
    assert (status, err) == (0, "")
    assert "created the account amal again" in out
    assert "restored 31 messages of amal" in out
    assert messages(run) == 31
    assert run("store", "check")[0] == 0
    assert "was restored from the backup" in run("audit")[1]


def test_what_cannot_be_done_is_said(run: Run, server: Path, target: str) -> None:
    restore = ("backup", "restore-account", "--target", target)
    for words, status, text in (
        (("nobody",), 1, "has no account nobody"),
        (("amal", "--mailbox", "Wrok"), 1, "has no mailbox Wrok"),
        (("amal", "--since", "yesterday"), 2, "not a day like 2026-11-23"),
        (("amal", "--since", "2026-11-24", "--until", "2026-11-23"), 2, "before --since"),
        (("amal", "--contacts", "--mailbox", "INBOX"), 2, "contacts only"),
        (("amal", "--into", "nobody"), 1, "does not exist"),
        (("amal", "--snapshot", "1999"), 1, "no snapshot whose name begins with 1999"),
    ):
        found, _, err = run(*restore, *words)
        assert (found, text in err) == (status, True), (words, err)
    empty_inbox(server)
    store = open_test_store("sqlite", server.parent / "data")
    row = store.read_now(lambda conn: find_by_login(conn, "amal"))
    assert row is not None
    store.write_now(set_quota, NewQuota(row.account_id, 1000, None))
    store.close_now()
    status, _, err = run(*restore, "amal")
    assert (status, "use --ignore-quota" in err) == (1, True)
    assert run(*restore, "amal", "--ignore-quota")[0] == 0
    assert messages(run) == 31


@pytest.mark.slow
def test_a_restore_that_is_killed_is_continued(run: Run, server: Path, target: str) -> None:
    """SIGKILL at several times; afterwards nothing is doubled or missing."""
    empty_inbox(server)
    command = [sys.executable, "-m", "zajil", "--config", str(server), "backup", "restore-account"]
    for seconds in (0.3, 0.6, 0.8, 1.0, 1.2, 1.4):
        with subprocess.Popen(
            [*command, "amal", "--target", target], stdout=subprocess.DEVNULL
        ) as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    assert run("backup", "restore-account", "amal", "--target", target)[0] == 0
    assert messages(run) == 31
    store = open_test_store("sqlite", server.parent / "data")
    doubled = sa.select(message.c.blob_id).group_by(message.c.mailbox_id, message.c.blob_id)
    rows = store.read_now(lambda conn: conn.scalars(doubled.having(sa.func.count() > 1)).all())
    store.close_now()
    assert rows == []
    # The file of a large message whose commit did not come.
    assert run("store", "check", "--repair")[0] == 0
    assert messages(run) == 31
    assert not list((server.parent / "data").glob("restore-*"))
