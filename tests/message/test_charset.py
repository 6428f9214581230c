from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.charset import decode_text, find_codec
from zajil.message.html_charset import MAX_HEAD, find_charset_names


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


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("x-cp1256", "cp1256"), ("win-1256", "cp1256"), ("MS-ARAB", "cp1256"),
     ("ISO_8859-6:1987", "iso8859-6"), ("iso-ir-127", "iso8859-6"),
     ("csISOLatinArabic", "iso8859-6"),
     ("iso-8859-6-i", "iso8859-6"), ("ISO-8859-8-I", "iso8859-8"), ("utf8", "utf-8"),
     ("UTF 8", "utf-8"), ("'utf-8'", "utf-8"), ("unicode-1-1-utf-8", "utf-8"),
     ("ks_c_5601-1987", "cp949"), ("gb2312", "gb18030"), ("GB_2312-80", "gb18030"),
     ("shift_jis", "cp932"), ("x-x-big5", "big5hkscs"), ("latin-1", "cp1252"),
     ("iso-8859-9", "cp1254"), ("866", "cp866"), ("IBM-864", "cp864"), ("csKOI8R", "koi8-r")],
)  # fmt: skip
def test_a_charset_has_many_names(charset: str, codec: str) -> None:
    assert find_codec(charset) == codec


@pytest.mark.parametrize("charset", ["punycode", "utf-7", "idna", "hex", "zip", "rot13",
                                     "unicode_escape", "raw-unicode-escape",
                                     "base64", "quopri", "undefined", "mbcs", "utf_7", "x" * 1000,
                                     "", "\x00"])  # fmt: skip
def test_codecs_that_are_no_charsets_are_not_run(charset: str) -> None:
    """``punycode`` is quadratic, ``utf-7`` hides text from filters."""
    assert find_codec(charset) is None
    assert decode_text(b"+ADw-", charset) == "+ADw-"


def test_unlabelled_text_is_utf_8_or_windows_1252() -> None:
    assert decode_text("سلمى".encode()) == "سلمى"
    assert decode_text("سلمى".encode(), "us-ascii") == "سلمى"
    assert decode_text(b"caf\xe9") == "café"
    assert decode_text(b"\x93x\x94", "iso-8859-1") == "“x”"


_GREETING = "مرحبا بالعالم"


@pytest.mark.parametrize(
    "meta",
    ['<meta charset="windows-1256">', "<META CHARSET=cp1256 />", "<meta charset = 'x-cp1256'>",
     '<html><head><meta http-equiv="Content-Type" content="text/html; charset=windows-1256">',
     "<meta content='text/html;charset=windows-1256' http-equiv=Content-Type>",
     '<!-- <meta charset="koi8-r"> --><meta charset="windows-1256">',
     '<meta charset="no-such"><meta name=x><meta\ncharset="windows-1256">',
     '<!--><meta charset="windows-1256">', "<!DOCTYPE html><meta/charset=windows-1256/>",
     '<meta name="description" content="charset=koi8-r"><meta charset="windows-1256">',
     '<p title="<meta charset=koi8-r>"></meta charset=koi8-r><meta charset="windows-1256">',
     '<meta charset="windows-1256" charset="koi8-r">', "<!x <y><meta charset=windows-1256>",
     f'<meta data-x="{"y" * 600}" http-equiv=Content-Type content="a; charset=windows-1256">',
     f'<html><head><style>{"p{}" * 2000}</style><meta charset="windows-1256"></head>',
     '<?xml version="1.0" encoding="windows-1256"?><html>',
     '<?xml version="1.0" encoding="koi8-r"?><meta charset="windows-1256">'],
)  # fmt: skip
def test_html_says_its_charset_itself(meta: str) -> None:
    """HTML standard, section 13.2.3.2; a charset parameter comes first where there is one."""
    data = f"{meta}<p>{_GREETING}".encode("cp1256")
    assert decode_text(data, is_html=True).endswith(_GREETING)
    assert decode_text(data, "us-ascii", is_html=True).endswith(_GREETING)
    assert not decode_text(data, "iso-8859-1", is_html=True).endswith(_GREETING)
    assert not decode_text(data).endswith(_GREETING)


def test_html_without_a_word_of_its_charset() -> None:
    assert decode_text(_GREETING.encode(), is_html=True) == _GREETING
    assert decode_text(b"caf\xe9", is_html=True) == "café"
    late = b"<p>" + b" " * 2000 + b"<meta charset=windows-1256>\xe3"
    assert decode_text(late, is_html=True).endswith("ã")
    for other in (
        "<!-- <meta charset=windows-1256>",
        "< meta charset=windows-1256>",
        "<meta charset=",
    ):
        assert decode_text(other.encode() + b"\xe3", is_html=True).endswith("ã")
    # Nothing that was read byte by byte is UTF-16.
    utf_16 = b"<meta charset=utf-16>" + _GREETING.encode()
    assert decode_text(utf_16, is_html=True).endswith(_GREETING)
    assert decode_text(b"<meta charset=utf-7>+ADw-", is_html=True).endswith("+ADw-")


@pytest.mark.parametrize(
    "unit", [b"<", b"<!--", b"<a ", b"<a b='", b"<a b=\"'", b"<meta charset=", b"<?xml ", b"<a\t="]
)
def test_the_search_for_the_charset_is_linear(unit: bytes) -> None:
    data = unit * (MAX_HEAD // len(unit))
    assert not any(find_codec(name) for name in find_charset_names(data))
    assert list(find_charset_names(b"<?xml " + b" encoding" * MAX_HEAD)) == []


@given(st.binary(max_size=60), st.sampled_from([b"<meta charset=", b"<!--", b"<meta content='"]))
def test_any_bytes_name_some_charset_or_none(data: bytes, lead: bytes) -> None:
    decode_text(lead + data, is_html=True)
    assert not list(find_charset_names(b"<!--" + lead + data.replace(b"-", b"")))


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_comes_first(mark: str) -> None:
    data = f"<meta charset=windows-1256>{_GREETING}".encode(mark)
    text = decode_text(data, is_body=True, is_html=True)
    assert text == f"<meta charset=windows-1256>{_GREETING}"
    assert decode_text(_GREETING.encode(mark), is_body=True) == _GREETING


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_a_mark_turns_no_header_field_into_something_else(mark: bytes) -> None:
    assert decode_text(mark + b"<ceo@bank.test>").endswith("<ceo@bank.test>")


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
