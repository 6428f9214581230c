"""What learned words take from feedback: junk or not, how strongly, and for how many. Pure.

The store counts words (``store.feedback.training``); it asks ``ShareRule.permits`` in the commit
that learns.
"""

from __future__ import annotations

from zajil.core.feedback import FeedbackKind, kind_taken_back
from zajil.core.value_class import value_class

FREE_SHARE = 20
"""Mails of a kind that an account may always teach the installation."""
_MAX_LEFT = 2
"""Mails left in INBOX that are learned beside one that was moved to Junk."""


@value_class(frozen=True, slots=True)
class ShareRule:
    """How much of what the installation learned may come from one account.

    Security: nobody spoils the filter of the others.
    """

    percent: int = 20

    def permits(self, given: int, total: int) -> bool:
        """Whether an account may teach the installation one more mail of a kind.

        Args:
            given: mails of this kind that the account has taught it.
            total: mails of this kind that it has learned in all.
        """
        return given < max(FREE_SHARE, total * self.percent // 100)


def is_junk(kind: FeedbackKind) -> bool:
    """Whether the feedback is about mail being junk; else about its being wanted."""
    return kind in (FeedbackKind.JUNK, FeedbackKind.UNSAID_JUNK)


def is_undo(kind: FeedbackKind) -> bool:
    """Whether the feedback takes back what was said before."""
    return kind_taken_back(kind) is not None


def is_weak(kind: FeedbackKind) -> bool:
    """Whether the feedback leaves unchanged what was learned of the mail before."""
    return kind in (FeedbackKind.KEPT, FeedbackKind.REPLIED)


def count_left_to_learn(junk: int, ham: int, learned: int = 1) -> int:
    """Return how many mails read and left in INBOX an account learns beside those moved to Junk.

    Who moves junk away and leaves other mail in place says something about the other mail too;
    without it most accounts would only learn what is unwanted.

    Args:
        junk: mails that its model has learned as junk.
        ham: mails that its model has learned as wanted.
        learned: mails of the first that it has learned just now.
    """
    return max(0, min(_MAX_LEFT * learned, junk - ham))
