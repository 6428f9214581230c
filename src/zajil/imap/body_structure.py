"""BODYSTRUCTURE: the tree of parts as IMAP writes it. (RFC 3501 section 7.4.2)"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from zajil.imap.envelope import envelope
from zajil.imap.response import nstring, parenthesized, string
from zajil.message.large_data import Data
from zajil.message.params import ParameterisedValue
from zajil.message.part import Part

_NIL = b"NIL"
MAX_LANGUAGES = 100
"""Tags of Content-Language that are told."""
_COMMENT = re.compile(rb"\([^()]*+\)")


def body_structure(part: Part, data: Data, *, extended: bool, has_global: bool = False) -> bytes:
    """Write the structure of a message.

    Args:
        part: the root, or a node of the tree; it is at most ``message.parse.MAX_DEPTH`` deep.
        data: the bytes of the message, for counting lines.
        extended: BODYSTRUCTURE; else BODY, without extension data.
        has_global: message/global is written as message/rfc822 is (RFC 9051 section 9,
            media-message); in RFC 3501 it is like a file.
    """
    if part.is_multipart:
        return _multipart(part, data, extended, has_global)
    type_, _, subtype = part.type.partition("/")
    if type_ == "multipart":
        # A multipart without parts: the grammar wants at least one, and this is what it holds.
        type_, subtype = "text", "plain"
    is_message = part.type == "message/rfc822" or (has_global and part.type == "message/global")
    if is_message and not part.is_message:
        type_, subtype = "application", "octet-stream"
    words = [
        string(_ascii_upper(type_)),
        string(_ascii_upper(subtype)),
        _parameters(part.content_type.parameters),
        nstring(part.value(b"content-id")),
        nstring(part.value(b"content-description")),
        string(_ascii_upper(part.encoding or "7bit")),
        b"%d" % (part.body_end - part.body_start),
    ]
    if is_message and part.is_message:
        enclosed = part.children[0]
        words.append(envelope(enclosed))
        words.append(body_structure(enclosed, data, extended=extended, has_global=has_global))
    if type_ == "text" or (is_message and part.is_message):
        words.append(b"%d" % part.line_count(data))
    if extended:
        words += [nstring(part.value(b"content-md5")), *_extension(part)]
    return parenthesized(words)


def _multipart(part: Part, data: Data, extended: bool, has_global: bool) -> bytes:
    inner = [
        body_structure(child, data, extended=extended, has_global=has_global)
        for child in part.children
    ]
    words = [b"".join(inner), string(_ascii_upper(part.type.partition("/")[2]))]
    if extended:
        words += [_parameters(part.content_type.parameters), *_extension(part)]
    return parenthesized(words)


def _extension(part: Part) -> list[bytes]:
    """Write disposition, language, location."""
    return [
        _disposition(part.disposition),
        _languages(part.value(b"content-language")),
        nstring(part.value(b"content-location")),
    ]


def _languages(value: bytes | None) -> bytes:
    """Write the tags of Content-Language as a list. (RFC 3501 section 9)"""
    tags = [tag.strip() for tag in _COMMENT.sub(b"", value or b"").split(b",")][:MAX_LANGUAGES]
    words = [string(tag) for tag in tags if tag]
    return parenthesized(words) if words else _NIL


def _disposition(value: ParameterisedValue | None) -> bytes:
    if value is None or not value.value:
        return _NIL
    return parenthesized((string(_ascii_upper(value.value)), _parameters(value.parameters)))


def _parameters(parameters: Mapping[str, str]) -> bytes:
    words: list[bytes] = []
    for name, value in parameters.items():
        if value.isascii():
            words += [string(_ascii_upper(name)), string(value.encode("ascii"))]
        else:
            # As RFC 2231 section 4 writes it: clients know that form, and it stays 7-bit.
            escaped = "utf-8''" + quote(value.encode("utf-8", "replace"), safe="")
            words += [string(_ascii_upper(name) + b"*"), string(escaped.encode("ascii"))]
    return parenthesized(words) if words else _NIL


def _ascii_upper(text: str) -> bytes:
    return text.upper().encode("ascii", "replace")
