"""Flags of messages: the five system flags, and keywords. (RFC 3501 section 2.3.2)"""

from __future__ import annotations

from zajil.imap.grammar import Scanner, bad

SEEN = "\\Seen"
ANSWERED = "\\Answered"
FLAGGED = "\\Flagged"
DELETED = "\\Deleted"
DRAFT = "\\Draft"
RECENT = "\\Recent"
"""The server's own: no client sets it (RFC 3501 section 2.3.2)."""

SYSTEM_FLAGS = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)
"""In the order RFC 3501 prints them."""

MAX_FLAGS = 64
"""Flags in one command: protects the row they are kept in."""
MAX_KEYWORD = 64
"""Characters of one keyword."""

_BY_FOLDED = {flag.lower(): flag for flag in (*SYSTEM_FLAGS, RECENT)}


def parse_flag_list(scanner: Scanner) -> frozenset[str]:
    """Take ``(\\Seen $Forwarded)``; system flags in their one spelling, ``\\Recent`` left out.

    A flag that stands there twice, in whatever case, is taken once, as it is spelled first
    (RFC 3501 section 9: strings of the grammar have no case, and flags are among them).

    Raises:
        CommandError: BAD, not a list of flags, an unknown system flag, too many.
    """
    scanner.expect(b"(")
    if scanner.skip(b")"):
        return frozenset()
    flags = parse_flags(scanner)
    scanner.expect(b")")
    return flags


def parse_flags(scanner: Scanner) -> frozenset[str]:
    """Take flags with a space between them, without parentheses."""
    flags: dict[str, str] = {}
    while True:
        flag = known_flag(scanner.flag())
        flags.setdefault(flag.lower(), flag)
        if len(flags) > MAX_FLAGS:
            raise bad("too many flags")
        if not scanner.skip(b" "):
            break
    # Deviation: RFC 3501 section 9 has no \Recent in what a client sends. Some copy what we told
    # them back into APPEND (2026-11-23); it is dropped instead of failing the upload.
    return frozenset(flags.values()) - {RECENT}


def known_flag(flag: str) -> str:
    """Return a system flag in its one spelling, a keyword as it is.

    Raises:
        CommandError: BAD, an unknown system flag, or a keyword that is too long.
    """
    if flag.startswith("\\"):
        known = _BY_FOLDED.get(flag.lower())
        if known is None:
            raise bad("unknown system flag")
        return known
    if len(flag) > MAX_KEYWORD:
        raise bad("keyword is too long")
    return flag
