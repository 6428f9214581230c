"""APPEND. (RFC 3501 section 6.3.11)"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from zajil.imap.command import Append
from zajil.imap.response import Completion
from zajil.read.imap.context import TRY_CREATE, Context
from zajil.store.append import NoSuchMailbox
from zajil.store.mailboxes import Mailbox, find_mailbox
from zajil.store.message_changes import PutMessage, put_messages

_BARE = re.compile(rb"\r\n|\r|\n")


@dataclass(slots=True)
class Upload:
    """One message on its way in."""

    command: Append
    mailbox: Mailbox
    parts: list[bytes] = field(default_factory=list)


async def begin(context: Context, command: Append) -> Upload | None:
    """Look whether the mailbox is there before the message is sent; ``None``: it is not."""
    account_id = context.account.account_id
    box = await context.store.read(lambda conn: find_mailbox(conn, account_id, command.mailbox))
    return None if box is None else Upload(command, box)


async def finish(context: Context, upload: Upload) -> Completion:
    """Put the message into its mailbox; OK is made only after the commit."""
    command, box = upload.command, upload.mailbox
    content = clean_line_ends(upload.parts)
    upload.parts = []
    if not any(content):
        return Completion("NO", "the message is empty")
    # Security: a NUL cannot be sent back in a literal (RFC 3501 section 9, CHAR8).
    if any(b"\x00" in part for part in content):
        return Completion("NO", "the message has a NUL byte")
    at_ms = command.received_at_ms
    if at_ms is None:
        at_ms = context.clock.now_ms()
    staged = await context.store.blobs.stage_any(content)
    item = PutMessage(box.account_id, box.mailbox_id, staged, command.flags, at_ms)
    try:
        appended = await context.store.write(put_messages, item)
    except NoSuchMailbox:
        return TRY_CREATE
    code = f"APPENDUID {box.uid_validity} {appended.uid}"
    return Completion("OK", "message is stored", code)


def clean_line_ends(parts: list[bytes]) -> list[bytes]:
    """Make every line end CRLF.

    Deviation: RFC 3501 section 6.3.11 has a message stored as it came. Programs append with bare
    LF (mutt, old scripts; 2026-11-23), and a draft of today is sent tomorrow: no message with a
    bare CR or LF may ever leave us (SMTP smuggling). A message with CRLF alone is kept byte for
    byte.
    """
    clean: list[bytes] = []
    carry = b""
    for part in parts:
        data = carry + part
        carry = b""
        if data.endswith(b"\r"):
            data, carry = data[:-1], b"\r"
        # As many CR as LF as CRLF: there is no bare one, and nothing is rewritten.
        pairs = data.count(b"\r\n")
        if data.count(b"\r") != pairs or data.count(b"\n") != pairs:
            data = _BARE.sub(b"\r\n", data)
        clean.append(data)
    if carry:
        clean.append(b"\r\n")
    return clean
