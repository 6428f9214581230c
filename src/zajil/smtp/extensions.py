"""EHLO keywords, and what each permits (RFC 5321 section 4.1.1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from zajil.core.clock import Clock
from zajil.core.moment import utc_datetime
from zajil.core.value_class import value_class
from zajil.smtp.codes import Code
from zajil.smtp.reply import Reply
from zajil.smtp.xclient import ATTRIBUTES

MAX_HOLD_SECONDS = 999_999_999
"""What FUTURERELEASE can announce (RFC 4865 section 3): 31 years."""


@value_class(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What EHLO announces and what commands permit.

    One for all sessions of a listener, or of certain peers: what is not announced is refused.

    Raises:
        ValueError: a future release without a clock, or a limit below 0.
    """

    hostname: str
    """What we call ourselves; ASCII."""
    max_message_size: int
    """Announced by SIZE; a larger message is refused, declared or not (RFC 1870 section 6)."""
    smtputf8: bool = True
    starttls: bool = False
    """Not announced any more once encrypted (RFC 3207 section 4.2)."""
    auth_mechanisms: tuple[str, ...] = ()
    """Upper case. Security: announced and taken only when encrypted."""
    chunking: bool = False
    """BDAT, without BINARYMIME (RFC 3030 section 2)."""
    dsn: bool = False
    """RET, ENVID, NOTIFY, ORCPT (RFC 3461)."""
    require_tls: bool = False
    """REQUIRETLS; announced and taken only when encrypted (RFC 8689 section 2)."""
    max_hold_seconds: int = 0
    """FUTURERELEASE: how long a mail may be held (RFC 4865); 0: not offered. For submission."""
    max_recipients: int = 0
    """RCPTMAX of LIMITS (RFC 9422): RCPT accepted for one mail, 452 after that; 0: no limit."""
    max_mails: int = 0
    """MAILMAX of LIMITS: MAIL accepted in one session, 421 after that; 0: no limit."""
    lmtp: bool = False
    """LMTP: LHLO, and a reply for each recipient after the message (RFC 2033)."""
    xclient: bool = False
    """Security: for named proxies only; who may say XCLIENT may be anybody."""
    bare_line_ends: bool = False
    """A bare LF in a message is taken for a line end and becomes CRLF, for peers that cannot do
    better. It never ends a message, nor does LF.LF; a bare CR and NUL are refused as ever."""
    clock: Clock | None = None
    """Needed by FUTURERELEASE alone."""
    max_line: int = 2048
    """Longest command line without CRLF. RFC 5321 section 4.5.3.1.4 asks for 512 octets, SIZE,
    BODY, SMTPUTF8, DSN and AUTH add to it; protects memory."""
    max_auth_line: int = 12288
    """The same for lines of an AUTH exchange (RFC 4954 section 4)."""
    _plain: Reply = field(init=False, repr=False, compare=False)
    _encrypted: Reply = field(init=False, repr=False, compare=False)
    _plain_keywords: frozenset[str] = field(init=False, repr=False, compare=False)
    _encrypted_keywords: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if min(self.max_hold_seconds, self.max_recipients, self.max_mails) < 0:
            raise ValueError("a limit below 0")
        if self.max_hold_seconds and self.clock is None:
            raise ValueError("FUTURERELEASE needs a clock")
        for name, encrypted in (("_plain", False), ("_encrypted", True)):
            object.__setattr__(self, name, Reply(Code.OK, tuple(self._lines(encrypted))))
            object.__setattr__(self, f"{name}_keywords", self._keywords(encrypted))

    def ehlo_reply(self, encrypted: bool) -> Reply:
        """Return the answer to EHLO or LHLO."""
        if self.max_hold_seconds:
            return Reply(Code.OK, (*self._lines(encrypted), self._future_release()))
        return self._encrypted if encrypted else self._plain

    def permitted(self, encrypted: bool) -> frozenset[str]:
        """Return the parameters of MAIL and RCPT that may be said."""
        return self._encrypted_keywords if encrypted else self._plain_keywords

    def latest_release_ms(self) -> int:
        """Return until when a mail may be held, in milliseconds since 1970 UTC."""
        now_ms = self.clock.now_ms() if self.clock is not None else 0
        return now_ms + min(self.max_hold_seconds, MAX_HOLD_SECONDS) * 1000

    def _lines(self, encrypted: bool) -> list[str]:
        lines = [self.hostname, "PIPELINING", f"SIZE {self.max_message_size}", "8BITMIME"]
        lines.append("ENHANCEDSTATUSCODES")
        if self.smtputf8:
            lines.append("SMTPUTF8")
        if self.chunking:
            lines.append("CHUNKING")
        if self.dsn:
            lines.append("DSN")
        if self.require_tls and encrypted:
            lines.append("REQUIRETLS")
        if self.max_recipients or self.max_mails:
            limits = {"RCPTMAX": self.max_recipients, "MAILMAX": self.max_mails}
            lines.append(" ".join(["LIMITS", *(f"{k}={v}" for k, v in limits.items() if v)]))
        if self.starttls and not encrypted:
            lines.append("STARTTLS")
        if self.auth_mechanisms and encrypted:
            lines.append(f"AUTH {' '.join(self.auth_mechanisms)}")
        if self.xclient:
            lines.append(f"XCLIENT {' '.join(ATTRIBUTES)}")
        return lines

    def _future_release(self) -> str:
        seconds = min(self.max_hold_seconds, MAX_HOLD_SECONDS)
        latest = utc_datetime(self.latest_release_ms())
        return f"FUTURERELEASE {seconds} {latest:%Y-%m-%dT%H:%M:%SZ}"

    def _keywords(self, encrypted: bool) -> frozenset[str]:
        keywords = {"SIZE", "BODY"}
        if self.smtputf8:
            keywords.add("SMTPUTF8")
        if self.dsn:
            keywords |= {"RET", "ENVID", "NOTIFY", "ORCPT"}
        if self.require_tls and encrypted:
            keywords.add("REQUIRETLS")
        if self.max_hold_seconds:
            keywords |= {"HOLDFOR", "HOLDUNTIL"}
        if self.auth_mechanisms:
            keywords.add("AUTH")
        return frozenset(keywords)


def parse_capabilities(reply: Reply) -> Mapping[str, str]:
    """Return keyword to parameters of a peer's EHLO reply; keywords in upper case.

    The first line is its greeting (RFC 5321 section 4.1.1.1); a line that is no keyword is kept
    and does no harm.
    """
    found: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, parameters = line.strip().partition(" ")
        found.setdefault(keyword.upper(), parameters)
    return found
