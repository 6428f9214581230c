"""A URL that names a message of this server, or a part of it. (RFC 5092, RFC 4469 section 3)"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from zajil.core.errors import Malformed
from zajil.core.value_class import value_class
from zajil.imap.fetch_item import BodySection, parse_section
from zajil.imap.grammar import BadSyntax, Scanner
from zajil.imap.mailbox_name import BadMailboxName, decode_name

_URL = re.compile(
    r"/?(?P<mailbox>[^;?#]*?)(?:;UIDVALIDITY=(?P<validity>[0-9]{1,10}))?"
    r"/?;UID=(?P<uid>[0-9]{1,10})"
    r"(?:/?;SECTION=(?P<section>[^;?#]+?))?"
    r"(?:/?;PARTIAL=(?P<start>[0-9]{1,10})(?:\.(?P<length>[0-9]{1,10}))?)?",
    re.IGNORECASE,
)
_MAX = (1 << 32) - 1


class BadUrl(Malformed):
    """It is no URL of a message on this server."""


@value_class(frozen=True, slots=True)
class MessageUrl:
    """``/INBOX;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2``."""

    mailbox: str
    """``""``: the selected one."""
    uid_validity: int | None
    """``None``: any."""
    uid: int
    section: BodySection
    """With ``partial`` where the URL has one."""


def parse_message_url(url: str) -> MessageUrl:
    """Parse a URL that is relative to the server.

    Raises:
        BadUrl: it is another URL, also one with a host, or with URLAUTH (RFC 4467).
    """
    found = _URL.fullmatch(url)
    if found is None or not url.isascii() or url.startswith("//"):
        raise BadUrl("not the URL of a message")
    uid, validity = int(found["uid"]), found["validity"]
    if not 0 < uid <= _MAX:
        raise BadUrl("no such UID")
    raw = unquote_to_bytes(found["mailbox"])
    try:
        mailbox = decode_name(raw, utf8=True) if raw else ""
        scanner = Scanner(unquote_to_bytes(found["section"] or "") + b"]" + _partial(found))
        section = parse_section(scanner, peek=True)
        scanner.end()
    except (BadMailboxName, BadSyntax) as error:
        raise BadUrl(str(error)) from None
    return MessageUrl(mailbox, None if validity is None else int(validity), uid, section)


def _partial(found: re.Match[str]) -> bytes:
    if found["start"] is None:
        return b""
    return f"<{found['start']}.{found['length'] or _MAX}>".encode("ascii")
