"""What we put on top of a message: Received (RFC 5321 section 4.4).

What a single copy gets is in ``message.final_fields``. Nothing of the peer's stands here
unescaped: a name it claimed is cut to what a domain may hold.
"""

from __future__ import annotations

import re

from zajil.core.ids import MailId
from zajil.message.date import format_date
from zajil.net.peer import LOCAL, Peer

# ASCII only: raw UTF-8 here would make every mail need SMTPUTF8 on its further way.
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9.:_\[\]\x2d]")


def protocol_keyword(
    *, extended: bool, utf8: bool, encrypted: bool, authenticated: bool, lmtp: bool = False
) -> str:
    """Return the ``with`` keyword of Received: ESMTPS, LMTPA, UTF8SMTPSA, UTF8LMTP ... (RFC 3848
    section 1, RFC 6531 section 4.3)."""
    if not extended:
        return "SMTP"
    name = "ESMTP"
    if lmtp:
        name = "UTF8LMTP" if utf8 else "LMTP"
    elif utf8:
        name = "UTF8SMTP"
    return f"{name}{'S' if encrypted else ''}{'A' if authenticated else ''}"


def received_field(
    *,
    claimed_name: str,
    peer: Peer | None,
    hostname: str,
    protocol: str,
    tls: str | None,
    mail_id: MailId,
    at_ms: int,
) -> bytes:
    """Write the Received field of this hop, with its CRLF.

    It names no recipient: all copies share these bytes, and a Bcc must not be told.

    Args:
        claimed_name: of EHLO or HELO; untrusted.
        peer: who connected; ``None`` for our own web and command line.
        hostname: ours.
        protocol: of ``protocol_keyword``, or ``HTTP``.
        tls: version and cipher, for the reader.
        mail_id: our id.
        at_ms: when the message was complete.
    """
    name = _NOT_IN_A_NAME.sub("?", claimed_name)[:255] or "unknown"
    where = f" ({_literal(peer)})" if peer is not None and peer.host != LOCAL else ""
    cipher = f"\r\n\t({tls})" if tls else ""
    return (
        f"Received: from {name}{where}\r\n\tby {hostname} with {protocol}{cipher}"
        f"\r\n\tid {mail_id}; {format_date(at_ms)}\r\n"
    ).encode()


def _literal(peer: Peer) -> str:
    # RFC 5321 section 4.1.3: an IPv6 address literal carries its tag.
    return f"[IPv6:{peer.host}]" if ":" in peer.host else f"[{peer.host}]"
