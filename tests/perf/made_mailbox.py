"""The messages of the mailbox that ``reading.py`` reads: the same ones each time.

About 5 KB each: text in English or Arabic, a third with an HTML part, a tenth with an attachment;
conversations of up to six messages; most are seen, some are answered, flagged or have a keyword.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

_TEXTS = {
    "en": (
        "the of and to in that we for meeting report invoice project customer order delivery price"
        " please find attached question answer tomorrow schedule contract office water light number"
        " week month budget review draft change team result server backup travel ticket hotel route"
        " garden paper letter window market school teacher student library music picture history"
    ),
    "ar": (
        "السلام عليكم في من إلى على هذا التقرير الفاتورة المشروع العميل الطلب التسليم السعر مرفق"
        " سؤال جواب غدا موعد العقد المكتب الماء الضوء رقم أسبوع شهر الميزانية مراجعة مسودة تغيير"
        " الفريق النتيجة الخادم السفر التذكرة الفندق الطريق الحديقة الورقة الرسالة النافذة السوق"
    ),
}
_WORDS = {language: words.split() for language, words in _TEXTS.items()}
_NAMES = [
    f"{first} {last}"
    for first in ("Amal", "Layla", "Omar", "Sara", "John", "Mary", "Peter", "Nadia")
    for last in ("Haddad", "Smith", "Khalil", "Mansour", "Miller", "Saleh", "Brown")
]
RARE = "quetzalcoatl"
"""A word of one message in a thousand."""
_BEGIN_MS = 1_600_000_000_000
_STEP_MS = 900_000


@dataclass(frozen=True, slots=True)
class MadeMessage:
    """One message and its place."""

    data: bytes
    flags: frozenset[str]
    received_at_ms: int


def made_messages(count: int) -> Iterator[MadeMessage]:
    """Make messages, the oldest first."""
    chance = random.Random(1)
    ids: list[tuple[str, str]] = []
    for number in range(count):
        at_ms = _BEGIN_MS + number * _STEP_MS
        is_reply = bool(ids) and chance.random() < 0.6
        message_id = f"<{number}.{chance.getrandbits(64):016x}@x{number % 40}.test>"
        language = "ar" if chance.random() < 0.3 else "en"
        if is_reply:
            parents, subject = ids[-1]
            subject = subject if subject.startswith("Re: ") else f"Re: {subject}"
        else:
            parents, subject = "", _text(chance, language, 5)
        head = _head(chance, at_ms, subject, message_id, parents)
        data = head + _body(chance, language, number)
        if is_reply and len(parents) < 300:
            ids[-1] = (f"{parents} {message_id}", subject)
        else:
            ids = [*ids[-3:], (message_id, subject)]
        yield MadeMessage(data.encode(), _flags(chance), at_ms)


def _text(chance: random.Random, language: str, words: int) -> str:
    return " ".join(chance.choices(_WORDS[language], k=words))


def _head(chance: random.Random, at_ms: int, subject: str, message_id: str, parents: str) -> str:
    who, to = chance.choice(_NAMES), chance.choice(_NAMES)
    host = f"mail{chance.randrange(40)}.x.test"
    date = _date(at_ms)
    if not subject.isascii():
        subject = f"=?utf-8?B?{base64.b64encode(subject.encode()).decode()}?="
    fields = [
        f"Received: from {host} (localhost [127.0.0.1]) by mx.y.test with ESMTPS;\r\n\t{date}",
        "Authentication-Results: mx.y.test; spf=pass smtp.mailfrom=x.test;\r\n\tdkim=pass d=x",
        f"DKIM-Signature: v=1; a=rsa-sha256; d={host}; s=s1; h=from:to:subject:date;\r\n\t"
        f"bh={_noise(chance, 32)};\r\n\tb={_noise(chance, 96)}\r\n\t {_noise(chance, 96)}",
        f"From: {who} <{who.lower().replace(' ', '.')}@x{chance.randrange(200)}.test>",
        f"To: {to} <{to.lower().replace(' ', '.')}@y.test>",
        f"Subject: {subject}",
        f"Date: {date}",
        f"Message-ID: {message_id}",
        "MIME-Version: 1.0",
        "X-Mailer: Example 1.0",
    ]
    if parents:
        known = parents.split()
        fields += [f"In-Reply-To: {known[-1]}", "References: " + "\r\n ".join(known)]
    return "\r\n".join(fields) + "\r\n"


def _date(at_ms: int) -> str:
    return format_datetime(datetime.fromtimestamp(at_ms // 1000, UTC))


def _noise(chance: random.Random, size: int) -> str:
    return base64.b64encode(chance.randbytes(size)).decode()


def _body(chance: random.Random, language: str, number: int) -> str:
    lines = [_text(chance, language, 12) for _ in range(chance.randrange(10, 60))]
    if number % 1000 == 500:
        lines[3] += f" {RARE}"
    plain = "\r\n".join(lines) + "\r\n"
    head = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    kind = chance.random()
    if kind > 0.4:
        return head + plain
    boundary = f"=_{chance.getrandbits(64):016x}"
    if kind > 0.1:
        markup = "".join(f"<p>{line}</p>\r\n" for line in lines)
        html = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        parts = [head + plain, f"{html}<html><body>\r\n{markup}</body></html>\r\n"]
        return _multipart("alternative", boundary, parts)
    attachment = (
        f'Content-Type: application/pdf; name="report-{number}.pdf"\r\n'
        f'Content-Disposition: attachment; filename="report-{number}.pdf"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
        + "\r\n".join(_noise(chance, 57) for _ in range(60))
        + "\r\n"
    )
    return _multipart("mixed", boundary, [head + plain, attachment])


def _multipart(kind: str, boundary: str, parts: list[str]) -> str:
    opened = "".join(f"--{boundary}\r\n{part}" for part in parts)
    return (
        f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n{opened}--{boundary}--\r\n'
    )


def _flags(chance: random.Random) -> frozenset[str]:
    flags = set()
    if chance.random() < 0.9:
        flags.add("\\Seen")
    if chance.random() < 0.1:
        flags.add("\\Answered")
    if chance.random() < 0.03:
        flags.add("\\Flagged")
    if chance.random() < 0.02:
        flags.add("$Forwarded")
    return frozenset(flags)
