"""Modified UTF-7 both ways, and patterns of LIST."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.imap.mailbox_name import (
    BadMailboxName,
    ListPattern,
    decode_name,
    encode_name,
    normal_name,
)


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),  # RFC 3501 section 5.1.3
        (b"A&-B", "A&B"),
        (b"inbox", "INBOX"),
        (b"InBox/a", "INBOX/a"),
        (b"inboxes", "inboxes"),
        (b"foo/", "foo"),
        (b"&2D3cMA-", "\U0001f430"),
    ],
)
def test_decode(wire: bytes, name: str | None) -> None:
    if name is None:
        with pytest.raises(BadMailboxName):
            decode_name(wire)
    else:
        assert decode_name(wire) == name


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"/",
        b"a//b",
        b"/a",
        b"&",
        b"&Jjo",
        b"&Jjo!",
        b"&AGE-",  # "a", which must stand as it is
        b"&Jjo-&Jjo-",  # must be shifted once
        b"&2D0-",  # half a character
        b"\xd9\x85",
        b"a*",
        b"a%b",
        b"&AAo-",  # LF
        b"x" * 256,
        b"/".join([b"x"] * 17),
    ],
)
def test_not_a_name(wire: bytes) -> None:
    with pytest.raises(BadMailboxName):
        decode_name(wire)


NAMES = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="*%/"),
    min_size=1,
    max_size=20,
)


@given(NAMES)
def test_round_trip(name: str) -> None:
    kept = normal_name(name)
    assert decode_name(encode_name(kept)) == kept
    assert unicodedata.is_normalized("NFC", kept)
    assert encode_name(kept).isascii()


@given(st.binary(max_size=40))
def test_decoding_raises_nothing_else(wire: bytes) -> None:
    try:
        name = decode_name(wire)
    except BadMailboxName:
        return
    assert decode_name(encode_name(name)) == name


@given(
    st.text(alphabet="ab/*%", max_size=8).map(str.encode),
    st.text(alphabet="ab/", max_size=8).map(str.encode),
)
def test_patterns_mean_what_a_regular_expression_would(pattern: bytes, name: bytes) -> None:
    regex = b"".join({42: b".*", 37: b"[^/]*"}.get(char, bytes([char])) for char in pattern)
    assert ListPattern(pattern).matches(name) == bool(re.fullmatch(regex, name, re.DOTALL))


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        (b"inbox", b"INBOX", True),
        (b"InBoX/%", b"INBOX/x", True),
        (b"inb*", b"INBOX", True),
        (b"sent", b"Sent", False),
        (b"\xff*", b"Sent", False),
    ],
)
def test_pattern(pattern: bytes, name: bytes, matches: bool) -> None:
    assert ListPattern(pattern).matches(name) is matches


def test_no_pattern_takes_long() -> None:
    """CVE-2021-40110, CVE-2026-33607: a pattern that a backtracking matcher never finishes."""
    pattern = ListPattern(b"%*a" * 2000 + b"b")
    assert not pattern.matches(b"a" * 255)
    assert not ListPattern(b"%a" * 4000 + b"b").matches(b"a" * 255)
