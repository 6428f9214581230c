"""What a mail is made of: how it is built, whom it claims to be from, its links and files. Pure.

One parse serves all of it, and it is the one that the webmail shows: what is judged is what is
read.
"""

from __future__ import annotations

from collections.abc import Collection

from zajil.check.content.attachments import check_attachments
from zajil.check.content.phishing import NOBODY, Protected, check_phishing
from zajil.check.content.structure import check_format, check_structure
from zajil.check.facts import MessageFacts
from zajil.check.verdict.verdict import Reason
from zajil.message.view import MessageView


def view_of(facts: MessageFacts) -> MessageView:
    """Return a mail as the content checks see it."""
    return MessageView(facts.header, facts.fields, facts.body)


def look_inside(
    view: MessageView,
    facts: MessageFacts,
    protected: Protected = NOBODY,
    refuse: Collection[str] = (),
) -> list[Reason]:
    """Return what speaks against a mail by its bytes alone; usually nothing.

    A body that lies in a file is read: that may wait on the disk.

    Args:
        view: ``view_of(facts)``.
        facts: who brought it.
        protected: names of ours.
        refuse: kinds of files that are refused whatever else is known (``attachments.KINDS``).
    """
    return [
        *check_format(facts),
        *check_structure(view, facts),
        *check_phishing(view, facts, protected),
        *check_attachments(view, refuse),
    ]
