"""Header fields in canonical form (RFC 6376 section 3.4.1, 3.4.2 and 5.4.2)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.mailauth.dkim_canon import SignedHeader, relaxed_field, simple_field
from zajil.message.fields import read_fields


@pytest.mark.parametrize(
    ("raw", "relaxed"),
    [
        (b"A: X\r\n", b"a:X"),
        (b"B : Y\t\r\n\tZ  \r\n", b"b:Y Z"),
        (b"SubJect:\r\n\r\n", b"subject:"),
        (b"x: a\x0bb \x0c c\r\n", b"x:a\x0bb \x0c c"),
        (b"x: a\rb\r\n\t \r\n c\r\n", b"x:a\rb c"),
        (b"x: a\n b\n", b"x:a b"),
        ("x:  سلام \r\n".encode(), "x:سلام".encode()),
    ],
)
def test_relaxed(raw: bytes, relaxed: bytes) -> None:
    """The first two are those of RFC 6376 section 3.4.5."""
    header = SignedHeader(raw, read_fields(raw))
    assert header.canonical(header.fields[0], "relaxed") == relaxed + b"\r\n"
    assert relaxed_field(header.fields[0].name, header.fields[0].value) == relaxed


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n ", b"a", b"\x0b", b"\r"])).map(b"".join))
def test_relaxed_word_for_word(value: bytes) -> None:
    unfolded = value.replace(b"\r\n", b"")
    assert relaxed_field(b"x", value) == b"x:" + re.sub(rb"[ \t]+", b" ", unfolded).strip(b" ")


def test_simple() -> None:
    assert simple_field(b"A : x \r\n\ty  \r\n") == b"A : x \r\n\ty  "
    assert simple_field(b"A: x\n y\n") == b"A: x\r\n y"
    assert simple_field(b"A: x") == b"A: x"


HEADER = b"A: 1\r\nB: 2\r\nA: 3\r\nS: v=1; b = x\r\n y ;c=2\r\nA: 4\r\n"


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ([b"a"], [b"4"]),
        ([b"a", b"b", b"a", b"a", b"a"], [b"4", b"2", b"3", b"1"]),
        ([b"z", b"b", b"b"], [b"2"]),
        ([b"s", b"s"], []),
        ([], []),
    ],
)
def test_select(names: list[bytes], values: list[bytes]) -> None:
    header = SignedHeader(HEADER, read_fields(HEADER))
    found = header.select(names, header.fields[3])
    assert [field.value.strip() for field in found] == values
    assert header.count(b"a") == 3
    assert header.count(b"z") == 0


def test_the_value_of_the_signature_goes() -> None:
    """RFC 6376 section 3.7: and the white space around it."""
    header = SignedHeader(HEADER, read_fields(HEADER))
    field = header.fields[3]
    start = field.value.index(b"=", 5) + 1
    end = field.value.rindex(b";")
    assert header.without_value(field, start, end, "simple") == b"S: v=1; b =;c=2"
    assert header.without_value(field, start, end, "relaxed") == b"s:v=1; b =;c=2"
    assert header.without_value(field, start, len(field.value), "simple") == b"S: v=1; b ="
