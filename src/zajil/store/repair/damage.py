"""What must hold between the rows of a store, as queries that find where it does not.

Each rule is one query in a snapshot of its own, so that none is held for long. No unit of work
leaves any of this behind: what is found comes from a disk, a restored backup, or a fault of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.password import MOVED_AWAY
from zajil.core.service import QUEUED
from zajil.core.value_class import value_class
from zajil.store.schema import (
    account,
    account_setting,
    address,
    annotation,
    app_password,
    blob,
    contact,
    delegation,
    deleted_message,
    expunged,
    held_blob,
    mail,
    mailbox,
    mailbox_right,
    message,
    passkey,
    push_subscription,
    recipient,
    recovery_code,
    subscription,
    summary,
    text_block,
    text_segment,
    thread_link,
    totp,
    web_session,
    written_to,
)

RESTORE_STORE = "restore the store from a backup"
RESTORE = "`zajil backup restore-bytes` restores it; without a backup its owner can only delete it"


@value_class(frozen=True, slots=True)
class Damage:
    """One thing in the store that is not as it must be."""

    kind: str
    """One of missing-blob, wrong-size, wrong-count, orphan, unreadable, no-space, wrong-bytes,
    wrong-value, wrong-summary, wrong-words, unreachable, missing-key, foreign-place."""
    what: str
    """Names the row or the file."""
    reason: str
    """What is wrong with it; one sentence with ``what`` before it."""
    advice: str
    """What to do."""
    can_repair: bool = False
    """``store.repair`` mends it without losing anything."""


@value_class(frozen=True, slots=True)
class Rule:
    """A query, and what each of its rows means."""

    query: sa.Select[Any]
    kind: str
    name: Callable[[Any], str | None]
    """Names the damaged thing from a row; ``None``: the row is right."""
    reason: str
    """A template of ``str.format`` with the columns of the row."""
    advice: str
    can_repair: bool = False

    def find(self, conn: Connection) -> Iterator[Damage]:
        """Return what is damaged."""
        for row in conn.execute(self.query):
            name = self.name(row)
            if name is not None:
                reason = self.reason.format(**row._mapping)
                yield Damage(self.kind, name, reason, self.advice, self.can_repair)


REPAIR = "zajil store check --repair mends it"


def octets(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Return the number of bytes of a value."""
    return sa.func.octet_length(column)


def no_row(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return the condition that no row of a table meets these conditions."""
    there = sa.select(sa.literal(1)).select_from(table).where(*conditions)
    return ~there.correlate_except(table).exists()


def message_name(row: Any) -> str:
    """Name a message from a row of ``messages_with_names``."""
    return f"message {row.uid} in mailbox {row.box} of {row.owner}"


def messages_with_names(*columns: Any) -> sa.Select[Any]:
    """Messages with the names that an operator knows; a mailbox that is missing has a number."""
    box = sa.func.coalesce(mailbox.c.name, sa.cast(message.c.mailbox_id, sa.Text)).label("box")
    owner = sa.func.coalesce(account.c.login, "nobody").label("owner")
    return sa.select(message.c.uid, box, owner, *columns).select_from(
        message.outerjoin(mailbox, mailbox.c.id == message.c.mailbox_id).outerjoin(
            account, account.c.id == mailbox.c.account_id
        )
    )


def messages_of_blob(conn: Connection, blob_id: str) -> list[str]:
    """Name the messages whose bytes a blob holds."""
    found = conn.execute(messages_with_names().where(message.c.blob_id == blob_id).limit(10))
    return [message_name(row) for row in found]


_WAITING = recipient.c.state.in_(QUEUED)
_HIGHEST_UID = (
    sa.select(message.c.mailbox_id.label("id"), message.c.uid, message.c.modseq)
    .union_all(sa.select(expunged.c.mailbox_id, expunged.c.uid, expunged.c.modseq))
    .subquery()
)
_HIGHEST = (
    sa.select(
        _HIGHEST_UID.c.id,
        sa.func.max(_HIGHEST_UID.c.uid).label("uid"),
        sa.func.max(_HIGHEST_UID.c.modseq).label("highest_modseq"),
    )
    .group_by(_HIGHEST_UID.c.id)
    .subquery()
)


def _mailboxes(*conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return (
        sa.select(
            mailbox.c.id,
            mailbox.c.name,
            mailbox.c.account_id,
            mailbox.c.uid_next,
            mailbox.c.modseq,
            _HIGHEST.c.uid,
            _HIGHEST.c.highest_modseq,
        )
        .join(_HIGHEST, _HIGHEST.c.id == mailbox.c.id)
        .where(*conditions)
    )


def mailbox_name(row: Any) -> str:
    """Name a mailbox from a row with its name, id and account."""
    return f"mailbox {row.name} ({row.id}) of account {row.account_id}"


def deleted_name(row: Any) -> str:
    """Name a deleted message from a row with its id and account."""
    return f"deleted message {row.id} of account {row.account_id}"


def _orphans(table: sa.Table, what: str) -> Rule:
    """Rows of an account that is gone; 0 stands for anyone."""
    where = no_row(account, account.c.id == table.c.account_id)
    if table in (mailbox_right, annotation):
        where = sa.and_(where, table.c.account_id != 0)
    query = sa.select(table.c.account_id, sa.func.count().label("rows")).where(
        table.c.account_id.is_not(None), where
    )
    return Rule(
        query.group_by(table.c.account_id),
        "orphan",
        lambda row: f"{what} of account {row.account_id}",
        "{rows} of it, and there is no such account",
        RESTORE_STORE,
    )


RULES = (
    Rule(
        messages_with_names(message.c.blob_id).where(no_row(blob, blob.c.id == message.c.blob_id)),
        "missing-blob",
        message_name,
        "its bytes (blob {blob_id}) are not in the store",
        RESTORE,
    ),
    Rule(
        sa.select(blob.c.id, blob.c.size).where(
            blob.c.content.is_(None), blob.c.location.is_(None)
        ),
        "missing-blob",
        lambda row: f"blob {row.id}",
        "it has neither bytes nor a file, and should have {size} bytes",
        RESTORE,
    ),
    Rule(
        sa.select(blob.c.id, blob.c.size, octets(blob.c.content).label("found")).where(
            octets(blob.c.content) != blob.c.size
        ),
        "wrong-size",
        lambda row: f"blob {row.id}",
        "it has {found} bytes and should have {size}",
        RESTORE,
    ),
    Rule(
        messages_with_names(message.c.size, (octets(message.c.prefix) + blob.c.size).label("found"))
        .join(blob, blob.c.id == message.c.blob_id)
        .where(message.c.size != octets(message.c.prefix) + blob.c.size),
        "wrong-size",
        message_name,
        "its size is {found} bytes, and its row says {size}",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        _mailboxes(mailbox.c.uid_next <= _HIGHEST.c.uid),
        "wrong-count",
        mailbox_name,
        "its next UID is {uid_next}, and it has given UID {uid} already",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        _mailboxes(mailbox.c.modseq < _HIGHEST.c.highest_modseq),
        "wrong-count",
        mailbox_name,
        "its highest MODSEQ is {modseq}, and a message has {highest_modseq}",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        sa.select(
            mailbox.c.id,
            mailbox.c.name,
            mailbox.c.account_id,
            mailbox.c.uid_next,
            mailbox.c.recent_from,
        ).where(mailbox.c.recent_from > mailbox.c.uid_next),
        "wrong-count",
        mailbox_name,
        "its first recent UID is {recent_from}, above its next UID, {uid_next}",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        messages_with_names().join(
            expunged,
            sa.and_(expunged.c.mailbox_id == message.c.mailbox_id, expunged.c.uid == message.c.uid),
        ),
        "wrong-count",
        message_name,
        "it is there, and marked as expunged too",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        messages_with_names().where(no_row(mailbox, mailbox.c.id == message.c.mailbox_id)),
        "orphan",
        message_name,
        "there is no such mailbox",
        RESTORE_STORE,
    ),
    Rule(
        sa.select(blob.c.id, blob.c.size).where(
            no_row(message, message.c.blob_id == blob.c.id),
            no_row(mail, mail.c.blob_id == blob.c.id),
            no_row(deleted_message, deleted_message.c.blob_id == blob.c.id),
            no_row(held_blob, held_blob.c.blob_id == blob.c.id),
        ),
        "orphan",
        lambda row: f"blob {row.id}",
        "its {size} bytes belong to no message and to no mail in the queue",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        sa.select(summary.c.blob_id).where(no_row(blob, blob.c.id == summary.c.blob_id)),
        "orphan",
        lambda row: f"the summary of blob {row.blob_id}",
        "there is no such blob",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        sa.select(thread_link.c.account_id, sa.func.count().label("rows"))
        .where(no_row(account, account.c.id == thread_link.c.account_id))
        .group_by(thread_link.c.account_id),
        "orphan",
        lambda row: f"threads of account {row.account_id}",
        "there are {rows} links between messages, and there is no such account",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        sa.select(text_segment.c.account_id, sa.func.count().label("rows"))
        .where(no_row(account, account.c.id == text_segment.c.account_id))
        .group_by(text_segment.c.account_id),
        "orphan",
        lambda row: f"the index of words of account {row.account_id}",
        "it has {rows} segments, and there is no such account",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        sa.select(text_block.c.segment_id, sa.func.count().label("rows"))
        .where(no_row(text_segment, text_segment.c.id == text_block.c.segment_id))
        .group_by(text_block.c.segment_id),
        "orphan",
        lambda row: f"segment {row.segment_id} of the index of words",
        "it has {rows} blocks, and there is no such segment",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        sa.select(text_segment.c.id, text_segment.c.account_id).where(
            no_row(text_block, text_block.c.segment_id == text_segment.c.id)
        ),
        "wrong-count",
        lambda row: f"segment {row.id} of the index of words of account {row.account_id}",
        "it has no words",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        sa.select(recipient.c.mail_id, recipient.c.address, recipient.c.state).where(
            no_row(mail, mail.c.id == recipient.c.mail_id)
        ),
        "orphan",
        lambda row: f"recipient {row.address} of mail {row.mail_id}",
        "it is {state}, and there is no such mail",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        sa.select(recipient.c.mail_id, recipient.c.address, recipient.c.state)
        .join(mail, mail.c.id == recipient.c.mail_id)
        .where(
            _WAITING,
            sa.or_(mail.c.blob_id.is_(None), no_row(blob, blob.c.id == mail.c.blob_id)),
        ),
        "missing-blob",
        lambda row: f"mail {row.mail_id} to {row.address}",
        "it is {state} in the queue, and its bytes are not in the store",
        "restore them from a backup, or let zajil queue expire return it to its sender",
    ),
    Rule(
        sa.select(mail.c.id).where(
            mail.c.blob_id.is_not(None),
            no_row(recipient, recipient.c.mail_id == mail.c.id, _WAITING),
        ),
        "orphan",
        lambda row: f"mail {row.id}",
        "it keeps its bytes for the queue, and no recipient waits",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        sa.select(account.c.id, account.c.login).where(
            no_row(address, address.c.account_id == account.c.id)
        ),
        "orphan",
        lambda row: f"account {row.login}",
        "it has no address",
        RESTORE_STORE,
    ),
    Rule(
        sa.select(account.c.id, account.c.login).where(
            no_row(mailbox, mailbox.c.account_id == account.c.id, mailbox.c.role == "inbox"),
            account.c.password_hash != MOVED_AWAY,
        ),
        "orphan",
        lambda row: f"account {row.login}",
        "it has no INBOX",
        RESTORE_STORE,
    ),
    _orphans(mailbox, "mailbox"),
    _orphans(address, "address"),
    _orphans(app_password, "app password"),
    _orphans(delegation, "delegation"),
    _orphans(subscription, "subscription"),
    _orphans(mailbox_right, "right on a mailbox"),
    _orphans(annotation, "annotation"),
    _orphans(web_session, "web session"),
    _orphans(account_setting, "setting"),
    _orphans(contact, "contact"),
    _orphans(written_to, "remembered recipient"),
    _orphans(totp, "authenticator app"),
    _orphans(recovery_code, "recovery code"),
    _orphans(passkey, "passkey"),
    _orphans(push_subscription, "browser that is notified"),
)
"""All of them."""
