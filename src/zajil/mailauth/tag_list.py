"""Tag lists, ``a=rsa-sha256; d=north.test``: signatures and key records (RFC 6376 section 3.2).

Laws:
- Linear in the text. Raises ``BadTagList`` and nothing else.
- Names and values are case-sensitive; a name that comes twice makes the whole list invalid.
- What means nothing does no harm: a tag nobody knows, a semicolon too many. A record of somebody
  else's zone is read more leniently still (``parse_record_tags``).
- Values may hold UTF-8 (RFC 8616 section 4); who reads one decides whether that is allowed there.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import NamedTuple

from zajil.core.errors import Malformed

_SPACE = b" \t\r\n"
# Deviation: RFC 6376 section 3.2 has no hyphen in names; records and signatures of the field do.
_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_-]*\Z")
_MAX_TAGS = 100
"""A signature has a dozen; more are there to cost time."""
_MAX_KEPT = 4096
"""Bytes of a text that is remembered: of what people send, all."""
_new_tag = tuple.__new__  # the constructor of a NamedTuple is a Python function: half the speed
_ALLOWED = _SPACE + bytes(range(0x21, 0x7F)) + bytes(range(0x80, 0x100))


class BadTagList(Malformed, ValueError):
    """The text is no tag list; the message is the end of a sentence about it."""


class Tag(NamedTuple):
    """A value and where it stands."""

    value: bytes
    """Without the white space around it; still folded inside."""
    start: int
    """Offset in the text, after the equals sign."""
    end: int
    """Offset of the semicolon, or of the end."""


def parse_tag_list(text: bytes) -> Mapping[bytes, Tag]:
    """Return the tags, in their order.

    The same text may be asked for again: a signature is, before its body comes and after it.

    Raises:
        BadTagList: a tag without ``=``, a name that is none or comes twice, a control character.
    """
    return _parse_kept(text) if len(text) <= _MAX_KEPT else _parse(text)


def _parse(text: bytes) -> Mapping[bytes, Tag]:
    if text.count(b";") > _MAX_TAGS:
        raise BadTagList("has too many tags")
    if text.translate(None, _ALLOWED):
        raise BadTagList("contains a control character")
    tags: dict[bytes, Tag] = {}
    end = -1
    for spec in text.split(b";"):
        end += 1 + len(spec)
        name, equals, value = spec.partition(b"=")
        name = name.strip(_SPACE)
        if not equals:
            # Deviation: RFC 6376 section 3.2 lets one semicolon end the list; more say nothing.
            if not name:
                continue
            raise BadTagList("has a tag without a value")
        if name in tags:
            raise BadTagList(f"has the tag {name.decode('ascii')[:20]}= twice")
        if not (name.isalpha() or _NAME.match(name)):
            raise BadTagList("has a tag with an invalid name")
        tags[name] = _new_tag(Tag, (value.strip(_SPACE), end - len(value), end))
    if not tags:
        raise BadTagList("has no tags")
    return tags


_parse_kept = lru_cache(maxsize=64)(_parse)


def parse_record_tags(text: bytes, known: Collection[bytes]) -> dict[bytes, bytes]:
    """Return the values of the known tags of a record in DNS, in their order.

    Whatever else stands there is passed over, well-formed or not: it changes nothing about the
    key that the owner of the zone publishes.

    Raises:
        BadTagList: a known tag comes twice, or there are too many tags.
    """
    if text.count(b";") > _MAX_TAGS:
        raise BadTagList("has too many tags")
    tags: dict[bytes, bytes] = {}
    for spec in text.split(b";"):
        name, equals, value = spec.partition(b"=")
        name = name.strip(_SPACE)
        if not equals or name not in known:
            continue
        if name in tags:
            raise BadTagList(f"has the tag {name.decode('ascii')}= twice")
        tags[name] = value.strip(_SPACE)
    return tags


def value_of(tags: Mapping[bytes, Tag], name: bytes, default: bytes | None = None) -> bytes:
    """Return the value of a tag.

    Raises:
        BadTagList: it is missing, and there is no default.
    """
    tag = tags.get(name)
    if tag is not None:
        return tag.value
    if default is None:
        raise BadTagList(f"has no tag {name.decode('ascii')}=")
    return default


def words_of(value: bytes) -> tuple[bytes, ...]:
    """Split a list with colons; without white space around its items."""
    return tuple([word.strip(_SPACE) for word in value.split(b":")])


def read_base64(value: bytes, name: str) -> bytes:
    """Decode base64 with folding in it; the padding may be missing, as the grammar has it.

    Raises:
        BadTagList: it is none, or empty.
    """
    packed = value.translate(None, _SPACE).rstrip(b"=")
    try:
        found = binascii.a2b_base64(packed + b"=" * (-len(packed) % 4), strict_mode=True)
    except binascii.Error:
        raise BadTagList(f"has invalid base64 in {name}=") from None
    if not found:
        raise BadTagList(f"has an empty {name}=")
    return found


def read_number(value: bytes, name: str, digits: int) -> int:
    """Read a decimal number.

    Raises:
        BadTagList: it is none, or has more digits.
    """
    # Security: ``int`` takes signs, underscores, and its time with a million digits.
    if not value.isdigit() or len(value) > digits:
        raise BadTagList(f"has an invalid number in {name}=")
    return int(value)


def optional_number(tags: Mapping[bytes, Tag], name: bytes, digits: int) -> int | None:
    """Return the number of a tag; ``None``: there is no such tag.

    Raises:
        BadTagList: it is none, or has more digits.
    """
    tag = tags.get(name)
    return None if tag is None else read_number(tag.value, name.decode("ascii"), digits)
