"""Line to command (RFC 5321 section 4.1.1).

Syntax, and which parameters are permitted; what may come when is ``state``, what else our offer
forbids is ``server``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Container

from zajil.core.address import Address, BadAddress, parse_address
from zajil.smtp import grammar, refusals
from zajil.smtp.command import (
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from zajil.smtp.parameters import parse_mail_parameters, parse_rcpt_parameters
from zajil.smtp.refusals import CommandError
from zajil.smtp.reply import Reply
from zajil.smtp.xclient import parse_xclient

_MAX_SHOWN = 200
"""Characters of a refused command that are kept."""

# A browser or proxy speaks (attack: cross-protocol requests, ALPACA): we hang up. So we do where a
# PROXY header comes from a proxy nobody named: its mail must not be taken for its own. That of
# version 2 begins with two empty lines and one that is a NUL.
_FOREIGN = re.compile(
    rb"(?:GET|POST|PUT|HEAD|OPTIONS|CONNECT|PATCH|DELETE) |(?:Host|User-Agent): ?"
    rb"|PROXY (?:TCP[46]|UNKNOWN)|\0\Z",
    re.IGNORECASE,
)
_UNREADABLE = (refusals.BDAT_SYNTAX, refusals.NOT_TEXT)

Keywords = Container[str]
"""Parameters of MAIL and RCPT that our offer permits, in upper case."""


def parse_command(line: bytes, permitted: Keywords) -> Command:
    """Parse one command line.

    Args:
        line: without its CRLF, of bounded length.
        permitted: parameters that are not among these are unknown here.

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
    parse = _PARSERS.get(verb) or (_PARSERS.get(verb.upper()) if verb.isascii() else None)
    if parse is None:
        # 500, not 502: 502 is for verbs we know and do not do (RFC 5321 section 4.2.4).
        raise CommandError(refusals.UNKNOWN)
    return parse(argument, permitted)


def reason_to_end(line: bytes, reply: Reply) -> str:
    """Return why the connection cannot go on behind a refused line; ``""``: it can."""
    if _FOREIGN.match(line):
        return "not SMTP"
    if reply in _UNREADABLE and line[:4].upper() == b"BDAT":
        # Security: nobody knows how many of the bytes behind it are message.
        return "bad BDAT"
    return "too many mails" if reply is refusals.TOO_MANY_MAILS else ""


def decode_response(text: bytes) -> bytes:
    """Decode one base64 answer of an AUTH exchange (RFC 4954 section 4).

    Raises:
        CommandError: 501 5.5.2, not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CommandError(refusals.NOT_BASE64) from None


def describe(line: bytes) -> str:
    """Return what may be shown of a refused line.

    Security: a line that is no command may be a password that lost its way, so only verbs we know
    are shown, and of AUTH nothing else.
    """
    if _FOREIGN.match(line):
        return "(not SMTP)"
    verb = line[:9].partition(b" ")[0].upper().decode("ascii", "replace")
    if verb not in _PARSERS:
        return f"(unknown command of {len(line)} bytes)"
    if verb == "AUTH":
        return verb
    text = line[:_MAX_SHOWN].decode("utf-8", "replace")
    return "".join([char if char.isprintable() else "?" for char in text])


def _parse_ehlo(argument: str, permitted: Keywords) -> Command:
    return Ehlo(_client_name(argument))


def _parse_helo(argument: str, permitted: Keywords) -> Command:
    return Helo(_client_name(argument))


def _parse_lhlo(argument: str, permitted: Keywords) -> Command:
    return Lhlo(_client_name(argument))


def _client_name(argument: str) -> str:
    if not grammar.CLIENT_NAME.fullmatch(argument):
        raise CommandError(refusals.NEEDS_NAME)
    return argument


def _parse_mail(argument: str, permitted: Keywords) -> Command:
    match = grammar.FROM_PATH.fullmatch(argument)
    if match is None:
        raise CommandError(refusals.MAIL_SYNTAX)
    mailbox, text = match["mailbox"], match["parameters"]
    if text:
        size, body, smtputf8, options = parse_mail_parameters(text, permitted)
        if not (smtputf8 or mailbox.isascii()):
            raise CommandError(refusals.NEEDS_SMTPUTF8)
        sender = _parse_mailbox(mailbox, refusals.BAD_SENDER) if mailbox else None
        return Mail(sender, size, body, smtputf8, text, options)
    if not mailbox.isascii():
        raise CommandError(refusals.NEEDS_SMTPUTF8)
    sender = _parse_mailbox(mailbox, refusals.BAD_SENDER) if mailbox else None
    return Mail(sender, None, None, False, "")


def _parse_rcpt(argument: str, permitted: Keywords) -> Command:
    match = grammar.TO_PATH.fullmatch(argument)
    if match is None:
        raise CommandError(refusals.RCPT_SYNTAX)
    mailbox, text = match["mailbox"], match["parameters"]
    if mailbox.lower() == "postmaster":
        recipient = Address("postmaster", "")
    else:
        recipient = _parse_mailbox(mailbox, refusals.BAD_RECIPIENT)
    if text:
        options = parse_rcpt_parameters(text, permitted)
        return Rcpt(recipient, text, not mailbox.isascii(), options)
    return Rcpt(recipient, "", not mailbox.isascii())


def _parse_bdat(argument: str, permitted: Keywords) -> Command:
    match = grammar.CHUNK.fullmatch(argument)
    if match is None:
        raise CommandError(refusals.BDAT_SYNTAX)
    return Bdat(int(match["size"]), match["last"] is not None)


def _parse_mailbox(text: str, otherwise: Reply) -> Address:
    try:
        return parse_address(text)
    except BadAddress:
        raise CommandError(otherwise) from None


def _parse_auth(argument: str, permitted: Keywords) -> Command:
    mechanism, _, initial = argument.partition(" ")
    if not grammar.MECHANISM.fullmatch(mechanism):
        raise CommandError(refusals.AUTH_SYNTAX)
    mechanism = mechanism.upper()
    if not initial:
        return Auth(mechanism, None)
    return Auth(mechanism, b"" if initial == "=" else decode_response(initial.encode()))


def _parse_vrfy(argument: str, permitted: Keywords) -> Command:
    if not argument:
        raise CommandError(refusals.NEEDS_ARGUMENT)
    return Vrfy(argument)


def _without_argument(command: Command) -> Callable[[str, Keywords], Command]:
    def parse(argument: str, permitted: Keywords) -> Command:
        if argument:
            raise CommandError(refusals.NO_ARGUMENT)
        return command

    return parse


def _not_done(argument: str, permitted: Keywords) -> Command:
    raise CommandError(refusals.NOT_DONE)


_PARSERS: dict[str, Callable[[str, Keywords], Command]] = {
    "EHLO": _parse_ehlo,
    "HELO": _parse_helo,
    "LHLO": _parse_lhlo,
    "MAIL": _parse_mail,
    "RCPT": _parse_rcpt,
    "BDAT": _parse_bdat,
    "DATA": _without_argument(Data()),
    "RSET": _without_argument(Rset()),
    "QUIT": _without_argument(Quit()),
    "NOOP": lambda argument, permitted: Noop(),
    "VRFY": _parse_vrfy,
    "HELP": lambda argument, permitted: Help(argument),
    "STARTTLS": _without_argument(StartTls()),
    "AUTH": _parse_auth,
    "XCLIENT": lambda argument, permitted: parse_xclient(argument),
    # Known and not done (RFC 5321 section 4.2.4, appendix F.6; RFC 1985).
    **dict.fromkeys(("EXPN", "TURN", "SEND", "SOML", "SAML", "ETRN"), _not_done),
}
