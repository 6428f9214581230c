"""THREAD: search, and put together what belongs together. (RFC 5256)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zajil.core.ids import MailboxId
from zajil.imap.response import Completion
from zajil.imap.search_command import Thread, ThreadAlgorithm
from zajil.imap.search_key import has_mod_seq
from zajil.message.casemap import casemap
from zajil.message.summary import is_reply
from zajil.message.thread_tree import (
    ThreadedMessage,
    normal_id,
    thread_by_references,
    thread_by_subject,
    write_threads,
)
from zajil.read.imap.condstore import enable_condstore
from zajil.read.imap.context import Context
from zajil.read.imap.object_id import give_all_threads
from zajil.read.imap.search import find, refuse_charset, scope_of
from zajil.read.imap.search_answer import FoundMessages, numbers_of
from zajil.read.imap.sort import sent_times
from zajil.store.mail.header_columns import ROWS
from zajil.store.mail.thread_rows import ThreadRow, find_thread_rows

_PIECE = 262_144
"""Bytes of the response that are sent at a time."""


async def thread(context: Context, command: Thread) -> Completion:
    """Send the threads of the messages for which the key holds."""
    view = context.selected
    refusal = refuse_charset(context, command.charset)
    if refusal is not None:
        return refusal
    if has_mod_seq(command.key):
        enable_condstore(context)
    box = view.mailbox.mailbox_id
    found = await find(context, scope_of(view), command.key)
    await give_all_threads(context, box)
    messages = await _read(context, box, found, uid=command.uid)
    by_subject = command.algorithm is ThreadAlgorithm.ORDEREDSUBJECT

    def write() -> bytes:
        roots = thread_by_subject(messages) if by_subject else thread_by_references(messages)
        written = write_threads(roots)
        return b"* THREAD" + (b" " + written.encode("ascii") if written else b"") + b"\r\n"

    for piece in _pieces(await context.work(write)):
        context.engine.untagged(piece)
        await context.connection.flush()
    return Completion("OK", "threads are made")


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))


async def _read(
    context: Context, mailbox_id: MailboxId, found: FoundMessages, *, uid: bool
) -> list[ThreadedMessage]:
    """Return what threads are made of, in the order of the messages."""
    uids, table, counted = found.uids, found.table, context.selected.uids
    if not uids:
        return []
    sent = await sent_times(context, mailbox_id, table)
    numbers = uids if uid else await context.work(lambda: numbers_of(counted, uids))
    messages: list[ThreadedMessage] = []
    for start in range(0, len(uids), ROWS):
        some, told = uids[start : start + ROWS], numbers[start : start + ROWS]
        rows = await context.read(
            lambda conn: find_thread_rows(conn, mailbox_id, some[0], some[-1])  # noqa: B023
        )
        places = table.places_of(some)
        times = [sent[place] for place in places]
        messages += await context.work(
            lambda: _make(some, told, times, rows)  # noqa: B023
        )
        await context.connection.flush()
    return messages


def _make(
    uids: Sequence[int],
    numbers: Sequence[int],
    times: Sequence[int],
    rows: dict[int, ThreadRow],
) -> list[ThreadedMessage]:
    made: list[ThreadedMessage] = []
    for uid, number, sent_ms in zip(uids, numbers, times, strict=True):
        row = rows.get(uid)
        if row is None:  # it cannot be read
            made.append(ThreadedMessage(number, "", (), "", False, sent_ms))
            continue
        ids = map(normal_id, row.references)
        made.append(
            ThreadedMessage(
                number,
                normal_id(row.message_id),
                tuple([one for one in ids if one]),
                casemap(row.base_subject),
                is_reply(row.subject),
                sent_ms,
            )
        )
    return made
