"""Commands: one dataclass each, and line to command (RFC 5321 section 4.1.1).

Syntax only: what may come when is ``state``, what is permitted by what we offer is ``server``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from zajil.core.address import Address, BadAddress, parse_address
from zajil.core.envelope import PLAIN_MAIL, PLAIN_RECIPIENT, MailOptions, RecipientOptions
from zajil.smtp import grammar, refusals
from zajil.smtp.reply import Reply


class CommandError(Exception):
    """The peer sent a line we refuse; ``reply`` is what it must be told."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.lines[0])
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Ehlo:
    """``EHLO client.example``: the name is claimed, never proven."""

    client_name: str


@dataclass(frozen=True, slots=True)
class Helo:
    """``HELO client.example``: a client without extensions (RFC 5321 section 3.2)."""

    client_name: str


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Rcpt:
    """``RCPT TO:<forward-path>``."""

    forward_path: Address
    """``<Postmaster>`` without a domain is ``Address("postmaster", "")``
    (RFC 5321 section 4.1.1.3)."""
    parameters: str
    needs_smtputf8: bool = False
    """The path is not ASCII as it stands on the wire."""
    options: RecipientOptions = PLAIN_RECIPIENT


@dataclass(frozen=True, slots=True)
class Data:
    """``DATA``: the message follows a 354."""


@dataclass(frozen=True, slots=True)
class Rset:
    """``RSET``: end of the transaction, if there is one."""


@dataclass(frozen=True, slots=True)
class Noop:
    """``NOOP``, with or without an argument."""


@dataclass(frozen=True, slots=True)
class Vrfy:
    """``VRFY text``: we answer 252 (RFC 5321 section 3.5.3)."""

    argument: str


@dataclass(frozen=True, slots=True)
class Help:
    """``HELP [text]``."""

    argument: str


@dataclass(frozen=True, slots=True)
class Quit:
    """``QUIT``."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """``STARTTLS`` (RFC 3207)."""


@dataclass(frozen=True, slots=True)
class Auth:
    """``AUTH mechanism [initial-response]`` (RFC 4954 section 4)."""

    mechanism: str
    """Upper case; one of those we offer."""
    initial: bytes | None
    """Decoded; ``b""`` for ``=``, ``None`` when absent."""

    def __repr__(self) -> str:
        """Leave out the secret: this may reach a log."""
        return f"Auth(mechanism={self.mechanism!r})"


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The answer to a 334 (RFC 4954 section 4)."""

    data: bytes | None
    """Decoded; ``None``: the client cancelled with ``*``."""

    def __repr__(self) -> str:
        """Leave out the secret: this may reach a log."""
        return "AuthResponse(...)"


@dataclass(frozen=True, slots=True)
class BodyChunk:
    """Bytes of the message, in large blocks, dot-unstuffed, CRLF line ends kept."""

    data: bytes


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """``CRLF.CRLF`` was read; the reply to it takes responsibility for the mail.

    A 250 must be sent only after the message is durable (RFC 5321 section 6.1).
    """

    size: int
    """Bytes of the message, dot-unstuffed."""
    defect: str | None
    """Why it must be refused: ``bare-lf``, ``bare-cr``, ``nul`` (550 5.6.0), ``size``: larger
    than we offer (552 5.3.4). With a defect the chunks are not the whole message."""


Command = (
    Mail | Rcpt | Data | Ehlo | Helo | Rset | Noop | Vrfy | Help | Quit | StartTls | Auth
) | AuthResponse
Event = Command | BodyChunk | BodyEnd


def parse_command(line: bytes) -> Command:
    """Parse one command line.

    Args:
        line: without its CRLF, of bounded length.

    Raises:
        CommandError: 500 5.5.2 for an unknown verb, bytes that are not UTF-8 or controls; 502
            5.5.1 for a verb we know and do not do; 501 for a bad argument; 555 5.5.4 for an
            unknown parameter; 553 5.6.7 for a UTF-8 sender without SMTPUTF8.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise CommandError(refusals.NOT_TEXT) from None
    # Most lines are printable ASCII, which one look by C code tells.
    if not (text.isascii() and text.isprintable()) and grammar.CONTROL.search(text):
        raise CommandError(refusals.NOT_TEXT)
    # RFC 5321 section 4.1.1: white space before CRLF should be tolerated.
    verb, _, argument = text.rstrip(" ").partition(" ")
    parse = _PARSERS.get(verb) or _PARSERS.get(verb.upper())
    if parse is None:
        # 500, not 502: 502 is for verbs we know and do not do (RFC 5321 section 4.2.4).
        raise CommandError(refusals.UNKNOWN)
    return parse(argument)


def decode_response(text: bytes) -> bytes:
    """Decode one base64 answer of an AUTH exchange (RFC 4954 section 4).

    Raises:
        CommandError: 501 5.5.2, not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CommandError(refusals.NOT_BASE64) from None


def is_known_verb(verb: str) -> bool:
    """Tell whether it may be shown in an event; other bytes may be a secret that lost its way."""
    return verb.upper() in _PARSERS


def _parse_ehlo(argument: str) -> Command:
    if not grammar.CLIENT_NAME.fullmatch(argument):
        raise CommandError(refusals.NEEDS_NAME)
    return Ehlo(argument)


def _parse_helo(argument: str) -> Command:
    if not grammar.CLIENT_NAME.fullmatch(argument):
        raise CommandError(refusals.NEEDS_NAME)
    return Helo(argument)


def _parse_mail(argument: str) -> Command:
    match = grammar.FROM_PATH.fullmatch(argument)
    if match is None:
        raise CommandError(refusals.MAIL_SYNTAX)
    mailbox, parameters = match["mailbox"], match["parameters"] or ""
    size, body, smtputf8 = _parse_mail_parameters(parameters) if parameters else (None, None, False)
    if not (smtputf8 or mailbox.isascii()):
        raise CommandError(refusals.NEEDS_SMTPUTF8)
    if not mailbox:
        return Mail(None, size, body, smtputf8, parameters)
    return Mail(_parse_mailbox(mailbox, refusals.BAD_SENDER), size, body, smtputf8, parameters)


def _parse_mail_parameters(text: str) -> tuple[int | None, str | None, bool]:
    found = _split_parameters(text)
    size, body, smtputf8 = None, None, False
    for keyword, value in found.items():
        if keyword == "SIZE":
            # int() would take "+5" and "1_000", so the digits are checked first.
            if value is None or not grammar.SIZE_VALUE.fullmatch(value):
                raise CommandError(refusals.BAD_PARAMETER)
            size = int(value)
        elif keyword == "BODY":
            body = (value or "").upper()
            if body not in ("7BIT", "8BITMIME"):
                raise CommandError(refusals.BAD_PARAMETER)
        elif keyword == "SMTPUTF8":
            if value is not None:
                raise CommandError(refusals.BAD_PARAMETER)
            smtputf8 = True
        elif keyword != "AUTH" or value is None:
            # AUTH= is taken and not used: nobody is trusted to vouch for another's log-in
            # (RFC 4954 section 5).
            raise CommandError(refusals.UNKNOWN_PARAMETER)
    return size, body, smtputf8


def _parse_rcpt(argument: str) -> Command:
    match = grammar.TO_PATH.fullmatch(argument)
    if match is None:
        raise CommandError(refusals.RCPT_SYNTAX)
    mailbox, parameters = match["mailbox"], match["parameters"] or ""
    if parameters:
        _split_parameters(parameters)
        raise CommandError(refusals.UNKNOWN_PARAMETER)
    if mailbox.lower() == "postmaster":
        return Rcpt(Address("postmaster", ""), parameters)
    return Rcpt(_parse_mailbox(mailbox, refusals.BAD_RECIPIENT), parameters, not mailbox.isascii())


def _split_parameters(text: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for word in text.split():
        match = grammar.PARAMETER.fullmatch(word)
        if match is None or match["keyword"].upper() in found:
            raise CommandError(refusals.BAD_PARAMETER)
        found[match["keyword"].upper()] = match["value"]
    return found


def _parse_mailbox(text: str, otherwise: Reply) -> Address:
    try:
        return parse_address(text)
    except BadAddress:
        raise CommandError(otherwise) from None


def _parse_auth(argument: str) -> Command:
    mechanism, _, initial = argument.partition(" ")
    mechanism = mechanism.upper()
    if not grammar.MECHANISM.fullmatch(mechanism):
        raise CommandError(refusals.AUTH_SYNTAX)
    if not initial:
        return Auth(mechanism, None)
    return Auth(mechanism, b"" if initial == "=" else decode_response(initial.encode()))


def _parse_vrfy(argument: str) -> Command:
    if not argument:
        raise CommandError(refusals.NEEDS_ARGUMENT)
    return Vrfy(argument)


def _without_argument(command: Command) -> Callable[[str], Command]:
    def parse(argument: str) -> Command:
        if argument:
            raise CommandError(refusals.NO_ARGUMENT)
        return command

    return parse


def _not_done(argument: str) -> Command:
    raise CommandError(refusals.NOT_DONE)


_PARSERS: dict[str, Callable[[str], Command]] = {
    "EHLO": _parse_ehlo,
    "HELO": _parse_helo,
    "MAIL": _parse_mail,
    "RCPT": _parse_rcpt,
    "DATA": _without_argument(Data()),
    "RSET": _without_argument(Rset()),
    "QUIT": _without_argument(Quit()),
    "NOOP": lambda argument: Noop(),
    "VRFY": _parse_vrfy,
    "HELP": Help,
    "STARTTLS": _without_argument(StartTls()),
    "AUTH": _parse_auth,
    # Known and not done (RFC 5321 section 4.2.4, appendix F.6; RFC 1985; RFC 3030).
    **dict.fromkeys(("EXPN", "TURN", "SEND", "SOML", "SAML", "ETRN", "BDAT"), _not_done),
}

FOREIGN_VERB = re.compile(
    rb"(?:GET|POST|PUT|HEAD|OPTIONS|CONNECT|PATCH|DELETE) |(?:Host|User-Agent): ?", re.IGNORECASE
)
"""A browser or proxy speaks: attack: cross-protocol requests (ALPACA). We hang up."""
