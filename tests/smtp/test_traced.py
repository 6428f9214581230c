"""What a log may hold of an SMTP dialogue."""

from __future__ import annotations

from base64 import b64encode

import pytest

from zajil.core.line_engine import Wait
from zajil.smtp.command import Auth, BodyChunk
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply
from zajil.smtp.traced import TracedConnection

SECRET = "pigeon-7"
LOGIN = b64encode(f"\0amal\0{SECRET}".encode()).decode()


def dialogue(*lines: str) -> list[str]:
    """Say lines; give what was told."""
    engine = TracedConnection(
        Capabilities(hostname="mx.test", max_message_size=1000, auth_mechanisms=("PLAIN", "LOGIN")),
        Reply(220, ("hi",)),
        encrypted=True,
    )
    told: list[str] = []
    engine.trace = told.append
    engine.data_to_send()
    for line in lines:
        engine.receive_data(line.encode() + b"\r\n")
        while not isinstance(event := engine.next_event(), Wait):
            if isinstance(event, BodyChunk):
                continue
            code = {"Auth": 334, "Data": 354}.get(type(event).__name__, 250)
            code = 535 if type(event).__name__ == "AuthResponse" else code
            if isinstance(event, Auth) and event.initial is not None:
                code = 535
            engine.reply(
                Reply(code, (b64encode(SECRET.encode()).decode() if code == 334 else "x",))
            )
        engine.data_to_send()
    return told


@pytest.mark.parametrize(
    "lines",
    [
        ("EHLO a", f"AUTH PLAIN {LOGIN}"),
        ("EHLO a", "AUTH PLAIN", LOGIN),
        ("EHLO a", "AUTH LOGIN", b64encode(b"amal").decode(), LOGIN),
        ("EHLO a", LOGIN),
        ("EHLO a", f"auth plain {LOGIN}"),
        ("EHLO a", SECRET),
        ("EHLO a", "MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>", "DATA", SECRET, "."),
    ],
)
def test_no_secret_and_no_message_is_told(lines: tuple[str, ...]) -> None:
    text = "\n".join(dialogue(*lines))
    assert "C: EHLO a" in text
    for secret in (SECRET, LOGIN, b64encode(SECRET.encode()).decode()):
        assert secret not in text


def test_commands_and_replies_are_told() -> None:
    assert dialogue("NOOP", "NONSENSE x") == [
        "S: 220 hi",
        "C: NOOP",
        "S: 250 x",
        "C: (unknown command of 10 bytes)",
        "S: 500 5.5.2 unknown command",
    ]
