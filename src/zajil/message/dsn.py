"""Delivery status notifications (RFC 3464 in RFC 6522, RFC 6533 for UTF-8 addresses).

For a person first: the first part says in English, and in Arabic where the mail was Arabic, what
happened to whom; the second says it for programs; the third returns the header section, or the
whole message to whoever asked for it (RFC 3461 section 4.3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from zajil.core.address import Address
from zajil.core.value_class import value_class
from zajil.message.build import (
    BadValue,
    multipart_entity,
    text_entity,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date
from zajil.message.encoded_word import decode_words
from zajil.message.fields import find_value, read_fields
from zajil.message.smtputf8 import is_utf8
from zajil.message.transfer import encode_base64, encode_quoted_printable

Language = Literal["en", "ar"]
Action = Literal["failed", "delayed", "delivered", "relayed"]
"""RFC 3464 section 2.3.3; ``relayed``: to a server that does not send DSNs."""

MAX_RETURNED = 65_536
"""Bytes of the original header section that are returned; a bounce must stay small."""


@value_class(frozen=True, slots=True, kw_only=True)
class RecipientReport:
    """What became of one recipient."""

    address: Address
    action: Action
    status: str
    """Enhanced status code, ``5.1.1`` (RFC 3463)."""
    remote_mta: str | None
    """Name of the host that answered; ``None`` when none did."""
    diagnostic: str
    """Its reply, as it came; ``""`` when there was none."""
    reason: str
    """One plain sentence for the sender; ``""``: the opening says it all."""
    original_recipient: str = ""
    """ORCPT, decoded: ``rfc822;someone@example`` (RFC 3464 section 2.3.1); ``""``: not given."""


@value_class(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """Everything a DSN says."""

    reporting_mta: str
    """Our host name."""
    arrival_date_ms: int
    """When we accepted the original."""
    original_envelope_id: str | None
    """ENVID of RFC 3461; ``None`` when the sender gave none."""
    reverse_path: Address
    """Sender of the original: who gets the report."""
    recipients: tuple[RecipientReport, ...]
    """Never empty; all of one action."""
    header_section: bytes
    """Of the original; a part of it will do."""
    message_id: str
    """Of the report, with angle brackets."""
    date_ms: int
    """Of the report."""
    dsn_from: Address
    language: Language = "en"
    """``ar``: Arabic first, English after it; ``detect_language`` chooses."""
    retry_until_ms: int | None = None
    """For ``delayed``: when we shall give up."""
    whole: bytes | None = None
    """The original, to be returned as it is; ``None``: its header section is."""

    @property
    def action(self) -> Action:
        """What became of the recipients."""
        return self.recipients[0].action


def detect_language(header_section: bytes, reverse_path: Address | None) -> Language:
    """Return whether the sender reads Arabic, from the mail: its subject, names and addresses."""
    fields = read_fields(_last_fields(header_section))
    values = (find_value(fields, name) for name in (b"subject", b"from", b"to"))
    text = " ".join(decode_words(value) for value in values if value is not None)
    if reverse_path is not None:
        text += reverse_path.unicode
    return "ar" if _ARABIC.search(text) else "en"


def build_delivery_report(report: DeliveryReport) -> bytes:
    """Make the message; it needs SMTPUTF8 only if its recipient does.

    It is sent with the null reverse-path (RFC 3464 section 2), to ``report.reverse_path``.
    """
    utf8 = not report.reverse_path.is_ascii
    global_status = utf8 or any(
        not (item.address.is_ascii and item.original_recipient.isascii())
        for item in report.recipients
    )
    kind = "global-delivery-status" if global_status else "delivery-status"
    parts = [
        text_entity(_human_text(report)),
        _status_entity(report, kind, raw=utf8),
        _returned_entity(report, raw=utf8),
    ]
    unique = re.sub(r"[^A-Za-z0-9]", "", report.message_id)[:40] or "dsn"
    # RFC 6522 section 3: report-type is the subtype of the second part.
    entity = multipart_entity("report", parts, unique, [("report-type", kind)])
    # RFC 2045 section 6.4: a multipart says 8bit if one of its parts does.
    encoding = b"" if entity.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    return _header(report, utf8) + encoding + entity


def _last_fields(header_section: bytes) -> bytes:
    """Return the fields at the end of a large header section: those of the writer stand there.

    Every server on the way puts its own on top (Received, ARC), so what a loop adds is left out.
    """
    if len(header_section) <= MAX_RETURNED:
        return header_section
    last = header_section[-MAX_RETURNED:]
    begun = re.search(rb"\n(?![ \t])", last)
    return last if begun is None else last[begun.end() :]


def _header(report: DeliveryReport, utf8: bool) -> bytes:
    fields = read_fields(_last_fields(report.header_section))
    original = _one_line(decode_words(find_value(fields, b"subject") or b""), 150)
    title = _TITLE[report.language, report.action]
    out = [
        write_raw_field("Date", format_date(report.date_ms)),
        write_address_field("From", [("Mail Delivery System", report.dsn_from)], utf8=utf8),
        write_address_field("To", [("", report.reverse_path)], utf8=utf8),
        write_text_field("Subject", f"{title}: {original}" if original else title, utf8=utf8),
        write_raw_field("Message-ID", report.message_id),
    ]
    original_id = (find_value(fields, b"message-id") or b"").decode("ascii", "replace")
    if re.match(r"<[!-;=?-~]{1,250}>\Z", original_id):
        out.append(write_raw_field("In-Reply-To", original_id))
        out.append(write_raw_field("References", original_id))
    # RFC 3834 section 5: no robot is to answer this.
    out.append(b"Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n")
    return b"".join(out)


# ---- for people -----------------------------------------------------------------------------

_ARABIC = re.compile("[\u0620-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff]")
_TITLE: dict[tuple[Language, Action], str] = {
    ("en", "failed"): "Not delivered",
    ("en", "delayed"): "Delayed",
    ("en", "delivered"): "Delivered",
    ("en", "relayed"): "Handed on",
    ("ar", "failed"): "لم تصل رسالتك",
    ("ar", "delayed"): "تأخّرت رسالتك",
    ("ar", "delivered"): "وصلت رسالتك",
    ("ar", "relayed"): "سُلّمت رسالتك إلى خادم آخر",
}
_OPENING: dict[tuple[Language, Action], str] = {
    ("en", "failed"): "Your message could not be delivered. We shall not try again.",
    ("en", "delayed"): "Your message has not been delivered yet. We go on trying{until}; "
    "you need not do anything.",
    ("en", "delivered"): "Your message was delivered.",
    ("en", "relayed"): "Your message was handed to the next server, which does not say whether "
    "a message was delivered. You will hear of it only if it fails.",
    ("ar", "failed"): "تعذّر تسليم رسالتك، ولن نحاول مرة أخرى.",
    ("ar", "delayed"): "لم تُسلَّم رسالتك بعد. ما زلنا نحاول{until}، وليس عليك أن تفعل شيئًا.",
    ("ar", "delivered"): "وصلت رسالتك.",
    ("ar", "relayed"): "سُلِّمت رسالتك إلى الخادم التالي، وهو لا يخبر بوصول الرسائل. "
    "لن يصلك خبر عنها إلا إذا تعذّر تسليمها.",
}


def _human_text(report: DeliveryReport) -> str:
    until = report.retry_until_ms
    date = format_date(until) if until else ""
    english = _OPENING["en", report.action].format(until=f" until {date}" if date else "")
    blocks = [_recipients_text(report.recipients, english, "reply")]
    if report.language == "ar":
        arabic = _OPENING["ar", report.action].format(until=f" حتى {date}" if date else "")
        blocks.insert(0, _recipients_text(report.recipients, arabic, "الردّ"))
    blocks.append(f"-- \n{report.reporting_mta}\n")
    return "\n".join(blocks)


def _recipients_text(recipients: Sequence[RecipientReport], opening: str, reply: str) -> str:
    lines = [opening, ""]
    for item in recipients:
        lines.append(f"<{item.address.unicode}>")
        if item.reason:
            lines.append(f"    {_one_line(item.reason, 500)}")
        if item.diagnostic:
            host = f" ({_one_line(item.remote_mta, 255)})" if item.remote_mta else ""
            lines.append(f"    {reply}{host}: {_one_line(item.diagnostic, 500)}")
        lines.append("")
    return "\n".join(lines)


_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


def _one_line(text: str, limit: int) -> str:
    """Make peer text harmless: one line, no control or direction characters, not too long."""
    clean = _UNPRINTABLE.sub(" ", text).encode("utf-8", "replace").decode().strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


# ---- for programs ---------------------------------------------------------------------------


def _status_entity(report: DeliveryReport, kind: str, *, raw: bool) -> bytes:
    """Make message/delivery-status (RFC 3464 section 2) or its UTF-8 kind (RFC 6533 section 3)."""
    out = [_status_field("Reporting-MTA", f"dns; {report.reporting_mta}")]
    if report.original_envelope_id:
        out.append(_status_field("Original-Envelope-Id", report.original_envelope_id))
    out.append(_status_field("Arrival-Date", format_date(report.arrival_date_ms)))
    for item in report.recipients:
        spelled = (
            f"rfc822; {item.address}" if item.address.is_ascii else f"utf-8; {item.address.unicode}"
        )
        out.append(b"\r\n")
        if item.original_recipient:
            kind_of_address, _, address = item.original_recipient.partition(";")
            original = f"{kind_of_address.strip()}; {address.strip()}"
            out.append(_status_field("Original-Recipient", original))
        out += [
            _status_field("Final-Recipient", spelled),
            _status_field("Action", item.action),
            _status_field("Status", item.status),
        ]
        if item.remote_mta:
            out.append(_status_field("Remote-MTA", f"dns; {item.remote_mta}"))
        if item.diagnostic:
            out.append(_status_field("Diagnostic-Code", f"smtp; {item.diagnostic}"))
        out.append(_status_field("Last-Attempt-Date", format_date(report.date_ms)))
        if item.action == "delayed" and report.retry_until_ms is not None:
            out.append(_status_field("Will-Retry-Until", format_date(report.retry_until_ms)))
    body = b"".join(out)
    if kind == "delivery-status":
        body = body.decode("utf-8", "replace").encode("ascii", "replace")
    return _entity(f"message/{kind}", body, raw=raw)


def _status_field(name: str, value: str) -> bytes:
    try:
        return write_raw_field(name, _one_line(value, 900))
    except BadValue:  # a peer's word that fits no line
        return write_raw_field(name, _one_line(value, 200))


def _returned_entity(report: DeliveryReport, *, raw: bool) -> bytes:
    """Make the third part (RFC 6522 section 3): the message, or text/rfc822-headers.

    Their UTF-8 kinds are those of RFC 6533 section 4.
    """
    if report.whole is not None and _may_be_returned(report.whole):
        return _whole_entity(report.whole, raw=raw)
    header_section = report.header_section
    lines = re.split(rb"\r\n|\r|\n", _last_fields(header_section))
    while lines and not lines[-1]:
        lines.pop()
    body = b"".join(line[:998] + b"\r\n" for line in lines if line).replace(b"\x00", b"?")
    if not body.isascii() and is_utf8(body):
        return _entity("message/global-headers", body, raw=raw)
    if body.isascii():
        return _entity("text/rfc822-headers", body, raw=True)
    # RFC 6522 section 4: broken fields may be quoted; they are not UTF-8, so not global ones.
    return (
        b"Content-Type: text/rfc822-headers\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + encode_quoted_printable(body)
    )


def _entity(content_type: str, body: bytes, *, raw: bool) -> bytes:
    encoding = b"7bit"
    if not body.isascii():
        # RFC 6533 section 3: 8bit, or an encoding where the way may be 7-bit.
        encoding = b"8bit" if raw else b"base64"
        body = body if raw else encode_base64(body)
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (
        content_type.encode("ascii"),
        encoding,
        body,
    )


_NOT_IN_MIME = re.compile(rb"\x00|\r(?!\n)|(?<!\r)\n")
_MAX_LINE = 998


def _may_be_returned(whole: bytes) -> bool:
    """Return whether it is 8bit data (RFC 2045 section 2.8): no NUL, bare line end, long line."""
    longest = max(map(len, whole.split(b"\r\n")))
    return longest <= _MAX_LINE and _NOT_IN_MIME.search(whole) is None


def _whole_entity(whole: bytes, *, raw: bool) -> bytes:
    """Make message/rfc822, or message/global where the header section is UTF-8."""
    header = whole.partition(b"\r\n\r\n")[0]
    if header.isascii() or not is_utf8(header):
        # RFC 2046 section 5.2.1: no encoding for message/rfc822; 8bit is what came to us.
        return _entity("message/rfc822", whole, raw=True)
    return _entity("message/global", whole, raw=raw)
