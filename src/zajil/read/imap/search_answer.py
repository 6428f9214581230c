"""What SEARCH and SORT send: numbers, or what RETURN asks for. (RFC 4731, RFC 5182, RFC 9394)"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import cast

from zajil.core.value_class import value_class
from zajil.imap.response import CRLF
from zajil.imap.search_command import Result, Returns
from zajil.imap.sequence_set import cut_partial, format_set
from zajil.read.imap.context import Context
from zajil.store.mail.message_table import MessageTable

_LINE = 20_000
"""Numbers of a response that are written at a time."""
_FEW = 2000
"""Numbers that are written without a turn of a reader thread: some tenths of a millisecond."""
_SAID = frozenset(Result) - {Result.SAVE}


@value_class(frozen=True, slots=True)
class FoundMessages:
    """What a search found."""

    uids: array[int]
    """Ascending."""
    table: MessageTable
    """The messages of the mailbox, from which this was found."""


@value_class(frozen=True, slots=True)
class AnsweredMailbox:
    """Which mailbox an answer is about, where that is not the selected one. (RFC 7377)"""

    mailbox: bytes
    """In its wire form, quoted."""
    uid_validity: int


@value_class(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """What RETURN asks for, of one search."""

    uids: Sequence[int]
    """Of the messages that were found, in the order of the answer."""
    returns: Returns
    uid: bool
    """Messages are told by their UIDs."""
    modseq: bool
    """The highest MODSEQ is told."""
    scores: Mapping[int, int] | None = None
    """How relevant each message is, from 1 to 100; ``None``: it is not asked for."""
    origin: AnsweredMailbox | None = None

    def saved(self) -> array[int]:
        """Return the messages that ``$`` means from now on, ascending. Runs in a reader thread.

        MIN, MAX and PARTIAL save only what they tell, unless ALL or COUNT stands there, too
        (RFC 5182 section 2.4, RFC 9394 section 3.2).
        """
        return array("I", sorted(set(self._told())))

    def _told(self) -> Sequence[int]:
        """Return the messages that the answer tells of."""
        results = self.returns.results
        few = results & {Result.MIN, Result.MAX}
        if results & {Result.ALL, Result.COUNT} or not (few or self.returns.partial):
            return self.uids
        told: list[int] = []
        if self.uids and Result.MIN in few:
            told.append(self.uids[0])
        if self.uids and Result.MAX in few:
            told.append(self.uids[-1])
        if self.returns.partial is not None:
            told += cut_partial(self.uids, self.returns.partial)
        return told

    def write(self, tag: bytes, counted: array[int], table: MessageTable) -> bytes:
        """Write the ESEARCH response. Runs in a reader thread.

        Args:
            tag: of the command.
            counted: UIDs of the messages that the client counts.
            table: the messages of the mailbox.
        """
        words = [b'(TAG "%b"' % tag]
        if self.origin is not None:
            words += [b"MAILBOX", self.origin.mailbox, b"UIDVALIDITY %d" % self.origin.uid_validity]
        words[-1] += b")"
        if self.uid:
            words.append(b"UID")
        results, partial = self.returns.results, self.returns.partial
        numbers = self.uids if self.uid else numbers_of(counted, self.uids)
        if numbers and Result.MIN in results:
            words.append(b"MIN %d" % numbers[0])
        if numbers and Result.MAX in results:
            words.append(b"MAX %d" % numbers[-1])
        if numbers and Result.ALL in results:
            words.append(b"ALL " + format_set(numbers))
        if partial is not None:
            told = cut_partial(numbers, partial)
            part = format_set(told) if told else b"NIL"
            words.append(b"PARTIAL (%d:%d %b)" % (*partial, part))
        if Result.COUNT in results:
            words.append(b"COUNT %d" % len(numbers))
        if self.scores is not None:
            told = self.uids if partial is None else cut_partial(self.uids, partial)
            words.append(b"RELEVANCY (%b)" % _join([self.scores[uid] for uid in told]))
        if self.modseq and (highest := highest_modseq(table, self._told())):
            words.append(b"MODSEQ %d" % highest)
        return b"* ESEARCH " + b" ".join(words) + CRLF

    @property
    def is_silent(self) -> bool:
        """Whether nothing is to be told: SAVE alone. (RFC 5182 section 2.1)"""
        return not self.returns.results & _SAID and self.returns.partial is None


async def write_answer(context: Context, answer: SearchAnswer, table: MessageTable) -> None:
    """Send the ESEARCH response."""
    if answer.is_silent:
        return
    tag, view = context.engine.tag, context.view
    counted = array("I") if view is None else view.uids
    context.engine.untagged(await context.work(lambda: answer.write(tag, counted, table)))
    await context.connection.flush()


async def write_numbers(
    context: Context,
    name: bytes,
    found: FoundMessages,
    uids: Sequence[int],
    *,
    uid: bool,
    modseq: bool,
) -> None:
    """Send the SEARCH or SORT response; a long one in pieces.

    Args:
        context: of the session.
        name: of the response.
        found: by the search.
        uids: the same messages in the order of the answer.
        uid: tell UIDs.
        modseq: tell the highest MODSEQ, where there is a message.
    """
    counted, engine = context.selected.uids, context.engine

    def begin() -> tuple[Sequence[int], bytes]:
        numbers = uids if uid else numbers_of(counted, uids)
        return numbers, _join(numbers[:_LINE])

    # A reader thread's turn takes longer than so few numbers.
    numbers, line = begin() if len(uids) <= _FEW else await context.work(begin)
    engine.untagged(b"* %b %b" % (name, line) if line else b"* " + name)
    for start in range(_LINE, len(numbers), _LINE):
        await context.connection.flush()
        some = numbers[start : start + _LINE]
        engine.untagged(b" " + await context.work(lambda: _join(some)))  # noqa: B023
    highest = highest_modseq(found.table, uids) if modseq else 0
    engine.untagged(b" (MODSEQ %d)\r\n" % highest if highest else CRLF)


def _join(numbers: Iterable[int]) -> bytes:
    return " ".join(map(str, numbers)).encode("ascii")


def numbers_of(counted: array[int], uids: Sequence[int]) -> Sequence[int]:
    """Return the sequence numbers of messages, in their order; all of them are counted."""
    if counted and counted[-1] - counted[0] == len(counted) - 1:  # no UID is missing
        before = counted[0] - 1
        return [uid - before for uid in uids]
    if len(uids) * 8 < len(counted):
        return [bisect_left(counted, uid) + 1 for uid in uids]
    places = dict(zip(counted, count(1), strict=False))
    return [places[uid] for uid in uids]


def highest_modseq(table: MessageTable, uids: Sequence[int]) -> int:
    """Return the highest MODSEQ of messages; 0: there are none."""
    places = table.places_of(cast("Sequence[int]", sorted(set(uids))))
    return max((table.modseqs[place] for place in places), default=0)
