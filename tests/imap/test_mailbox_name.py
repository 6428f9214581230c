"""Modified UTF-7 both ways, and patterns of LIST."""

from __future__ import annotations

import base64
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
        (b"percent%mailbox", "percent%mailbox"),  # RFC 3501 section 5.1, item 3
        (b"a*/%", "a*/%"),
        (b"&ACoAJQ-", "*%"),
        (b"cafe&AwE-", "caf\u00e9"),
        (b"&AGE-", "a"),  # encoded without need: the same name
        (b"a&AC8-b", "a/b"),
        (b"&Jjo-&Jjo-", "\u263a\u263a"),
        (b"&ZQ0-&ACY-&-", "\u650d&&"),
    ],
)
def test_decode(wire: bytes, name: str) -> None:
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
        b"&Jjp-",  # bits that belong to no character
        b"&Jg-",  # half a code unit
        b"&2D0-&3DA-",  # a surrogate pair in two shifts
        b"&2D0-",  # half a character
        b"\xd9\x85",
        b"&AAo-",  # LF
        b"x" * 256,
        b"/".join([b"x"] * 17),
    ],
)
def test_not_a_name(wire: bytes) -> None:
    with pytest.raises(BadMailboxName):
        decode_name(wire)


NAMES = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="/"),
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
    st.text(alphabet="ab/*%", max_size=8),
    st.text(alphabet="ab/*%", max_size=8),
)
def test_patterns_mean_what_a_regular_expression_would(pattern: str, name: str) -> None:
    regex = "".join({"*": ".*", "%": "[^/]*"}.get(char, char) for char in pattern)
    assert ListPattern(pattern.encode()).matches(name) == bool(re.fullmatch(regex, name, re.DOTALL))


@given(NAMES, st.booleans(), st.booleans())
def test_a_name_is_listed_in_every_form_that_selects_it(
    name: str, composed: bool, odd: bool
) -> None:
    """Composed or not, with needless shifts or without: LIST takes what SELECT takes."""
    text = unicodedata.normalize("NFC" if composed else "NFD", name)
    wire = b"".join(map(shift_alone, text)) if odd else encode_name(text)
    assert decode_name(wire) == normal_name(name)
    assert ListPattern(wire).matches(normal_name(name))


def shift_alone(char: str) -> bytes:
    """Encode a character as modified UTF-7 without need."""
    encoded = base64.b64encode(char.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
    return b"&" + encoded + b"-"


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        (b"inbox", "INBOX", True),
        (b"InBoX/%", "INBOX/x", True),
        (b"InBoX/%", "INBOX/X", True),
        (b"inbox/x", "INBOX/X", False),
        (b"inb*", "INBOX", True),
        (b"%box", "INBOX", True),
        (b"i%x", "INBOX", True),
        (b"inb*", "inbound", True),
        (b"in%", "invoices", True),
        (b"INV*", "invoices", False),
        (b"inbox*", "inboxes", True),
        (b"INBOX*", "inboxes", False),
        (b"sent", "Sent", False),
        (b"\xff*", "Sent", False),
        (b"cafe&AwE-", "caf\u00e9", True),
        (b"*e&AwE-/%", "caf\u00e9/x", True),
        (b"&AGMAYQBm-&AOk-", "caf\u00e9", True),
        (b"caf&AOk*", "caf\u00e9", False),  # a shift that is not closed
        (b"percent%mailbox", "percent%mailbox", True),
        (b"percent%mailbox", "percent-mailbox", True),
        (b"percent&ACU-mailbox", "percent%mailbox", True),
        (b"percent&ACU-mailbox", "percent-mailbox", False),
        (b"a&ACo-", "a*", True),
        (b"a&ACo-", "ab", False),
        (b"&AAA-", "a", False),
        (b"&AAE-", "a", False),
    ],
)
def test_pattern(pattern: bytes, name: str, matches: bool) -> None:
    assert ListPattern(pattern).matches(name) is matches


def test_no_pattern_takes_long() -> None:
    """CVE-2021-40110, CVE-2026-33607: a pattern that a backtracking matcher never finishes."""
    for repeated in (b"%*a", b"%a", b"*", b"%", b"a"):
        for count in (120, 2000, 300_000):
            assert not ListPattern(repeated * count + b"b").matches("a" * 255)
