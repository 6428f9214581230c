"""From reasons to a verdict. Pure (decision 0007).

A mail without a bad signal lies in INBOX. A single reason may demand a verdict (a loop is refused
whatever else is known); all others add up. Junk is a matter of the sum. To refuse takes a sum
three times as high and a proof among the reasons, or a policy of the domain that claims to have
written it, and one more bad sign beside that policy (RFC 9989 section 7.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from zajil.core.value_class import value_class


class Action(Enum):
    """What is done with the mail for one recipient, mildest first."""

    ACCEPT = "accept"
    JUNK = "junk"
    DEFER = "defer"
    REJECT = "reject"


@value_class(frozen=True, slots=True, kw_only=True)
class Reason:
    """One signal, and what it weighs."""

    signal: str
    """Stable name, a key of ``signals.SIGNALS``: ``format.no-date``."""
    weight: float
    """Positive speaks against the mail, negative for it."""
    template: str
    """One sentence for a person, with places in braces; the key of the catalogs."""
    demands: Action | None = None
    """This alone settles it, whatever the sum."""
    values: tuple[tuple[str, str | int], ...] = ()
    """For the places of the sentence."""
    is_proof: bool = False
    """A proven lie, or a listed peer: with a high sum, the mail is refused."""
    asks_refusal: bool = False
    """The domain of the author asks to refuse such mail; done if anything else speaks against it
    that is not about who sent it."""

    @property
    def text(self) -> str:
        """The sentence in English."""
        return self.template.format(**dict(self.values)) if self.values else self.template


@value_class(frozen=True, slots=True)
class Verdict:
    """What follows, and why."""

    action: Action
    score: float
    reasons: tuple[Reason, ...]
    """Heaviest first."""


@value_class(frozen=True, slots=True)
class Thresholds:
    """The scores at which a mail is no longer taken at face value."""

    junk: float = 5.0
    reject: float = 15.0
    """Only with a proof among the reasons."""
    another: float = 1.0
    """What a reason must weigh to count beside a policy that asks for refusal."""


NOTHING_AGAINST = Verdict(Action.ACCEPT, 0.0, ())

PHISHING = 3.0
"""What the signs of deceit must weigh for a mail to be called phishing."""

_ABOUT_SENDER = ("spf.", "dkim.", "arc.", "dmarc.")
"""Reasons that rest on the same facts as the policy; none of them is one more sign beside it."""


def decide(reasons: Sequence[Reason], thresholds: Thresholds) -> Verdict:
    """Weigh the reasons."""
    if not reasons:
        return NOTHING_AGAINST
    score = round(sum(reason.weight for reason in reasons), 3)
    heaviest_first = sorted(reasons, key=lambda reason: -abs(reason.weight))
    return Verdict(_action(reasons, score, thresholds), score, tuple(heaviest_first))


def is_phishing(verdict: Verdict) -> bool:
    """Return whether a mail is taken for junk, and the signs of deceit alone speak for it."""
    deceit = sum(one.weight for one in verdict.reasons if one.signal.startswith("phish."))
    return verdict.action is not Action.ACCEPT and deceit >= PHISHING


def _action(reasons: Sequence[Reason], score: float, thresholds: Thresholds) -> Action:
    demanded = {reason.demands for reason in reasons}
    if Action.REJECT in demanded or _must_refuse(reasons, score, thresholds):
        return Action.REJECT
    if Action.DEFER in demanded:
        return Action.DEFER
    if Action.JUNK in demanded or score >= thresholds.junk:
        return Action.JUNK
    return Action.ACCEPT


def _must_refuse(reasons: Sequence[Reason], score: float, thresholds: Thresholds) -> bool:
    if score >= thresholds.reject and any(reason.is_proof for reason in reasons):
        return True
    if not any(reason.asks_refusal for reason in reasons):
        return False
    # RFC 9989 section 7.4: the policy alone never refuses.
    return any(
        reason.weight >= thresholds.another and not reason.signal.startswith(_ABOUT_SENDER)
        for reason in reasons
    )
