"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS: values and syntax. (RFC 4314)"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zajil.core.mailbox_rights import BadRights, parse_rights
from zajil.core.value_class import value_class
from zajil.imap.grammar import Scanner, bad

_MAX_IDENTIFIER = 255


@value_class(frozen=True, slots=True)
class SetAcl:
    """``SETACL mailbox identifier rights``."""

    mailbox: str
    identifier: str
    mode: str
    """``+`` adds, ``-`` removes, ``""`` replaces."""
    rights: frozenset[str]
    """Without ``c`` and ``d``, which stand for others."""


@value_class(frozen=True, slots=True)
class DeleteAcl:
    """``DELETEACL mailbox identifier``."""

    mailbox: str
    identifier: str


@value_class(frozen=True, slots=True)
class GetAcl:
    """``GETACL mailbox``."""

    mailbox: str


@value_class(frozen=True, slots=True)
class ListRights:
    """``LISTRIGHTS mailbox identifier``."""

    mailbox: str
    identifier: str


@value_class(frozen=True, slots=True)
class MyRights:
    """``MYRIGHTS mailbox``."""

    mailbox: str


AclCommand = SetAcl | DeleteAcl | GetAcl | ListRights | MyRights


def _parse_set(scanner: Scanner) -> AclCommand:
    mailbox, identifier = _parse_two(scanner)
    scanner.space()
    text = scanner.astring()
    mode = text[:1] if text[:1] in ("+", "-") else ""
    try:
        return SetAcl(mailbox, identifier, mode, parse_rights(text[len(mode) :]))
    except BadRights:
        raise bad("unknown right") from None


def _parse_two(scanner: Scanner) -> tuple[str, str]:
    scanner.space()
    mailbox = scanner.mailbox()
    scanner.space()
    identifier = scanner.astring()
    # RFC 4314 section 3: an identifier that cannot be prepared is refused with BAD.
    if not identifier or len(identifier) > _MAX_IDENTIFIER or not identifier.isprintable():
        raise bad("bad identifier")
    return mailbox, identifier


def _with_identifier(make: Callable[[str, str], AclCommand]) -> Callable[[Scanner], AclCommand]:
    return lambda scanner: make(*_parse_two(scanner))


def _with_mailbox(make: Callable[[str], AclCommand]) -> Callable[[Scanner], AclCommand]:
    def parse(scanner: Scanner) -> AclCommand:
        scanner.space()
        return make(scanner.mailbox())

    return parse


ACL_PARSERS: Mapping[str, Callable[[Scanner], AclCommand]] = {
    "SETACL": _parse_set,
    "DELETEACL": _with_identifier(DeleteAcl),
    "GETACL": _with_mailbox(GetAcl),
    "LISTRIGHTS": _with_identifier(ListRights),
    "MYRIGHTS": _with_mailbox(MyRights),
}
