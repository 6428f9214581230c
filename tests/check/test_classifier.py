"""The arithmetic of the classifier, and the sentence it gives."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.check.learned.classifier import (
    MAX_WORDS,
    WordsOpinion,
    classify,
    telling_words,
    word_probability,
)
from zajil.check.learned.model import reasons_of


def test_a_new_word_says_nothing_and_a_rare_one_little() -> None:
    assert word_probability(0, 0, 10, 10) == 0.5
    once, often = word_probability(1, 0, 100, 100), word_probability(50, 0, 100, 100)
    assert 0.8 < once < often < 1.0


def test_the_share_of_mails_counts_not_their_number() -> None:
    """Ten times as much ham was trained: a word in a tenth of each says nothing."""
    assert word_probability(10, 100, 100, 1000) == pytest.approx(0.5)


def test_much_of_both_is_undecided() -> None:
    words = {f"j{n}": 0.99 for n in range(40)} | {f"h{n}": 0.01 for n in range(40)}
    assert classify(words, words).probability == pytest.approx(0.5, abs=0.01)
    assert classify([f"j{n}" for n in range(40)], words).probability > 0.99
    assert classify([f"h{n}" for n in range(40)], words).probability < 0.01
    assert classify(["unheard-of"], words).probability == 0.5


def test_only_the_strongest_words_are_weighed() -> None:
    """Attack: a thousand harmless words behind the advertisement."""
    words = {f"weak{n}": 0.38 for n in range(1000)} | {f"j{n}": 0.999 for n in range(MAX_WORDS)}
    assert classify(words, words).probability > 0.99


def test_the_words_are_told() -> None:
    words = telling_words([("pills", 9, 0), ("the", 9, 9), ("agenda", 0, 9)], 10, 10)
    assert set(words) == {"pills", "agenda"}
    opinion = classify({"pills", "the", "agenda"}, words)
    assert (opinion.junk_words, opinion.ham_words) == (("pills",), ("agenda",))


def test_a_reason_weighs_by_certainty() -> None:
    (sure,) = reasons_of(WordsOpinion(1.0, ("subject:pills", "link:a.example")), own=False)
    (hint,) = reasons_of(WordsOpinion(0.86, ("pills",)), own=False)
    assert sure.text == (
        "Its words appear mostly in junk mail on this server: “pills”, “a.example”."
    )
    assert 1.0 < hint.weight < 1.5 < sure.weight == 4.0
    assert reasons_of(WordsOpinion(0.5), own=False) == ()
    (ham,) = reasons_of(WordsOpinion(0.0, (), ("agenda",)), own=True)
    assert (ham.signal, ham.weight) == ("words.own-ham", -3.0)


@given(st.lists(st.floats(0.0001, 0.9999), max_size=400))
def test_it_is_always_a_probability(values: list[float]) -> None:
    words = {str(number): value for number, value in enumerate(values)}
    opinion = classify(words, words)
    assert 0.0 <= opinion.probability <= 1.0
    assert not math.isnan(opinion.probability)
