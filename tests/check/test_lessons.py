"""What feedback teaches the learned words: the rules alone, without a store."""

from __future__ import annotations

from zajil.check.learned.lessons import (
    FREE_SHARE,
    ShareRule,
    count_left_to_learn,
    is_junk,
    is_undo,
    is_weak,
)
from zajil.core.feedback import FeedbackKind


def test_an_account_teaches_the_installation_its_free_share_and_then_a_part() -> None:
    """Attack: one account calls thousands of mails something they are not."""
    rule = ShareRule(20)
    assert rule.permits(FREE_SHARE - 1, 0)
    assert not rule.permits(FREE_SHARE, 0)
    assert not rule.permits(FREE_SHARE, 5 * FREE_SHARE)
    assert rule.permits(FREE_SHARE, 5 * FREE_SHARE + 5)
    assert not ShareRule(0).permits(FREE_SHARE, 1_000_000)


def test_only_a_move_to_junk_is_about_junk_and_only_verdicts_are_strong() -> None:
    kinds = list(FeedbackKind)
    undone = [FeedbackKind.UNSAID_JUNK, FeedbackKind.UNSAID_NOT_JUNK]
    assert [kind for kind in kinds if is_junk(kind)] == [FeedbackKind.JUNK, undone[0]]
    assert [kind for kind in kinds if is_undo(kind)] == undone
    strong = [kind for kind in kinds if not is_weak(kind)]
    assert strong == [FeedbackKind.JUNK, FeedbackKind.NOT_JUNK, *undone]


def test_mail_left_in_inbox_is_learned_only_to_balance_junk() -> None:
    assert count_left_to_learn(junk=0, ham=0) == 0
    assert count_left_to_learn(junk=5, ham=5) == 0
    assert count_left_to_learn(junk=3, ham=9) == 0
    assert count_left_to_learn(junk=6, ham=5) == 1
    assert count_left_to_learn(junk=60, ham=5) == 2
    assert count_left_to_learn(junk=60, ham=5, learned=10) == 20
    assert count_left_to_learn(junk=10, ham=5, learned=10) == 5
