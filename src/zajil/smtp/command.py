"""Commands and the message as events: one dataclass each (RFC 5321 section 4.1.1).

A line becomes a command in ``command_line``; what may come when is ``state``.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from zajil.core.address import Address
from zajil.core.mail_options import PLAIN_MAIL, PLAIN_RECIPIENT, MailOptions, RecipientOptions
from zajil.core.value_class import value_class


@value_class(frozen=True, slots=True)
class Ehlo:
    """``EHLO client.example``: the name is claimed, never proven."""

    client_name: str


@value_class(frozen=True, slots=True)
class Helo:
    """``HELO client.example``: a client without extensions (RFC 5321 section 3.2)."""

    client_name: str


@value_class(frozen=True, slots=True)
class Lhlo:
    """``LHLO client.example``: the greeting of LMTP (RFC 2033 section 4.1)."""

    client_name: str


@value_class(frozen=True, slots=True)
class Mail:
    """``MAIL FROM:<reverse-path> [SIZE=n ...]``: start of a transaction."""

    reverse_path: Address | None
    """``None`` is the null path of bounces."""
    declared_size: int | None
    """SIZE= in bytes, as claimed; ``None`` when absent (RFC 1870 section 6)."""
    body: str | None
    """``7BIT`` or ``8BITMIME`` (RFC 6152 section 3); ``None`` when absent."""
    smtputf8: bool
    """The client said SMTPUTF8 (RFC 6531 section 3.4)."""
    parameters: str
    """As they came, for the event."""
    options: MailOptions = PLAIN_MAIL
    """``PLAIN_MAIL`` itself when nothing of it was asked for."""


@value_class(frozen=True, slots=True)
class Rcpt:
    """``RCPT TO:<forward-path>``."""

    forward_path: Address
    """``<Postmaster>`` without a domain is ``Address("postmaster", "")``
    (RFC 5321 section 4.1.1.3)."""
    parameters: str
    needs_smtputf8: bool = False
    """The path is not ASCII as it stands on the wire."""
    options: RecipientOptions = PLAIN_RECIPIENT
    """``PLAIN_RECIPIENT`` itself when nothing of it was asked for."""


@value_class(frozen=True, slots=True)
class Data:
    """``DATA``: the message follows a 354."""


@value_class(frozen=True, slots=True)
class Bdat:
    """``BDAT size``: a chunk that is not the last, once all its bytes are in (RFC 3030 section 2).

    Its bytes came before it as ``BodyChunk``s; the last chunk ends in a ``BodyEnd`` instead. 250
    asks for the next chunk. A refusal ends the transaction, and chunks that are under way already
    are swallowed.
    """

    size: int
    """Bytes of this chunk."""
    is_last: bool = False
    """Always false where a session sees it."""
    defect: str | None = None
    """As in ``BodyEnd``, as far as it is known: the message may be refused now or at its end."""


@value_class(frozen=True, slots=True)
class Rset:
    """``RSET``: end of the transaction, if there is one."""


@value_class(frozen=True, slots=True)
class Noop:
    """``NOOP``, with or without an argument."""


@value_class(frozen=True, slots=True)
class Vrfy:
    """``VRFY text``: we answer 252 (RFC 5321 section 3.5.3)."""

    argument: str


@value_class(frozen=True, slots=True)
class Help:
    """``HELP [text]``."""

    argument: str


@value_class(frozen=True, slots=True)
class Quit:
    """``QUIT``."""


@value_class(frozen=True, slots=True)
class StartTls:
    """``STARTTLS`` (RFC 3207)."""


class UnknownCommand(Enum):
    """Why a peer of ours that says XCLIENT does not know an attribute."""

    UNAVAILABLE = "[UNAVAILABLE]"
    TEMPUNAVAIL = "[TEMPUNAVAIL]"


@value_class(frozen=True, slots=True, kw_only=True)
class Xclient:
    """``XCLIENT NAME=... ADDR=...``: whom a proxy of ours speaks for (Postfix, XCLIENT_README).

    220 accepts it: the connection begins anew, with the facts told here in place of those of the
    proxy. ``None``: not said, so what was known before stays.
    """

    name: str | UnknownCommand | None = None
    """Host name by reverse DNS, as the proxy found it."""
    address: IPv4Address | IPv6Address | UnknownCommand | None = None
    port: int | UnknownCommand | None = None
    protocol: Literal["SMTP", "ESMTP"] | None = None
    client_name: str | UnknownCommand | None = None
    """HELO: what the client said in HELO or EHLO."""
    login: str | UnknownCommand | None = None
    """Whom the proxy has authenticated; ``UNAVAILABLE``: nobody."""
    local_address: IPv4Address | IPv6Address | UnknownCommand | None = None
    """DESTADDR: where the client connected to."""
    local_port: int | UnknownCommand | None = None
    """DESTPORT."""


@value_class(frozen=True, slots=True)
class Auth:
    """``AUTH mechanism [initial-response]`` (RFC 4954 section 4)."""

    mechanism: str
    """Upper case; one of those we offer."""
    initial: bytes | None
    """Decoded; ``b""`` for ``=``, ``None`` when absent."""

    def __repr__(self) -> str:
        """Leave out the secret: this may reach a log."""
        return f"Auth(mechanism={self.mechanism!r})"


@value_class(frozen=True, slots=True)
class AuthResponse:
    """The answer to a 334 (RFC 4954 section 4)."""

    data: bytes | None
    """Decoded; ``None``: the client cancelled with ``*``."""

    def __repr__(self) -> str:
        """Leave out the secret: this may reach a log."""
        return "AuthResponse(...)"


@value_class(frozen=True, slots=True)
class BodyChunk:
    """Bytes of the message, in large blocks, dot-unstuffed, CRLF line ends kept."""

    data: bytes


@value_class(frozen=True, slots=True)
class BodyEnd:
    """The end of the message: ``CRLF.CRLF`` after DATA, or the last chunk of BDAT.

    A 250 takes responsibility for the mail, and must be sent only after the message is durable
    (RFC 5321 section 6.1).
    """

    size: int
    """Bytes of the message, dot-unstuffed."""
    defect: str | None
    """Why it must be refused: ``bare-lf``, ``bare-cr``, ``nul`` (550 5.6.0), ``size``: larger
    than we offer (552 5.3.4). With a defect the chunks are not the whole message."""
    tolerated: bool = False
    """Bare LF were taken for line ends and became CRLF, as ``Offer.bare_line_ends`` permits."""


Command = (
    Mail
    | Rcpt
    | Data
    | Bdat
    | Ehlo
    | Helo
    | Lhlo
    | Rset
    | Noop
    | Vrfy
    | Help
    | Quit
    | StartTls
    | Auth
    | AuthResponse
    | Xclient
)
Event = Command | BodyChunk | BodyEnd
