"""What a source gives and a target takes: mailboxes, messages, and what was left out.

Laws:
- Nothing holds more than one message, or one piece of it, in memory.
- A message has a key: the same one in each run, and another one for each message of a mailbox.
- What cannot be read is named in the report; the rest goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from zajil.core.errors import Unavailable
from zajil.core.value_class import value_class
from zajil.store.mail.imported import Doubles

PIECE = 262_144
"""Bytes of a message that are read at a time."""
MAX_LISTED = 1000
"""Things left out that a report names; the others are counted."""


class Unreadable(Unavailable):
    """One message or mailbox cannot be read; the text says why."""


class NoSource(Unavailable):
    """Nothing can be read from a source: it is not there, or not what it shall be."""


class NoTarget(Unavailable):
    """Nothing can be written to a target."""


@value_class(frozen=True, slots=True, kw_only=True)
class SourceMailbox:
    """A mailbox of a source."""

    name: str
    """What the source calls it: shown, and a part of what identifies its messages."""
    levels: tuple[str, ...]
    """Its name from the top, decoded."""
    place: str
    """Where it is, for the source alone."""
    role: str | None = None
    """As ``store.mail.mailboxes.Mailbox.role``, where the source says it; ``None``: it does not."""
    work: int = 0
    """How much there is to do: bytes or messages, the same unit for the whole source."""
    subscribed: bool = True
    doubles: Doubles = Doubles.NONE


@value_class(frozen=True, slots=True, kw_only=True)
class SourceEntry:
    """A message of a source that was found and not read yet."""

    key: str
    label: str
    """Names it in the report: a file, a number, a UID."""
    work: int = 1
    """Its part of ``SourceMailbox.work``."""


@value_class(frozen=True, slots=True)
class LabelPlace:
    """Where a message goes, in place of the mailbox that it was found in."""

    levels: tuple[str, ...]
    role: str | None
    labels: tuple[str, ...] = ()
    """Names of labels that it has beside."""


@value_class(frozen=True, slots=True, kw_only=True)
class Moved:
    """A message on its way."""

    flags: frozenset[str]
    """System flags and keywords, as IMAP writes them."""
    received_at_ms: int | None
    """INTERNALDATE; ``None``: what the header section says of it."""
    pieces: Iterator[bytes]
    """Its bytes, to be read once, before the next message is asked for; raises ``Unreadable``."""
    size: int | None = None
    """Bytes of all pieces, where they are known."""
    place: LabelPlace | None = None
    """``None``: the mailbox that it was found in."""


E = TypeVar("E", bound=SourceEntry)


class MailSource(Protocol[E]):
    """Where mail comes from."""

    @property
    def identity(self) -> str:
        """Return what tells this source from others, the same in each run."""

    def mailboxes(self, report: Report) -> Sequence[SourceMailbox]:
        """Return its mailboxes in the order in which they are moved.

        Raises:
            NoSource: nothing can be read.
        """

    def entries(self, mailbox: SourceMailbox, report: Report) -> Iterator[E]:
        """Yield the messages of a mailbox, the oldest first as far as the source knows.

        Raises:
            Unreadable: the mailbox cannot be read any further.
        """

    def read(self, mailbox: SourceMailbox, entries: Sequence[E]) -> Iterator[tuple[E, Moved]]:
        """Yield messages in the order of the entries; those that are gone are passed over.

        Raises:
            Unreadable: the mailbox cannot be read any further.
        """

    def close(self) -> None:
        """Let go of files and connections."""


@value_class(frozen=True, slots=True, kw_only=True)
class OwnMailbox:
    """A mailbox of an account that moves out."""

    name: str
    """Levels divided by ``/``."""
    role: str | None
    uid_validity: int
    subscribed: bool


@value_class(frozen=True, slots=True, kw_only=True)
class Leaving:
    """A message that moves out."""

    uid: int
    flags: frozenset[str]
    received_at_ms: int
    size: int
    pieces: Callable[[], Iterator[bytes]]
    """Its bytes, with CRLF; each call begins anew."""


class MailTarget(Protocol):
    """Where mail goes to."""

    @property
    def identity(self) -> str:
        """Return what tells this target from others, for people."""

    def open(self, mailbox: OwnMailbox, report: Report) -> bool:
        """Begin with a mailbox: make it where it is missing, see what it has.

        Returns:
            Whether it can take messages; else the report says why.

        Raises:
            NoTarget: nothing more can be written.
        """

    def put(self, message: Leaving) -> bool:
        """Write a message, unless the mailbox has it already.

        Returns:
            Whether it was written.

        Raises:
            Unreadable: this message cannot be written; the rest may go on.
            NoTarget: nothing more can be written.
        """

    def finish(self) -> None:
        """End the mailbox that was opened last: what was put into it is on disk.

        Raises:
            NoTarget: it is not.
        """

    def close(self) -> None:
        """Let go of files and connections; what was not finished is given up."""


@value_class(frozen=True, slots=True)
class LeftOut:
    """Something that was not moved."""

    what: str
    why: str


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run did, and what it left out."""

    moved: int = 0
    """Messages."""
    size: int = 0
    """Their bytes."""
    known: int = 0
    """Messages that an earlier run has moved."""
    mailboxes: int = 0
    """That were looked at."""
    created: int = 0
    """Mailboxes that were made."""
    left_out: list[LeftOut] = field(default_factory=list)
    """The first ``MAX_LISTED`` of them."""
    left_out_count: int = 0
    notes: list[str] = field(default_factory=list)
    """What was changed on the way: names of mailboxes."""
    stopped: str = ""
    """Why the run ended early; ``""``: it did not."""

    def leave_out(self, what: str, why: str) -> None:
        """Note something that is not moved."""
        self.left_out_count += 1
        if len(self.left_out) < MAX_LISTED:
            self.left_out.append(LeftOut(what, why))
