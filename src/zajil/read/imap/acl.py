"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS. (RFC 4314 section 3)

Deviation: identifiers with ``-`` in front, which take rights away, are refused (2026-11-28). RFC
4314 section 2 leaves them to the server, and nobody needs them where no groups are.
"""

from __future__ import annotations

from collections.abc import Callable

from zajil.core.actor import Interface
from zajil.core.mailbox_rights import format_rights
from zajil.imap.acl import AclCommand, DeleteAcl, GetAcl, ListRights, MyRights, SetAcl
from zajil.imap.response import Completion, mailbox, string, untagged
from zajil.read.imap.context import NO_MAILBOX, Context
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.mail.access import (
    OWNER,
    Entry,
    NoSuchIdentifier,
    find_identifier,
    find_owner,
    list_entries,
)
from zajil.store.mail.mailboxes import Mailbox
from zajil.store.mail.right_changes import ChangeRights, Grant, TooManyRights, change_rights
from zajil.store.people.audit import AuditedChange, apply_changes
from zajil.store.people.sharing import describe_sharing
from zajil.tracking.audit import AuditEvent

_ANY = frozenset("lrikxa")
"""One of them is enough for MYRIGHTS. (RFC 4314 section 4)"""
_GRANTABLE = b"l r s w i p k x t e a c d"
"""No right is tied to another one. (RFC 4314 section 3.7)"""


async def answer_acl(context: Context, command: AclCommand) -> Completion:
    """Answer one of the commands about rights.

    Raises:
        NoRight: the account may see the mailbox, and not administer it.
    """
    if isinstance(command, MyRights):
        return await _my_rights(context, command)
    box = await context.find_mailbox(command.mailbox, "a")
    if box is None:
        return NO_MAILBOX
    try:
        match command:
            case SetAcl():
                grant = Grant(command.identifier, command.rights, command.mode)
                return await _change(context, command.mailbox, grant)
            case DeleteAcl():
                grant = Grant(command.identifier, frozenset())
                return await _change(context, command.mailbox, grant)
            case GetAcl():
                return await _get(context, command, box)
            case ListRights():
                return await _list_rights(context, command, box)
    except NoSuchIdentifier as error:
        return Completion("NO", str(error), "NONEXISTENT")
    except TooManyRights:
        return Completion("NO", "too many accounts have rights on the mailbox", "LIMIT")


async def _change(context: Context, name: str, grant: Grant) -> Completion:
    item = ChangeRights(context.account.account_id, name, grant)
    by = context.clock.now_ms(), context.account.login, Interface.IMAP.value, ""

    def work(tx: Transaction) -> tuple[None, list[AuditEvent]]:
        (change,) = change_rights(tx, [item])
        return None, [] if change is None else [describe_sharing(by, change)]

    await context.write_alone(apply_changes, AuditedChange(work))
    return Completion("OK", "rights are changed")


async def _get(context: Context, command: GetAcl, box: Mailbox) -> Completion:
    def read(conn: Snapshot) -> list[Entry]:
        return [Entry(find_owner(conn, box.owner_id), OWNER), *list_entries(conn, box.mailbox_id)]

    words = [b"ACL", _name(context, command.mailbox)]
    for entry in await context.read(read):
        words += [string(entry.identifier.encode("ascii")), _letters(entry.rights)]
    context.engine.untagged(untagged(*words))
    return Completion("OK", "rights are sent")


async def _list_rights(context: Context, command: ListRights, box: Mailbox) -> Completion:
    find: Callable[[Snapshot], object] = lambda conn: find_identifier(conn, command.identifier)  # noqa: E731
    is_owner = await context.read(find) == box.owner_id
    # The owner always has all of them, so that none is left to be granted.
    rights = _letters(OWNER) if is_owner else b'"" ' + _GRANTABLE
    identifier = string(command.identifier.encode("utf-8"))
    name = _name(context, command.mailbox)
    context.engine.untagged(untagged(b"LISTRIGHTS", name, identifier, rights))
    return Completion("OK", "rights are sent")


async def _my_rights(context: Context, command: MyRights) -> Completion:
    box = await context.find_mailbox(command.mailbox, "")
    if box is None or not box.rights & _ANY:
        return NO_MAILBOX
    context.engine.untagged(my_rights_line(context, box))
    return Completion("OK", "rights are sent")


def my_rights_line(context: Context, box: Mailbox) -> bytes:
    """Write the MYRIGHTS response for a mailbox."""
    return untagged(b"MYRIGHTS", _name(context, box.name), _letters(box.rights))


def _letters(rights: frozenset[str]) -> bytes:
    return format_rights(rights, virtual=True).encode("ascii")


def _name(context: Context, name: str) -> bytes:
    return mailbox(name, utf8=context.engine.utf8)
