"""Parameters of MAIL and RCPT that a client may send beside the addresses, as values.

``smtp.command`` parses them, ``store.mail.intake`` stores them with the mail, ``deliver`` applies
them, and ``smtp.client`` relays them. Almost all mail has ``PLAIN_MAIL`` and ``PLAIN_RECIPIENT``:
compare with ``is``.
"""

from __future__ import annotations

from enum import Flag, auto
from typing import Literal

from zajil.core.value_class import value_class


class Notify(Flag):
    """When the sender wants a delivery status notification (RFC 3461 section 4.1)."""

    NEVER = 0
    SUCCESS = auto()
    FAILURE = auto()
    DELAY = auto()


@value_class(frozen=True, slots=True)
class MailOptions:
    """What MAIL asked for beside the reverse-path."""

    dsn_return: Literal["FULL", "HDRS"] | None = None
    """What a DSN shall hold of the message (RFC 3461 section 4.3); ``None``: not said."""
    envelope_id: str = ""
    """ENVID, decoded from xtext; printable ASCII, at most 100 characters (RFC 3461 section 4.4)."""
    require_tls: bool = False
    """Never in the clear, never to a server that does not promise the same (RFC 8689)."""
    hold_for_s: int | None = None
    """HOLDFOR: deliver that many seconds from now (RFC 4865 section 5)."""
    hold_until_ms: int | None = None
    """HOLDUNTIL, as milliseconds since 1970 UTC."""


@value_class(frozen=True, slots=True)
class RecipientOptions:
    """What RCPT asked for beside the forward-path."""

    notify: Notify | None = None
    """``None``: not said, which means FAILURE, and DELAY if we like (RFC 3461 section 4.1)."""
    original_recipient: str = ""
    """ORCPT, decoded: ``rfc822;someone@example`` (RFC 3461 section 4.2); ``""``: not said."""


PLAIN_MAIL = MailOptions()
PLAIN_RECIPIENT = RecipientOptions()
