"""GETMETADATA, SETMETADATA. (RFC 5464)

Annotations that are computed, and cannot be set: ``/shared/admin`` of the server (section 6.2.2),
``/private/specialuse`` of a mailbox (RFC 6154 section 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zajil.core.domain import to_ascii
from zajil.core.ids import MailboxId
from zajil.imap.metadata import GetMetadata, MetadataCommand, SetMetadata
from zajil.imap.response import Completion, mailbox, parenthesized, string8, untagged
from zajil.read.imap.context import NO_MAILBOX, NO_PERMISSION, Context
from zajil.read.imap.mailbox_names import ROLES
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.annotations import (
    MAX_VALUE,
    SERVER,
    NewAnnotations,
    TooManyAnnotations,
    find_annotated,
    find_annotations,
    is_asked,
    set_annotations,
)
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.mailboxes import Mailbox

_ADMIN = "/shared/admin"
_USE = "/private/specialuse"


async def answer_metadata(context: Context, command: MetadataCommand) -> Completion:
    """Answer one of the commands about annotations.

    Raises:
        NoRight: the account may see the mailbox, and not annotate it so.
    """
    try:
        if isinstance(command, SetMetadata):
            return await _set(context, command)
        return await _get(context, command)
    except NoSuchMailbox:
        return NO_MAILBOX


async def _set(context: Context, command: SetMetadata) -> Completion:
    values = dict(command.values)
    if max(len(value or b"") for value in values.values()) > MAX_VALUE:
        return Completion("NO", "a value is too large", f"METADATA MAXSIZE {MAX_VALUE}")
    if (_ADMIN if not command.mailbox else _USE) in values:
        return NO_PERMISSION
    account = context.account
    item = NewAnnotations(account.account_id, command.mailbox, values, account.admin)
    try:
        await context.write_alone(set_annotations, item)
    except TooManyAnnotations:
        return Completion("NO", "there are too many annotations", "METADATA TOOMANY")
    return Completion("OK", "annotations are stored")


async def _get(context: Context, command: GetMetadata) -> Completion:
    account_id, entries, depth = context.account.account_id, command.entries, command.depth

    def read(conn: Snapshot) -> tuple[Mailbox | None, dict[str, bytes]]:
        if not command.mailbox:
            return None, find_annotations(conn, account_id, [SERVER], entries, depth)[SERVER]
        box = find_annotated(conn, account_id, command.mailbox)
        return box, find_annotations(conn, account_id, [box.mailbox_id], entries, depth)[
            box.mailbox_id
        ]

    box, found = await context.read(read)
    values: dict[str, bytes | None] = {**found, **_computed(context, box, entries, depth)}
    if not depth:  # an entry that was named is answered also where it has no value
        values |= {entry: None for entry in entries if entry not in values}
    longest = 0
    if command.max_size is not None:
        sizes = {entry: len(value or b"") for entry, value in values.items()}
        values = {one: value for one, value in values.items() if sizes[one] <= command.max_size}
        longest = max([size for size in sizes.values() if size > command.max_size], default=0)
    if values:
        context.engine.untagged(_line(context, command.mailbox, values))
    code = f"METADATA LONGENTRIES {longest}" if longest else None
    return Completion("OK", "annotations are sent", code)


async def metadata_lines(
    context: Context, boxes: Sequence[Mailbox], entries: tuple[str, ...]
) -> dict[MailboxId, bytes]:
    """Write a METADATA response for each mailbox whose annotations may be seen. (RFC 9590)"""
    account_id = context.account.account_id
    seen = [box for box in boxes if box.rights.intersection("rswip")]
    ids = [box.mailbox_id for box in seen]
    found = await context.read(lambda conn: find_annotations(conn, account_id, ids, entries))
    lines = {}
    for box in seen:
        values: dict[str, bytes | None] = dict.fromkeys(entries)
        values |= found[box.mailbox_id]
        values |= _computed(context, box, entries)
        lines[box.mailbox_id] = _line(context, box.name, values)
    return lines


def _computed(
    context: Context, box: Mailbox | None, entries: Sequence[str], depth: int = 0
) -> dict[str, bytes | None]:
    if box is None:
        uri = f"mailto:postmaster@{to_ascii(context.account.address.domain)}"
        return {_ADMIN: uri.encode("ascii")} if is_asked(_ADMIN, entries, depth) else {}
    use = "" if box.is_shared else ROLES.get(box.role or "", "")
    return {_USE: use.encode("ascii")} if use and is_asked(_USE, entries, depth) else {}


def _line(context: Context, name: str, values: Mapping[str, bytes | None]) -> bytes:
    words: list[bytes] = []
    for entry, value in values.items():
        words += [entry.encode("ascii"), b"NIL" if value is None else string8(value)]
    written = b'""' if not name else mailbox(name, utf8=context.engine.utf8)
    return untagged(b"METADATA", written, parenthesized(words))
