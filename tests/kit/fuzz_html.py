"""Fuzz targets of the sanitiser: HTML with style sheets, as a page shows it."""

from __future__ import annotations

import re
from pathlib import Path

from kit.fuzz import Target
from zajil.core.address import parse_address
from zajil.message.fields import read_fields
from zajil.message.html import read_html
from zajil.read.html_text import html_to_marked_text
from zajil.read.invitation import find_invitation, read_invitation, write_answer
from zajil.read.picture_fetch import PictureLinks, picture_type
from zajil.read.receipt import NewReceipt, read_receipt, read_request, write_receipt
from zajil.read.safe_html import make_safe
from zajil.read.safe_sheet import read_sheet
from zajil.read.sender_proof import read_proof
from zajil.read.unsubscribe import read_unsubscribe

_NEWSLETTERS = Path(__file__).parents[1] / "corpus" / "newsletters"
_SHEETS = (
    b".a{color:#fff}.b>.a,#c .a.d{background:#000}@media (max-width:9px){p{color:red;width:1px}}"
    b"<style>p{background:url(x);color:#eee!important}</style><p class=a id=c>x<b class=b>y",
    b"i i .a{color:#fff;background:url(x)}" * 9 + b"@media print{p{margin:0}}@import 'x';",
    b".a{background:url(https://a.test/x) no-repeat 0 0/cover,red}p{background-image:url('cid:y')}"
    b"<table background=https://a.test/x><td background=cid:y style='background:url(cid:y)#fff'>x",
    b"*{color:red;margin:0} [class=x]{color:red} a:link{color:red} a>b{color:red}",
)
_WORDS = (
    *(b"<style>", b"</style>", b"{", b"}", b"@media ", b"(max-width:9px)", b"color:#fff;", b":"),
    *(b"background:url(x);", b"!important", b" > ", b".a", b"#c", b"body", b"<body class=a>"),
    *(b"background=https://a.test/x ", b"url(https://a.test/(')", b"url(cid:y)", b"),red,"),
    *(b"position:fixed;", b"\\", b"/*", b"<p class=a>", b"<!--", b"'", b"url(", b"width:1vh;"),
)
_FOREIGN = re.compile(
    r"url\((?!/picture\?url=[\w%.+-]*&(?:amp;)?mac=[0-9a-f]{32}\)|data:image/png,x\))"
)
"""An address in a style that is not ours; escapes are written as they are."""
_FORBIDDEN = re.compile(
    r"<(?:script|svg|math|iframe|form|input|meta|base|link|object|embed)\b"
    r"|<[^>]*\son[a-z]+\s*=\s*\"|style=\"[^\"]*url\(",
    re.IGNORECASE,
)


def html_targets() -> list[Target]:
    """Return the targets."""
    newsletters = [path.read_bytes()[:4000] for path in sorted(_NEWSLETTERS.glob("*.html"))]
    return [
        Target("safe-html", _clean, (*_SHEETS, *newsletters), _WORDS, cost=4),
        Target("sender-proof", _proof, _RESULTS, (b"dmarc=pass", b"header.d=", b"; ", b"\r\n ")),
        Target("invitation", _invitation, _EVENTS, (b"DTSTART", b";", b":", b"\r\n", b"BEGIN:")),
        Target("receipt", _receipt, _RECEIPTS, (b"displayed", b"<a@b.test>", b";", b"\r\n")),
        Target("picture", _picture, _PICTURES, (b"RIFF", b"WEBP", b"GIF89a", b"\xff\xd8\xff")),
    ]


_RESULTS = (
    b"Authentication-Results: mx.north.test; dmarc=pass header.from=a.test\r\n",
    b"Authentication-Results: mx.north.test; dmarc=fail; spf=pass smtp.mailfrom=x@a.test\r\n",
    b"Authentication-Results: mx.north.test; dkim=pass header.d=a.test header.b=abcdefgh\r\n"
    b"DKIM-Signature: d=a.test; b=abcdefgh; h=List-Unsubscribe:List-Unsubscribe-Post\r\n"
    b"List-Unsubscribe: <mailto:x@a.test?subject=y>,<https://a.test/>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
    b"Authentication-Results: mx.north.test; dkim=pass header.d=..; dkim=fail header.d=a.test\r\n",
)


def _proof(data: bytes) -> None:
    leave = read_unsubscribe(read_fields(data), "mx.north.test")
    assert leave.one_click in ("", leave.page)
    found = read_proof(read_fields(data), "mx.north.test", "a.test")
    assert found is None or found.domain == "a.test"


_RECEIPTS = (
    b"Return-Path: <a@b.test>\r\nDisposition-Notification-To: A <a@b.test>\r\n\r\n",
    b"Return-Path: a\r\nDisposition-Notification-To: a@b.test, c@d.test\r\n\r\n",
    b"List-Id: <a.test>\r\nPrecedence: bulk\r\nAuto-Submitted: no\r\n\r\n",
    b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: message/disposition-notification\r\n\r\n"
    b"Final-Recipient: rfc822; a@b.test\r\nOriginal-Message-ID: <a@b.test>\r\n"
    b"Disposition: manual-action/MDN-sent-manually; displayed\r\n--b--\r\n",
)


def _receipt(data: bytes) -> None:
    found = read_request(read_fields(data))
    assert found is None or found.addresses
    said = read_receipt(data)
    # What is told of a receipt can be written in an answer to it.
    message_id = said.message_id if said is not None else ""
    recipients = found.addresses if found is not None else (parse_address("a@b.test"),)
    new = NewReceipt(
        reader=recipients[0],
        reader_name="A",
        recipients=recipients,
        message_id=message_id,
        references=message_id,
        subject="Read",
        text="Read.",
        now_ms=0,
        unique="u",
        hostname="mx.north.test",
    )
    back = read_receipt(write_receipt(new))
    assert back is not None
    assert back.message_id == message_id


_EVENT = (
    b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:x\r\n%s"
    b"ORGANIZER;CN=Noor:mailto:noor@a.test\r\nATTENDEE;PARTSTAT=DECLINED:mailto:b@a.test\r\n"
    b"END:VEVENT\r\nEND:VCALENDAR\r\n"
)
_TIMES = (
    b"DTSTART:20261201T100000Z\r\nDURATION:PT1H\r\nRECURRENCE-ID:20261201T100000\r\n",
    b"DTSTART;VALUE=DATE:20261201\r\nDTEND;VALUE=DATE:20261203\r\nRECURRENCE-ID;VALUE=DATE:"
    b"20261201\r\n",
)
_EVENTS = (
    *[_EVENT % times for times in _TIMES],
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/calendar\r\n"
    b"\r\n" + _EVENT % _TIMES[0] + b"--b--\r\n",
)


def _invitation(data: bytes) -> None:
    whole = find_invitation(data)
    found = read_invitation(data) or (whole[1] if whole is not None else None)
    if found is not None:
        found.answer_address()
        write_answer(found, parse_address("amal@north.test"), "Amal", "ACCEPTED", 0)


_PICTURES = (b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"<svg/>")


def _picture(data: bytes) -> None:
    assert picture_type(data) in (None, "image/png", "image/jpeg", "image/gif", "image/webp")
    url, links = data.decode("utf-8", "replace"), PictureLinks("secret")
    mac = links.address(url).rpartition("=")[2]
    assert links.is_ours(url, mac)
    assert not links.is_ours(f"{url}x", mac)


def _clean(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    html = read_html(text)
    sheet = read_sheet(html.sheets or text)
    assert "<" not in sheet.text
    assert "url(" not in sheet.text
    assert read_sheet(sheet.text).text == sheet.text
    safe = make_safe(html.shown_source, sheets=html.sheets or text).html
    tags = "".join(re.findall(r"<[^>]*>", safe))
    assert not _FORBIDDEN.search(tags), tags
    shown = make_safe(
        html.shown_source,
        sheets=html.sheets or text,
        remote_url=PictureLinks("secret").address,
        inline_url=lambda name: "data:image/png,x",
    ).html
    styles = re.findall(r"<style>([^<]*)</style>|style=\"([^\"]*)\"", shown)
    for style in [one for pair in styles for one in pair]:
        assert not _FOREIGN.search(style.lower()), style
    html_to_marked_text(text)
