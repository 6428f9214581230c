"""What the engines of line protocols share: their events and ends, and the buffer of their input.

``net.connection`` drives an engine by these names, whichever protocol it speaks.
"""

from __future__ import annotations

from enum import Enum, auto

from zajil.core.errors import Malformed


class Wait(Enum):
    """Why an engine has no event."""

    DATA = auto()
    """Call ``receive_data`` first."""
    REPLY = auto()
    """An answer to the last event is owed. Pipelined commands stay buffered."""
    TLS = auto()
    """TLS was agreed on, and nothing follows in the clear: stop reading, send what is to be sent,
    do the handshake, call ``tls_established``."""
    COMPRESSION = auto()
    """Compression was agreed on: send what is to be sent as it is, then compress both ways."""
    CLOSED = auto()
    """Send what is to be sent, then close; ``close_reason`` says why."""


class End(Enum):
    """Why a server ends a connection of its own accord; each protocol has its reply for it."""

    TOO_MANY = "too many connections"
    SHUTDOWN = "shutdown"
    IDLE = "timeout"
    EARLY = "command before the greeting"
    FAULT = "fault"
    CREDENTIALS = "credentials changed"


class LineTooLong(Malformed):
    """A line has more octets than its limit; ``start`` is its beginning."""

    def __init__(self, start: bytes) -> None:
        super().__init__("line too long")
        self.start = start


class LineBuffer:
    """Bytes received and not yet parsed, taken as lines or by number.

    Only CRLF ends a line.
    """

    __slots__ = ("_searched", "at", "data", "to_skip")

    def __init__(self) -> None:
        self.data = b""
        self.at = 0
        """Everything before this offset of ``data`` has been taken."""
        self.to_skip = 0
        """Octets to drop, also those that have not come yet; see ``skip``."""
        self._searched = 0  # no CRLF begins between ``at`` and this offset

    def __len__(self) -> int:
        return len(self.data) - self.at

    def add(self, data: bytes) -> None:
        """Append bytes from the network."""
        if self.at == len(self.data):
            self.data = data
            self._searched = 0
        else:
            self.data = self.data[self.at :] + data
            self._searched = max(0, self._searched - self.at)
        self.at = 0

    def take(self, size: int) -> bytes:
        """Return at most ``size`` octets."""
        taken = self.data[self.at : self.at + size]
        self.at += len(taken)
        return taken

    def take_line(self, limit: int) -> bytes | None:
        """Return the next line without its CRLF; ``None``: it is not complete.

        Raises:
            LineTooLong: it has more than ``limit`` octets already; nothing was taken.
        """
        data, at = self.data, self.at
        if at == len(data):
            self.clear()
            return None
        end = data.find(b"\r\n", max(at, self._searched))
        # Without an end, a CR may be its first half: -1.
        if (end if end >= 0 else len(data) - 1) - at > limit:
            raise LineTooLong(data[at : at + 16])
        if end < 0:
            self._searched = len(data) - 1
            return None
        self.at = end + 2
        return data[at:end]

    def skip(self) -> bool:
        """Drop what ``to_skip`` counts; false: not all of it has come."""
        size = min(self.to_skip, len(self))
        self.at += size
        self.to_skip -= size
        return not self.to_skip

    def clear(self) -> None:
        """Drop everything received."""
        self.data = b""  # an idle connection would keep its last packet, up to 256 KB
        self.at = 0
