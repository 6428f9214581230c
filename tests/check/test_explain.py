"""What would have changed a verdict."""

from __future__ import annotations

from zajil.check.verdict.explain import Change, spell_change, what_would_change
from zajil.check.verdict.verdict import NOTHING_AGAINST, Action, Reason, Thresholds, decide
from zajil.web.language import load_languages

THRESHOLDS = Thresholds()


def reason(name: str, weight: float, demands: Action | None = None) -> Reason:
    return Reason(signal=name, weight=weight, template="A sentence.", demands=demands)


def test_a_clean_mail_is_so_far_from_junk() -> None:
    assert what_would_change(NOTHING_AGAINST, THRESHOLDS) == (Change(None, 5.0, Action.JUNK),)


def test_each_reason_that_alone_made_it_junk() -> None:
    verdict = decide([reason("a", 3.0), reason("b", 2.5), reason("c", 0.4)], THRESHOLDS)
    assert verdict.action is Action.JUNK
    changes = what_would_change(verdict, THRESHOLDS)
    assert [(change.signal, change.action) for change in changes] == [
        ("a", Action.ACCEPT),
        ("b", Action.ACCEPT),
    ]


def test_where_no_reason_alone_made_it_junk_the_fewest_together() -> None:
    verdict = decide([reason("a", 6.0), reason("b", 5.5), reason("c", 1.0)], THRESHOLDS)
    assert what_would_change(verdict, THRESHOLDS) == (Change("a + b", 0.0, Action.ACCEPT),)
    heavy = [reason(f"r{number}", 4.0 + number) for number in range(5)]
    (change,) = what_would_change(decide(heavy, THRESHOLDS), THRESHOLDS)
    assert change == Change("r4 + r3 + r2 + r1", 0.0, Action.ACCEPT)


def test_without_the_demand_the_sum_decides() -> None:
    verdict = decide([reason("loop", 10.0, Action.REJECT), reason("b", 6.0)], THRESHOLDS)
    assert what_would_change(verdict, THRESHOLDS) == (Change("loop", 0.0, Action.JUNK),)


def test_a_good_sign_that_kept_it_out_of_junk() -> None:
    verdict = decide([reason("bad", 6.0), reason("good", -3.0)], THRESHOLDS)
    assert verdict.action is Action.ACCEPT
    assert what_would_change(verdict, THRESHOLDS) == (
        Change("good", 0.0, Action.JUNK),
        Change(None, 2.0, Action.JUNK),
    )


def test_a_change_is_a_sentence_in_both_languages() -> None:
    arabic = load_languages()["ar"].gettext
    assert spell_change(Change("spf.fail", 0, Action.ACCEPT)) == (
        "Without spf.fail the message would have been accepted."
    )
    assert spell_change(Change(None, 2.5, Action.JUNK)) == (
        "With a score higher by 2.5 the message would have been classified as junk."
    )
    assert spell_change(Change("spf.fail", 0, Action.ACCEPT), arabic) == (
        "لولا spf.fail لكانت الرسالة مقبولة."
    )
