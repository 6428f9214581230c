"""One search key over one mailbox: what can be decided of many messages at once, and of one alone.

Where the table of messages does not decide, there are two masks (``masks``): of the messages for
which the key surely holds, and of those for which it may.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.imap.date_time import date_of
from zajil.imap.flag import RECENT
from zajil.imap.search_key import (
    Age,
    All,
    And,
    BodyHas,
    Comparison,
    ContentHas,
    EmailIs,
    Fuzzy,
    HasFiles,
    HasFlag,
    HeaderHas,
    Larger,
    ModSeqFrom,
    Not,
    NumberIn,
    Or,
    ReceivedDate,
    ReceivedFrom,
    RecipientHas,
    SavedDate,
    SearchKey,
    SentDate,
    Smaller,
    TextHas,
    TextKey,
    ThreadIs,
    any_key,
)
from zajil.message.normal_form import search_form
from zajil.message.word_query import WordQuery
from zajil.read.imap.header_values import NO_DAY, UNKNOWN_DAY
from zajil.read.imap.masks import Chunk, chosen, mask_from, mask_of, mask_of_days, mask_of_spans
from zajil.read.imap.object_id import email_object_id, thread_object_id
from zajil.read.imap.search_text import RECIPIENT_FIELDS, MessageText, fuzzy_query
from zajil.store.mail.header_columns import Values
from zajil.store.mail.message_table import MessageTable
from zajil.store.mail.messages import Message
from zajil.store.mail.text_lookup import TextHits

_KEY_LOOKS = 400_000
"""Messages times keys that are looked at in one turn of a reader thread."""
_LARGEST = 50_000
"""Messages of one chunk."""
_READ = 1 << 20
"""Bytes of messages that are read in one turn."""
_KEYS = 100
"""With more keys than this a turn reads less: it is as long as others."""

Masks = tuple[int, int]
"""Surely, and perhaps: the first is a part of the second."""


@dataclass(slots=True, kw_only=True)
class SearchedMailbox:
    """What is searched."""

    account_id: AccountId
    mailbox_id: MailboxId
    uids: array[int]
    """Messages that the client counts, ascending."""
    saved: Sequence[int] = ()
    """What ``$`` means."""
    recent: Sequence[int] = ()
    """Messages that are ``\\Recent`` in this session."""


class Matcher:
    """One search key over one mailbox."""

    def __init__(self, scope: SearchedMailbox, key: SearchKey, now_ms: int) -> None:
        """Prepare the key."""
        self._scope = scope
        self._key = key
        self._now_ms = now_ms
        self._terms: dict[str, str] = {}
        self._count = 0
        self.texts: list[TextKey] = []
        """The keys that look for text."""
        self.fuzzy: dict[int, WordQuery] = {}
        """For those of them that stand in a FUZZY, by identity: their words suffice in any form."""
        self.needs_threads = any_key(key, lambda one: isinstance(one, ThreadIs))
        """Whether messages must have threads before they are looked at."""
        self.needs_days = any_key(key, lambda one: isinstance(one, SentDate))
        """Whether ``days`` have to be given."""
        self.days: Values = ()
        """The day of the Date field of each message of the table (``header_values.DAYS``)."""
        self.needs_files = any_key(key, lambda one: isinstance(one, HasFiles))
        """Whether ``files`` has to be given."""
        self.uids = array("I")
        """Of the messages of the table, for which ``files`` is given."""
        self.files: Values = ()
        """Whether each message of the table has attachments (``header_values.FILES``)."""
        self.hits: dict[int, TextHits] = {}
        """For keys of ``texts``, by identity: what the index says."""
        self._flags: dict[str, bytes] = {}
        """Which flag sets of the table have a flag, which is in lower case."""
        self._spans: dict[int, list[tuple[int, int]]] = {}
        """UIDs, by the identity of the key: its hash takes the time of the whole set."""
        self._prepare(key, fuzzy=False)
        self.chunk_size = min(_LARGEST, max(1, _KEY_LOOKS // self._count))
        """Messages to look at in one turn."""
        self._read = _READ // max(1, self._count // _KEYS)

    def _prepare(self, key: SearchKey, *, fuzzy: bool) -> None:
        self._count += 1
        match key:
            case And(keys):
                for inner in keys:
                    self._prepare(inner, fuzzy=fuzzy)
            case Or(left, right):
                self._prepare(left, fuzzy=fuzzy)
                self._prepare(right, fuzzy=fuzzy)
            case Not(inner):
                self._prepare(inner, fuzzy=fuzzy)
            case Fuzzy(inner):
                self._prepare(inner, fuzzy=True)
            case (
                HeaderHas(_, text)
                | BodyHas(text)
                | TextHas(text)
                | ContentHas(text)
                | RecipientHas(text)
            ):
                self._terms[text] = search_form(text)
                self.texts.append(key)
                if fuzzy and (query := fuzzy_query(key)) is not None:
                    self.fuzzy[id(key)] = query
            case NumberIn():
                self._spans[id(key)] = self._find_spans(key)

    def _find_spans(self, key: NumberIn) -> list[tuple[int, int]]:
        uids, numbers = self._scope.uids, key.numbers
        if numbers.saved:
            return [(uid, uid) for uid in self._scope.saved]
        if key.uid:
            return numbers.spans(uids[-1] if uids else 0)
        # RFC 7377 section 2: a number that no message has is no error, and finds nothing.
        count = len(uids)
        if not count:
            return []
        spans = [(first, min(last, count)) for first, last in numbers.spans(count)]
        return [(uids[first - 1], uids[last - 1]) for first, last in spans if first <= last]

    @property
    def needs_columns(self) -> bool:
        """Whether ``days`` or ``files`` have to be given."""
        return self.needs_days or self.needs_files

    def term_of(self, key: TextKey) -> str:
        """Return what a key looks for, in search form."""
        return self._terms[key.text]

    # ---- many messages ----------------------------------------------------------------------

    def look(self, table: MessageTable, start: int, stop: int) -> tuple[array[int], array[int]]:
        """Return the UIDs for which the key holds, and those that have to be read to decide.

        Runs in a reader thread.
        """
        chunk = Chunk(table, start, stop)
        sure, maybe = self._masks(self._key, chunk)
        uids = table.uids[start:stop]
        return chosen(uids, sure), chosen(uids, maybe & ~sure)

    def _masks(self, key: SearchKey, chunk: Chunk) -> Masks:
        match key:
            case And(keys):
                sure = maybe = chunk.all
                for inner in keys:
                    if not maybe:
                        break
                    one, two = self._masks(inner, chunk)
                    sure, maybe = sure & one, maybe & two
                return sure, maybe
            case Or(left, right):
                sure, maybe = self._masks(left, chunk)
                if sure == chunk.all:
                    return sure, maybe
                one, two = self._masks(right, chunk)
                return sure | one, maybe | two
            case Not(inner):
                sure, maybe = self._masks(inner, chunk)
                return chunk.all ^ maybe, chunk.all ^ sure
            case Fuzzy(inner):
                return self._masks(inner, chunk)
            case HeaderHas() | BodyHas() | TextHas() | ContentHas() | RecipientHas():
                hits = self.hits.get(id(key))
                if hits is None:
                    return 0, chunk.all
                possible = mask_of(chunk, hits.possible)
                if hits.sure is hits.possible:
                    return possible, possible
                return mask_of(chunk, hits.sure), possible
            case EmailIs() | ThreadIs():
                return 0, chunk.all
            case SentDate():
                return self._day_masks(key, chunk)
        mask = self._mask(key, chunk)
        return mask, mask

    def _mask(self, key: SearchKey, chunk: Chunk) -> int:
        table, part = chunk.table, slice(chunk.start, chunk.stop)
        match key:
            case HasFiles():
                return int.from_bytes(bytes(self.files[part]), "little")
            case HasFlag(flag) if flag == RECENT:
                return mask_of(chunk, self._scope.recent)
            case HasFlag(flag):
                return self._flag_mask(chunk, flag)
            case NumberIn():
                return mask_of_spans(chunk, self._spans[id(key)])
            case ReceivedDate(comparison, day):
                return mask_of_days(chunk, table.received_at_ms[part], comparison, day)
            case ReceivedFrom(at_ms):
                return mask_from(map(at_ms.__le__, table.received_at_ms[part]))
            case SavedDate(comparison, day):
                return mask_of_days(chunk, table.saved_at_ms[part], comparison, day)
            case Age(seconds, older):
                first, end = self._second_before(seconds)
                compare = end.__gt__ if older else first.__le__
                return mask_from(map(compare, table.received_at_ms[part]))
            case ModSeqFrom(modseq):
                return mask_from(map(modseq.__le__, table.modseqs[part]))
            case Larger(size):
                return mask_from(map(size.__lt__, table.sizes[part]))
            case Smaller(size):
                return mask_from(map(size.__gt__, table.sizes[part]))
        return chunk.all  # All

    def _second_before(self, seconds: int) -> tuple[int, int]:
        """Return where the second begins and ends that was so long ago. (RFC 5032 section 2)"""
        first = 1000 * (self._now_ms // 1000 - seconds)
        return first, first + 1000

    def _flag_mask(self, chunk: Chunk, flag: str) -> int:
        table, wanted = chunk.table, flag.lower()
        has = self._flags.get(wanted)
        if has is None:
            has = bytes([wanted in map(str.lower, one.flags) for one in table.flag_sets])
            self._flags[wanted] = has
        kinds = table.kinds[chunk.start : chunk.stop]
        if len(has) <= 256 and sys.byteorder == "little":
            # The lowest byte of each number is the number.
            marks = kinds.tobytes()[:: kinds.itemsize].translate(has.ljust(256, b"\x00"))
        else:
            marks = bytes(map(has.__getitem__, kinds))
        return int.from_bytes(marks, "little")

    def _day_masks(self, key: SentDate, chunk: Chunk) -> Masks:
        days, wanted = self.days[chunk.start : chunk.stop], key.day.toordinal()
        unknown = mask_from(map(UNKNOWN_DAY.__eq__, days)) if UNKNOWN_DAY in days else 0
        match key.comparison:
            case Comparison.SINCE:
                sure = mask_from(map(wanted.__le__, days))
            case Comparison.ON:
                sure = mask_from(map(wanted.__eq__, days))
            case Comparison.BEFORE:
                sure = mask_from(map(wanted.__gt__, days)) & ~unknown
                if NO_DAY in days:
                    sure &= ~mask_from(map(NO_DAY.__eq__, days))
        return sure, sure | unknown

    # ---- one message ------------------------------------------------------------------------

    def cut(self, rows: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
        """Cut off what is read in one turn."""
        size = 0
        for place, row in enumerate(rows):
            size += row.size
            if size > self._read and place:
                return rows[:place], rows[place:]
        return rows, ()

    def holds(self, row: Message, text: MessageText) -> bool:
        """Return whether the key holds for a message; runs in a reader thread."""
        return self._holds(self._key, row, text)

    def _holds(self, key: SearchKey, row: Message, text: MessageText) -> bool:
        match key:
            case And(keys):
                return all(self._holds(inner, row, text) for inner in keys)
            case Or(left, right):
                return self._holds(left, row, text) or self._holds(right, row, text)
            case Not(inner):
                return not self._holds(inner, row, text)
            case Fuzzy(inner):
                return self._holds(inner, row, text)
            case HasFlag(flag):
                return self._has_flag(row, flag)
            case ReceivedDate(comparison, day):
                return _compare(date_of(row.received_at_ms), comparison, day)
            case SavedDate(comparison, day):
                return _compare(date_of(row.saved_at_ms), comparison, day)
            case ReceivedFrom(at_ms):
                return row.received_at_ms >= at_ms
            case Age(seconds, older):
                first, end = self._second_before(seconds)
                return row.received_at_ms < end if older else row.received_at_ms >= first
            case EmailIs(object_id):
                return email_object_id(row) == object_id
            case ThreadIs(object_id):
                return thread_object_id(row) == object_id
            case ModSeqFrom(modseq):
                return row.modseq >= modseq
            case Larger(size):
                return row.size > size
            case Smaller(size):
                return row.size < size
            case NumberIn():
                spans = self._spans[id(key)]
                at = bisect_right(spans, int(row.uid), key=lambda span: span[0]) - 1
                return at >= 0 and row.uid <= spans[at][1]
            case HasFiles():
                at = bisect_left(self.uids, row.uid)
                return self.uids[at : at + 1] == array("I", [row.uid]) and bool(self.files[at])
            case All():
                return True
        return self._text_holds(key, row.uid, text)

    def _text_holds(self, key: SearchKey, uid: Uid, text: MessageText) -> bool:
        hits = self.hits.get(id(key))
        if hits is not None:
            if not _is_among(hits.possible, uid):
                return False
            if _is_among(hits.sure, uid):
                return True
        if self._stands_in(key, text):
            return True
        query = self.fuzzy.get(id(key))
        return query is not None and text.has_words(query)

    def _stands_in(self, key: SearchKey, text: MessageText) -> bool:
        """Return whether a message has what is looked for, as it is asked for."""
        match key:
            case SentDate(comparison, day):
                sent = text.sent_on()
                return sent is not None and _compare(sent, comparison, day)
            case HeaderHas(name, term):
                return text.has_field(name, self._terms[term])
            case ContentHas(term):
                return text.content_has(self._terms[term])
            case RecipientHas(term):
                return any(text.has_field(name, self._terms[term]) for name in RECIPIENT_FIELDS)
            case BodyHas(term):
                return text.body_has(self._terms[term])
            case TextHas(term):
                wanted = self._terms[term]
                return any(
                    has(wanted) for has in (text.header_has, text.body_has, text.part_header_has)
                )
        raise TypeError(f"{type(key).__name__} is no key")

    def _has_flag(self, row: Message, flag: str) -> bool:
        if flag == RECENT:
            return _is_among(self._scope.recent, row.uid)
        return flag.lower() in {one.lower() for one in row.flags}


def _is_among(uids: Sequence[int], uid: int) -> bool:
    """Return whether a UID is among others, ascending."""
    at = bisect_left(uids, uid)
    return at < len(uids) and uids[at] == uid


def _compare(day: date, comparison: Comparison, other: date) -> bool:
    match comparison:
        case Comparison.BEFORE:
            return day < other
        case Comparison.ON:
            return day == other
        case Comparison.SINCE:
            return day >= other
