"""Indexes of a part of the rows, on both databases.

They stand apart from their tables, because a condition makes SQLAlchemy import its dialect of
PostgreSQL: 25 ms of each command and 2 MiB of each server. Queries need to know of no index.
"""

from __future__ import annotations

import functools

import sqlalchemy as sa

from zajil.store.schema import metadata

_INDEXES = (
    # What the indexer has to do; new mail is at its end, and it is short.
    ("ix_message_waiting", "message", ("blob_id",), "indexed = 0"),
    # What SEARCH has to read, whatever it looks for.
    ("ix_message_unindexed", "message", ("mailbox_id", "uid", "indexed"), "indexed <> 1"),
    # The messages of a conversation; those that wait for the indexer have none.
    ("ix_message_thread", "message", ("mailbox_id", "thread_id", "uid"), "thread_id IS NOT NULL"),
    # What has no digest yet; new mail is never in it.
    ("ix_blob_undigested", "blob", ("id",), "digest IS NULL"),
    ("ix_mail_blob_id", "mail", ("blob_id",), "blob_id IS NOT NULL"),
    (
        "ix_recipient_addressed_key",
        "recipient",
        ("addressed_key", "at_ms"),
        "addressed_key IS NOT NULL",
    ),
    ("ix_recipient_waiting", "recipient", ("next_try_ms",), "state = 'waiting'"),
    ("ix_recipient_held", "recipient", ("next_try_ms",), "state = 'held'"),
    ("ix_event_mail_id", "event", ("mail_id",), "mail_id IS NOT NULL"),
    # What came of connections without a mail, and belongs to none: `zajil journey sessions`.
    ("ix_event_without_mail", "event", ("at_ms",), "mail_id IS NULL"),
    # What belongs to a mail is found by the mail.
    (
        "ix_event_session_id",
        "event",
        ("session_id",),
        "session_id IS NOT NULL AND mail_id IS NULL",
    ),
    ("ix_audit_account_id", "audit", ("account_id", "at_ms"), "account_id IS NOT NULL"),
)
"""Name, table, columns and condition of each."""


@functools.cache
def complete_metadata() -> sa.MetaData:
    """Return the tables with all their indexes, as migrations make them."""
    for name, table, columns, where in _INDEXES:
        of = metadata.tables[table]
        condition = sa.text(where)
        sa.Index(
            name,
            *(of.c[column] for column in columns),
            sqlite_where=condition,
            postgresql_where=condition,
        )
    return metadata
