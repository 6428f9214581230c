"""``zajil mailbox``: who may use a mailbox."""

from __future__ import annotations

import pytest

from kit.command_line import Run, as_json


@pytest.fixture
def two(run: Run) -> Run:
    """An installation with the accounts ``admin`` and ``amal``."""
    assert run("account", "add", "amal@north.test")[0] == 0
    return run


def shared_with(run: Run, name: str) -> dict[str, str]:
    boxes = as_json(run, "mailbox", "list", "admin")["mailboxes"]
    return next(box["shared_with"] for box in boxes if box["name"] == name)


def test_a_mailbox_is_shared_and_is_shared_no_more(two: Run) -> None:
    done = two("mailbox", "share", "admin", "inbox", "--with", "amal")
    assert done == (0, "amal has the rights lr on inbox\n", "")
    assert shared_with(two, "INBOX") == {"amal": "lr"}
    two("mailbox", "share", "admin", "INBOX", "--with", "amal@north.test", "--rights", "write")
    assert shared_with(two, "INBOX") == {"amal": "lrswite"}
    two("mailbox", "share", "admin", "INBOX", "--with", "anyone", "--rights", "ld")
    assert shared_with(two, "INBOX") == {"amal": "lrswite", "anyone": "lte"}
    shown = two("mailbox", "list", "admin")[1]
    assert "amal (lrswite), anyone (lte)" in shown
    assert two("mailbox", "unshare", "admin", "INBOX", "--with", "amal")[0] == 0
    assert shared_with(two, "INBOX") == {"anyone": "lte"}
    trail = two("audit")[1]
    assert "The mailbox INBOX of admin is no longer shared with amal." in trail


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (("nobody", "INBOX", "--with", "amal"), 1, "account nobody does not exist"),
        (("admin", "None", "--with", "amal"), 1, "admin has no mailbox None"),
        (("admin", "a//b", "--with", "amal"), 2, "empty level"),
        (("admin", "INBOX", "--with", "nobody"), 1, "no account has this login name"),
        (("admin", "INBOX", "--with", "admin"), 1, "the owner has all rights"),
        (("admin", "INBOX", "--with", "amal", "--rights", "q"), 2, "is not a right"),
    ],
)
def test_what_cannot_be_shared(two: Run, words: tuple[str, ...], status: int, reason: str) -> None:
    done, _, err = two("mailbox", "share", *words)
    assert (done, reason in err) == (status, True), err
