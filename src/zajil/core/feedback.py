"""What a user's move or flags say about a message: junk, not junk, answered, kept. Pure.

Clients differ: some move to Junk, some set ``$Junk`` or ``Junk`` and move later, so both count.
``$NotJunk`` and ``NonJunk`` are set by filters of clients on all they pass, so they say little
unless they take back that the mail is junk.

The store asks in the commit of the change itself, so that no feedback is lost.
"""

from __future__ import annotations

from enum import StrEnum

_JUNK = frozenset({"$junk", "junk"})
_NOT_JUNK = frozenset({"$notjunk", "notjunk", "nonjunk"})
_KEPT_IN = frozenset({None, "archive"})
"""Roles of mailboxes where nobody puts unwanted mail; a mailbox that a user made has none."""


class FeedbackKind(StrEnum):
    """What a user said about a message; the values are rows of the store."""

    JUNK = "junk"
    """Moved to Junk, or marked as junk."""
    NOT_JUNK = "not_junk"
    """Moved back from Junk, or the mark was taken back."""
    REPLIED = "replied"
    """Answered."""
    KEPT = "kept"
    """Moved from INBOX into another mailbox."""
    UNSAID_JUNK = "unsaid_junk"
    """A move to Junk was undone: what was learned from it is unlearned."""
    UNSAID_NOT_JUNK = "unsaid_not_junk"
    """A move back from Junk was undone."""


_UNSAID = {
    FeedbackKind.JUNK: FeedbackKind.UNSAID_JUNK,
    FeedbackKind.NOT_JUNK: FeedbackKind.UNSAID_NOT_JUNK,
}


def kind_of_move(source: str | None, target: str | None) -> FeedbackKind | None:
    """Return what a move or a copy says; ``None``: nothing.

    Args:
        source: role of the mailbox the message was in.
        target: role of the mailbox it goes to.
    """
    if target == "junk":
        return FeedbackKind.JUNK if source != "junk" else None
    if source == "junk":
        # A user who deletes junk does not say that it was none.
        return FeedbackKind.NOT_JUNK if target in ("inbox", *_KEPT_IN) else None
    return FeedbackKind.KEPT if source == "inbox" and target in _KEPT_IN else None


def kind_of_flags(before: frozenset[str], after: frozenset[str]) -> FeedbackKind | None:
    """Return what a change of flags says, wherever the message is; ``None``: nothing."""
    set_now = {flag.lower() for flag in after - before}
    was_junk = any(flag.lower() in _JUNK for flag in before)
    if set_now & _JUNK:
        return FeedbackKind.JUNK
    if set_now & _NOT_JUNK:
        return FeedbackKind.NOT_JUNK if was_junk else FeedbackKind.KEPT
    return FeedbackKind.REPLIED if "\\answered" in set_now else None


def kind_in_mailbox(kind: FeedbackKind, role: str | None) -> FeedbackKind | None:
    """Return what flags say in a mailbox of a role: nothing where a user's own mail is."""
    if role in ("drafts", "sent"):
        return None
    if role == "junk" and kind is FeedbackKind.KEPT:
        # The server put it there: a user who calls it no junk takes that back.
        return FeedbackKind.NOT_JUNK
    return kind


def kind_of_undo(source: str | None, target: str | None) -> FeedbackKind | None:
    """Return what the undo of a move says; ``None``: nothing that has to be unlearned.

    Args:
        source: role of the mailbox the message was moved to, and lies in.
        target: role of the mailbox it was in before, and goes back to.
    """
    said = kind_of_move(target, source)
    return None if said is None else _UNSAID.get(said)


def kind_taken_back(kind: FeedbackKind) -> FeedbackKind | None:
    """Return what a kind takes back; ``None``: it takes nothing back."""
    return next((said for said, unsaid in _UNSAID.items() if unsaid is kind), None)
