"""EHLO keywords, and what each permits (RFC 5321 section 4.1.1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zajil.smtp.codes import Code
from zajil.smtp.reply import Reply


@dataclass(frozen=True, slots=True)
class Offer:
    """What EHLO announces and what commands permit: one for all sessions of a listener."""

    hostname: str
    """What we call ourselves; ASCII."""
    max_message_size: int
    """Announced by SIZE; a larger message is refused, declared or not (RFC 1870 section 6)."""
    smtputf8: bool = True
    starttls: bool = False
    """Not announced any more once encrypted (RFC 3207 section 4.2)."""
    auth_mechanisms: tuple[str, ...] = ()
    """Upper case. Security: announced and taken only when encrypted."""
    max_line: int = 2048
    """Longest command line without CRLF. RFC 5321 section 4.5.3.1.4 asks for 512 octets, SIZE,
    BODY, SMTPUTF8, DSN and AUTH add to it; protects memory."""
    max_auth_line: int = 12288
    """The same for lines of an AUTH exchange (RFC 4954 section 4)."""
    _plain: Reply = field(init=False, repr=False, compare=False)
    _encrypted: Reply = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_plain", self._make_ehlo_reply(encrypted=False))
        object.__setattr__(self, "_encrypted", self._make_ehlo_reply(encrypted=True))

    def ehlo_reply(self, encrypted: bool) -> Reply:
        """Give the answer to EHLO; rendered once and kept."""
        return self._encrypted if encrypted else self._plain

    def _make_ehlo_reply(self, *, encrypted: bool) -> Reply:
        lines = [self.hostname, "PIPELINING", f"SIZE {self.max_message_size}", "8BITMIME"]
        lines.append("ENHANCEDSTATUSCODES")
        if self.smtputf8:
            lines.append("SMTPUTF8")
        if self.starttls and not encrypted:
            lines.append("STARTTLS")
        if self.auth_mechanisms and encrypted:
            lines.append(f"AUTH {' '.join(self.auth_mechanisms)}")
        return Reply(Code.OK, tuple(lines))


def parse_capabilities(reply: Reply) -> Mapping[str, str]:
    """Give keyword to parameters of a peer's EHLO reply; keywords in upper case.

    The first line is its greeting (RFC 5321 section 4.1.1.1); a line that is no keyword is kept
    and does no harm.
    """
    found: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, parameters = line.strip().partition(" ")
        found.setdefault(keyword.upper(), parameters)
    return found
