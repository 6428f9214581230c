"""Header fields that cannot travel are written anew: bytes that are not ASCII, lines that are long.

For what our users submit (RFC 6409 section 8), before it is signed. Nothing else of a field changes
than how it is written: what it says is compared with what it said. Pure.

Laws:
- A field without fault keeps every byte.
- What comes out is one field, in ASCII unless the session said SMTPUTF8, in lines of at most 998
  octets (RFC 5322 section 2.1.1), or ``CannotMend``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from zajil.core.domain import BadDomain, to_ascii
from zajil.core.errors import Invalid
from zajil.message.address_list import AddressList, parse_address_list
from zajil.message.build import BadValue, write_parameter_field, write_text_field
from zajil.message.charset import find_codec
from zajil.message.encoded_word import decode_words, encode_words
from zajil.message.fields import Field, unfold
from zajil.message.params import parse_parameterised
from zajil.message.smtputf8 import is_utf8

MAX_LINE = 998
"""Octets of a line without its CRLF (RFC 5322 section 2.1.1)."""
_FOLD_AT = 78

_ADDRESSES = frozenset(
    [
        *(b"from", b"sender", b"reply-to", b"to", b"cc", b"resent-from", b"resent-sender"),
        *(b"resent-to", b"resent-cc", b"resent-reply-to", b"list-id", b"errors-to"),
        *(b"disposition-notification-to", b"return-receipt-to", b"mail-followup-to"),
        *(b"mail-reply-to", b"delivered-to", b"x-original-to"),
    ]
)
_PARAMETERS = frozenset([b"content-type", b"content-disposition"])
_IDS = frozenset([b"message-id", b"references", b"in-reply-to", b"resent-message-id"])
_STRUCTURED = _IDS | frozenset(
    [
        *(b"date", b"resent-date", b"received", b"mime-version", b"content-transfer-encoding"),
        *(b"content-id", b"content-language", b"content-location", b"list-help", b"list-post"),
        *(b"list-subscribe", b"list-unsubscribe", b"list-unsubscribe-post", b"list-owner"),
        *(b"list-archive", b"dkim-signature", b"arc-seal", b"arc-message-signature"),
        *(b"arc-authentication-results", b"authentication-results", b"auto-submitted"),
    ]
)
"""Values with a grammar: an encoded word may stand in their comments alone (RFC 2047 section 5)."""


class CannotMend(Invalid, ValueError):
    """A message cannot be written so that it may travel; the text says why, for its sender."""

    def __init__(self, text: str, status: str = "5.6.0") -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        """Enhanced status code (RFC 3463)."""


def is_fit(raw: bytes, *, utf8: bool) -> bool:
    """Whether a header section, or one field, may travel as it is.

    Args:
        raw: with its line ends.
        utf8: the session said SMTPUTF8.
    """
    if not raw.isascii() and not (utf8 and is_utf8(raw)):
        return False
    return len(raw) <= MAX_LINE or max(map(len, raw.split(b"\r\n"))) <= MAX_LINE


def mend_header(
    header: bytes, fields: Sequence[Field], *, utf8: bool, charset: str | None
) -> tuple[bytes, list[str]]:
    """Write the fields anew that cannot travel.

    Args:
        header: a header section.
        fields: what ``read_fields(header)`` gave.
        utf8: the session said SMTPUTF8.
        charset: what the message names as the charset of its text, for bytes that are not UTF-8.

    Returns:
        The header section, and the names of the fields that were written anew.

    Raises:
        CannotMend: a field is not ASCII where no encoding is allowed, or has a word too long.
    """
    if is_fit(header, utf8=utf8):
        return header, []
    out: list[bytes] = []
    names: list[str] = []
    at = 0
    for field in fields:
        raw = header[field.start : field.end]
        at = field.end
        if not is_fit(raw, utf8=utf8):
            raw = _mend_field(field, raw, utf8=utf8, charset=charset)
            names.append(raw.partition(b":")[0].decode("ascii"))
        out.append(raw)
    out.append(header[at:])
    return b"".join(out), names


def _mend_field(field: Field, raw: bytes, *, utf8: bool, charset: str | None) -> bytes:
    if not field.name:
        raise CannotMend("a line of the header section is no field")
    name = raw.partition(b":")[0].strip(b" \t").decode("ascii")
    value = unfold(field.value)
    text = _decode(value, charset)
    try:
        if value.isascii() or (utf8 and is_utf8(value)):
            written = _fold(name, _loosened(field.name, text))
            if is_fit(written, utf8=utf8):
                return written
        written = _write(field.name, name, value, text)
    except BadValue as error:
        raise CannotMend(f"cannot write the {name} field: {error}") from None
    if not is_fit(written, utf8=False):
        raise CannotMend(f"a line of the {name} field is longer than {MAX_LINE} octets")
    return written


def _decode(value: bytes, charset: str | None) -> str:
    """Read bytes that name no charset: UTF-8 where that fits, else what the message's text has.

    Where it names none, Arabic in windows-1256 is told from windows-1252 by its words.
    """
    codec = find_codec(charset) if charset else None
    for one in ("utf-8", codec, "cp1256" if _seems_arabic(value) else None, "cp1252"):
        if one is not None:
            try:
                return value.decode(one)
            except UnicodeDecodeError:
                continue
    return value.decode("latin-1")


_LATIN = re.compile(rb"[A-Za-z][\x80-\xff]|[\x80-\xff][A-Za-z]")
_WORD = re.compile(rb"[\x80-\xff]{3,}")
_ARABIC = re.compile("[\u0621-\u064a\u067e\u0686\u0698\u06a9\u06af]+")


def _seems_arabic(value: bytes) -> bool:
    """Whether bytes that name no charset read as Arabic words in windows-1256.

    Words of Latin script have ASCII letters beside those that are not ASCII.
    """
    words = _WORD.findall(value)
    if not words or _LATIN.search(value):
        return False
    return all([_ARABIC.fullmatch(word.decode("cp1256", "replace")) for word in words])


def _write(lower: bytes, name: str, value: bytes, text: str) -> bytes:
    if lower in _ADDRESSES:
        return _fold(name, _encode_addresses(name, text))
    if lower in _PARAMETERS:
        return _encode_parameters(name, value, text)
    if lower in _STRUCTURED:
        return _fold(name, _encode_comments(name, _loosened(lower, text)))
    return write_text_field(name, decode_words(text), utf8=False)


# ---- folding --------------------------------------------------------------------------------

_BREAK = re.compile(r"(?<=[^ \t])(?=[ \t]+[^ \t])")


def _loosened(lower: bytes, text: str) -> str:
    """Put a space between message ids that stand without one (RFC 5322 section 3.6.4)."""
    return text.replace("><", "> <") if lower in _IDS else text


def _fold(name: str, text: str) -> bytes:
    """Write a field, folded where white space stands; no character of it changes."""
    out = [f"{name}:"]
    length = len(out[0])
    for number, token in enumerate(_BREAK.split(f" {text}" if text else "")):
        width = len(token.encode())
        if length + width > _FOLD_AT and number:
            out.append("\r\n")
            length = 0
        out.append(token)
        length += width
    out.append("\r\n")
    return "".join(out).encode()


# ---- addresses ------------------------------------------------------------------------------

_TOKEN = re.compile(
    r'(?P<space>[ \t\r\n]++)|(?P<quoted>"(?:[^"\\]|\\.)*+(?:"|\\?\Z))|(?P<comment>\()'
    r'|(?P<angle><(?:"(?:[^"\\]|\\.)*+"|[^<>"])*+>)|(?P<special>[,:;])'
    r'|(?P<word>[^\x00-\x20()<>,:;"]++)|(?P<odd>.)',
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_IN_COMMENT = re.compile(r"(?:[^()\\]|\\.)*+([()])?", re.DOTALL)
_LONGEST_WORD = 400
"""Characters of one word that stand as they are; a longer one is written as encoded words."""


def _encode_addresses(name: str, text: str) -> str:
    """Encode names, groups and comments (RFC 2047 section 5), and write domains in ASCII."""
    out: list[str] = []
    run: list[tuple[str, str]] = []  # words and spaces: a phrase, or an address without brackets
    for kind, piece in _tokens(text):
        if kind in ("space", "quoted", "word", "odd"):
            run.append((kind, piece))
            continue
        if kind == "comment":
            out += [*_end_run(name, run), _encode_comment(piece)]
        elif kind == "angle":
            out += [*_end_run(name, run), f"<{_ascii_spec(name, piece[1:-1])}>"]
        else:
            out += [*_end_run(name, run), f"{piece} "]
        run = []
    out += _end_run(name, run)
    written = "".join(
        [
            piece.lstrip(" ") if before[-1:] == " " else piece
            for before, piece in pairwise(["", *out])
        ]
    ).strip()
    if _told(parse_address_list(written)) != _told(parse_address_list(text)):
        raise CannotMend(f"cannot write the {name} field in ASCII")
    return written


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while match := _TOKEN.match(text, at):
        kind, start, at = match.lastgroup or "", at, match.end()
        if kind == "comment":
            at = _end_of_comment(text, at)
        yield kind, text[start:at]


def _end_of_comment(text: str, at: int) -> int:
    depth = 1
    while depth and (match := _IN_COMMENT.match(text, at)):
        at = match.end()
        if match[1] is None:
            return len(text)
        depth += 1 if match[1] == "(" else -1
    return at


def _end_run(name: str, run: Sequence[tuple[str, str]]) -> list[str]:
    raw = "".join([token for _, token in run])
    if raw.isascii() and all([len(token) <= _LONGEST_WORD for _, token in run]):
        return [raw]
    if any(["@" in token for kind, token in run if kind == "word"]):
        return [" ", _ascii_spec(name, raw.strip()), " "]
    words = [
        _ESCAPE.sub(r"\1", token[1:].removesuffix('"')) if kind == "quoted" else token
        for kind, token in run
    ]
    phrase = " ".join(decode_words("".join(words)).split())
    return [" ", " ".join(encode_words(phrase)), " "]


def _ascii_spec(name: str, spec: str) -> str:
    """Write an address in ASCII: a domain can be, a local part cannot (RFC 6531 section 3.2)."""
    if spec.isascii():
        return spec
    local, at, domain = spec.rpartition("@")
    try:
        if at and local.isascii():
            return f"{local}@{to_ascii(domain.strip())}"
    except BadDomain:
        pass
    raise CannotMend(f"an address in the {name} field needs SMTPUTF8", "5.6.7")


def _told(found: AddressList) -> list[tuple[str, str]]:
    """Return what a list says, however it is written."""
    return [
        (
            " ".join(one.display_name.split()),
            one.spec if one.address is None else one.address.key,
        )
        for one in found.people
    ]


def _encode_comment(token: str) -> str:
    if token.isascii() and len(token) <= _LONGEST_WORD:
        return token
    words = " ".join(encode_words(decode_words(_ESCAPE.sub(r"\1", token[1:].removesuffix(")")))))
    return f"({words})"


# ---- other structured fields ----------------------------------------------------------------


def _encode_comments(name: str, text: str) -> str:
    out: list[str] = []
    for kind, token in _tokens(text):
        written = _encode_comment(token) if kind == "comment" else token
        if not written.isascii():
            raise CannotMend(f"the {name} field is not ASCII", "5.6.7")
        out.append(written)
    return "".join(out)


def _encode_parameters(name: str, value: bytes, text: str) -> bytes:
    parsed = parse_parameterised(text)
    boundary = parsed.parameters.get("boundary", "")
    doubtful = parsed.defects or parsed.other_boundaries
    readable = parsed.value.isascii() and boundary.isascii() and not doubtful
    if not readable or boundary.encode() not in value:
        raise CannotMend(f"cannot write the {name} field in ASCII")
    return write_parameter_field(name, parsed.value, list(parsed.parameters.items()))
