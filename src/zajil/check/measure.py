"""How well the classifier does on a sample of mail: cross-validation. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from zajil.check.classifier import HAM_TO, JUNK_FROM, Opinion, classify, telling_words
from zajil.check.tokens import tokens_of


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wanted mail that was called junk."""

    name: str
    probability: float
    words: tuple[str, ...]
    """Those that misled."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out."""

    ham: int
    junk: int
    junk_found: int
    junk_undecided: int
    ham_undecided: int
    false_positives: tuple[Mistake, ...]

    @property
    def precision(self) -> float:
        """How much of what was called junk is junk; 1 if nothing was."""
        called = self.junk_found + len(self.false_positives)
        return self.junk_found / called if called else 1.0

    @property
    def recall(self) -> float:
        """How much of the junk was found."""
        return self.junk_found / self.junk if self.junk else 0.0

    def to_dict(self) -> dict[str, object]:
        """Give everything, for JSON."""
        return {**asdict(self), "precision": self.precision, "recall": self.recall}


def cross_validate(
    ham: Sequence[tuple[str, bytes]], junk: Sequence[tuple[str, bytes]], folds: int
) -> Measured:
    """Judge each part of a sample by what was learned from the other parts.

    Args:
        ham: names and whole messages.
        junk: the same.
        folds: parts, dealt out in turns.
    """
    mails = [
        (name, is_junk, number % folds, tokens_of(message))
        for is_junk, group in ((False, ham), (True, junk))
        for number, (name, message) in enumerate(group)
    ]
    opinions: list[tuple[str, bool, Opinion]] = []
    for fold in range(folds):
        words = _learn([(one[1], one[3]) for one in mails if one[2] != fold])
        opinions += [
            (name, is_junk, classify(tokens, words))
            for name, is_junk, part, tokens in mails
            if part == fold
        ]
    return _summarise(opinions)


def _learn(lessons: Sequence[tuple[bool, frozenset[str]]]) -> dict[str, float]:
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for is_junk, tokens in lessons:
        counts[is_junk].update(tokens)
    junk_mails = sum([is_junk for is_junk, _ in lessons])
    every = counts[0].keys() | counts[1].keys()
    return telling_words(
        [(word, counts[1][word], counts[0][word]) for word in every],
        junk_mails,
        len(lessons) - junk_mails,
    )


def _summarise(opinions: Sequence[tuple[str, bool, Opinion]]) -> Measured:
    junk = [one.probability for _, is_junk, one in opinions if is_junk]
    ham = [(name, one) for name, is_junk, one in opinions if not is_junk]
    return Measured(
        ham=len(ham),
        junk=len(junk),
        junk_found=sum([value >= JUNK_FROM for value in junk]),
        junk_undecided=sum([HAM_TO < value < JUNK_FROM for value in junk]),
        ham_undecided=sum([HAM_TO < one.probability < JUNK_FROM for _, one in ham]),
        false_positives=tuple(
            [
                Mistake(name, one.probability, one.junk_words)
                for name, one in ham
                if one.probability >= JUNK_FROM
            ]
        ),
    )
