"""What a server says of its own accord: refusals and last words, and what they count."""

from __future__ import annotations

from collections.abc import Mapping

from zajil.core.line_engine import End
from zajil.smtp import refusals
from zajil.smtp.command import Event
from zajil.smtp.reply import Reply
from zajil.smtp.state import SmtpState

MAX_REFUSALS = 50
"""Refusals kept for the events of a session; protects memory."""

LAST_WORDS: Mapping[End, Reply] = {
    End.TOO_MANY: refusals.TOO_MANY_CONNECTIONS,
    End.SHUTDOWN: refusals.SHUTTING_DOWN,
    End.IDLE: refusals.IDLE,
    End.EARLY: refusals.EARLY,
    End.FAULT: refusals.FAULT,
    End.CREDENTIALS: refusals.CREDENTIALS_CHANGED,
}


class ReplyQueue:
    """Replies that wait to be sent, the count of errors, and the end of the connection."""

    __slots__ = (
        "_max_errors",
        "_owed",
        "_to_send",
        "close_reason",
        "errors",
        "refusals",
        "state",
    )

    def __init__(self, greeting: Reply, max_errors: int) -> None:
        self.state = SmtpState.START
        self.errors = 0
        """Commands and recipients refused for good (5yz) since the last mail that was accepted; at
        ``max_errors`` the connection ends. Sessions slow a peer down before that by this number."""
        self.refusals: list[tuple[str, Reply]] = []
        """What was refused here without asking the session: command and reply. The session takes
        them for its events and may clear the list."""
        self.close_reason = ""
        """Why the state is CLOSED: ``quit``, ``too many errors``, ``line too long`` ..."""
        self._max_errors = max_errors
        self._to_send: list[bytes] = [greeting.to_bytes()]
        self._owed: Event | None = None  # the event whose reply is still owed

    def data_to_send(self) -> bytes:
        """Return and forget the bytes that must now go to the network."""
        parts = self._to_send
        if not parts:
            return b""
        self._to_send = []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self, reply: Reply, reason: str = "closed by us") -> None:
        """Send a last reply, 421, and be CLOSED. Later calls do nothing."""
        if self.state is not SmtpState.CLOSED:
            self._owed = None
            self._to_send.append(reply.to_bytes())
            self._end(reason)

    def end(self, end: End, reason: str = "") -> None:
        """Close for a reason that every protocol has: idle for too long, shutdown ...

        Args:
            reason: for the events of the session, where it says more than ``end``.
        """
        reply = LAST_WORDS[end]
        if end is End.EARLY:
            self._to_send.clear()  # the greeting, which this peer did not wait for
            self.refusals.append((f"({end.value})", reply))
        self.close(reply, reason or end.value)

    def _refuse(self, command: str, reply: Reply) -> None:
        if len(self.refusals) < MAX_REFUSALS:
            self.refusals.append((command, reply))
        self._to_send.append(reply.to_bytes())
        if reply.code >= 500:
            self._count_error()

    def _count_error(self) -> None:
        self.errors += 1
        if self.errors >= self._max_errors:
            self.close(refusals.TOO_MANY_ERRORS, "too many errors")

    def _end(self, reason: str) -> None:
        if self.state is not SmtpState.CLOSED:
            self.state = SmtpState.CLOSED
            self.close_reason = reason
