"""The keys of SEARCH, as a client writes them. (RFC 3501 section 9, ``search-key``)"""

from __future__ import annotations

import re

from zajil.imap.date_time import parse_date
from zajil.imap.flag import ANSWERED, DELETED, DRAFT, FLAGGED, RECENT, SEEN, known_flag
from zajil.imap.grammar import Scanner, bad
from zajil.imap.search_key import (
    Age,
    All,
    And,
    BodyHas,
    Comparison,
    EmailIs,
    Fuzzy,
    HasFlag,
    HeaderHas,
    Larger,
    ModSeqFrom,
    Not,
    NumberIn,
    Or,
    ReceivedDate,
    SavedDate,
    SearchKey,
    SentDate,
    Smaller,
    TextHas,
    ThreadIs,
)
from zajil.imap.sequence_set import parse_sequence_set

MAX_NESTING = 32
"""Parentheses, NOT and OR within each other: protects the stack (CVE-2026-27857)."""
MAX_KEYS = 1000
"""Keys of one SEARCH: protects the work per message."""
CHARSETS = ("US-ASCII", "UTF-8")

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
    # RFC 8514 section 4.3: of each message it is known when it was saved.
    "SAVEDATESUPPORTED": All(),
}
_FIELDS = {name: name.lower().encode("ascii") for name in ("BCC", "CC", "FROM", "SUBJECT", "TO")}
_DATES = {
    prefix + comparison.value: (type_, comparison)
    for type_, prefix in ((ReceivedDate, ""), (SentDate, "SENT"), (SavedDate, "SAVED"))
    for comparison in Comparison
}


class _Parser:
    """Takes the keys of one command."""

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
        if scanner.peek().isdigit() or scanner.peek() in (b"*", b"$"):
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
            case "FUZZY":
                return Fuzzy(self.key(depth + 1))
            case "OLDER" | "YOUNGER":
                return Age(_interval(scanner), word == "OLDER")
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
                return Larger(scanner.number64())
            case "SMALLER":
                return Smaller(scanner.number64())
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


def _interval(scanner: Scanner) -> int:
    seconds = scanner.number()
    if not seconds:  # RFC 5032 section 4: nz-number
        raise bad("an interval is not 0")
    return seconds


_OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


def _object_id(scanner: Scanner) -> str:
    word = scanner.astring()
    if _OBJECT_ID.fullmatch(word) is None:
        raise bad("not an object id")
    return word


def parse_keys(scanner: Scanner) -> SearchKey:
    """Take ``key key ...``.

    Raises:
        BadSyntax: BAD for grammar and limits.
    """
    return _Parser(scanner).sequence(0)


def parse_search(scanner: Scanner) -> tuple[SearchKey, str]:
    """Take ``[CHARSET name] key key ...``; give the key and the charset, ``""`` for none.

    Raises:
        BadSyntax: BAD for grammar and limits.
    """
    if not scanner.skip(b"CHARSET "):
        return parse_keys(scanner), ""
    return parse_in_charset(scanner)


def parse_in_charset(scanner: Scanner) -> tuple[SearchKey, str]:
    """Take ``name key key ...``; give the key and the charset.

    Keys in a charset that is not one of ``CHARSETS`` cannot be read: it is for the caller to refuse
    them. Of the others text is read as UTF-8: US-ASCII is a part of it.

    Raises:
        BadSyntax: BAD for grammar and limits.
    """
    charset = scanner.astring().upper()
    scanner.space()
    if charset not in CHARSETS:
        scanner.position = len(scanner.data)
        return All(), charset
    return parse_keys(scanner), charset
