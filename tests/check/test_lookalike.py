"""Names made to be taken for other names (Unicode TR 39)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.check.lookalike import (
    has_direction_control,
    imitated,
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
    ],
)
def test_imitations_of_a_domain(domain: str) -> None:
    assert imitated(domain, OURS) == "north.test"


@pytest.mark.parametrize(
    "domain",
    [
        "north.test",
        "mail.north.test",
        "south.test",
        "example.com",
        "northern.example",
        "orth.test2",
    ],
)
def test_other_names_are_other_names(domain: str) -> None:
    assert imitated(domain, OURS) is None


def test_rn_is_m() -> None:
    assert imitated("rnodern.test", ("modern.test",)) == "modern.test"


def test_an_idn_of_ours_is_not_an_imitation_of_itself() -> None:
    assert imitated("xn--mgbai6l.test", OURS) is None


def test_whole_script_confusables() -> None:
    """A name in Cyrillic alone that reads as a Latin one."""
    assert imitated(to_ascii("аре.example"), ("ape.example",)) == "ape.example"
    assert skeleton("аре") == skeleton("ape")


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


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(one)
    assert is_one_off(one, other) == is_one_off(other, one)
    is_mixed(one)
