"""SEARCH. (RFC 3501 section 6.4.4)

Cheap keys first: sets and flags are looked at before any message is opened, and flags by SQL.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import NamedTuple, cast

from zajil.core.ids import Uid
from zajil.imap.command import Search
from zajil.imap.date_time import date_of
from zajil.imap.flag import RECENT
from zajil.imap.grammar import bad
from zajil.imap.response import CRLF, Completion
from zajil.imap.search_key import (
    All,
    And,
    BodyHas,
    Comparison,
    EmailIs,
    HasFlag,
    HeaderHas,
    Larger,
    ModSeqFrom,
    Not,
    NumberIn,
    Or,
    ReceivedDate,
    SearchKey,
    SentDate,
    Smaller,
    TextHas,
    ThreadIs,
    has_mod_seq,
)
from zajil.message.normal_form import normal_form
from zajil.read.imap.condstore import enable_condstore
from zajil.read.imap.context import Context
from zajil.read.imap.object_id import email_object_id, give_all_threads, thread_object_id
from zajil.read.imap.search_text import MessageText
from zajil.read.imap.selected_mailbox import SelectedMailbox
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.message_conditions import (
    Condition,
    and_,
    find_uids,
    has_flag,
    has_modseq_from,
    is_larger,
    is_smaller,
)
from zajil.store.mail.messages import Message, get_flags, get_messages, open_messages

_NUMBERS = 10_000
"""Messages that are looked at in one turn of a reader thread, where numbers or SQL decide."""
_ROWS = 500
"""The same where each message's row is looked at."""
_READ = 1 << 20
"""The same in bytes, where messages are read."""
_KEYS = 100
"""With more keys than this a turn does less of all three: it is as long as others."""
_LINE = 5_000
"""Numbers of the response that are written at a time."""


async def search(context: Context, command: Search) -> Completion:
    """Send the numbers of the messages for which the key holds.

    Many short turns: others of the account and other accounts read in between, and a client that
    is gone ends the search.
    """
    view = context.selected
    if has_mod_seq(command.key):
        enable_condstore(context)
    matcher = await context.work(lambda: Matcher(view, command.key))
    if matcher.needs_threads:
        await give_all_threads(context, view.mailbox.mailbox_id)
    found = array("I")
    for start in range(0, len(view.uids), matcher.most):
        chunk = view.uids[start : start + matcher.most]
        decided, rows = await _look(context, matcher, chunk)
        found.extend(decided)
        while rows:
            some, rows = matcher.cut(rows)
            found.extend(await _read(context, matcher, some))
            await context.connection.flush()
        await context.connection.flush()
    highest = 0
    if has_mod_seq(command.key):
        highest = await _highest_modseq(context, found)
    await _answer(context, found, highest, uid=command.uid)
    return Completion("OK", "search is done")


async def _look(
    context: Context, matcher: Matcher, chunk: Sequence[int]
) -> tuple[list[Uid], Sequence[Message]]:
    """Return the UIDs for which the key holds, and the messages that have to be read to decide."""
    box = context.selected.mailbox.mailbox_id
    if not matcher.needs_row:
        return await context.work(lambda: matcher.by_number(chunk)), ()

    def look(conn: Snapshot) -> tuple[list[Uid], Sequence[Message]]:
        wanted = matcher.by_number(chunk)
        if wanted and matcher.condition is not None:
            held = set(find_uids(conn, box, matcher.condition, wanted[0], wanted[-1]))
            wanted = [uid for uid in wanted if uid in held]
        if not matcher.needs_message:
            return wanted, ()
        rows = get_messages(conn, box, wanted)
        if matcher.needs_content:
            return [], rows
        return [row.uid for row in rows if matcher.holds(row, None)], ()

    return await context.read(look)


async def _read(context: Context, matcher: Matcher, rows: Sequence[Message]) -> list[Uid]:
    """Return the UIDs of those for which the key holds."""
    blobs = context.store.blobs

    def read(conn: Snapshot) -> list[Uid]:
        found: list[Uid] = []
        for row, reader in open_messages(conn, blobs, rows):
            if reader is None:
                continue  # it was expunged since
            with reader:
                if matcher.holds(row, MessageText(reader)):
                    found.append(row.uid)
        return found

    return await context.read(read)


async def _highest_modseq(context: Context, uids: Sequence[int]) -> int:
    """Return the highest MODSEQ of messages; 0: there are none."""
    box, highest = context.selected.mailbox.mailbox_id, 0
    for start in range(0, len(uids), _ROWS):
        some = cast("Sequence[Uid]", uids[start : start + _ROWS])
        rows = await context.read(lambda conn: get_flags(conn, box, some))  # noqa: B023
        highest = max([highest, *[row.modseq for row in rows]])
    return highest


async def _answer(context: Context, found: Sequence[int], modseq: int, *, uid: bool) -> None:
    """Write the response; a long one in pieces; with a MODSEQ unless that is 0."""
    view = context.selected

    def write(some: Sequence[int]) -> bytes:
        numbers = some if uid else map(view.number_of, some)
        return b"".join([b" %d" % number for number in numbers if number is not None])

    context.engine.untagged(b"* SEARCH")
    for start in range(0, len(found), _LINE):
        some = found[start : start + _LINE]
        context.engine.untagged(await context.work(partial(write, some)))
        await context.connection.flush()
    context.engine.untagged(b" (MODSEQ %d)\r\n" % modseq if modseq else CRLF)


class _Spans(NamedTuple):
    """A set for one view: looking a number up takes the same time for any set."""

    firsts: tuple[int, ...]
    lasts: tuple[int, ...]

    def has(self, number: int) -> bool:
        at = bisect_right(self.firsts, number) - 1
        return at >= 0 and number <= self.lasts[at]


class Matcher:
    """One search key over one view of a mailbox."""

    def __init__(self, view: SelectedMailbox, key: SearchKey) -> None:
        self._view = view
        self._terms: dict[str, str] = {}
        self._count = 0
        self.needs_threads = False
        """Whether messages must have threads before they are looked at."""
        self._spans: dict[int, _Spans] = {}
        """By the identity of the key: its hash takes the time of the whole set."""
        self._key = _cheap_first(key)
        self._prepare(self._key)
        cost = _cost(self._key)
        self.needs_row = cost > 0
        self.needs_content = cost > 1
        self.condition, whole = _condition(self._key) if self._count <= _KEYS else (None, False)
        """What SQL can decide of the key."""
        self.needs_message = not whole
        """Whether the rows that SQL leaves have to be looked at all the same."""
        self._share = max(1, self._count // _KEYS)
        most = _ROWS if self.needs_row and self.needs_message else _NUMBERS
        self.most = max(1, most // self._share)
        """Messages to look at in one turn."""

    def by_number(self, chunk: Sequence[int]) -> list[Uid]:
        """Return the UIDs that numbers alone do not rule out; runs in a reader thread."""
        return [Uid(uid) for uid in chunk if self._number_holds(self._key, uid) is not False]

    def cut(self, rows: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
        """Cut off what is read in one turn."""
        size = 0
        for place, row in enumerate(rows):
            size += row.size
            if size > _READ // self._share and place:
                return rows[:place], rows[place:]
        return rows, ()

    def holds(self, row: Message, text: MessageText | None) -> bool:
        """Return whether the key holds for a message; runs in a reader thread."""
        return self._holds(self._key, row, text)

    def _prepare(self, key: SearchKey) -> None:
        self._count += 1
        match key:
            case And(keys):
                for inner in keys:
                    self._prepare(inner)
            case Or(left, right):
                self._prepare(left)
                self._prepare(right)
            case Not(inner):
                self._prepare(inner)
            case ThreadIs():
                self.needs_threads = True
            case HeaderHas(_, text) | BodyHas(text) | TextHas(text):
                self._terms[text] = normal_form(text)
            case NumberIn(numbers, uid):
                uids = self._view.uids
                # Clients search an empty mailbox for "1:* NOT DELETED", and no server minds.
                if not uid and not numbers.is_within(len(uids), star_is_all=True):
                    raise bad("no such message number")
                spans = numbers.spans(uids[-1] if uid and uids else len(uids))
                firsts, lasts = tuple([a for a, _ in spans]), tuple([b for _, b in spans])
                self._spans[id(key)] = _Spans(firsts, lasts)

    def _number_holds(self, key: SearchKey, uid: int) -> bool | None:
        """Decide by numbers; ``None``: they do not say."""
        match key:
            case All():
                return True
            case NumberIn():
                number = uid if key.uid else self._view.number_of(uid)
                return number is not None and self._spans[id(key)].has(number)
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
            case EmailIs(object_id):
                return email_object_id(row) == object_id
            case ModSeqFrom(modseq):
                return row.modseq >= modseq
            case ThreadIs(object_id):
                return thread_object_id(row) == object_id
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
            return self._view.is_recent(row.uid)
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


def _condition(key: SearchKey, *, inside: bool = False) -> tuple[Condition | None, bool]:
    """Return what SQL can say of a key, and whether that decides it.

    What SQL rules out does not match, decided or not. Numbers were looked at before, but ``inside``
    OR and NOT they have decided nothing.
    """
    match key:
        case And(keys):
            found = [(inner, *_condition(inner, inside=inside)) for inner in keys]
            conditions = [condition for _, condition, _ in found if condition is not None]
            whole = all(one or (_cost(inner) == 0 and not inside) for inner, _, one in found)
            return (and_(conditions) if conditions else None), whole
        case Not(inner):
            condition, whole = _condition(inner, inside=True)
            return (~condition, True) if condition is not None and whole else (None, False)
        case Or(left, right):
            one, one_whole = _condition(left, inside=True)
            two, two_whole = _condition(right, inside=True)
            if one is None or two is None:
                return None, False
            return one | two, one_whole and two_whole
        case HasFlag(flag):
            condition = has_flag(flag)
            return condition, condition is not None
        case Larger(size):
            return is_larger(size), True
        case Smaller(size):
            return is_smaller(size), True
        case ModSeqFrom(modseq):
            return has_modseq_from(modseq), True
    return None, False
