from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.charset import decode_text, find_codec


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("windows-1256", "cp1256"), ("CP1256", "cp1256"), ("iso-8859-6", "iso8859-6"),
     ("ISO_8859-6", "iso8859-6"), ("asmo-708", "iso8859-6"), ("utf-8", "utf-8"),
     ("cp864", "cp864"), ("x-mac-arabic", "mac-arabic"), ("dos-720", "cp720")],
)  # fmt: skip
def test_arabic_text_survives_its_charsets(charset: str, codec: str) -> None:
    assert find_codec(charset) == codec
    data = "سلام".encode("cp1256" if codec in ("cp864", "cp720") else codec)
    if codec not in ("cp864", "cp720"):
        assert decode_text(data, charset) == "سلام"


@pytest.mark.parametrize("charset", ["punycode", "utf-7", "idna", "hex", "zip", "rot13",
                                     "unicode_escape", "x" * 1000, "", "\x00"])  # fmt: skip
def test_codecs_that_are_no_charsets_are_not_run(charset: str) -> None:
    """``punycode`` is quadratic, ``utf-7`` hides text from filters."""
    assert find_codec(charset) is None
    assert decode_text(b"+ADw-", charset) == "+ADw-"


def test_unlabelled_text_is_utf_8_or_windows_1252() -> None:
    assert decode_text("سلمى".encode()) == "سلمى"
    assert decode_text("سلمى".encode(), "us-ascii") == "سلمى"
    assert decode_text(b"caf\xe9") == "café"
    assert decode_text(b"\x93x\x94", "iso-8859-1") == "“x”"


def test_truncated_and_overlong_utf_8_become_replacement_characters() -> None:
    """CVE-2020-7046; overlong forms must not become the character they hide (attacks I)."""
    assert decode_text("سل".encode()[:3], "utf-8") == "س\ufffd"
    assert "/" not in decode_text(b"\xc0\xaf", "utf-8")


@given(st.binary(max_size=200), st.text(max_size=20) | st.sampled_from(
    ["utf-8", "utf-16", "windows-1256", "iso-2022-jp", "iso-2022-kr", "big5", "gb2312", "euc-jp",
     "shift_jis", "ks_c_5601-1987", "tis-620", "iso-8859-16", "koi8-r", "macintosh", "ibm437"]
))  # fmt: skip
def test_any_bytes_in_any_charset_are_text(data: bytes, charset: str) -> None:
    decode_text(data, charset).encode("utf-8")
