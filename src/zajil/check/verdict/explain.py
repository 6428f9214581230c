"""Changes that would have led to another verdict. Pure.

They answer the questions of a user whose mail is in Junk: which single reason was decisive, and how
far the score is from the next worse action.
"""

from __future__ import annotations

from collections.abc import Callable

from zajil.check.verdict.verdict import Action, Thresholds, Verdict, decide
from zajil.core.value_class import value_class
from zajil.tracking.check_names import mark


@value_class(frozen=True, slots=True)
class Change:
    """One thing that would have led to another verdict."""

    signal: str | None
    """The reason to take away, or several joined by `` + ``; ``None``: weight to add."""
    more: float
    """Weight to add; 0 where a reason is taken away."""
    action: Action
    """What it would have been then."""


def what_would_change(verdict: Verdict, thresholds: Thresholds) -> tuple[Change, ...]:
    """Return each single reason without which the verdict differs.

    If there is none, return the smallest group of reasons; for accepted mail, the missing weight.
    """
    changes: list[Change] = []
    for place, reason in enumerate(verdict.reasons):
        rest = (*verdict.reasons[:place], *verdict.reasons[place + 1 :])
        action = decide(rest, thresholds).action
        if action is not verdict.action:
            changes.append(Change(reason.signal, 0.0, action))
    if verdict.action is Action.ACCEPT:
        more = round(thresholds.junk - verdict.score, 3)
        changes.append(Change(None, more, Action.JUNK))
    elif not changes:
        changes += _fewest(verdict, thresholds)
    return tuple(changes)


def _fewest(verdict: Verdict, thresholds: Thresholds) -> list[Change]:
    """Take the heaviest reasons away, one after the other, until the verdict differs."""
    against = sorted(verdict.reasons, key=lambda reason: -reason.weight)
    for count in range(2, len(against) + 1):
        action = decide(against[count:], thresholds).action
        if action is not verdict.action:
            together = " + ".join([reason.signal for reason in against[:count]])
            return [Change(together, 0.0, action)]
    return []


_WITHOUT = mark("Without {signal} the message would have been {verdict}.")
_MORE = mark("With a score higher by {more} the message would have been {verdict}.")
_WORDS = {
    Action.ACCEPT: mark("accepted"),
    Action.JUNK: mark("classified as junk"),
    Action.DEFER: mark("temporarily rejected"),
    Action.REJECT: mark("refused"),
}


def spell_change(change: Change, translate: Callable[[str], str] = str) -> str:
    """Write one as a sentence.

    Args:
        change: what would have changed.
        translate: from an English text of the catalogs to the reader's language.
    """
    verdict = translate(_WORDS[change.action])
    if change.signal is None:
        return translate(_MORE).format(more=f"{change.more:g}", verdict=verdict)
    return translate(_WITHOUT).format(signal=change.signal, verdict=verdict)


def spell_verdict(verdict: Verdict, translate: Callable[[str], str] = str) -> str:
    """Write what became of a mail, for a person."""
    return translate(_WORDS[verdict.action])
