"""Fuzz targets: what a client says by POP3, and a message as it is sent."""

from __future__ import annotations

from collections.abc import Sequence

from kit.fuzz import Target
from kit.mail import make_message
from kit.pop3_wire import ExampleSession, new_engine
from zajil.core.line_engine import Wait
from zajil.pop3.message_lines import MessageLines
from zajil.pop3.server import Pop3State


def pop3_targets(said: Sequence[bytes]) -> list[Target]:
    """Return the targets.

    Args:
        said: what clients say in wire scripts.
    """
    verbs = (b"RETR ", b"TOP 1 ", b"AUTH PLAIN ", b"LANG ", b"\r\n", b"=", b" ")
    messages = (make_message(), b".\r\n..\r\n")
    return [
        Target("pop3-server", _server, tuple(said), verbs),
        Target("pop3-lines", _lines, messages, (b"\r\n.", b"\r", b".", b"\r\n\r\n")),
    ]


def _server(data: bytes) -> None:
    for state in Pop3State:
        for encrypted in (False, True):
            engine = new_engine(encrypted=encrypted)
            engine.state = state
            engine.receive_data(data)
            assert isinstance(ExampleSession(engine).answer_all(), Wait)


def _lines(data: bytes) -> None:
    for body_lines in (None, 0, 2):
        whole, cut = MessageLines(body_lines), MessageLines(body_lines)
        sent = whole.add(data) + whole.end()
        assert sent == b"".join([*map(cut.add, (data[:7], data[7:])), cut.end()])
        assert b"\r\n.\r\n" not in b"\r\n" + sent
        assert not sent or sent.endswith(b"\r\n")
