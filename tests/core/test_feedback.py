"""What moves and flags say about a message: each pair of roles, each mark."""

from __future__ import annotations

import pytest

from zajil.core.feedback import FeedbackKind, kind_in_mailbox, kind_of_flags, kind_of_move

JUNK, NOT_JUNK = FeedbackKind.JUNK, FeedbackKind.NOT_JUNK
KEPT, REPLIED = FeedbackKind.KEPT, FeedbackKind.REPLIED


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        ("inbox", "junk", JUNK),
        (None, "junk", JUNK),
        ("junk", "junk", None),
        ("junk", "inbox", NOT_JUNK),
        ("junk", "archive", NOT_JUNK),
        ("junk", None, NOT_JUNK),
        ("junk", "trash", None),
        ("inbox", "archive", KEPT),
        ("inbox", None, KEPT),
        ("inbox", "trash", None),
        (None, "archive", None),
    ],
)
def test_a_move_says(source: str | None, target: str | None, kind: FeedbackKind | None) -> None:
    assert kind_of_move(source, target) is kind


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ((), ("$Junk",), JUNK),
        ((), ("junk", "$NotJunk"), JUNK),
        ((), ("NonJunk",), KEPT),
        (("$Junk",), ("$NotJunk",), NOT_JUNK),
        (("$Junk",), ("$Junk",), None),
        ((), ("\\Answered",), REPLIED),
        (("\\Answered",), ("\\Answered", "\\Seen"), None),
    ],
)
def test_flags_say(
    before: tuple[str, ...], after: tuple[str, ...], kind: FeedbackKind | None
) -> None:
    assert kind_of_flags(frozenset(before), frozenset(after)) is kind


def test_the_mailbox_changes_what_flags_say() -> None:
    assert kind_in_mailbox(KEPT, "junk") is NOT_JUNK
    assert kind_in_mailbox(JUNK, "junk") is JUNK
    assert kind_in_mailbox(KEPT, "inbox") is KEPT
    assert kind_in_mailbox(JUNK, "drafts") is None
    assert kind_in_mailbox(REPLIED, "sent") is None
