"""Identifiers, each with its own type, so that they cannot be confused.

Mail and session ids are made from a time and random bytes that the caller passes: they sort by
time, are safe in file names, header fields and SMTP replies, and cannot be guessed.
"""

from __future__ import annotations

from typing import NewType

MailId = NewType("MailId", str)
"""What we accepted once; stands in ``Received`` and in ``250 2.0.0 queued as``."""
SessionId = NewType("SessionId", str)
"""One connection, from accept to close."""
BlobId = NewType("BlobId", str)
"""Random; the bytes of one message, shared by its recipients."""
ThreadId = NewType("ThreadId", str)
"""One conversation of one account (RFC 8474 section 5.2): the id of the blob that began it."""
NodeId = NewType("NodeId", str)
"""One server of those that share a database; random, kept in its data folder."""
AccountId = NewType("AccountId", int)
AppPasswordId = NewType("AppPasswordId", int)
MailboxId = NewType("MailboxId", int)
Uid = NewType("Uid", int)
"""RFC 9051 section 2.3.1.1: unique within one mailbox and UIDVALIDITY, ascending."""
ModSeq = NewType("ModSeq", int)
"""RFC 7162 section 3.1: grows with every change of a mailbox."""

ID_RANDOM_SIZE = 8
"""Random bytes that one id takes: 64 bits cannot be guessed within the life of a queue."""

MAIL_ID_PATTERN = "[0-9a-f]{28}"
"""Regular expression of what ``new_mail_id`` gives: to know our ids in replies and addresses."""


def new_mail_id(now_ms: int, random: bytes) -> MailId:
    """Make the id of a mail from the time and ``ID_RANDOM_SIZE`` random bytes."""
    return MailId(_new_id(now_ms, random))


def new_session_id(now_ms: int, random: bytes) -> SessionId:
    """Make the id of a connection from the time and ``ID_RANDOM_SIZE`` random bytes."""
    return SessionId(_new_id(now_ms, random))


def new_blob_id(now_ms: int, random: bytes) -> BlobId:
    """Make the id of a blob from the time and ``ID_RANDOM_SIZE`` random bytes."""
    return BlobId(_new_id(now_ms, random))


def _new_id(now_ms: int, random: bytes) -> str:
    # 48 bits of milliseconds (until the year 10889) in front, so that ids sort by time and new
    # rows land at one end of an index. Hexadecimal, because that is one call of C code: every
    # mail takes three ids.
    if len(random) != ID_RANDOM_SIZE:
        raise ValueError(f"an id takes {ID_RANDOM_SIZE} random bytes")
    return (now_ms.to_bytes(6, "big") + random).hex()
