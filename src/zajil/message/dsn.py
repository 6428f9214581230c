"""Delivery status notifications (RFC 3464 in RFC 6522, RFC 6533 for UTF-8 addresses).

For a person first: the first part says in English, and in Arabic where the mail was Arabic, what
happened to whom; the second says it for programs; the third returns the header section.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from zajil.core.address import Address
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
from zajil.message.transfer import encode_base64

Language = Literal["en", "ar"]

MAX_RETURNED = 65_536
"""Bytes of the original header section that are returned; a bounce must stay small."""


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What became of one recipient."""

    address: Address
    action: Literal["failed", "delayed"]
    status: str
    """Enhanced status code, ``5.1.1`` (RFC 3463)."""
    remote_mta: str | None
    """Name of the host that answered; ``None`` when none did."""
    diagnostic: str
    """Its reply, as it came; ``""`` when there was none."""
    reason: str
    """One plain sentence for the sender."""


@dataclass(frozen=True, slots=True)
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


def detect_language(header_section: bytes, reverse_path: Address | None) -> Language:
    """Say whether the sender reads Arabic, from the mail: its subject, names and addresses."""
    fields = read_fields(header_section[:MAX_RETURNED])
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
    global_status = utf8 or any(not item.address.is_ascii for item in report.recipients)
    kind = "global-delivery-status" if global_status else "delivery-status"
    parts = [
        text_entity(_human_text(report)),
        _status_entity(report, kind, raw=utf8),
        _returned_entity(report.header_section, raw=utf8),
    ]
    unique = re.sub(r"[^A-Za-z0-9]", "", report.message_id)[:40] or "dsn"
    # RFC 6522 section 3: report-type is the subtype of the second part.
    return _header(report, utf8) + multipart_entity(
        "report", parts, unique, [("report-type", kind)]
    )


def _header(report: DeliveryReport, utf8: bool) -> bytes:
    fields = read_fields(report.header_section[:MAX_RETURNED])
    original = _one_line(decode_words(find_value(fields, b"subject") or b""), 150)
    title = _TITLE[report.language, _is_failed(report)]
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


def _is_failed(report: DeliveryReport) -> bool:
    return any(item.action == "failed" for item in report.recipients)


# ---- for people -----------------------------------------------------------------------------

_ARABIC = re.compile("[\u0620-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff]")
_TITLE: dict[tuple[Language, bool], str] = {
    ("en", True): "Not delivered",
    ("en", False): "Delayed",
    ("ar", True): "لم تصل رسالتك",
    ("ar", False): "تأخّرت رسالتك",
}
_EN_FAILED = "Your message could not be delivered. We shall not try again."
_EN_DELAYED = (
    "Your message has not been delivered yet. We go on trying{until}; you need not do anything."
)
_AR_FAILED = "تعذّر تسليم رسالتك، ولن نحاول مرة أخرى."
_AR_DELAYED = "لم تُسلَّم رسالتك بعد. ما زلنا نحاول{until}، وليس عليك أن تفعل شيئًا."


def _human_text(report: DeliveryReport) -> str:
    until = report.retry_until_ms
    english = _EN_FAILED
    arabic = _AR_FAILED
    if not _is_failed(report):
        english = _EN_DELAYED.format(until=f" until {format_date(until)}" if until else "")
        arabic = _AR_DELAYED.format(until=f" حتى {format_date(until)}" if until else "")
    blocks = [_recipients_text(report.recipients, english, "reply")]
    if report.language == "ar":
        blocks.insert(0, _recipients_text(report.recipients, arabic, "الردّ"))
    blocks.append(f"-- \n{report.reporting_mta}\n")
    return "\n".join(blocks)


def _recipients_text(recipients: Sequence[RecipientReport], opening: str, reply: str) -> str:
    lines = [opening, ""]
    for item in recipients:
        lines += [f"<{item.address.unicode}>", f"    {_one_line(item.reason, 500)}"]
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
        out += [
            b"\r\n",
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
        body = body.decode().encode("ascii", "replace")
    return _entity(f"message/{kind}", body, raw=raw)


def _status_field(name: str, value: str) -> bytes:
    try:
        return write_raw_field(name, _one_line(value, 900))
    except BadValue:  # a peer's word that fits no line
        return write_raw_field(name, _one_line(value, 200))


def _returned_entity(header_section: bytes, *, raw: bool) -> bytes:
    """Make text/rfc822-headers (RFC 6522 section 4) or message/global-headers (RFC 6533)."""
    lines = re.split(rb"\r\n|\r|\n", header_section[:MAX_RETURNED])
    while lines and not lines[-1]:
        lines.pop()
    body = b"".join(line[:998] + b"\r\n" for line in lines if line).replace(b"\x00", b"?")
    if body.isascii():
        return _entity("text/rfc822-headers", body, raw=True)
    text = body.decode("utf-8", "replace")
    return _entity("message/global-headers", text.encode(), raw=raw)


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
