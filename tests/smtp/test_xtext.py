"""xtext and UTF-8 addresses: round trips, and nothing that could become a line end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.smtp import grammar
from zajil.smtp.xtext import (
    BadXtext,
    decode_original_recipient,
    decode_xtext,
    encode_original_recipient,
    encode_xtext,
)

TEXT = st.text().filter(lambda text: grammar.CONTROL.search(text) is None)


@given(TEXT)
def test_what_was_encoded_reads_back(text: str) -> None:
    """RFC 3461 section 4."""
    encoded = encode_xtext(text)
    assert encoded.isascii()
    assert not {*encoded} & {*"= \r\n\0"}
    assert decode_xtext(encoded) == text


@given(TEXT.filter(bool))
def test_a_utf8_address_reads_back(text: str) -> None:
    """RFC 6533 section 3."""
    encoded = encode_original_recipient(f"utf-8;{text}")
    assert encoded.isascii()
    assert not {*encoded} & {*"= +\r\n\0"}
    if len(encoded) <= 500:
        assert decode_original_recipient(encoded) == f"utf-8;{text}"


@given(st.text(alphabet="+0123456789ABCDEFabcdefx{};\\= \r\nسé") | st.text())
def test_no_text_makes_it_raise_anything_else(text: str) -> None:
    for decode in (decode_xtext, decode_original_recipient):
        for given_text in (text, f"utf-8;{text}", f"rfc822;{text}"):
            try:
                value = decode(given_text)
            except BadXtext:
                continue
            assert grammar.CONTROL.search(value) is None


@pytest.mark.parametrize("text", ["a\r\nRCPT TO:<b@c>", "\0", "\x85", "\u2028"])
def test_a_control_character_is_not_written(text: str) -> None:
    with pytest.raises(BadXtext):
        encode_xtext(text)
    with pytest.raises(BadXtext):
        encode_original_recipient(f"rfc822;{text}")


@pytest.mark.parametrize("value", ["nobody@example.org", ";a", "x 400;a", "rfc822;", "x;سلمى"])
def test_what_is_no_original_recipient_is_not_written(value: str) -> None:
    with pytest.raises(BadXtext):
        encode_original_recipient(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rfc822;Bob+2Bx@example.org", "rfc822;Bob+x@example.org"),
        ("UTF-8;\\x{633}@example.org", "UTF-8;س@example.org"),
        ("utf-8;س@example.org", "utf-8;س@example.org"),
        ("utf-8;a\\x{2B}b@example.org", "utf-8;a+b@example.org"),
        ("x400;/G=A/S=B", "x400;/G=A/S=B"),
        ("rfc822;+D8+B3@example.org", "utf-8;س@example.org"),
        ("rfc822;س@example.org", "utf-8;س@example.org"),
    ],
)
def test_original_recipients(text: str, value: str) -> None:
    if "=" in text:
        with pytest.raises(BadXtext):
            decode_original_recipient(text)
        text = text.replace("=", "+3D")
    assert decode_original_recipient(text) == value
