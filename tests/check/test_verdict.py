from __future__ import annotations

from dataclasses import replace

from zajil.check.verdict.verdict import (
    NOTHING_AGAINST,
    Action,
    Reason,
    Thresholds,
    decide,
    is_phishing,
)

LIMITS = Thresholds(junk=5.0)


def reason(weight: float, demands: Action | None = None) -> Reason:
    return Reason(signal=f"test.{weight}", weight=weight, template="A sentence.", demands=demands)


def test_without_a_bad_signal_a_mail_lies_in_inbox() -> None:
    """Design D12."""
    assert decide((), LIMITS) == NOTHING_AGAINST
    assert decide([reason(4.9)], LIMITS).action is Action.ACCEPT


def test_small_signals_add_up_to_junk() -> None:
    verdict = decide([reason(2.0), reason(3.0)], LIMITS)
    assert (verdict.action, verdict.score) == (Action.JUNK, 5.0)
    assert [each.weight for each in verdict.reasons] == [3.0, 2.0]


def test_a_good_signal_outweighs_a_bad_one() -> None:
    assert decide([reason(6.0), reason(-3.0)], LIMITS).action is Action.ACCEPT


def test_the_hardest_demand_settles_it() -> None:
    demands = [reason(0.0, Action.JUNK), reason(0.0, Action.DEFER), reason(-9.0, Action.REJECT)]
    assert decide(demands, LIMITS).action is Action.REJECT
    assert decide(demands[:2], LIMITS).action is Action.DEFER
    assert decide(demands[:1], LIMITS).action is Action.JUNK


def proof(weight: float) -> Reason:
    return Reason(signal="scan.proof", weight=weight, template="A proven lie.", is_proof=True)


def policy() -> Reason:
    return Reason(
        signal="dmarc.reject",
        weight=5.0,
        template="Its domain asks to refuse it.",
        asks_refusal=True,
    )


def test_a_high_sum_refuses_only_with_a_proof() -> None:
    hints = [reason(8.0), reason(9.0)]
    assert decide(hints, LIMITS).action is Action.JUNK
    assert decide([*hints, proof(0.5)], LIMITS).action is Action.REJECT
    assert decide([proof(6.0)], LIMITS).action is Action.JUNK


def test_a_policy_alone_never_refuses() -> None:
    """RFC 9989 section 7.4."""
    assert decide([policy()], LIMITS).action is Action.JUNK
    assert decide([policy(), reason(0.5)], LIMITS).action is Action.JUNK
    assert decide([policy(), reason(1.0)], LIMITS).action is Action.REJECT


def test_what_the_policy_rests_on_is_no_sign_beside_it() -> None:
    same = [
        Reason(signal=f"{name}.fail", weight=3.0, template="A sentence.")
        for name in ("spf", "dkim", "arc", "dmarc")
    ]
    assert decide([policy(), *same], LIMITS).action is Action.JUNK


def test_phishing_is_junk_of_which_the_signs_of_deceit_say_enough() -> None:
    def judge(deceit: float, other: float) -> bool:
        signs = [replace(reason(deceit), signal="phish.form"), reason(other)]
        return is_phishing(decide(signs, LIMITS))

    assert judge(3.0, 2.0)
    assert not judge(3.0, 1.0), "it is not junk"
    assert not judge(2.5, 9.0), "it is junk for other reasons"
