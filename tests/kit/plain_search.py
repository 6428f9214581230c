"""SEARCH decided slowly: each message is read by itself, with the parsers of the standard library.

It shares no code with ``zajil``: what both find is found for two reasons.
"""

from __future__ import annotations

import email
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.header import decode_header, make_header
from email.message import Message
from email.utils import collapse_rfc2231_value, getaddresses, parsedate_to_datetime
from functools import cached_property
from html.parser import HTMLParser
from random import Random
from typing import Any

Holds = Callable[["PlainMessage"], bool]
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FLAGS = {
    "ANSWERED": "\\answered",
    "DELETED": "\\deleted",
    "DRAFT": "\\draft",
    "FLAGGED": "\\flagged",
    "SEEN": "\\seen",
}
_LETTERS = str.maketrans("ىیةک", "ييهك")


@dataclass
class PlainMessage:
    """One message, and what the test knows of it."""

    data: bytes
    received: datetime
    flags: set[str] = field(default_factory=set)
    """In lower case."""
    number: int = 0
    uid: int = 0
    modseq: int = 0
    email_id: str = ""
    thread_id: str = ""
    saved: date = date.min

    @cached_property
    def fields(self) -> list[tuple[str, str]]:
        """Name, in lower case, and decoded value of each header field."""
        return _fields(email.message_from_bytes(self.data))

    @cached_property
    def header(self) -> str:
        """The header section, folded."""
        return _header(self.fields)

    @cached_property
    def bodies(self) -> list[str]:
        """The texts of the body and the names of files, folded."""
        whole = email.message_from_bytes(self.data)
        return [fold(text) for text in (*_texts(whole), *_names(whole))]

    @cached_property
    def part_fields(self) -> list[str]:
        """The header sections of all parts, folded."""
        whole = email.message_from_bytes(self.data)
        return [_header(_fields(part)) for part in whole.walk() if part is not whole]

    @property
    def received_on(self) -> date:
        """The day of INTERNALDATE, in UTC."""
        return self.received.astimezone(UTC).date()

    @property
    def sent_on(self) -> date | None:
        """The day that the Date field names."""
        for name, value in self.fields:
            if name == "date":
                words = value.replace(",", " ").split()
                words = words[1:] if words[0].isalpha() else words
                if len(words) >= 3 and words[1] in _MONTHS:
                    return date(int(words[2]), _MONTHS.index(words[1]) + 1, int(words[0]))
                return None
        return None

    @property
    def sent(self) -> datetime:
        """The moment of the Date field; without one that of INTERNALDATE."""
        dates = [value for name, value in self.fields if name == "date"]
        return parsedate_to_datetime(dates[0]) if dates else self.received

    def first_person(self, name: str) -> str:
        """Return the local part of the first address of a field, in capitals."""
        values = [value for one, value in self.fields if one == name]
        return getaddresses(values)[0][1].partition("@")[0].upper() if values else ""

    def has_field(self, name: str, term: str) -> bool:
        """Return whether a field holds a term."""
        return any(one == name and fold(term) in fold(value) for one, value in self.fields)

    def has_body(self, term: str) -> bool:
        """Return whether the body holds a term."""
        return any(fold(term) in text for text in self.bodies)

    def has_text(self, term: str) -> bool:
        """Return whether the header section, the body or a part's header section holds a term."""
        folded = fold(term)
        return any(folded in text for text in (self.header, *self.bodies, *self.part_fields))


def fold(text: str) -> str:
    """Return the form in which texts are compared."""
    plain = []
    for sign in unicodedata.normalize("NFKD", text).casefold():
        if "\u064b" <= sign <= "\u0655" or sign in "\u0640\u0670\u200b\u00ad":
            continue  # Arabic vowel marks and tatweel, and what has no width
        sign = sign.translate(_LETTERS)
        digit = unicodedata.digit(sign, None)
        plain.append(sign if digit is None else str(digit))
    return " ".join("".join(plain).split(" "))


def _fields(part: Message) -> list[tuple[str, str]]:
    return [
        (name.lower(), str(make_header(decode_header(value.replace("\r\n", "")))))
        for name, value in part.items()
    ]


def _header(fields: Sequence[tuple[str, str]]) -> str:
    return fold("\n".join(f"{name}: {value}" for name, value in fields))


def _texts(part: Message) -> Iterator[str]:
    content = part.get_payload()
    if isinstance(content, list):
        for inner in content:
            if not isinstance(inner, Message):
                raise TypeError("a part that is no message")
            if part.get_content_maintype() == "message":
                yield "\n".join(f"{name}: {value}" for name, value in _fields(inner))
            yield from _texts(inner)
    elif part.get_content_maintype() == "text":
        raw = part.get_payload(decode=True)
        if not isinstance(raw, bytes):
            raise TypeError("a part without content")
        text = raw.decode(part.get_content_charset("utf-8"))
        yield _text_of_html(text) if part.get_content_subtype() == "html" else text


def _names(whole: Message) -> Iterator[str]:
    for part in whole.walk():
        for header, parameter in (("Content-Disposition", "filename"), ("Content-Type", "name")):
            found = part.get_param(parameter, "", header)
            yield str(make_header(decode_header(collapse_rfc2231_value(found))))


def _text_of_html(markup: str) -> str:
    parser = _TextOfHtml()
    parser.feed(markup)
    return "\n".join(parser.pieces)


class _TextOfHtml(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def handle_data(self, data: str) -> None:
        """Keep what stands between tags."""
        self.pieces.append(data)


# ---- random orders and keys ---------------------------------------------------------------------


ORDERS: dict[str, Callable[[PlainMessage], Any]] = {
    "ARRIVAL": lambda one: one.received,
    "SIZE": lambda one: len(one.data),
    "DATE": lambda one: one.sent,
    "FROM": lambda one: one.first_person("from"),
    "TO": lambda one: one.first_person("to"),
    "CC": lambda one: one.first_person("cc"),
}
"""Criteria of SORT; before the last four the server indexes all messages."""


def sort_plainly(
    chance: Random, messages: Sequence[PlainMessage], *, indexing: bool
) -> tuple[str, list[PlainMessage]]:
    """Return criteria of SORT, and the messages in their order."""
    names = list(ORDERS) if indexing else ["ARRIVAL", "SIZE"]
    criteria = [(chance.choice(names), chance.random() < 0.5) for _ in range(chance.randint(1, 3))]
    ordered = list(messages)
    for name, reverse in reversed(criteria):
        ordered.sort(key=ORDERS[name], reverse=reverse)
    words = ["REVERSE " * reverse + name for name, reverse in criteria]
    return f"({' '.join(words)})", ordered


@dataclass
class Keys:
    """Makes search keys, each with the function that decides it."""

    chance: Random
    messages: Sequence[PlainMessage]
    terms: Sequence[str]
    now: datetime
    indexing: bool = True
    """Also those keys for which the server indexes all messages first."""
    saved: set[int] = field(default_factory=set)
    """UIDs of what ``$`` means."""

    def make(self, depth: int = 0) -> tuple[bytes, Holds]:
        """Return a key as a client writes it, and whether it holds for a message."""
        kind = self.chance.random()
        if depth < 3 and kind < 0.15:
            text, holds = self.make(depth + 1)
            return b"NOT " + text, lambda one: not holds(one)
        if depth < 3 and kind < 0.35:
            (left, first), (right, second) = self.make(depth + 1), self.make(depth + 1)
            return b"OR %b %b" % (left, right), lambda one: first(one) or second(one)
        if depth < 3 and kind < 0.45:
            some = [self.make(depth + 1) for _ in range(self.chance.randint(1, 3))]
            text = b"(%b)" % b" ".join(text for text, _ in some)
            return text, lambda one: all(holds(one) for _, holds in some)
        makers = (self._text, self._text, self._flag, self._date, self._number, self._other)
        return self.chance.choice(makers)()

    def _text(self) -> tuple[bytes, Holds]:
        term = self.chance.choice(self.terms)
        if self.chance.random() < 0.5:  # a piece of it
            start = self.chance.randrange(len(term))
            term = term[start : start + self.chance.randint(1, 12)].strip() or term
        if self.chance.random() < 0.3:
            term = term.swapcase()
        word = self.chance.choice(("TEXT", "BODY", "SUBJECT", "FROM", "TO", "CC", "HEADER"))
        data = term.encode()
        written = b"%b {%d+}\r\n%b" % (word.encode(), len(data), data)
        match word:
            case "TEXT":
                return written, lambda one: one.has_text(term)
            case "BODY":
                return written, lambda one: one.has_body(term)
            case "HEADER":
                name = self.chance.choice(("X-Note", "subject", "Message-ID", "X-None"))
                if self.chance.random() < 0.3:
                    data = b'HEADER %b ""' % name.encode()
                    return data, lambda one: any(n == name.lower() for n, _ in one.fields)
                written = written.replace(b"HEADER", b"HEADER " + name.encode(), 1)
                return written, lambda one: one.has_field(name.lower(), term)
        return written, lambda one: one.has_field(word.lower(), term)

    def _flag(self) -> tuple[bytes, Holds]:
        name = self.chance.choice([*_FLAGS, "KEYWORD"])
        flag = _FLAGS.get(name) or self.chance.choice(("$junk", "work", "none"))
        text = name
        if name == "KEYWORD":
            text += " " + "".join(self.chance.choice((str.upper, str.lower))(c) for c in flag)
        if self.chance.random() < 0.5:
            return b"UN" + text.encode(), lambda one: flag not in one.flags
        return text.encode(), lambda one: flag in one.flags

    def _date(self) -> tuple[bytes, Holds]:
        about = self.chance.choice(self.messages)
        kind = self.chance.choice(("", "SAVED", *["SENT"][: self.indexing]))
        day = {"": about.received_on, "SENT": about.sent_on, "SAVED": about.saved}[kind]
        day = (day or about.received_on) + timedelta(self.chance.randint(-1, 1))
        how = self.chance.choice(("BEFORE", "ON", "SINCE"))

        def holds(one: PlainMessage) -> bool:
            its = {"": one.received_on, "SENT": one.sent_on, "SAVED": one.saved}[kind]
            if its is None:
                return False
            return {"BEFORE": its < day, "ON": its == day, "SINCE": its >= day}[how]

        written = f"{kind}{how} {day.day}-{_MONTHS[day.month - 1]}-{day.year}"
        return written.encode(), holds

    def _number(self) -> tuple[bytes, Holds]:
        kind = self.chance.choice(("number", "uid", "size", "age", "modseq"))
        about = self.chance.choice(self.messages)
        if kind == "size":
            size = len(about.data) + self.chance.randint(-1, 1)
            if self.chance.random() < 0.5:
                return b"LARGER %d" % size, lambda one: len(one.data) > size
            return b"SMALLER %d" % size, lambda one: len(one.data) < size
        if kind == "age":
            # Ten minutes beside the age of messages: a test does not take so long.
            limit = about.received - timedelta(minutes=10)
            seconds = int((self.now - limit).total_seconds())
            if self.chance.random() < 0.5:
                return b"YOUNGER %d" % seconds, lambda one: one.received >= limit
            return b"OLDER %d" % seconds, lambda one: one.received < limit
        if kind == "modseq":
            return b"MODSEQ %d" % about.modseq, lambda one: one.modseq >= about.modseq
        places = [one.uid if kind == "uid" else one.number for one in self.messages]
        written, chosen = self._set(max(places))
        if kind == "uid":
            return b"UID " + written, lambda one: one.uid in chosen
        return written, lambda one: one.number in chosen

    def _set(self, largest: int) -> tuple[bytes, set[int]]:
        items: list[str] = []
        chosen: set[int] = set()
        for _ in range(self.chance.randint(1, 3)):
            ends = [self.chance.choice((0, self.chance.randint(1, largest + 3))) for _ in "ab"]
            if self.chance.random() < 0.5:
                ends[1] = ends[0]
            low, high = sorted(end or largest for end in ends)
            chosen.update(range(low, high + 1))
            items.append(":".join("*" if end == 0 else str(end) for end in ends))
        return ",".join(items).encode(), chosen

    def _other(self) -> tuple[bytes, Holds]:
        about = self.chance.choice(self.messages)
        words = ("ALL", "$", "EMAILID", "SAVEDATESUPPORTED", *["THREADID"][: self.indexing])
        match self.chance.choice(words):
            case "$":
                saved = frozenset(self.saved)
                return b"$", lambda one: one.uid in saved
            case "EMAILID":
                return (
                    b"EMAILID " + about.email_id.encode(),
                    lambda one: one.email_id == about.email_id,
                )
            case "THREADID":
                return (
                    b"THREADID " + about.thread_id.encode(),
                    lambda one: one.thread_id == about.thread_id,
                )
            case word:
                return word.encode(), lambda one: True
