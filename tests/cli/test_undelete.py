"""``zajil message undelete`` and ``purge``, and quotas on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.command_line import Run, as_json
from kit.store import make_intake
from zajil.config.load import load_configuration
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.core.ids import Uid
from zajil.operations.run import open_admin_store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.people.directory import look_up


@pytest.fixture
def admin(server: Path) -> AccountEntry:
    """The administrator, whose two messages were deleted."""
    with open_admin_store(load_configuration(server)) as store:
        entry = store.read_now(lambda conn: look_up(conn, parse_address("admin@north.test"))).entry
        assert isinstance(entry, AccountEntry)
        for _ in range(2):
            item = make_intake(store.blobs.stage((b"x" * 5000,)), local=[entry])
            store.write_now(write_intakes, item)
        expunge = ExpungeMessages(entry.account_id, entry.inbox, deleted_only=False)
        store.write_now(expunge_messages, expunge)
    return entry


def shown(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = as_json(run, "account", "show", "admin")
    return found


@pytest.mark.usefixtures("admin")
def test_messages_are_listed_and_restored(run: Run) -> None:
    listed = as_json(run, "message", "undelete", "admin", "--list")["deleted"]
    assert [(one["mailbox"], one["uid"]) for one in listed] == [("INBOX", 2), ("INBOX", 1)]
    status, out, _ = run("message", "undelete", "admin", "--list", "--uid", "1")
    assert status == 0
    assert len(out.splitlines()) == 2
    found = as_json(run, "message", "undelete", "admin", "--uid", "1", "--mailbox", "INBOX")
    assert found == {"restored": [{"mailbox": "INBOX", "uid": 3}]}
    assert (shown(run)["messages"], shown(run)["deleted_messages"]) == (1, 1)
    assert run("message", "undelete", "admin", "--all")[1] == "restored messages: 1\n"
    status, _, err = run("message", "undelete", "admin", "--all")
    assert status == 1
    assert "no deleted message of admin matches" in err


@pytest.mark.usefixtures("admin")
def test_what_is_meant_has_to_be_said(run: Run) -> None:
    for command in ("undelete", "purge"):
        assert run("message", command, "admin")[0] == 2
        assert run("message", command, "admin", "--all", "--uid", "1")[0] == 2
        assert run("message", command, "nobody", "--all")[0] == 1
    assert shown(run)["deleted_messages"] == 2


@pytest.mark.usefixtures("admin")
def test_purged_is_gone(run: Run) -> None:
    assert as_json(run, "message", "purge", "admin", "--uid", "2") == {"removed": 1}
    assert run("message", "purge", "admin", "--all")[1] == "removed messages: 1\n"
    assert (shown(run)["deleted_messages"], shown(run)["deleted_size"]) == (0, 0)
    assert run("audit")[1].count("Deleted messages of admin were removed for good: 1.") == 2


def test_a_full_account_gets_nothing_back(run: Run, admin: AccountEntry) -> None:
    status, out, _ = run("account", "set", "admin", "--quota", "9k", "--quota-messages", "7")
    assert (status, out) == (0, "changed admin: quota 9.0 KiB, messages 7\n")
    status, _, err = run("message", "undelete", "admin", "--all")
    assert status == 1
    assert "an account has at most 9216 bytes" in err
    assert run("message", "undelete", "admin", "--uid", str(Uid(2)))[0] == 0
    now = shown(run)
    assert (now["quota_size"], now["quota_messages"], now["messages"]) == (9216, 7, 1)
    assert (
        "quota             9.0 KiB, 7 messages, 54 % used"
        in run("account", "show", "admin")[1].splitlines()
    )
    assert admin.active


def test_quotas_are_words_or_numbers(run: Run) -> None:
    assert run("account", "set", "admin", "--quota", "2G")[1] == (
        "changed admin: quota 2.0 GiB, messages default\n"
    )
    status, out, _ = run("account", "set", "admin", "--quota", "none", "--quota-messages", "none")
    assert (status, out) == (0, "changed admin: quota none, messages none\n")
    assert shown(run)["quota_size"] is None
    run("account", "set", "admin", "--quota", "default", "--quota-messages", "default")
    assert shown(run)["quota_messages"] == 1_000_000
    for words in (("--quota", "x"), ("--quota", "0B"), ("--quota-messages", "-1"), ()):
        assert run("account", "set", "admin", *words)[0] == 2, words
