"""APPEND and REPLACE, piece by piece. (RFC 3501 section 6.3.11, RFC 3502, RFC 4469, RFC 8508)

One command is a head, then what stands between its literals, then its end::

    a APPEND Sent (\\Seen) {5}     AppendCommand("Sent", None, (NewMessage(...), LiteralPart(5)))
    hello                         LiteralChunk(b"hello")
     {3}                          AppendMore((NewMessage(...), LiteralPart(3)))
    bye                           LiteralChunk(b"bye")
                                  AppendEnd()

So neither messages nor lists of messages are collected in the engine.
"""

from __future__ import annotations

from dataclasses import field

from zajil.core.value_class import value_class
from zajil.imap.response import Completion


@value_class(frozen=True, slots=True)
class NewMessage:
    """A message begins; the parts until the next one, or until the end, are its text."""

    flags: frozenset[str]
    received_at_ms: int | None
    """``None``: now."""


@value_class(frozen=True, slots=True)
class UrlPart:
    """``URL url`` of CATENATE: text that is in a mailbox already. (RFC 4469 section 3)"""

    url: str


@value_class(frozen=True, slots=True)
class LiteralPart:
    """A literal, which follows as ``LiteralChunk``; always the last step of its event."""

    size: int
    """Bytes of the literal, at most what the limits allow."""
    binary: bool = False
    """It is a literal8: NUL may stand in it, and line ends mean nothing. (RFC 3516 section 4.4)"""
    waits: bool = True
    """The client sends it only after ``go_ahead``."""
    utf8: bool = field(default=False, repr=False)
    """It stands in ``UTF8 (...)``: header fields are in UTF-8. (RFC 6855 section 4)"""


AppendStep = NewMessage | UrlPart | LiteralPart
"""What a command says of its messages, in its order."""


@value_class(frozen=True, slots=True)
class Replaced:
    """Which message of the selected mailbox REPLACE replaces."""

    number: int
    """0: the last one (``*``)."""
    uid: bool
    """The number is a UID."""


@value_class(frozen=True, slots=True)
class AppendCommand:
    """``APPEND mailbox``, ``REPLACE number mailbox``: everything up to the first literal.

    Answer with ``go_ahead`` to have the rest, or with ``reply`` to refuse it unread.
    """

    mailbox: str
    replaced: Replaced | None
    """``None``: this is APPEND."""
    steps: tuple[AppendStep, ...]
    given: str = field(default="", repr=False)
    """How the client wrote the name of the mailbox, if that is not in NFC."""


@value_class(frozen=True, slots=True)
class AppendMore:
    """Everything up to the next literal; to be answered like the head."""

    steps: tuple[AppendStep, ...]


@value_class(frozen=True, slots=True)
class AppendEnd:
    """The command is complete; ``reply`` is owed.

    OK must be sent only after all messages are durable.
    """

    steps: tuple[AppendStep, ...] = ()
    """Never with a literal."""
    refusal: Completion | None = None
    """Why the command is none: to be answered with this; nothing of it may be kept."""
