"""The replies of a server, read from its bytes (RFC 5321 section 4.2)."""

from __future__ import annotations

from zajil.core.errors import Malformed
from zajil.core.line_engine import LineBuffer, LineTooLong
from zajil.smtp import grammar
from zajil.smtp.reply import Reply, sanitize

MAX_REPLY_LINE = 4096
"""Octets of a reply line we take; RFC 5321 section 4.5.3.1.5 has 512. Protects memory."""
MAX_REPLY_LINES = 128
"""Lines of one reply; protects memory."""
MAX_DIALOGUE = 300
"""Lines of dialogue that are kept, of at most _SHOWN characters."""
_SHOWN = 400


class BadReply(Malformed):
    """The peer sent what is no reply, or one that no command asked for: hang up, try later."""


class ReplyReader:
    """Turns bytes into replies, and keeps what was said on both sides."""

    def __init__(self) -> None:
        self.dialogue: list[str] = []
        """``C: ...`` and ``S: ...``; the message is only counted."""
        self._input = LineBuffer()
        self._lines: list[str] = []  # of a reply that is not complete

    def receive_data(self, data: bytes) -> None:
        """Buffer bytes from the network."""
        self._input.add(data)

    def has_pending_input(self) -> bool:
        """Whether bytes wait that no command asked for."""
        return bool(self._input or self._lines)

    def read_reply(self) -> Reply | None:
        """Return the next complete reply; ``None``: more bytes are needed.

        Raises:
            BadReply: not the grammar of RFC 5321 section 4.2, or beyond a limit.
        """
        while True:
            try:
                line = self._input.take_line(MAX_REPLY_LINE)
            except LineTooLong:
                raise BadReply("a reply line is too long") from None
            if line is None:
                return None
            reply = self._take_line(line)
            if reply is not None:
                return reply

    def _take_line(self, line: bytes) -> Reply | None:
        match = grammar.REPLY_LINE.fullmatch(line)
        if match is None:
            raise BadReply("the peer does not speak SMTP")
        code, text = (
            match["code"].decode(),
            sanitize((match["text"] or b"").decode("utf-8", "replace")),
        )
        self.note(f"S: {code}{(match['separator'] or b'').decode()}{text}")
        if not self._lines:
            self._lines.append(code)
        if self._lines[0] != code:
            raise BadReply("the lines of a reply have different codes")
        self._lines.append(text)
        if len(self._lines) > MAX_REPLY_LINES + 1:
            raise BadReply("a reply has too many lines")
        if match["separator"] == b"-":
            return None
        lines, self._lines = tuple(self._lines[1:]), []
        return Reply(int(code), lines)

    def note(self, line: str) -> None:
        """Keep a line of the dialogue."""
        if len(self.dialogue) < MAX_DIALOGUE:
            self.dialogue.append(line[:_SHOWN])
