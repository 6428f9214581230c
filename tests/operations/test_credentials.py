"""Every address gets an ASCII log-in name."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.core.login_name import parse_login
from zajil.operations.credentials import (
    LONGEST,
    BadPassword,
    choose_login,
    generate_password,
    hash_password,
)


@pytest.mark.parametrize(
    ("local_part", "login"),
    [
        ("amal", "amal"),
        ("Amal.S", "amal.s"),
        ("سلمى", "slma"),
        ("أحمد", "ahmd"),
        ("José", "jose"),
        ("小明", "user"),
        ("a+b c", "abc"),
        (".", "user"),
    ],
)
def test_a_login_resembles_the_local_part(local_part: str, login: str) -> None:
    assert choose_login(local_part, lambda _: False) == login


def test_a_taken_login_gets_a_number() -> None:
    assert choose_login("amal", lambda login: login in {"amal", "amal2"}) == "amal3"


@given(st.text(max_size=70))
def test_a_login_is_always_made(local_part: str) -> None:
    login = choose_login(local_part, lambda _: False)
    assert parse_login(login) == login


def test_a_made_up_password_is_long_and_random() -> None:
    first, second = generate_password(os.urandom), generate_password(os.urandom)
    assert first != second
    assert [len(group) for group in first.split("-")] == [4, 4, 4, 4, 4]


def test_no_letter_is_likelier_than_another() -> None:
    """Bytes that would make some letters come more often are not used."""
    blocks: Iterator[bytes] = iter([bytes([255] * 32), bytes(range(32))])
    assert generate_password(lambda _: next(blocks)).startswith("abcd-efgh-")


@pytest.mark.parametrize("password", ["", "1234567", "x" * (LONGEST + 1)])
def test_a_password_has_a_length(password: str) -> None:
    with pytest.raises(BadPassword):
        hash_password(password)
