"""Work for ``mailauth.py`` beside signatures: what a mail says itself, and what its words say."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from kit.facts import make_facts
from zajil.check.content.phishing import Protected
from zajil.check.content.run import look_inside, view_of
from zajil.check.learned.classifier import classify, telling_words
from zajil.check.learned.tokens import find_tokens

Work = Callable[[], object]

ODD = Path(__file__).parent.parent / "corpus" / "odd"
_LETTERS = {"en": "abcdefghijklmnoprstuvwy", "ar": "ابتجحخدرزسشصطعغفقكلمنهوي"}
_OURS = Protected(["north.test"], "amal nasser".__eq__, ["bank.example"])


def content_work(message: bytes) -> Work:
    """Form, build, deceit and files of one mail, its parse included."""
    facts = make_facts(message)

    def work() -> object:
        return look_inside(view_of(facts), facts, _OURS)

    return work


def words_work(language: str, size: int, known: int = 40_000) -> Work:
    """The tokens of a mail of made-up words, and their judgement by a model of so many words."""
    chance = random.Random(language)
    letters = _LETTERS[language]
    words = ["".join(chance.choices(letters, k=chance.randint(3, 9))) for _ in range(known)]
    model = telling_words(
        [(word, number % 7, number % 5) for number, word in enumerate(words)], 7, 5
    )
    text, count = "", 0
    while count < size:
        text += chance.choice(words) + chance.choice([" ", " ", " ", ", ", ".\r\n"])
        count = len(text.encode())
    facts = make_facts(
        b"From: Amal <amal@north.test>\r\nSubject: hello\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()
    )

    def work() -> object:
        return classify(find_tokens(view_of(facts)), model)

    return work


def sample(name: str) -> bytes:
    """Give a mail of the made corpus that was written by hand."""
    return (ODD / f"{name}.eml").read_bytes().replace(b"\n", b"\r\n")
