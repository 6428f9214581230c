"""A server connection that tells its dialogue, for a log at ``debug``.

Security: never told are AUTH exchanges and messages, nor lines that are no command: one of them may
be a password that lost its way (``command_line.describe``).
"""

from __future__ import annotations

from collections.abc import Callable

from zajil.smtp.command import Command
from zajil.smtp.command_line import describe
from zajil.smtp.server import ServerConnection
from zajil.smtp.state import SmtpState


class TracedConnection(ServerConnection):
    """Tells ``C:`` lines of the client and ``S:`` lines of ours to ``trace``."""

    __slots__ = ("trace",)

    trace: Callable[[str], None]
    """Set before the first event is asked for."""

    def data_to_send(self) -> bytes:
        """Return the replies, and tell them."""
        data = super().data_to_send()
        for line in data.split(b"\r\n")[:-1]:
            shown = b"334 (challenge)" if line.startswith(b"334 ") else line
            self.trace(f"S: {shown.decode('utf-8', 'replace')}")
        return data

    def _command_event(self, line: bytes) -> Command | None:
        in_auth = self.state is SmtpState.AUTH
        self.trace(f"C: {'(AUTH response)' if in_auth else describe(line)}")
        return super()._command_event(line)
