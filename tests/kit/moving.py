"""Mail that moves: Maildirs as programs write them, and what an account has afterwards."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kit.operations import BOSS, runner
from zajil.operations.moving.model import MailSource, MailTarget, Report
from zajil.operations.moving.move_in import MovingChoice, import_mail
from zajil.operations.moving.move_out import export_mail
from zajil.store.engine.open import Store
from zajil.store.mail.mailboxes import list_mailboxes
from zajil.store.mail.messages import get_messages, list_uids, read_message
from zajil.store.people.accounts import find_by_login

AT_MS = 1_600_000_000_000
"""When messages of these Maildirs were received."""


def letter(number: int, *, body: str = "", more: str = "") -> bytes:
    """Return a message with LF."""
    return (
        f"From: Layla <layla@far.test>\nTo: amal@north.test\nSubject: Letter {number}\n"
        f"Message-ID: <{number}@far.test>\nDate: Sun, 13 Sep 2020 12:26:40 +0000\n{more}\n"
        f"{body or f'This is letter {number}.'}\n"
    ).encode()


def make_maildir(root: Path, folders: Mapping[str, Mapping[str, bytes]]) -> Path:
    """Make a Maildir.

    Args:
        root: of it.
        folders: for the path of each folder below it (``.``: itself), name and bytes of each file;
            names without ``:2,`` are put into ``new``.
    """
    for folder, files in folders.items():
        for part in ("cur", "new", "tmp"):
            (root / folder / part).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = root / folder / ("cur" if "2," in name else "new") / name
            path.write_bytes(content)
            os.utime(path, (AT_MS / 1000, AT_MS / 1000))
    return root


def move_in(store: Store, source: MailSource[Any], who: str = "amal", **choice: Any) -> Report:
    """Import a source, and close it."""
    operations = runner(store)
    try:
        return asyncio.run(
            import_mail(
                operations.context,
                BOSS,
                who,
                source,
                MovingChoice(**choice),
                lambda _done, _all: None,
            )
        )
    finally:
        source.close()


def move_out(store: Store, target: MailTarget, who: str = "amal", **choice: Any) -> Report:
    """Export to a target, and close it."""
    operations = runner(store)
    try:
        return asyncio.run(
            export_mail(
                operations.context,
                BOSS,
                who,
                target,
                MovingChoice(**choice),
                lambda _done, _all: None,
            )
        )
    finally:
        target.close()


Held = dict[str, list[tuple[bytes, frozenset[str], int]]]
"""Bytes, flags and time of each message, by mailbox."""


def held(store: Store, who: str = "amal") -> Held:
    """Return what an account has; empty mailboxes are left out."""
    found: Held = {}

    def work(conn: Any) -> None:
        row = find_by_login(conn, who)
        assert row is not None
        for box in list_mailboxes(conn, row.account_id):
            uids = list_uids(conn, box.mailbox_id)
            found[box.name] = [
                (read_message(conn, store.blobs, one), one.flags, one.received_at_ms)
                for one in get_messages(conn, box.mailbox_id, uids)
            ]

    store.read_now(work)
    return {name: messages for name, messages in found.items() if messages}


def crlf(message: bytes) -> bytes:
    """Return a message as it is stored."""
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
