"""How well the checks do on a sample of mail: what it gives away itself, and what its words say.

Pure. The classifier is cross-validated; signs need no training.

Who sent a mail, the lists of addresses and history are not measured: a file does not tell them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace

from zajil.check.content.phishing import Protected
from zajil.check.content.run import look_inside, view_of
from zajil.check.facts import facts_of_file
from zajil.check.learned.classifier import (
    HAM_TO,
    JUNK_FROM,
    UNDECIDED,
    WordsOpinion,
    classify,
    telling_words,
)
from zajil.check.learned.model import reasons_of
from zajil.check.learned.tokens import find_tokens
from zajil.check.verdict.verdict import Action, Reason, Thresholds, decide
from zajil.core.value_class import value_class
from zajil.message.date import parse_date
from zajil.message.fields import find_value


@value_class(frozen=True, slots=True)
class Mistake:
    """A wanted mail that was called junk."""

    name: str
    because: tuple[str, ...]
    """Words that misled, or names of signals; the strongest first."""


@value_class(frozen=True, slots=True)
class SampleOutcome:
    """What one way of judging made of the sample."""

    ham: int
    junk: int
    junk_found: int
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
        """Return everything, for JSON."""
        return {**asdict(self), "precision": self.precision, "recall": self.recall}


@value_class(frozen=True, slots=True)
class Measured:
    """What came out."""

    words: SampleOutcome
    """By the classifier alone."""
    signs: SampleOutcome
    """By what the message itself gives away: a fresh installation."""
    together: SampleOutcome
    """By the sum of both."""
    junk_undecided: int
    """The classifier said nothing of so much junk."""
    ham_undecided: int

    def to_dict(self) -> dict[str, object]:
        """Return everything, for JSON."""
        return {
            **self.words.to_dict(),
            "junk_undecided": self.junk_undecided,
            "ham_undecided": self.ham_undecided,
            "signs": self.signs.to_dict(),
            "together": self.together.to_dict(),
        }


@value_class(frozen=True, slots=True)
class _Mail:
    name: str
    is_junk: bool
    fold: int
    tokens: frozenset[str]
    signs: tuple[Reason, ...]
    opinion: WordsOpinion = UNDECIDED


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
        _read(name, message, is_junk, number % folds)
        for is_junk, group in ((False, ham), (True, junk))
        for number, (name, message) in enumerate(group)
    ]
    judged: list[_Mail] = []
    for fold in range(folds):
        words = learn_words([(one.is_junk, one.tokens) for one in mails if one.fold != fold])
        judged += [
            replace(one, opinion=classify(one.tokens, words)) for one in mails if one.fold == fold
        ]
    return _summarise(judged)


def _read(name: str, message: bytes, is_junk: bool, fold: int) -> _Mail:
    facts = facts_of_file(message, 0)
    # It came when it was written: an old sample is not held against it.
    date_ms = parse_date(find_value(facts.fields, b"date") or b"")
    facts = replace(facts, now_ms=date_ms or 0)
    view = view_of(facts)
    protected = Protected([one.domain for one in facts.recipients])
    return _Mail(name, is_junk, fold, find_tokens(view), tuple(look_inside(view, facts, protected)))


def learn_words(lessons: Sequence[tuple[bool, frozenset[str]]]) -> dict[str, float]:
    """Return what the classifier knows after these mails.

    Args:
        lessons: whether it is junk, and its tokens.
    """
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


def _summarise(mails: Sequence[_Mail]) -> Measured:
    undecided = [one.is_junk for one in mails if HAM_TO < one.opinion.probability < JUNK_FROM]
    return Measured(
        words=_count(mails, [_misled_by(one) for one in mails]),
        signs=_count(mails, [_signals(one.signs) for one in mails]),
        together=_count(
            mails,
            [_signals((*one.signs, *reasons_of(one.opinion, own=True))) for one in mails],
        ),
        junk_undecided=sum(undecided),
        ham_undecided=len(undecided) - sum(undecided),
    )


def _misled_by(one: _Mail) -> tuple[str, ...] | None:
    return one.opinion.junk_words if one.opinion.probability >= JUNK_FROM else None


def _signals(reasons: Sequence[Reason]) -> tuple[str, ...] | None:
    """Return the signals that make it junk; ``None``: it is none."""
    verdict = decide(reasons, Thresholds())
    if verdict.action is Action.ACCEPT:
        return None
    return tuple([one.signal for one in verdict.reasons if one.weight > 0][:5])


def _count(mails: Sequence[_Mail], why_junk: Sequence[tuple[str, ...] | None]) -> SampleOutcome:
    called = list(zip(mails, why_junk, strict=True))
    return SampleOutcome(
        ham=sum([not one.is_junk for one in mails]),
        junk=sum([one.is_junk for one in mails]),
        junk_found=sum([one.is_junk and why is not None for one, why in called]),
        false_positives=tuple(
            [Mistake(one.name, why) for one, why in called if why is not None and not one.is_junk]
        ),
    )
