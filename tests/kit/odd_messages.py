"""Messages that mail programs may stumble over."""

from __future__ import annotations

import random

_HEAD = (
    "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nFrom: a@x.test\r\nTo: b@y.test\r\n"
    "Subject: =?utf-8?B?2LHYs9in2YTYqQ==?= {0}\r\nMessage-ID: <{0}@x.test>\r\n\r\n"
)


def odd_messages() -> list[bytes]:
    """Return them: dots, no last line end, no body, many lines, other charsets.

    Each has a Message-ID of its own, which mbsync asks for.
    """
    noise = random.Random(1)
    texts: list[bytes] = [
        b"plain\r\n",
        "السلام عليكم\r\nوعليكم السلام\r\n".encode(),
        b".\r\n..\r\n.hidden\r\n\r\nFrom here\r\n>From there\r\n",
        b"x" * 998 + b"\r\n" + b"\xff\xfe latin \xe9\r\n",
        b"no end of line",
        b"",
        b"\r\n\r\n\r\n",
        b"".join(b"%064x\r\n" % noise.getrandbits(256) for _ in range(8000)),
    ]
    return [_HEAD.format(number).encode() + text for number, text in enumerate(texts)]
