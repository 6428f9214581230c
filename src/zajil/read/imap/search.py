"""SEARCH. (RFC 3501 section 6.4.4)

Cheap keys first: sets and flags are looked at before any message is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from zajil.core.ids import Uid
from zajil.imap.command import Search
from zajil.imap.date_time import date_of
from zajil.imap.flag import RECENT
from zajil.imap.response import Completion, untagged
from zajil.imap.search_key import (
    All,
    And,
    BodyHas,
    Comparison,
    HasFlag,
    HeaderHas,
    Larger,
    Not,
    NumberIn,
    Or,
    ReceivedDate,
    SearchKey,
    SentDate,
    Smaller,
    TextHas,
)
from zajil.message.normal_form import normal_form
from zajil.read.imap.context import Context
from zajil.read.imap.search_text import MessageText
from zajil.read.imap.view import View
from zajil.store.blobs import NoSuchBlob
from zajil.store.messages import Message, MessageReader, get_messages, open_message

_ROWS = 500
"""Messages looked up at a time."""
_READ = 8 << 20
"""Bytes of messages that are read in one turn of a reader thread: snapshots stay short."""

Open = Callable[[Message], MessageReader]


async def search(context: Context, command: Search) -> Completion:
    """Send the numbers of the messages for which the key holds."""
    view = context.selected
    matcher = Matcher(view, command.key)
    found: list[Uid] = []
    for start in range(0, len(view.uids), _ROWS):
        wanted = [Uid(uid) for uid in view.uids[start : start + _ROWS]]
        if not matcher.needs_row:
            found += [uid for uid in wanted if matcher.holds_for_number(uid)]
            continue
        wanted = [uid for uid in wanted if matcher.may_hold(uid)]
        found += await _search_rows(context, matcher, wanted)
    numbers: Iterable[int] = found
    if not command.uid:
        numbers = [number for uid in found if (number := view.number_of(uid)) is not None]
    context.engine.untagged(untagged(b"SEARCH", *(b"%d" % number for number in numbers)))
    return Completion("OK", "search is done")


async def _search_rows(context: Context, matcher: Matcher, wanted: list[Uid]) -> list[Uid]:
    store, box = context.store, context.selected.mailbox.mailbox_id
    blobs = store.blobs
    if not wanted:
        return []
    rows: Sequence[Message] = await store.read(lambda conn: get_messages(conn, box, wanted))
    found: list[Uid] = []
    while rows:
        some, rest = matcher.cut(rows)
        found += await store.read(
            lambda conn: matcher.matching(some, lambda row: open_message(conn, blobs, row))  # noqa: B023
        )
        rows = rest
    return found


class Matcher:
    """One search key over one view of a mailbox."""

    def __init__(self, view: View, key: SearchKey) -> None:
        self._view = view
        self._key = _cheap_first(key)
        self._terms: dict[str, str] = {}
        self._sets: dict[NumberIn, frozenset[int]] = {}
        self._prepare(self._key)
        self.needs_row = _cost(key) > 0
        self.needs_content = _cost(key) > 1

    def holds_for_number(self, uid: Uid) -> bool:
        """Decide a key that is about numbers alone."""
        return self._number_holds(self._key, uid) is True

    def may_hold(self, uid: Uid) -> bool:
        """Say false for what the numbers alone rule out."""
        return self._number_holds(self._key, uid) is not False

    def cut(self, rows: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
        """Cut off what is looked at in one turn."""
        if not self.needs_content:
            return rows, ()
        size = 0
        for place, row in enumerate(rows):
            size += row.size
            if size > _READ and place:
                return rows[:place], rows[place:]
        return rows, ()

    def matching(self, rows: Sequence[Message], open_: Open) -> list[Uid]:
        """Give the UIDs of the rows for which the key holds; runs in a reader thread."""
        found: list[Uid] = []
        for row in rows:
            if not self.needs_content:
                if self._holds(self._key, row, None):
                    found.append(row.uid)
                continue
            try:
                with open_(row) as reader:
                    if self._holds(self._key, row, MessageText(reader)):
                        found.append(row.uid)
            except NoSuchBlob:
                continue
        return found

    def _prepare(self, key: SearchKey) -> None:
        match key:
            case And(keys):
                for inner in keys:
                    self._prepare(inner)
            case Or(left, right):
                self._prepare(left)
                self._prepare(right)
            case Not(inner):
                self._prepare(inner)
            case HeaderHas(_, text) | BodyHas(text) | TextHas(text):
                self._terms[text] = normal_form(text)
            case NumberIn(numbers, uid):
                # Clients search an empty mailbox for "1:* NOT DELETED", and no server minds.
                chosen = self._view.choose(numbers, uid=uid, star_is_all=True)
                self._sets[key] = frozenset(chosen)

    def _number_holds(self, key: SearchKey, uid: Uid) -> bool | None:
        """Decide by numbers; ``None``: they do not say."""
        match key:
            case All():
                return True
            case NumberIn():
                return uid in self._sets[key]
            case Not(inner):
                held = self._number_holds(inner, uid)
                return None if held is None else not held
            case And(keys):
                results = [self._number_holds(inner, uid) for inner in keys]
                if False in results:
                    return False
                return None if None in results else True
            case Or(left, right):
                results = [self._number_holds(left, uid), self._number_holds(right, uid)]
                if True in results:
                    return True
                return None if None in results else False
        return None

    def _holds(self, key: SearchKey, row: Message, text: MessageText | None) -> bool:
        match key:
            case And(keys):
                return all(self._holds(inner, row, text) for inner in keys)
            case Or(left, right):
                return self._holds(left, row, text) or self._holds(right, row, text)
            case Not(inner):
                return not self._holds(inner, row, text)
            case HasFlag(flag):
                return self._has_flag(row, flag)
            case ReceivedDate(comparison, day):
                return _compare(date_of(row.received_at_ms), comparison, day)
            case Larger(size):
                return row.size > size
            case Smaller(size):
                return row.size < size
            case All() | NumberIn():
                return self._number_holds(key, row.uid) is True
        return text is not None and self._text_holds(key, text)

    def _text_holds(self, key: SearchKey, text: MessageText) -> bool:
        match key:
            case HeaderHas(name, term):
                return text.has_field(name, self._terms[term])
            case BodyHas(term):
                return text.body_has(self._terms[term])
            case TextHas(term):
                wanted = self._terms[term]
                return text.header_has(wanted) or text.body_has(wanted)
            case SentDate(comparison, day):
                sent = text.sent_on()
                return sent is not None and _compare(sent, comparison, day)
        return False

    def _has_flag(self, row: Message, flag: str) -> bool:
        if flag == RECENT:
            return row.uid >= self._view.recent_from
        if flag.startswith("\\"):
            return flag in row.flags
        return flag.lower() in {one.lower() for one in row.flags}


def _cost(key: SearchKey) -> int:
    """0: numbers decide; 1: the row; 2: the header section; 3: the body."""
    match key:
        case All() | NumberIn():
            return 0
        case And(keys):
            return max(map(_cost, keys))
        case Or(left, right):
            return max(_cost(left), _cost(right))
        case Not(inner):
            return _cost(inner)
        case HeaderHas() | SentDate():
            return 2
        case BodyHas() | TextHas():
            return 3
    return 1


def _cheap_first(key: SearchKey) -> SearchKey:
    match key:
        case And(keys):
            return And(tuple(sorted(map(_cheap_first, keys), key=_cost)))
        case Or(left, right):
            first, second = sorted((_cheap_first(left), _cheap_first(right)), key=_cost)
            return Or(first, second)
        case Not(inner):
            return Not(_cheap_first(inner))
    return key


def _compare(day: date, comparison: Comparison, other: date) -> bool:
    match comparison:
        case Comparison.BEFORE:
            return day < other
        case Comparison.ON:
            return day == other
        case Comparison.SINCE:
            return day >= other
