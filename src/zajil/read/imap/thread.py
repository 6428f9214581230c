"""THREAD: search, and put together what belongs together. (RFC 5256)"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
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
from zajil.read.imap.object_id import give_all_threads
from zajil.read.imap.search import find, refuse_charset, scope_of
from zajil.read.imap.search_answer import FoundMessages, numbers_of
from zajil.read.imap.sort import sent_times
from zajil.store.mail.header_columns import ROWS
from zajil.store.mail.thread_rows import ThreadRow, find_thread_rows

_PIECE = 262_144
"""Bytes of the response that are sent at a time."""
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
        messages = await _read(context, box, found, numbers)
        by_subject = command.algorithm is ThreadAlgorithm.ORDEREDSUBJECT

        def write() -> bytes:
            made = [one.message for one in messages]
            roots = thread_by_subject(made) if by_subject else thread_by_references(made)
            return write_threads(roots).encode("ascii")

        written = await context.work(write)
        if all(one.is_whole for one in messages):
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


@dataclass(frozen=True, slots=True)
class _Read:
    message: ThreadedMessage
    is_whole: bool
    """False: it could not be read this time."""


async def _read(
    context: Context, mailbox_id: MailboxId, found: FoundMessages, numbers: Sequence[int]
) -> list[_Read]:
    """Return what threads are made of, in the order of the messages."""
    uids, table = found.uids, found.table
    if not uids:
        return []
    sent = await sent_times(context, mailbox_id, table)
    messages: list[_Read] = []
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
) -> list[_Read]:
    made: list[_Read] = []
    for uid, number, sent_ms in zip(uids, numbers, times, strict=True):
        row = rows.get(uid)
        if row is None:  # it cannot be read
            made.append(_Read(ThreadedMessage(number, "", (), "", False, sent_ms), False))
            continue
        ids = map(normal_id, row.references)
        one = ThreadedMessage(
            number,
            normal_id(row.message_id),
            tuple([one for one in ids if one]),
            casemap(row.base_subject),
            is_reply(row.subject),
            sent_ms,
        )
        made.append(_Read(one, True))
    return made
