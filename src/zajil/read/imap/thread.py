"""THREAD: search, and put together what belongs together. (RFC 5256)"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import sha256

from zajil.core.ids import MailboxId
from zajil.imap.response import CRLF, Completion
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
from zajil.read.imap.kept_values import find_kept_values, keep_values
from zajil.read.imap.object_id import give_all_threads
from zajil.read.imap.search import find, refuse_charset, scope_of
from zajil.read.imap.search_answer import FoundMessages, numbers_of
from zajil.read.imap.sort import sent_times
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.thread_rows import ThreadRow, find_thread_rows
from zajil.store.mail.value_cache import Value, blocks_of

_PIECE = 262_144
"""Bytes of the response that are sent at a time."""
_KIND = b"THREAD"
_ONLY = (1,)
"""The cache keeps values by number; of an answer there is one."""


async def thread(context: Context, command: Thread) -> Completion:
    """Send the threads of the messages for which the key holds."""
    view = context.selected
    refusal = refuse_charset(context, command.charset, is_required=True)
    if refusal is not None:
        return refusal
    if has_mod_seq(command.key):
        enable_condstore(context)
    box, cache = view.mailbox.mailbox_id, context.store.header_cache
    found = await find(context, scope_of(view), command.key)
    kind, numbers = await context.work(lambda: _count(command, found.uids, view.uids))
    kept = cache.find_values(box, kind, _ONLY)
    written = None if kept is None else kept[0]
    if written is None:
        await give_all_threads(context, box)
        messages, is_final = await _read(context, box, found, numbers)
        by_subject = command.algorithm is ThreadAlgorithm.ORDEREDSUBJECT

        def write() -> bytes:
            make = thread_by_subject if by_subject else thread_by_references
            return write_threads(make(messages)).encode("ascii")

        written = await context.work(write)
        if is_final:
            await context.work(lambda: cache.keep(box, kind, dict.fromkeys(_ONLY, written)))
    context.engine.untagged(b"* THREAD" + (b" " if written else b""))
    for start in range(0, len(written), _PIECE):
        context.engine.untagged(written[start : start + _PIECE])
        await context.connection.flush()
    context.engine.untagged(CRLF)
    return Completion("OK", "threads are made")


def _count(command: Thread, uids: array[int], counted: array[int]) -> tuple[bytes, Sequence[int]]:
    """Return what the answer is kept by, and the numbers that stand in it.

    Threads depend on nothing but which messages they are made of: no message changes.
    """
    numbers = uids if command.uid else array("I", numbers_of(counted, uids))
    digest = sha256(uids.tobytes() + numbers.tobytes()).digest()
    return b"THREAD " + command.algorithm.value.encode("ascii") + digest, numbers


async def _read(
    context: Context, mailbox_id: MailboxId, found: FoundMessages, numbers: Sequence[int]
) -> tuple[list[ThreadedMessage], bool]:
    """Return what threads are made of, in the order of the messages, and whether that is final.

    It is not where a message could not be read this time.
    """
    uids, table = found.uids, found.table
    if not uids:
        return [], True
    sent = await sent_times(context, mailbox_id, table)
    messages: list[ThreadedMessage] = []
    is_final = True
    for _, some in blocks_of(uids):
        told = numbers[len(messages) : len(messages) + len(some)]
        values = await _values(context, mailbox_id, some, table.uids)
        places = table.places_of(some)
        messages += await context.work(
            lambda: _make(told, [sent[place] for place in places], values)  # noqa: B023
        )
        is_final = is_final and None not in values
        await context.connection.flush()
    return messages, is_final


async def _values(
    context: Context, mailbox_id: MailboxId, uids: array[int], of_mailbox: array[int]
) -> list[Value]:
    """Return what the header of each message says of threads; ``None``: it cannot be read."""
    kept = await find_kept_values(context, mailbox_id, [_KIND], uids)
    if kept is not None:
        return kept[_KIND]

    def read(conn: Snapshot) -> dict[int, Value]:
        rows = find_thread_rows(conn, mailbox_id, uids[0], uids[-1])
        return {uid: _pack(row) for uid, row in rows.items()}

    made = await context.read(read)
    await keep_values(context, mailbox_id, {_KIND: made}, of_mailbox)
    return [made.get(uid) for uid in uids]


def _pack(row: ThreadRow) -> bytes:
    """Return what is kept of a message."""
    texts = [
        "01"[is_reply(row.subject)] + casemap(row.base_subject),
        normal_id(row.message_id),
        *[one for one in map(normal_id, row.references) if one],
    ]
    # No header field that was read has a NUL in it.
    return "\0".join([text.replace("\0", "") for text in texts]).encode("utf-8", "surrogatepass")


def _make(
    numbers: Sequence[int], times: Sequence[int], values: Sequence[Value]
) -> list[ThreadedMessage]:
    made: list[ThreadedMessage] = []
    for number, sent_ms, value in zip(numbers, times, values, strict=True):
        if value is None:
            made.append(ThreadedMessage(number, "", (), "", False, sent_ms))
            continue
        subject, own, *references = value.decode("utf-8", "surrogatepass").split("\0")
        made.append(
            ThreadedMessage(number, own, tuple(references), subject[1:], subject[0] == "1", sent_ms)
        )
    return made
