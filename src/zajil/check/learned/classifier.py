"""Bayesian classifier: which words stood in junk, and what follows for a mail. Pure.

Robinson's estimate for each word, combined by Fisher's chi-squared test, the way of SpamBayes and
Bogofilter: words that say little are left out, evidence for junk and for ham is weighed apart, and
a mail that has much of both comes out near one half, "I do not know".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from zajil.core.value_class import value_class

UNKNOWN_STRENGTH = 0.45
"""How many mails the guess 0.5 for a new word is worth (Robinson's s)."""
MIN_DEVIATION = 0.1
"""Words nearer to 0.5 than this are left out."""
MAX_WORDS = 150
"""The strongest words of a mail that are weighed."""
SHOWN_WORDS = 5
JUNK_FROM = 0.85
HAM_TO = 0.15


@value_class(frozen=True, slots=True)
class WordsOpinion:
    """What a classifier thinks of one mail."""

    probability: float
    """0: surely ham, 1: surely junk, 0.5: it does not know."""
    junk_words: tuple[str, ...] = ()
    """Those that speak most for junk, strongest first."""
    ham_words: tuple[str, ...] = ()

    @property
    def certainty(self) -> float:
        """How much of the weight of a reason this is worth: 0 at the threshold, then up to 1."""
        if self.probability >= JUNK_FROM:
            share = (self.probability - JUNK_FROM) / (0.99 - JUNK_FROM)
        elif self.probability <= HAM_TO:
            share = (HAM_TO - self.probability) / (HAM_TO - 0.01)
        else:
            return 0.0
        return min(1.0, 0.3 + 0.7 * share)


UNDECIDED = WordsOpinion(0.5)


def word_probability(junk: int, ham: int, junk_mails: int, ham_mails: int) -> float:
    """Return how likely a mail with this word is junk, if as many of both kinds came.

    Args:
        junk: trained junk mails with the word.
        ham: trained ham mails with the word.
        junk_mails: all trained junk mails.
        ham_mails: all trained ham mails.
    """
    seen = junk + ham
    if seen <= 0:
        return 0.5
    in_junk = min(1.0, junk / max(1, junk_mails))
    in_ham = min(1.0, ham / max(1, ham_mails))
    share = in_junk / (in_junk + in_ham)
    return (UNKNOWN_STRENGTH * 0.5 + seen * share) / (UNKNOWN_STRENGTH + seen)


def telling_words(
    counts: Iterable[tuple[str, int, int]], junk_mails: int, ham_mails: int
) -> dict[str, float]:
    """Return the probabilities of the words that say anything."""
    found = {}
    for word, junk, ham in counts:
        probability = word_probability(junk, ham, junk_mails, ham_mails)
        if abs(probability - 0.5) >= MIN_DEVIATION:
            found[word] = probability
    return found


def classify(tokens: Iterable[str], words: Mapping[str, float]) -> WordsOpinion:
    """Judge a mail by its tokens.

    Args:
        tokens: of the mail, each once (``check.learned.tokens``).
        words: what ``telling_words`` gave.
    """
    get = words.get
    # The word itself decides between equals, so that the outcome is always the same.
    found = [
        (abs(value - 0.5), token, value) for token in tokens if (value := get(token)) is not None
    ]
    if not found:
        return UNDECIDED
    if len(found) > MAX_WORDS:
        found.sort()
        del found[:-MAX_WORDS]
    known = [(value, token) for _, token, value in found]
    against = -2.0 * sum([math.log(1.0 - probability) for probability, _ in known])
    speaking_for = -2.0 * sum([math.log(probability) for probability, _ in known])
    junk = 1.0 - _chi_squared(against, len(known))
    ham = 1.0 - _chi_squared(speaking_for, len(known))
    known.sort()
    return WordsOpinion(
        (junk - ham + 1.0) / 2.0,
        tuple([word for value, word in reversed(known[-SHOWN_WORDS:]) if value > 0.5]),
        tuple([word for value, word in known[:SHOWN_WORDS] if value < 0.5]),
    )


def _chi_squared(value: float, half_degrees: int) -> float:
    """Return the tail of the distribution with twice ``half_degrees`` degrees of freedom."""
    half = value / 2.0
    # exp(-half) alone would be 0 from 745 on, so the terms are summed by their logarithms there.
    if half > 700.0:
        return _chi_squared_far(half, half_degrees)
    term = total = math.exp(-half)
    for number in range(1, half_degrees):
        term *= half / number
        total += term
    return min(total, 1.0)


def _chi_squared_far(half: float, half_degrees: int) -> float:
    logs = [number * math.log(half) - math.lgamma(number + 1) for number in range(half_degrees)]
    largest = max(logs)
    spread = sum([math.exp(one - largest) for one in logs])
    return min(1.0, math.exp(min(0.0, largest - half + math.log(spread))))
