"""Bytes to text in the charsets that mail uses (RFC 2046 section 4.1.2).

Security: only the charsets of one table are decoded. Python knows codecs that are quadratic
(``punycode``), that hide text from filters (``utf-7``), or that are no charsets at all.
"""

from __future__ import annotations

_CODECS: dict[str, str] = {
    # Deviation: RFC 2046 keeps these apart; mail that says ASCII or Latin-1 is written in
    # windows-1252 (the WHATWG encoding standard does the same).
    "iso-8859-1": "cp1252",
    "windows-1252": "cp1252",
    "utf-8": "utf-8",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    **{f"windows-{page}": f"cp{page}" for page in (874, *range(1250, 1252), *range(1253, 1259))},
    **{f"ibm{page}": f"cp{page}" for page in (437, 720, 850, 852, 855, 862, 864, 866)},
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "macintosh": "mac-roman",
    "x-mac-arabic": "mac-arabic",
    "tis-620": "cp874",
    "big5": "big5hkscs",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "euc-jp": "euc-jp",
    "iso-2022-jp": "iso2022-jp-ext",
    "shift-jis": "cp932",
    "euc-kr": "cp949",
    "iso-2022-kr": "iso2022-kr",
}
_ALIASES: dict[str, str] = {
    "latin1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "l1": "iso-8859-1",
    "utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "arabic": "iso-8859-6",
    "asmo-708": "iso-8859-6",
    "ecma-114": "iso-8859-6",
    "iso-8859-6-i": "iso-8859-6",
    "iso-8859-6-e": "iso-8859-6",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "dos-720": "ibm720",
    "mac-roman": "macintosh",
    "mac-arabic": "x-mac-arabic",
    "gb2312": "gbk",
    "x-gbk": "gbk",
    "big5-hkscs": "big5",
    "x-sjis": "shift-jis",
    "sjis": "shift-jis",
    "ms-kanji": "shift-jis",
    "windows-31j": "shift-jis",
    "ks-c-5601-1987": "euc-kr",
    "ks-c-5601": "euc-kr",
    "uhc": "euc-kr",
    "windows-949": "euc-kr",
}


def find_codec(charset: str) -> str | None:
    """Give Python's name for a charset of mail; ``None`` for ASCII and for unknown ones."""
    if len(charset) > 40:
        return None
    name = charset.strip(" \t\"'").lower().replace("_", "-")
    for prefix, real in (("cp", "windows-"), ("iso8859-", "iso-8859-"), ("x-cp", "windows-")):
        if name.startswith(prefix):
            name = real + name.removeprefix(prefix)
            break
    name = _ALIASES.get(name, name)
    codec = _CODECS.get(name)
    if codec is None and name.startswith("windows-"):
        codec = _CODECS.get("ibm" + name.removeprefix("windows-"))
    return codec


def decode_text(data: bytes, charset: str | None = None) -> str:
    """Decode a text; what does not fit becomes U+FFFD.

    Args:
        charset: as the message names it. ``None``, ASCII or unknown: UTF-8 where that fits
            (RFC 6532 section 3), else windows-1252.
    """
    codec = find_codec(charset) if charset else None
    if codec is None:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            codec = "cp1252"
    return data.decode(codec, "replace")
