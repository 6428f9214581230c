"""Rights on a mailbox, as IMAP and the command line name them. (RFC 4314 section 2.1)"""

from __future__ import annotations

from collections.abc import Iterable

from zajil.core.errors import Invalid

ALL_RIGHTS = "lrswipkxtea"
"""Lookup, read, seen, write, insert, post, create, delete mailbox, delete messages, expunge,
administer."""

_VIRTUAL = {"c": frozenset("kx"), "d": frozenset("te")}
"""Rights of RFC 2086, each a union of newer ones. (RFC 4314 section 2.1.1)"""

LEVELS = {"read": "lr", "write": "lrswite", "manage": ALL_RIGHTS}
"""Words for what people usually give."""


class BadRights(Invalid, ValueError):
    """A letter is no right."""


def parse_rights(text: str) -> frozenset[str]:
    """Return the rights that letters stand for, ``c`` and ``d`` expanded.

    Raises:
        BadRights: a letter is no right; upper case is none.
    """
    rights: set[str] = set()
    for letter in text:
        if letter not in ALL_RIGHTS and letter not in _VIRTUAL:
            raise BadRights(f"{letter!r} is not a right; the rights are {ALL_RIGHTS}, c and d")
        rights |= _VIRTUAL.get(letter, {letter})
    return frozenset(rights)


def format_rights(rights: Iterable[str], *, virtual: bool = False) -> str:
    """Return rights as letters in their usual order.

    Args:
        rights: single letters.
        virtual: with ``c`` and ``d`` where a right that belongs to them is there, as MYRIGHTS and
            ACL responses must have it (RFC 4314 section 2.1.1).
    """
    held = frozenset(rights)
    text = "".join(letter for letter in ALL_RIGHTS if letter in held)
    if virtual:
        text += "".join(letter for letter, members in _VIRTUAL.items() if members & held)
    return text


def flag_right(flag: str) -> str:
    """Return the right that setting or clearing a flag requires. (RFC 4314 section 4)"""
    return {"\\seen": "s", "\\deleted": "t"}.get(flag.lower(), "w")


def changeable(flags: Iterable[str], rights: Iterable[str]) -> frozenset[str]:
    """Return those of the flags that these rights allow to set and to clear."""
    held = frozenset(rights)
    return frozenset([flag for flag in flags if flag_right(flag) in held])
