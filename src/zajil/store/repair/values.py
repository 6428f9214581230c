"""Values of single rows that no unit of work writes, and rows that only derived tables lack."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.service import RecipientState
from zajil.store.mail.flags import FLAG_BITS
from zajil.store.mail.text_index import Indexed
from zajil.store.repair.damage import (
    REPAIR,
    RESTORE_STORE,
    Rule,
    deleted_name,
    mailbox_name,
    message_name,
    messages_with_names,
    no_row,
    octets,
)
from zajil.store.schema import (
    account,
    address,
    app_password,
    blob,
    deleted_message,
    held_blob,
    kept_block,
    last_login,
    mail,
    mailbox,
    maildrop,
    maildrop_open_end,
    message,
    recipient,
    scram_key,
    send_count,
    stranger_count,
    trained,
    training,
    word_model,
)

Repair = Callable[[Connection], object]

_KNOWN_FLAGS = sum(FLAG_BITS.values())
_UNKNOWN_FLAGS = message.c.flags.bitwise_and(~_KNOWN_FLAGS) != 0
_UNKNOWN_INDEXED = message.c.indexed.not_in([int(one) for one in Indexed])
_THREADLESS = sa.and_(message.c.indexed != int(Indexed.WAITING), message.c.thread_id.is_(None))
_DELETED_SIZE = octets(deleted_message.c.prefix) + blob.c.size
_NEVER_TRIED = sa.and_(
    recipient.c.state == RecipientState.WAITING, recipient.c.next_try_ms.is_(None)
)


def _run(statement: sa.Executable) -> Repair:
    return lambda tx: tx.execute(statement)


def _leftovers(table: sa.Table, owner: sa.Table, condition: Any, what: str) -> tuple[Rule, Repair]:
    """Rows of a derived table whose owner is gone: they are deleted."""
    gone = no_row(owner, condition)
    if "account_id" in table.c:
        gone = sa.and_(table.c.account_id != 0, gone)  # 0: the installation
    rule = Rule(
        # Of no rows there is no finding.
        sa.select(sa.func.count().label("rows"))
        .select_from(table)
        .where(gone)
        .having(sa.func.count() > 0),
        "orphan",
        lambda row: what,
        "{rows} rows of " + table.name + " belong to what is gone",
        REPAIR,
        can_repair=True,
    )
    return rule, _run(sa.delete(table).where(gone))


def _of_account(table: sa.Table, what: str) -> tuple[Rule, Repair]:
    return _leftovers(table, account, account.c.id == table.c.account_id, what)


def _is_addresses(text: str | None) -> bool:
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return False
    return isinstance(found, list) and all(isinstance(one, str) for one in found)


_REPARABLE: tuple[tuple[Rule, Repair], ...] = (
    (
        Rule(
            messages_with_names(message.c.flags).where(_UNKNOWN_FLAGS),
            "wrong-value",
            message_name,
            "its flags are {flags}, and only the bits of " + str(_KNOWN_FLAGS) + " are known",
            REPAIR,
            can_repair=True,
        ),
        _run(
            sa.update(message)
            .where(_UNKNOWN_FLAGS)
            .values(flags=message.c.flags.bitwise_and(_KNOWN_FLAGS))
        ),
    ),
    (
        Rule(
            messages_with_names(message.c.indexed).where(sa.or_(_UNKNOWN_INDEXED, _THREADLESS)),
            "wrong-value",
            message_name,
            "it is marked as indexed ({indexed}), and has no thread or no such mark exists",
            REPAIR,
            can_repair=True,
        ),
        _run(
            sa.update(message)
            .where(sa.or_(_UNKNOWN_INDEXED, _THREADLESS))
            .values(indexed=int(Indexed.WAITING))
        ),
    ),
    (
        Rule(
            sa.select(mail.c.id, mail.c.size, blob.c.size.label("found"))
            .join(blob, blob.c.id == mail.c.blob_id)
            .where(mail.c.size != blob.c.size),
            "wrong-size",
            lambda row: f"mail {row.id}",
            "its size is {found} bytes, and its row says {size}",
            REPAIR,
            can_repair=True,
        ),
        _run(
            sa.update(mail)
            .where(mail.c.blob_id == blob.c.id, mail.c.size != blob.c.size)
            .values(size=blob.c.size)
        ),
    ),
    (
        Rule(
            sa.select(
                deleted_message.c.id,
                deleted_message.c.account_id,
                deleted_message.c.size,
                _DELETED_SIZE.label("found"),
            )
            .join(blob, blob.c.id == deleted_message.c.blob_id)
            .where(deleted_message.c.size != _DELETED_SIZE),
            "wrong-size",
            deleted_name,
            "its size is {found} bytes, and its row says {size}",
            REPAIR,
            can_repair=True,
        ),
        _run(
            sa.update(deleted_message)
            .where(deleted_message.c.blob_id == blob.c.id, deleted_message.c.size != _DELETED_SIZE)
            .values(size=_DELETED_SIZE)
        ),
    ),
    (
        Rule(
            sa.select(recipient.c.mail_id, recipient.c.address).where(_NEVER_TRIED),
            "wrong-value",
            lambda row: f"mail {row.mail_id} to {row.address}",
            "it waits in the queue, and would never be tried",
            REPAIR,
            can_repair=True,
        ),
        _run(sa.update(recipient).where(_NEVER_TRIED).values(next_try_ms=recipient.c.at_ms)),
    ),
    _leftovers(kept_block, mailbox, mailbox.c.id == kept_block.c.mailbox_id, "kept headers"),
    _leftovers(held_blob, blob, blob.c.id == held_blob.c.blob_id, "messages held for a backup"),
    _leftovers(
        scram_key,
        app_password,
        app_password.c.id == scram_key.c.app_password_id,
        "keys of app passwords",
    ),
    _of_account(maildrop, "POP3 mailboxes"),
    _of_account(maildrop_open_end, "facts of POP3 messages"),
    _of_account(last_login, "last log-ins"),
    _of_account(training, "mail to be learned from"),
    _of_account(trained, "mail that was learned from"),
    _of_account(word_model, "learned words"),
    _of_account(send_count, "counts of sent mail"),
    _of_account(stranger_count, "counts of new recipients"),
)
_REPORTED = (
    Rule(
        messages_with_names(message.c.modseq).where(
            sa.or_(message.c.uid < 1, message.c.modseq < 1)
        ),
        "wrong-value",
        message_name,
        "its UID and its MODSEQ ({modseq}) must be positive",
        RESTORE_STORE,
    ),
    Rule(
        sa.select(mailbox.c.id, mailbox.c.name, mailbox.c.account_id, mailbox.c.uid_validity).where(
            sa.or_(
                mailbox.c.uid_validity < 1,
                mailbox.c.uid_validity > 0xFFFFFFFF,
                mailbox.c.uid_next < 1,
                mailbox.c.modseq < 1,
            )
        ),
        "wrong-value",
        mailbox_name,
        "its UIDVALIDITY ({uid_validity}), next UID and MODSEQ must be positive",
        RESTORE_STORE,
    ),
    Rule(
        sa.select(recipient.c.mail_id, recipient.c.address, recipient.c.state).where(
            recipient.c.state.not_in([one.value for one in RecipientState])
        ),
        "wrong-value",
        lambda row: f"mail {row.mail_id} to {row.address}",
        "there is no state {state}",
        RESTORE_STORE,
    ),
    Rule(
        sa.select(address.c.address).where(
            address.c.account_id.is_(None), address.c.targets.is_(None)
        ),
        "wrong-value",
        lambda row: f"address {row.address}",
        "it belongs to no account and to no alias",
        RESTORE_STORE,
    ),
    Rule(
        sa.select(address.c.address, address.c.targets).where(address.c.targets.is_not(None)),
        "wrong-value",
        lambda row: None if _is_addresses(row.targets) else f"alias {row.address}",
        "its targets cannot be read",
        RESTORE_STORE,
    ),
    Rule(
        sa.select(account.c.login, account.c.forward_to).where(account.c.forward_to.is_not(None)),
        "wrong-value",
        lambda row: None if _is_addresses(row.forward_to) else f"account {row.login}",
        "the addresses that its mail is forwarded to cannot be read",
        RESTORE_STORE,
    ),
)
VALUE_RULES = (*(rule for rule, _ in _REPARABLE), *_REPORTED)
"""All of them."""


def repair_values(tx: Connection) -> None:
    """Correct what has one right value, delete derived rows of what is gone; part of a unit."""
    for _, mend in _REPARABLE:
        mend(tx)
