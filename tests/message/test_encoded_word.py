from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.encoded_word import MAX_WORD, decode_words, encode_words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RFC 2047 section 8.
        ("=?ISO-8859-1?Q?a?=", "a"),
        ("=?ISO-8859-1?Q?a?= b", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a_b?=", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        ("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),  # RFC 2231 section 5
        ("=?windows-1256?B?09HHoQ==?=", "سرا،"),
        ("=?utf-8?B?2LPZhA==?= =?utf-8?B?2YXZiQ==?=", "سلمى"),
        ("x =?utf-8?Q?=D8=B3?= y", "x س y"),
        ("=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        ("=?utf-8?Q?open", "=?utf-8?Q?open"),
        ("=?utf-8?Q?=D8=B3?==?utf-8?Q?=D9=84?=", "سل"),
        ("=?utf-8?B?2LPZ?= =?UTF-8?B?hA==?=", "سل"),
        ("=?utf-8?B?2LPZh?= =?utf-8?B?A==?=", "سل"),  # cut inside a group of four
        ("=?utf-8?B?2LM?= =?utf-8?Q?=D9=84?=", "سل"),
        ("=?utf-8*ar?Q?=d8=b3?=", "س"),
        ("=?utf-8?Q?two words=\tx?=", "two words=\tx"),
        ("=?utf-8?B?2LPZ\r\n hA==?=", "سل"),
        ("=?utf-8?Q?a?= =?utf-8?Q?broken", "a =?utf-8?Q?broken"),
        ("=?nonsense?Q?=D8=B3?=", "س"),
    ],
)
def test_decoding(value: str, text: str) -> None:
    assert decode_words(value) == text


def test_a_character_cut_between_words_is_whole_again() -> None:
    """Attacks I: encoded-word splits. Both halves are joined before they become text."""
    octets = "س".encode()
    value = f"=?utf-8?Q?={octets[0]:02X}?=\r\n =?utf-8?Q?={octets[1]:02X}?="
    assert decode_words(value.encode()) == "س"


def test_raw_utf_8_is_text() -> None:
    """RFC 6532 section 3.2."""
    assert decode_words("تحية".encode()) == "تحية"


@given(st.text(max_size=300))
def test_what_was_encoded_decodes_to_itself(text: str) -> None:
    words = encode_words(text)
    assert all(len(word) <= MAX_WORD for word in words)
    assert all(word.isascii() for word in words)
    joined = "\r\n ".join(words)
    assert decode_words(joined) == text.encode("utf-8", "replace").decode()


@given(st.text(alphabet="=?utf8QBqb_ \r\n-*+/AZ09س", max_size=200) | st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    assert isinstance(decode_words(text), str)
    decode_words(text.encode("utf-8", "replace"))


@pytest.mark.parametrize("word", ["=?utf-8?Q?\udc80?=", "=?utf-8?B?\udc80AA?=", "\udc80"])
def test_half_a_character_does_not_make_it_raise(word: str) -> None:
    assert isinstance(decode_words(word), str)


@given(st.text(alphabet="سلام ab", min_size=1, max_size=40), st.data())
def test_words_may_be_cut_anywhere(text: str, data: st.DataObject) -> None:
    octets = text.encode()
    cut = data.draw(st.integers(0, len(octets)))
    both = [base64.b64encode(half).decode() for half in (octets[:cut], octets[cut:])]
    assert decode_words(" ".join(f"=?utf-8?B?{half}?=" for half in both)) == text
    whole = base64.b64encode(octets).decode().rstrip("=")
    cut = data.draw(st.integers(0, len(whole)))
    both = [whole[:cut], whole[cut:]]
    assert decode_words(" ".join(f"=?utf-8?B?{half}?=" for half in both)) == text


def test_endless_beginnings_of_words_take_linear_time() -> None:
    for bomb in ("=?" * 500_000, "=?a?b?" * 150_000, "=?utf-8?q?" + "x" * 1_000_000,
                 "=?utf-8?q?a?= " * 70_000):  # fmt: skip
        decode_words(bomb)
