"""Write messages: header fields, MIME parts (RFC 5322 section 2.2.3, RFC 2045, RFC 2047).

Laws:
- What is written parses back to what was given, and is exactly as many fields: no value can
  begin a field or a line of its own. CR, LF and NUL are refused (CVE-2024-6923, CVE-2026-1299).
- Lines are folded at 78 characters and never longer than 998 octets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from zajil.core.address import Address
from zajil.core.errors import Invalid
from zajil.core.value_class import value_class
from zajil.message.encoded_word import encode_words
from zajil.message.params import write_parameter
from zajil.message.transfer import encode_base64, encode_quoted_printable

FOLD_AT = 78
"""RFC 5322 section 2.1.1: lines should not be longer."""
MAX_LINE = 998
"""RFC 5322 section 2.1.1: lines must not be longer; octets, without CRLF."""


class BadValue(Invalid, ValueError):
    """A value that no header field can hold: CR, LF, NUL, or not writable in ASCII."""


@value_class(frozen=True, slots=True)
class NewAttachment:
    """A file that goes with the message."""

    filename: str
    content_type: str
    """``image/png``."""
    data: bytes


_FIELD_NAME = re.compile(r"[!-9;-~]{1,70}\Z")
_FORBIDDEN = re.compile(r"[\r\n\x00]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_BREAK = re.compile(r"(?<=[^ ])(?= [^ ])")


def write_text_field(name: str, text: str, *, utf8: bool) -> bytes:
    """Write an unstructured field, like Subject or Comments.

    Args:
        utf8: the message is sent with SMTPUTF8, so raw UTF-8 may stand in it (RFC 6532); without,
            text that is not ASCII becomes encoded words.

    Raises:
        BadValue: CR, LF, NUL or a lone surrogate in it.
    """
    _refuse(name, text)
    plain = (
        (utf8 or text.isascii())
        and not _CONTROL.search(text)
        and "=?" not in text
        and text == text.strip()
    )
    if plain:
        tokens = _BREAK.split(text)
        if len(name) + 2 + len(tokens[0].encode()) <= MAX_LINE and all(
            len(token.encode()) <= MAX_LINE for token in tokens
        ):
            return _fold(name, [token.removeprefix(" ") for token in tokens])
    return _fold(name, encode_words(text, first_limit=FOLD_AT - len(name) - 2))


def write_raw_field(name: str, value: str) -> bytes:
    """Write a structured value that the caller composed, like Date; folded at its spaces.

    Raises:
        BadValue: control characters in it, or a word that fits no line.
    """
    _refuse(name, value)
    tokens = _BREAK.split(value.strip(" "))
    if _CONTROL.search(value) or any(len(token.encode()) > MAX_LINE - 72 for token in tokens):
        raise BadValue(f"cannot write {name}")
    return _fold(name, [token.removeprefix(" ") for token in tokens])


def write_address_field(name: str, people: Sequence[tuple[str, Address]], *, utf8: bool) -> bytes:
    """Write From, To, Cc, Reply-To: display names (``""`` for none) and addresses.

    Raises:
        BadValue: CR, LF, NUL in a name, or a UTF-8 address without ``utf8``.
    """
    tokens: list[str] = []
    for display_name, address in people:
        _refuse(name, display_name)
        if not utf8 and not address.is_ascii:
            raise BadValue(f"{address.unicode} needs SMTPUTF8 (RFC 6531 section 3.2)")
        spec = address.unicode if utf8 else str(address)
        if display_name:
            tokens += _phrase(display_name, utf8)
            spec = f"<{spec}>"
        tokens.append(f"{spec},")
    if tokens:
        tokens[-1] = tokens[-1].removesuffix(",")
    return _fold(name, tokens)


def write_parameter_field(name: str, value: str, parameters: Sequence[tuple[str, str]]) -> bytes:
    """Write Content-Type or Content-Disposition.

    Raises:
        BadValue: control characters in it.
    """
    _refuse(name, value)
    pieces = [value]
    for key, text in parameters:
        _refuse(name, text)
        try:
            pieces += write_parameter(key, text)
        except ValueError as error:
            raise BadValue(str(error)) from None
    return _fold(name, [piece + ";" for piece in pieces[:-1]] + pieces[-1:])


def _refuse(name: str, value: str) -> None:
    if not _FIELD_NAME.match(name):
        raise BadValue("not a field name")
    # Security: a line end here would begin a field, or the body, that the writer did not mean.
    if _FORBIDDEN.search(value):
        raise BadValue(f"CR, LF or NUL in {name}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadValue(f"not Unicode text in {name}") from None


def _phrase(display_name: str, utf8: bool) -> list[str]:
    """Return a display name as words that may be folded between (RFC 5322 section 3.2.5)."""
    odd = _CONTROL.search(display_name) or "=?" in display_name or len(display_name) > 200
    if odd or not (utf8 or display_name.isascii()):
        return encode_words(display_name)
    if _ATOMS.match(display_name):
        return display_name.split(" ")
    escaped = display_name.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"']


def _fold(name: str, tokens: Sequence[str]) -> bytes:
    """Join tokens by one space, with a line end before it where the line gets too long."""
    out = [f"{name}:"]
    length = len(out[0])
    for number, token in enumerate(tokens):
        width = len(token.encode()) + 1
        if length + width > FOLD_AT and number:
            out.append("\r\n")
            length = 0
        out.append(f" {token}")
        length += width
    out.append("\r\n")
    return "".join(out).encode()


# ---- parts ----------------------------------------------------------------------------------


def text_entity(text: str, subtype: str = "plain", *, flowed: bool = False) -> bytes:
    """Make a text part: its header section, an empty line, its body, which ends in CRLF.

    Args:
        text: any line ends.
        subtype: of ``text``.
        flowed: its lines are those of ``format=flowed`` (RFC 3676).
    """
    body = re.sub(r"\r\n?|\n", "\r\n", text).encode("utf-8", "replace")
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    encoding = "7bit"
    foreign = sum(body.count(code) for code in range(128, 256)) if not body.isascii() else 0
    if foreign * 3 > len(body):  # quoted-printable takes three characters for each
        encoding, body = "base64", encode_base64(body)
    elif foreign or b"\x00" in body or max(map(len, body.split(b"\r\n"))) > MAX_LINE:
        encoding, body = "quoted-printable", encode_quoted_printable(body)
    parameters = [("charset", "utf-8"), *([("format", "flowed")] if flowed else [])]
    head = write_parameter_field("Content-Type", f"text/{subtype}", parameters)
    return head + write_raw_field("Content-Transfer-Encoding", encoding) + b"\r\n" + body


def file_entity(attachment: NewAttachment) -> bytes:
    """Make the part of an attachment.

    Raises:
        BadValue: its name or type cannot be written.
    """
    if not re.match(r"[A-Za-z0-9!#$&^_.+-]{1,80}/[A-Za-z0-9!#$&^_.+-]{1,80}\Z",
                    attachment.content_type):  # fmt: skip
        raise BadValue("not a content type")
    name = attachment.filename
    return b"".join(
        (
            write_parameter_field("Content-Type", attachment.content_type, [("name", name)]),
            write_parameter_field("Content-Disposition", "attachment", [("filename", name)]),
            b"Content-Transfer-Encoding: base64\r\n\r\n",
            encode_base64(attachment.data),
        )
    )


def multipart_entity(
    subtype: str,
    entities: Sequence[bytes],
    unique: str,
    parameters: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Put parts together (RFC 2046 section 5.1).

    Args:
        unique: letters and digits; the boundary is made from it, and from a number that is
            counted up until no part holds the boundary.
    """
    number = 0
    while any(f"=_{unique}_{number}".encode() in entity for entity in entities):
        number += 1
    boundary = f"=_{unique}_{number}"
    head = multipart_head(subtype, boundary, parameters)
    mark = f"--{boundary}".encode()
    out = [head, b"\r\n"]
    for entity in entities:
        # The line end before a boundary is the boundary's, so a part keeps its own besides.
        out += [mark, b"\r\n", entity, b"\r\n"]
    out += [mark, b"--\r\n"]
    return b"".join(out)


def multipart_head(
    subtype: str, boundary: str, parameters: Sequence[tuple[str, str]] = ()
) -> bytes:
    """Return the Content-Type of a multipart."""
    return write_parameter_field(
        "Content-Type", f"multipart/{subtype}", [*parameters, ("boundary", boundary)]
    )


def build_entity(text: str, html: str | None, unique: str, *, flowed: bool = False) -> bytes:
    """Make the part of a text, perhaps with HTML as its alternative."""
    entity = text_entity(text, flowed=flowed)
    if html is None:
        return entity
    # The richest last (RFC 2046 section 5.1.4).
    return multipart_entity("alternative", [entity, text_entity(html, "html")], unique)


def build_message(
    header: Sequence[bytes],
    text: str,
    *,
    html: str | None = None,
    attachments: Sequence[NewAttachment] = (),
    unique: str,
    flowed: bool = False,
) -> bytes:
    """Make a whole message: text, perhaps with HTML as its alternative, perhaps with files.

    Args:
        header: fields written by the functions above, without the MIME ones.
        unique: letters and digits for boundaries, like a mail id.
        flowed: the lines of the text are those of ``format=flowed`` (RFC 3676).

    Raises:
        BadValue: an attachment's name or type cannot be written.
    """
    entity = build_entity(text, html, unique, flowed=flowed)
    if attachments:
        entity = multipart_entity("mixed", [entity, *map(file_entity, attachments)], unique)
    return b"".join(header) + b"MIME-Version: 1.0\r\n" + entity
