"""Which rows belong to an account, and how they are taken to another shard as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.rows import insert_rows
from zajil.store.people.personal_tables import TABLES
from zajil.store.schema import (
    account,
    address,
    annotation,
    app_password,
    contact,
    expunged,
    mailbox,
    mailbox_right,
    message,
    metadata,
    scram_key,
)

_PORTION = 1000

BY_ACCOUNT = (
    *("identity", "subscription", "account_setting", "contact", "written_to", "last_login"),
    *("app_password", "totp", "recovery_code", "passkey", "thread_link", "imported"),
    *("deleted_message", "training", "trained", "word_model", "word", "reputation"),
    *("send_count", "stranger_count"),
)
"""Tables whose rows of an account go with it; each has a column ``account_id``."""
LEFT_BEHIND = {
    "blob": "copied before, with the bytes",
    "summary": "copied with its blob",
    "code_failure": "it is kept for minutes",
    "delegation": "both accounts must be in one shard",
    "domain_admin": "the domain is in the other shard",
    "kept_block": "a cache",
    "maildrop": "who reads by POP3 now",
    "maildrop_open_end": "found out again",
    "push_subscription": "it ends with the session of its browser",
    "text_block": "the indexer writes it again",
    "text_segment": "the indexer writes it again",
    "web_session": "people log in again",
}
"""Tables with rows of accounts that do not go with one, and why."""

_STEADY = (
    *("account", "address", "mailbox", "mailbox_right", "annotation", "subscription"),
    *("identity", "account_setting", "contact", "app_password", "scram_key"),
    *("totp", "recovery_code", "passkey", "imported", "deleted_message"),
)
"""Tables that only a change of the account changes: they must be the same at the end. Each change
of a message changes the row of its mailbox."""

Digests = Mapping[str, str]
"""SHA-256 of the rows of each table, in hexadecimal digits, behind their number."""


@value_class(frozen=True, slots=True)
class _Part:
    table: sa.Table
    mine: sa.ColumnElement[bool]


def _parts(account_id: AccountId) -> Iterator[_Part]:
    """Yield each table with the condition for the rows that go with an account."""
    boxes = sa.select(mailbox.c.id).where(mailbox.c.account_id == account_id)
    passwords = sa.select(app_password.c.id).where(app_password.c.account_id == account_id)
    yield _Part(account, account.c.id == account_id)
    yield _Part(address, address.c.account_id == account_id)
    yield _Part(mailbox, mailbox.c.account_id == account_id)
    yield _Part(message, message.c.mailbox_id.in_(boxes))
    yield _Part(expunged, expunged.c.mailbox_id.in_(boxes))
    # Rights of single accounts stay behind: these are in the other shard.
    everybody = mailbox_right.c.account_id == 0
    yield _Part(mailbox_right, mailbox_right.c.mailbox_id.in_(boxes) & everybody)
    on_boxes = annotation.c.mailbox_id.in_(boxes) & annotation.c.account_id.in_((0, account_id))
    on_server = (annotation.c.mailbox_id == 0) & (annotation.c.account_id == account_id)
    yield _Part(annotation, on_boxes | on_server)
    yield _Part(scram_key, scram_key.c.app_password_id.in_(passwords))
    for name in BY_ACCOUNT:
        table = metadata.tables[name]
        yield _Part(table, table.c.account_id == account_id)


def copy_rows(source: Connection, tx: Connection, account_id: AccountId) -> Digests:
    """Copy all rows of an account, suspended; return the digests of what was read.

    Args:
        source: a snapshot of the old shard.
        tx: a transaction of the new one, which has none of these rows.
        account_id: the same in both.
    """
    digests: dict[str, str] = {}
    for part in _parts(account_id):
        columns = _columns_of(part.table)
        changed = dict(TABLES[part.table.name].reset) if part.table.name in BY_ACCOUNT else {}
        if part.table is account:
            changed = {"active": False}
        if part.table is message:
            changed = {"indexed": 0}
        hashed = _Hash()
        for rows in _portions(source, part, columns):
            hashed.add(rows)
            insert_rows(tx, columns, [_changed(row, columns, changed) for row in rows])
        digests[part.table.name] = hashed.text
    return digests


def digest_rows(conn: Connection, account_id: AccountId, *, steady: bool = False) -> dict[str, str]:
    """Return the digests of the rows of an account; ``steady``: of those that only it changes."""
    found: dict[str, str] = {}
    for part in _parts(account_id):
        if steady and part.table.name not in _STEADY:
            continue
        hashed = _Hash()
        for rows in _portions(conn, part, _columns_of(part.table)):
            hashed.add(rows)
        found[part.table.name] = hashed.text
    return found


def is_same(one: Digests, other: Digests) -> bool:
    """Return whether all tables that both name have the same rows."""
    return all(one[name] == other[name] for name in one.keys() & other.keys())


def comparable(digests: Digests) -> Digests:
    """Leave out the tables whose rows are changed when they are copied."""
    reset = {name for name in BY_ACCOUNT if TABLES[name].reset}
    return {name: text for name, text in digests.items() if name not in {*reset, *_CHANGED}}


_CHANGED = ("account", "message")
"""Copied with another value in one column."""


def _columns_of(table: sa.Table) -> list[sa.Column[Any]]:
    """Return the columns that go along: contacts get new numbers."""
    return [column for column in table.columns if table is not contact or column.name != "id"]


def _portions(
    conn: Connection, part: _Part, columns: list[sa.Column[Any]]
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows in the order of the key, a thousand at a time."""
    search = sa.select(*columns).where(part.mine).order_by(*part.table.primary_key.columns)
    found = conn.execute(search.execution_options(yield_per=_PORTION))
    for rows in found.partitions(_PORTION):
        yield [tuple(row) for row in rows]


def _changed(
    row: tuple[Any, ...], columns: list[sa.Column[Any]], new: Mapping[str, object]
) -> tuple[Any, ...]:
    if not new:
        return row
    return tuple([new.get(column.name, value) for column, value in zip(columns, row, strict=True)])


class _Hash:
    """Digest of rows."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._count = 0

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        """Take more rows."""
        self._count += len(rows)
        for row in rows:
            plain = [bytes(one) if isinstance(one, bytearray | memoryview) else one for one in row]
            self._hash.update(repr(plain).encode())

    @property
    def text(self) -> str:
        """The number of rows, and the digest."""
        return f"{self._count}:{self._hash.hexdigest()}"
