"""The answer of an echo address: what this server saw of a message, for whoever tests mail.

Pure. Laws, after RFC 3834:
- Nothing that a program sent is answered: reports, lists, answers of other robots.
- The answer goes to the return path, and only if the message proves that it comes from there:
  nobody can let an echo address write to a third person.
"""

from __future__ import annotations

from zajil.core.address import Address, BadAddress, parse_address
from zajil.core.domain import BadDomain, to_ascii
from zajil.core.value_class import value_class
from zajil.mailauth.authres_read import ReadResults, read_results
from zajil.message.address_list import parse_address_list
from zajil.message.build import (
    build_message,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date
from zajil.message.field_text import header_text
from zajil.message.fields import Field, find_fields, read_fields, split_message

_MOST_HEADER = 20_000
"""Bytes of a header section that are quoted."""
_OF_PROGRAMS = ("list-id", "list-unsubscribe", "feedback-id")
_PRECEDENCE = ("bulk", "list", "junk", "auto_reply")
_NO_REPLY = ("mailer-daemon", "postmaster", "noreply", "no-reply", "donotreply", "echo")

_TEXT = """\
Your message reached {echo} on the server {host}.
وصلت رسالتك إلى {echo} على الخادم {host}.

Received:     {at}
Return path:  {sender}
Checks:       {checks}

Its header section, as it is stored here:

{header}
"""


@value_class(frozen=True, slots=True)
class EchoRequest:
    """A message that is answered."""

    sender: Address
    """Of the return path."""
    message_id: str
    """With angle brackets; ``""``: it has none."""
    subject: str
    checks: str
    """``spf=pass dkim=pass dmarc=pass``."""
    header: str


def read_request(message: bytes, hostname: str) -> EchoRequest | str:
    """Read a message; return why it is not answered as a sentence.

    Args:
        message: as it is stored: Return-Path, and our Authentication-Results on top.
        hostname: ours, as in Authentication-Results.
    """
    end, _ = split_message(message)
    fields = read_fields(message[:end])
    sender = _return_path(fields)
    if sender is None:
        return "It has no return path, as reports have none."
    if sender.local_part.lower().partition("+")[0] in _NO_REPLY:
        return "Its return path belongs to a program."
    if _is_automatic(fields):
        return "A program sent it (RFC 3834)."
    results = _own_results(fields, hostname)
    if results is None or not _is_proven(results, sender, fields):
        return "Neither SPF, DMARC nor a log-in proves its return path."
    checks = " ".join(f"{one.method}={one.result}" for one in results.results)
    return EchoRequest(
        sender,
        header_text(fields, b"message-id").strip()[:900],
        header_text(fields, b"subject")[:200],
        checks,
        _quote(message[:end]),
    )


def write_answer(
    request: EchoRequest, echo: Address, *, hostname: str, unique: str, now_ms: int
) -> bytes:
    """Write the answer to a message.

    Args:
        request: of ``read_request``.
        echo: the address that answers.
        hostname: ours.
        unique: the mail id.
        now_ms: for Date.
    """
    utf8 = not (echo.is_ascii and request.sender.is_ascii)
    header = [
        write_raw_field("Date", format_date(now_ms)),
        write_address_field("From", [("Echo", echo)], utf8=utf8),
        write_address_field("To", [("", request.sender)], utf8=utf8),
        write_text_field("Subject", f"Echo: {_one_line(request.subject)}", utf8=utf8),
        write_raw_field("Message-ID", f"<{unique}@{echo.domain}>"),
        *_thread(request.message_id),
        b"Auto-Submitted: auto-replied\r\n",
    ]
    text = _TEXT.format(
        echo=echo.unicode,
        host=hostname,
        at=format_date(now_ms),
        sender=request.sender.unicode,
        checks=request.checks,
        header=request.header,
    )
    return build_message(header, text, unique=unique)


def _thread(message_id: str) -> list[bytes]:
    is_plain = message_id.isascii() and message_id.isprintable() and " " not in message_id
    if not (is_plain and message_id.startswith("<") and message_id.endswith(">")):
        return []
    return [write_raw_field(name, message_id) for name in ("In-Reply-To", "References")]


def _return_path(fields: list[Field]) -> Address | None:
    for field in find_fields(fields, b"return-path"):
        try:
            text = field.value.decode("utf-8").strip().removeprefix("<").removesuffix(">")
            return parse_address(text) if text else None
        except (UnicodeError, BadAddress, BadDomain):
            return None
    return None


def _is_automatic(fields: list[Field]) -> bool:
    automatic = header_text(fields, b"auto-submitted").strip().lower()
    precedence = header_text(fields, b"precedence").strip().lower()
    names = {field.name.decode("latin-1") for field in fields}
    return (
        automatic not in ("", "no")
        or precedence in _PRECEDENCE
        or not names.isdisjoint(_OF_PROGRAMS)
        or "multipart/report" in header_text(fields, b"content-type").lower()
    )


def _own_results(fields: list[Field], hostname: str) -> ReadResults | None:
    for field in find_fields(fields, b"authentication-results"):
        read = read_results(field.value)
        if read is not None and read.authserv_id == hostname:
            return read
    return None


def _is_proven(results: ReadResults, sender: Address, fields: list[Field]) -> bool:
    """Check whether the return path is that of whoever sent the message."""
    if any(one.result == "pass" for one in results.results_of("auth")):
        return True
    if any(
        one.result == "pass" and "smtp.mailfrom" in dict(one.properties)
        for one in results.results_of("spf")
    ):
        return True
    people = parse_address_list(header_text(fields, b"from")).people
    author = people[0].spec.rpartition("@")[2] if people else ""
    try:
        is_same = to_ascii(author) == sender.domain
    except BadDomain:
        return False
    return is_same and any(one.result == "pass" for one in results.results_of("dmarc"))


def _quote(header: bytes) -> str:
    text = header[:_MOST_HEADER].decode("utf-8", "replace").replace("\r\n", "\n").strip("\n")
    # Security: what a stranger wrote must not control the terminal or direction of who reads it.
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
