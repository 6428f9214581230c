"""Bytes to text in the charsets that mail uses (RFC 2046 section 4.1.2).

A charset is found by the letters and digits of its name, as Unicode Technical Standard 22 compares
names: ``ISO_8859-6:1987`` and ``iso-8859-6-1987`` are one. The names are all labels of the WHATWG
encoding standard, and what IANA and old programs say besides.

Security: only the charsets of one table are decoded. Python knows codecs that are quadratic
(``punycode``), that hide text from filters (``utf-7``), or that are no charsets at all.
"""

from __future__ import annotations

import re

from zajil.message.html_charset import find_charset_names

# Codec of Python: names, letters and digits only.
_NAMES = {
    "utf-8": "utf8 unicode11utf8 unicode20utf8 xunicode20utf8 csutf8 utf8mb4",
    "utf-16": "utf16 csutf16",
    "utf-16-le": "utf16le csutf16le unicode csunicode iso10646ucs2 ucs2 unicodefeff",
    "utf-16-be": "utf16be csutf16be unicodefffe",
    "utf-32": "utf32 csutf32",
    # Deviation: RFC 2046 keeps these apart; mail that says Latin-1 is written in windows-1252
    # (the WHATWG encoding standard does the same).
    "cp1252": "iso88591 iso885911987 latin1 l1 isoir100 csisolatin1 cp819 ibm819"
    " windows1252 cp1252 xcp1252 win1252 ansi1252 ms1252 msansi iso88591windows30latin1",
    "iso8859-2": "iso88592 iso885921987 latin2 l2 isoir101 csisolatin2",
    "iso8859-3": "iso88593 iso885931988 latin3 l3 isoir109 csisolatin3",
    "iso8859-4": "iso88594 iso885941988 latin4 l4 isoir110 csisolatin4",
    "iso8859-5": "iso88595 iso885951988 cyrillic isoir144 csisolatincyrillic",
    "iso8859-6": "iso88596 iso885961987 arabic isoir127 csisolatinarabic ecma114 asmo708"
    " iso88596i csiso88596i iso88596e csiso88596e",
    "iso8859-7": "iso88597 iso885971987 greek greek8 isoir126 csisolatingreek ecma118 elot928"
    " suneugreek",
    "iso8859-8": "iso88598 iso885981988 hebrew isoir138 csisolatinhebrew visual logical"
    " iso88598i csiso88598i iso88598e csiso88598e",
    "cp1254": "iso88599 iso885991989 latin5 l5 isoir148 csisolatin5"
    " windows1254 cp1254 xcp1254 win1254 ansi1254 ms1254 msturk",
    "iso8859-10": "iso885910 iso8859101992 latin6 l6 isoir157 csisolatin6",
    "cp874": "iso885911 iso8859112001 tis620 cstis620 dos874 windows874 cp874 xcp874 ibm874",
    "iso8859-13": "iso885913 csiso885913 latin7 l7",
    "iso8859-14": "iso885914 iso8859141998 csiso885914 isoir199 latin8 l8 isoceltic",
    "iso8859-15": "iso885915 csiso885915 latin9 l9 csisolatin9",
    "iso8859-16": "iso885916 iso8859162001 csiso885916 isoir226 latin10 l10",
    **{
        f"cp{page}": f"windows{page} cp{page} xcp{page} win{page} ansi{page} ms{page} {more}"
        for page, more in (
            (1250, "msee"), (1251, "mscyrl"), (1253, "msgreek"), (1255, "mshebr"),
            (1256, "msarab"), (1257, "winbaltrim"), (1258, ""),
        )
    },
    **{
        f"cp{page}": f"ibm{page} cp{page} {page} csibm{page} dos{page} oem{page} windows{page}"
        for page in (720, 850, 852, 855, 862, 864, 866)
    },
    "cp437": "ibm437 cp437 437 cspc8codepage437 dos437 oem437 windows437",
    "koi8-r": "koi8r cskoi8r koi koi8",
    "koi8-u": "koi8u cskoi8u koi8ru",
    "mac-roman": "macintosh mac csmacintosh macroman xmacroman",
    "mac-cyrillic": "xmaccyrillic xmacukrainian maccyrillic",
    "mac-arabic": "xmacarabic macarabic",
    "big5hkscs": "big5 big5hkscs cnbig5 csbig5 xxbig5 csbig5hkscs cp950 ms950 windows950",
    "gb18030": "gbk gb2312 gb18030 chinese csgb2312 csiso58gb231280 gb231280 isoir58 xgbk cp936"
    " ms936 windows936 csgbk csgb18030 euccn gb2312eucn",
    "euc-jp": "eucjp xeucjp cseucpkdfmtjapanese extendedunixcodepackedformatforjapanese",
    "iso2022-jp-ext": "iso2022jp csiso2022jp iso2022jp1 iso2022jp2 iso2022jp3 cp50220 cp50221",
    "cp932": "shiftjis csshiftjis sjis xsjis mskanji ms932 windows31j cswindows31j cp932"
    " windows932",
    "cp949": "euckr cseuckr ksc56011987 ksc56011989 ksc5601 csksc56011987 korean isoir149"
    " windows949 cp949 ms949 uhc",
    "iso2022-kr": "iso2022kr csiso2022kr",
}  # fmt: skip
_CODECS = {name: codec for codec, names in _NAMES.items() for name in names.split()}
_NO_LETTER = re.compile(r"[^a-z0-9]+")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def find_codec(charset: str) -> str | None:
    """Return Python's name for a charset of mail; ``None`` for ASCII and for unknown ones."""
    if len(charset) > 60 or not charset.isascii():
        return None
    return _CODECS.get(_NO_LETTER.sub("", charset.lower()))


def find_html_codec(data: bytes) -> str | None:
    """Find what an HTML text says of its charset; ``None``: nothing that is known."""
    for name in find_charset_names(data):
        codec = find_codec(name)
        if codec is not None:
            # It was read byte by byte, so it is no UTF-16 (as in the HTML standard).
            return "utf-8" if codec.startswith("utf-") else codec
    return None


def decode_text(
    data: bytes, charset: str | None = None, *, is_body: bool = False, is_html: bool = False
) -> str:
    """Decode a text; what does not fit becomes U+FFFD.

    Args:
        charset: as the message names it. ``None``, ASCII or unknown: what the text itself says
            (of a body a byte order mark, of HTML also ``<meta>``), else UTF-8 where that fits
            (RFC 6532 section 3), else windows-1252.
        is_body: it is the text of a part. Security: two bytes at the start of a header field must
            not turn its ASCII letters, and the address in them, into something else.
        is_html: it is text/html.
    """
    codec = find_codec(charset) if charset else None
    if codec is None:
        for mark, marked in _BOMS if is_body else ():
            if data.startswith(mark):
                return data[len(mark) :].decode(marked, "replace")
        codec = find_html_codec(data) if is_html else None
    if codec is None:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            codec = "cp1252"
    return data.decode(codec, "replace")
