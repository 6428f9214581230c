"""What SEARCH may look for. (RFC 3501 section 6.4.4)"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import Enum

from zajil.imap.date_time import parse_date
from zajil.imap.flag import ANSWERED, DELETED, DRAFT, FLAGGED, RECENT, SEEN, known_flag
from zajil.imap.grammar import BadSyntax, Scanner, bad
from zajil.imap.response import Completion
from zajil.imap.sequence_set import SequenceSet, parse_sequence_set

MAX_NESTING = 32
"""Parentheses, NOT and OR within each other: protects the stack (CVE-2026-27857)."""
MAX_KEYS = 1000
"""Keys of one SEARCH: protects the work per message."""
CHARSETS = ("US-ASCII", "UTF-8")


class Comparison(Enum):
    """How a date is compared, in whole days."""

    BEFORE = "BEFORE"
    ON = "ON"
    SINCE = "SINCE"


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class HasFlag:
    """A system flag, ``\\Recent`` or a keyword is set; keywords compare without case."""

    flag: str


@dataclass(frozen=True, slots=True)
class NumberIn:
    """The sequence number, or the UID, is in the set."""

    numbers: SequenceSet
    uid: bool


@dataclass(frozen=True, slots=True)
class ReceivedDate:
    """INTERNALDATE, as a day."""

    comparison: Comparison
    day: date


@dataclass(frozen=True, slots=True)
class SentDate:
    """The Date field's day, without regard to its time zone."""

    comparison: Comparison
    day: date


@dataclass(frozen=True, slots=True)
class Larger:
    """RFC822.SIZE above ``size``."""

    size: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """RFC822.SIZE below ``size``."""

    size: int


@dataclass(frozen=True, slots=True)
class EmailIs:
    """The EMAILID. (RFC 8474 section 6)"""

    object_id: str


@dataclass(frozen=True, slots=True)
class ThreadIs:
    """The THREADID. (RFC 8474 section 6)"""

    object_id: str


@dataclass(frozen=True, slots=True)
class ModSeqFrom:
    """The MODSEQ is ``modseq`` or larger. (RFC 7162 section 3.1.5)"""

    modseq: int


@dataclass(frozen=True, slots=True)
class HeaderHas:
    """A field with this name holds the text."""

    name: bytes
    """Lower case."""
    text: str
    """``""``: the field is there (RFC 3501 section 6.4.4)."""


@dataclass(frozen=True, slots=True)
class BodyHas:
    """The text stands in the body."""

    text: str


@dataclass(frozen=True, slots=True)
class TextHas:
    """The text stands in the header section or in the body."""

    text: str


@dataclass(frozen=True, slots=True)
class Not:
    """The key does not hold."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class And:
    """All keys hold."""

    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of two keys holds."""

    left: SearchKey
    right: SearchKey


SearchKey = (
    All
    | HasFlag
    | NumberIn
    | ReceivedDate
    | SentDate
    | Larger
    | Smaller
    | EmailIs
    | ThreadIs
    | ModSeqFrom
    | HeaderHas
    | BodyHas
    | TextHas
    | Not
    | And
    | Or
)

_PLAIN: dict[str, SearchKey] = {
    "ALL": All(),
    "ANSWERED": HasFlag(ANSWERED),
    "DELETED": HasFlag(DELETED),
    "DRAFT": HasFlag(DRAFT),
    "FLAGGED": HasFlag(FLAGGED),
    "RECENT": HasFlag(RECENT),
    "SEEN": HasFlag(SEEN),
    "UNANSWERED": Not(HasFlag(ANSWERED)),
    "UNDELETED": Not(HasFlag(DELETED)),
    "UNDRAFT": Not(HasFlag(DRAFT)),
    "UNFLAGGED": Not(HasFlag(FLAGGED)),
    "UNSEEN": Not(HasFlag(SEEN)),
    "NEW": And((HasFlag(RECENT), Not(HasFlag(SEEN)))),
    "OLD": Not(HasFlag(RECENT)),
}
_FIELDS = {name: name.lower().encode("ascii") for name in ("BCC", "CC", "FROM", "SUBJECT", "TO")}
_DATES = {
    word: (type_, Comparison(word.removeprefix("SENT")))
    for type_, prefix in ((ReceivedDate, ""), (SentDate, "SENT"))
    for word in (prefix + "BEFORE", prefix + "ON", prefix + "SINCE")
}


class _Parser:
    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.keys = 0

    def sequence(self, depth: int) -> SearchKey:
        """Take keys with a space between them: all of them must hold."""
        keys = [self.key(depth)]
        while self.scanner.skip(b" "):
            keys.append(self.key(depth))
        return keys[0] if len(keys) == 1 else And(tuple(keys))

    def key(self, depth: int) -> SearchKey:
        scanner = self.scanner
        self.keys += 1
        # Security: recursion and work are bounded before anything is built.
        if depth > MAX_NESTING or self.keys > MAX_KEYS:
            raise bad("search is too complex")
        if scanner.skip(b"("):
            inner = self.sequence(depth + 1)
            scanner.expect(b")")
            return inner
        if scanner.peek().isdigit() or scanner.peek() == b"*":
            return NumberIn(parse_sequence_set(scanner), uid=False)
        word = scanner.keyword()
        plain = _PLAIN.get(word)
        if plain is not None:
            return plain
        scanner.space()
        return self.with_argument(word, depth)

    def with_argument(self, word: str, depth: int) -> SearchKey:
        scanner = self.scanner
        if word in _FIELDS:
            return HeaderHas(_FIELDS[word], scanner.astring())
        if word in _DATES:
            type_, comparison = _DATES[word]
            return type_(comparison, parse_date(scanner))
        match word:
            case "UID":
                return NumberIn(parse_sequence_set(scanner), uid=True)
            case "NOT":
                return Not(self.key(depth + 1))
            case "OR":
                left = self.key(depth + 1)
                scanner.space()
                return Or(left, self.key(depth + 1))
            case "HEADER":
                name = scanner.astring_bytes().lower()
                scanner.space()
                return HeaderHas(name, scanner.astring())
            case "BODY":
                return BodyHas(scanner.astring())
            case "TEXT":
                return TextHas(scanner.astring())
            case "KEYWORD":
                return HasFlag(known_flag(scanner.flag()))
            case "UNKEYWORD":
                return Not(HasFlag(known_flag(scanner.flag())))
            case "EMAILID":
                return EmailIs(_object_id(scanner))
            case "THREADID":
                return ThreadIs(_object_id(scanner))
            case "MODSEQ":
                return _mod_seq(scanner)
            case "LARGER":
                return Larger(scanner.number())
            case "SMALLER":
                return Smaller(scanner.number())
        raise bad("unknown search key")


def _mod_seq(scanner: Scanner) -> ModSeqFrom:
    """Take ``["/flags/\\\\Seen" all] 620162338``: all flags of a message share one MODSEQ."""
    if scanner.peek() == b'"':
        if not scanner.string_bytes().lower().startswith(b"/flags/"):
            raise bad("unknown entry")
        scanner.space()
        if scanner.keyword() not in ("PRIV", "SHARED", "ALL"):
            raise bad("unknown entry type")
        scanner.space()
    return ModSeqFrom(scanner.modseq())


def has_mod_seq(key: SearchKey) -> bool:
    """Return whether MODSEQ stands in a key: the answer then tells the highest one."""
    match key:
        case ModSeqFrom():
            return True
        case Not(inner):
            return has_mod_seq(inner)
        case And(keys):
            return any(map(has_mod_seq, keys))
        case Or(left, right):
            return has_mod_seq(left) or has_mod_seq(right)
    return False


def has_numbers(key: SearchKey) -> bool:
    """Return whether sequence numbers stand in a key: none may change before the answer."""
    match key:
        case NumberIn(_, uid):
            return not uid
        case Not(inner):
            return has_numbers(inner)
        case And(keys):
            return any(map(has_numbers, keys))
        case Or(left, right):
            return has_numbers(left) or has_numbers(right)
    return False


_OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


def _object_id(scanner: Scanner) -> str:
    word = scanner.astring()
    if _OBJECT_ID.fullmatch(word) is None:
        raise bad("not an object id")
    return word


def parse_search(scanner: Scanner) -> SearchKey:
    """Take ``[CHARSET name] key key ...`` up to the end.

    Raises:
        CommandError: BAD for grammar and limits; NO with BADCHARSET for a charset we do not know.
    """
    if scanner.skip(b"CHARSET "):
        charset = scanner.astring().upper()
        # Text is read as UTF-8 in any case: US-ASCII is a part of it.
        if charset not in CHARSETS:
            code = f"BADCHARSET ({' '.join(CHARSETS)})"
            raise BadSyntax(Completion("NO", "charset is not supported", code))
        scanner.space()
    return _Parser(scanner).sequence(0)
