"""What a server sends and how it ends a connection: responses in their order, BYE at the end."""

from __future__ import annotations

from collections.abc import Mapping

from zajil.core.line_engine import End
from zajil.imap.response import Completion, untagged_status
from zajil.imap.state import ImapState

LAST_WORDS: Mapping[End, str] = {
    End.TOO_MANY: "too many connections",
    End.SHUTDOWN: "server is shutting down",
    End.IDLE: "idle for too long",
    End.EARLY: "command before the greeting",
    End.FAULT: "internal error",
    End.CREDENTIALS: "credentials changed, please reconnect",
}
"""Texts of BYE."""


class ResponseQueue:
    """Responses that wait to be sent, and the end of the connection."""

    __slots__ = ("_errors", "_to_send", "close_reason", "state")

    def __init__(self, greeting: bytes) -> None:
        self.state = ImapState.NOT_AUTHENTICATED
        self.close_reason = ""
        """Why the state is LOGOUT: ``logout``, ``too many errors``, ``timeout`` ..."""
        self._to_send: list[bytes] = [greeting]
        self._errors = 0  # since the last command that succeeded

    def data_to_send(self) -> bytes:
        """Return and forget the bytes that must now go to the network."""
        parts = self._to_send
        if not parts:
            return b""
        self._to_send = []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def untagged(self, data: bytes) -> None:
        """Send a response, or a piece of one; the caller wrote it with ``response``."""
        self._to_send.append(data)

    def complete(self, tag: bytes, completion: Completion) -> None:
        """Answer a command; for the caller: one that was postponed."""
        self._to_send.append(completion.to_bytes(tag))
        if completion.status == "OK" and self.state is not ImapState.NOT_AUTHENTICATED:
            self._errors = 0

    def close(self, text: str, reason: str) -> None:
        """Send BYE and read no more. Later calls do nothing.

        Args:
            text: for the client.
            reason: for the log.
        """
        if self.state is not ImapState.LOGOUT:
            self._to_send.append(untagged_status("BYE", text))
            self.state = ImapState.LOGOUT
            self.close_reason = reason

    def end(self, end: End, reason: str = "") -> None:
        """Close for a reason that every protocol has: idle for too long, shutdown ...

        Args:
            reason: for the log, where it says more than ``end``.
        """
        self.close(LAST_WORDS[end], reason or end.value)

    def leave_mailbox(self) -> None:
        """Go to the authenticated state: the client itself deleted the mailbox it had selected."""
        if self.state is ImapState.SELECTED:
            self.state = ImapState.AUTHENTICATED
