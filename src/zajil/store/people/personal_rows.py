"""What tables have of one account, for the export of everything that is known of a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.mail.blobs import Blobs
from zajil.store.mail.flags import unpack_flags
from zajil.store.mail.messages import MessageReader
from zajil.store.people.aliases import aliases_to
from zajil.store.people.personal_tables import TABLES
from zajil.store.schema import (
    account,
    address,
    delegation,
    deleted_message,
    mailbox,
    mailbox_right,
    metadata,
)

HIDDEN = frozenset(
    {
        "account_id",
        "password_hash",
        "token_hash",
        "csrf",
        "secret",
        "last_step",
        "public_key",
        "sign_count",
        "last_challenge",
        "auth",
        "words",
        "targets",
    }
)
"""Columns that are not exported: secrets, other targets of an alias, and what the server makes for
itself."""
_PARTED = {"emails", "phones", "groups", "aliases", "forward_to"}
"""Columns with JSON in them."""


def tables_of(file: str) -> list[sa.Table]:
    """Return the tables that a file of an export shows."""
    return [metadata.tables[name] for name, one in TABLES.items() if one.export == file]


def personal_rows(
    conn: Connection, account_id: AccountId, own: Address, table: sa.Table
) -> Iterator[dict[str, Any]]:
    """Yield the rows of an account in a table, as JSON takes them; times in UTC.

    Args:
        conn: a snapshot.
        account_id: whose.
        own: its address.
        table: one that ``TABLES`` exports into a JSON file.
    """
    search = sa.select(table).where(_condition(conn, account_id, own, table))
    for row in conn.execute(search.order_by(*table.primary_key)):
        yield {
            name.removesuffix("_ms"): _shown(name, value)
            for name, value in row._mapping.items()
            if name not in HIDDEN
        }


def _condition(
    conn: Connection, account_id: AccountId, own: Address, table: sa.Table
) -> sa.ColumnElement[bool]:
    condition: sa.ColumnElement[bool]
    if table is account:
        condition = account.c.id == account_id
    elif table is address:
        aliases = [one.address.key for one in aliases_to(conn, own)]
        condition = sa.or_(address.c.account_id == account_id, address.c.key.in_(aliases))
    else:
        condition = table.c.account_id == account_id
        if table is delegation:
            condition = sa.or_(condition, delegation.c.address_key == own.key)
        elif table is mailbox_right:
            mine = sa.select(mailbox.c.id).where(mailbox.c.account_id == account_id)
            condition = sa.or_(condition, mailbox_right.c.mailbox_id.in_(mine))
    return condition


def _shown(name: str, value: Any) -> Any:
    if name.endswith("_ms") and isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="seconds")
    if name in _PARTED and isinstance(value, str):
        return json.loads(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return value


@value_class(frozen=True, slots=True)
class DeletedBox:
    """A mailbox that deleted messages were in."""

    mailbox_id: int
    name: str
    messages: int


def deleted_boxes(conn: Connection, account_id: AccountId) -> list[DeletedBox]:
    """Return the mailboxes that messages were in which can still be taken back."""
    place = (deleted_message.c.mailbox_id, deleted_message.c.mailbox)
    rows = conn.execute(
        sa.select(*place, sa.func.count().label("messages"))
        .where(deleted_message.c.account_id == account_id)
        .group_by(*place)
        .order_by(*place)
    )
    return [DeletedBox(row.mailbox_id, row.mailbox, row.messages) for row in rows]


@value_class(frozen=True, slots=True)
class DeletedContent:
    """A deleted message, open for reading; whoever has it closes the reader."""

    number: int
    """Grows with the time at which it was deleted."""
    flags: frozenset[str]
    received_at_ms: int
    reader: MessageReader


def open_deleted(
    conn: Connection, blobs: Blobs, account_id: AccountId, box: DeletedBox, after: int
) -> DeletedContent | None:
    """Open the next deleted message of a mailbox; ``None``: there is no other.

    Raises:
        StoreUnavailable: its file cannot be read.
    """
    rows = deleted_message.c
    row = conn.execute(
        sa.select(deleted_message)
        .where(
            rows.account_id == account_id,
            rows.mailbox_id == box.mailbox_id,
            rows.mailbox == box.name,
            rows.id > after,
        )
        .order_by(rows.id)
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    reader = MessageReader(row.prefix.encode(), blobs.open(conn, row.blob_id))
    return DeletedContent(row.id, unpack_flags(row.flags, row.keywords), row.received_at_ms, reader)
