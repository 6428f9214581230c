"""What the clients of one mailbox were told together; it may not contradict itself."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


class Fault(AssertionError):
    """The server said what it may not say."""


@dataclass
class Growing:
    """Numbers that only grow, whoever is asked: nodes and workers of one store agree on them."""

    known: dict[object, tuple[float, int]] = field(default_factory=dict)
    """By name: the highest one, and when it was told."""

    def told(self, name: object, asked: float, value: int) -> str:
        """Note a number; return what is wrong with it, ``""``: nothing.

        Args:
            name: of the number.
            asked: when the question was sent, by ``time.monotonic``.
            value: the answer.
        """
        at, highest = self.known.get(name, (0.0, 0))
        if value >= highest:
            self.known[name] = (time.monotonic(), value)
        elif asked > at:
            return f"{name} went back from {highest} to {value}"
        return ""


@dataclass
class World:
    """What all clients together were told of the mailbox."""

    bodies: dict[int, bytes] = field(default_factory=dict)
    """By UID."""
    flags_at: dict[tuple[int, int], frozenset[str]] = field(default_factory=dict)
    """By UID and MODSEQ: whoever is told of this MODSEQ is told these flags."""
    recent: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By UID: to which selection of which client it was recent."""
    appended: dict[int, bytes] = field(default_factory=dict)
    """By the UID of APPENDUID."""
    growing: Growing = field(default_factory=Growing)
    """UIDNEXT, HIGHESTMODSEQ, and the MODSEQ of each UID: what one client was told, another one
    who asks afterwards is told as well, whatever node it is connected to."""
    counter: int = 0

    def see_number(self, name: object, asked: float, value: int) -> None:
        """Check a number that only grows."""
        if wrong := self.growing.told(name, asked, value):
            raise Fault(wrong)

    def see_body(self, uid: int, body: bytes) -> None:
        """Check that a UID always names the same message."""
        known = self.bodies.setdefault(uid, body)
        if known != body:
            raise Fault(f"UID {uid} names two messages: {known!r} and {body!r}")
        wanted = self.appended.get(uid)
        if wanted is not None and wanted != body:
            raise Fault(f"UID {uid} is not the message that was appended")
