"""A server connection that tells its dialogue, for a log at ``debug``.

Security: never told are the arguments of USER and PASS, SASL exchanges, messages, nor lines that
are no command: one of them may be a password that lost its way.
"""

from __future__ import annotations

from collections.abc import Callable

from zajil.pop3.command import VERBS, Event
from zajil.pop3.reply import Answer, StatusLine
from zajil.pop3.server import Pop3ServerConnection

_MOST = 200
"""Characters of one line; the rest is cut."""
_SECRET = (b"USER", b"PASS", b"AUTH")


class TracedPop3Connection(Pop3ServerConnection):
    """Tells ``C:`` lines of the client and the status lines of ours to ``trace``."""

    trace: Callable[[str], None]
    """Set before the first event is asked for."""

    def _read_command(self, line: bytes) -> Event | None:
        self.trace(f"C: {describe(line)}")
        return super()._read_command(line)

    def _read_response(self, line: bytes) -> Event:
        self.trace("C: (AUTH response)")
        return super()._read_response(line)

    def _say(self, reply: StatusLine, more: bytes = b"") -> None:
        self.trace(f"S: {reply.to_bytes().decode('ascii').rstrip()[:_MOST]}")
        super()._say(reply, more)

    def reply(self, answer: Answer) -> None:
        """See ``Pop3ServerConnection.reply``."""
        if not isinstance(answer, StatusLine):
            self.trace("S: (data)")
        super().reply(answer)


def describe(line: bytes) -> str:
    """Return what may be shown of a line that is a command."""
    verb = line.partition(b" ")[0].upper()
    if verb not in VERBS:
        return f"(unknown command of {len(line)} bytes)"
    if verb in _SECRET:
        return f"{verb.decode('ascii')} (hidden)"
    return line.decode("utf-8", "replace")[:_MOST]
