"""Names made to be taken for other names (Unicode TR 39)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.check.content.lookalike import (
    Imitated,
    has_direction_control,
    has_turning_control,
    is_in_false_letters,
    is_mixed,
    is_one_off,
    skeleton,
)
from zajil.core.domain import to_ascii

OURS = ("north.test", "xn--mgbai6l.test")


@pytest.mark.parametrize(
    "domain",
    [
        "n0rth.test",
        "nortn.test",
        "nrth.test",
        "norht.test",
        "nnorth.test",
        "north-test.com",
        "north.test.evil.example",
        "xn--nrth-55d.test",  # a Cyrillic o
        "login.north-test.example",
        "login-north-test.example",
        "n0rth-mail.example",
        "mail.noorth.test",
    ],
)
def test_imitations_of_a_domain(domain: str) -> None:
    assert Imitated(OURS).find(domain) == "north.test"


@pytest.mark.parametrize(
    "domain",
    [
        "north.test",
        "mail.north.test",
        "south.test",
        "example.com",
        "northern.example",
        "orth.test2",
        "north.example",  # the same word, under another ending
        "north-face.example",
    ],
)
def test_other_names_are_other_names(domain: str) -> None:
    assert Imitated(OURS).find(domain) is None


def test_rn_is_m() -> None:
    assert Imitated(["modern.test"]).find("rnodern.test") == "modern.test"


def test_an_idn_of_ours_is_not_an_imitation_of_itself() -> None:
    assert Imitated(OURS).find("xn--mgbai6l.test") is None


def test_whole_script_confusables() -> None:
    """A name in Cyrillic alone that reads as a Latin one."""
    assert Imitated(["ape.example"]).find(to_ascii("аре.example")) == "ape.example"
    assert skeleton("аре") == skeleton("ape")


def test_brands_are_imitated_in_false_letters_only() -> None:
    """One letter more or less is a word of its own somewhere; a digit for a letter is not."""
    known = Imitated((), ["paypal.com", "apple.com", "amazon.com", "netflix.com"])
    for domain in (
        "netfl1x-billing.example",
        "paypa1.com",
        "paypa1-secure.example",
        "paypal.com.verify.example",
        "account-paypal-com.example",
        "xn--pypal-4ve.com",  # a Cyrillic a
        "xn--80ak6aa92e.com",  # apple in Cyrillic alone
    ):
        assert known.find(domain), domain
    for domain in ("apply.com", "ample.com", "amazon.com.au", "paypal.me", "mail.paypal.com"):
        assert known.find(domain) is None, domain


def test_a_label_in_its_own_letters_is_no_imitation() -> None:
    assert Imitated(["cloud.test"]).find("cloud.example") is None
    assert Imitated(["cloud.test"]).find("cl0ud.example") == "cloud.test"


def test_looking_up_costs_the_same_however_many_are_protected() -> None:
    """A provider has thousands of domains; a mail has hundreds of links."""
    looked: list[int] = []
    for count in (1, 10, 10_000):  # the first warms caches that all share
        imitated = Imitated([f"domain{number}.test" for number in range(count)])
        with counting_calls() as calls:
            imitated.find("something-else.example.com")
        looked.append(calls[0])
    assert looked[2] == looked[1]


@contextmanager
def counting_calls() -> Iterator[list[int]]:
    """Count calls of functions, Python's and built-in ones."""
    calls = [0]

    def count(_frame: object, event: str, _arg: object) -> None:
        calls[0] += event in ("call", "c_call")

    skeleton.cache_clear()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def test_domains_in_false_letters() -> None:
    assert is_in_false_letters(to_ascii("pаypal.com"))
    assert is_in_false_letters(to_ascii("аррӏе.com"))
    for honest in ("paypal.com", "пример.рф", "زاجل.test", "пример.com", "müller.de", "日本.jp"):
        assert not is_in_false_letters(to_ascii(honest)), honest


def test_mixed_scripts() -> None:
    assert is_mixed("pаypal")  # a Cyrillic a
    assert not is_mixed("أمل Amal")
    assert not is_mixed("أملAmal")
    assert not is_mixed("日本ゴgo")
    assert not is_mixed("Müller")


def test_direction_controls() -> None:
    assert has_direction_control("gpj.\u202eexe")
    assert not has_direction_control("سلام\u200f")
    assert not has_direction_control("plain")


def test_controls_that_honest_text_has() -> None:
    """Programs put embeddings and isolates around names in Arabic sentences."""
    assert not has_turning_control("\u202bكتب \u202aAmal\u202c إليك\u202c")
    assert not has_turning_control("\u2068Amal Haddad\u2069 wrote to you")
    assert has_turning_control("moc.knab\u202e")
    assert has_turning_control("\u2067moc.knab")
    assert has_turning_control("كتب \u202eاسم")


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(one)
    assert is_one_off(one, other) == is_one_off(other, one)
    is_mixed(one)
