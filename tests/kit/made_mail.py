"""Made mails for the tests of the content checks."""

from __future__ import annotations

from kit.facts import make_facts
from zajil.check.facts import MessageFacts
from zajil.message.view import MessageView

HEAD = (
    b"From: Salma <salma@far.example>\r\nTo: amal@north.test\r\nSubject: hello\r\n"
    b"Message-ID: <1@far.example>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
    b"MIME-Version: 1.0\r\n"
)


def view_and_facts(message: bytes) -> tuple[MessageView, MessageFacts]:
    """Return what the checks get of a mail from outside."""
    facts = make_facts(message)
    return MessageView(facts.header, facts.fields, facts.body), facts


def html(body: str, head: bytes = HEAD) -> bytes:
    """Make a mail of one HTML part."""
    return head + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + body.encode()


def with_file(name: str, content: bytes, type_: str = "application/octet-stream") -> bytes:
    """Make a mail with a text and a file."""
    return (
        HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\nsee the file\r\n--b\r\n"
        b"Content-Type: " + type_.encode() + b"\r\nContent-Transfer-Encoding: binary\r\n"
        b'Content-Disposition: attachment; filename="' + name.encode() + b'"\r\n\r\n'
        + content + b"\r\n--b--\r\n"
    )  # fmt: skip
