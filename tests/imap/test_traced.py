"""What a log may hold of an IMAP dialogue."""

from __future__ import annotations

from base64 import b64encode

import pytest

from zajil.core.line_engine import Wait
from zajil.imap.command import Authenticate
from zajil.imap.literal import Limits
from zajil.imap.response import Completion
from zajil.imap.traced import TracedImapConnection

SECRET = "pigeon-7"


def dialogue(*pieces: bytes) -> list[str]:
    """Feed pieces, refuse what comes; give what was told."""
    engine = TracedImapConnection(b"* OK hi\r\n", Limits(max_message=1000), encrypted=True)
    told: list[str] = []
    engine.trace = told.append
    for piece in pieces:
        engine.receive_data(piece)
        while not isinstance(event := engine.next_event(), Wait):
            if isinstance(event, Authenticate):
                engine.go_ahead(b"")
            else:
                engine.reply(Completion("NO", "not now"))
    return told


@pytest.mark.parametrize(
    "pieces",
    [
        (f"a LOGIN amal {SECRET}\r\n".encode(),),
        (f'a login "amal" "{SECRET}"\r\n'.encode(),),
        (f"a LOGIN amal {{{len(SECRET)}+}}\r\n{SECRET}\r\n".encode(),),
        (b"a LOGIN amal {8}\r\n", SECRET.encode(), b"\r\n"),
        (b"a AUTHENTICATE PLAIN " + b64encode(f"\0amal\0{SECRET}".encode()) + b"\r\n",),
        (b"a AUTHENTICATE PLAIN\r\n", b64encode(f"\0amal\0{SECRET}".encode()) + b"\r\n"),
        (f"{SECRET}\r\n".encode(),),
        (f"{SECRET} LOGIN x\r\n".encode(),),
        (f"a {SECRET}\r\n".encode(),),
        (f"a {SECRET} x\r\n".encode(),),
    ],
)
def test_no_secret_is_told(pieces: tuple[bytes, ...]) -> None:
    told = dialogue(*pieces)
    assert told
    text = "\n".join(told)
    assert SECRET not in text
    assert b64encode(f"\0amal\0{SECRET}".encode()).decode() not in text


def test_commands_and_their_completions_are_told() -> None:
    assert dialogue(b"a1 NOOP\r\n", b"a2 NONSENSE\r\n") == [
        "C: a1 NOOP",
        "S: a1 NO not now",
        "C: (unknown command of 11 bytes)",
        "S: a2 BAD unknown command",
    ]
