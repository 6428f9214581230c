"""What the clients of a world that fails were promised: the ledger that is accounted for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from kit.imap_world import Growing

_ID = re.compile(r" \([0-9a-f]{28}\)")


class Outcome(Enum):
    """How an order ended, as its client saw it."""

    DONE = "done"
    """250, or OK: it is promised."""
    REFUSED = "refused"
    """4yz, or NO: nothing is promised; the server may have done it, if its commit was in doubt."""
    UNKNOWN = "unknown"
    """The connection was lost before the answer."""


@dataclass(slots=True)
class SentMail:
    """A mail that a client sent, the data with its end; its token is its subject."""

    token: str
    node: str
    local: tuple[str, ...]
    """Addresses of our own that RCPT accepted."""
    remote: tuple[str, ...]
    begun: float
    """By ``time.monotonic``."""
    outcome: Outcome = Outcome.UNKNOWN
    ended: float = 0.0
    answer: str = ""


@dataclass(slots=True)
class KeptMessage:
    """A message that a client put into a mailbox of its own; it is moved and copied there."""

    token: str
    outcome: Outcome = Outcome.UNKNOWN
    place: str = ""
    """Mailbox that it is in."""
    may_be: str = ""
    """Mailbox that it may have been moved to: the answer never came."""
    copies: int = 0
    """How many copies were promised, in ``copies``."""
    most_copies: int = 0
    """How many there may be."""


@dataclass
class Ledger:
    """All of it."""

    mails: list[SentMail] = field(default_factory=list)
    kept: dict[str, list[KeptMessage]] = field(default_factory=dict)
    """By account."""
    faults: list[str] = field(default_factory=list)
    """What a client was told and must not be told."""
    growing: Growing = field(default_factory=Growing)
    """UIDNEXT, MODSEQ and UIDVALIDITY of mailboxes."""
    uids: dict[tuple[str, int], str] = field(default_factory=dict)
    """Tokens by mailbox and UID: a UID names one message for ever, also one that is gone."""
    answers: dict[str, int] = field(default_factory=dict)
    """How often each answer other than a promise came."""

    def note(self, answer: str) -> None:
        """Count an answer that is no promise."""
        answer = _ID.sub("", answer)
        self.answers[answer] = self.answers.get(answer, 0) + 1

    def grows(self, mailbox: str, what: str, asked: float, value: int) -> None:
        """Check a number of a mailbox that only grows; ``Growing.told`` says how."""
        if wrong := self.growing.told(f"{what} of {mailbox}", asked, value):
            self.faults.append(wrong)

    def names(self, mailbox: str, uid: int, token: str) -> None:
        """Check that a UID never named another message."""
        known = self.uids.setdefault((mailbox, uid), token)
        if known != token:
            self.faults.append(f"UID {uid} of {mailbox} names {known} and {token}")
