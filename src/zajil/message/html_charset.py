"""The charset that an HTML text names itself, before it is decoded. Pure.

As browsers find it (HTML standard, section 13.2.3.2): text in comments, in attributes and in other
tags names no charset.

Law: linear; at most ``MAX_HEAD`` bytes are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

PRESCAN = 1024
"""Bytes that are read in any case (HTML standard, section 13.2.3.2)."""
MAX_HEAD = 65_536
"""Bytes that are read while no tag of a body comes: mail has long style sheets in its head."""

_HEAD_TAGS = frozenset(b"html head meta title link style script base noscript".split())
_MARKUP = re.compile(rb"<(?=[A-Za-z/!?])")
_TAG = re.compile(rb"<(/?)([A-Za-z][^\s/>]*+)")
_ATTRIBUTE = re.compile(
    rb"[\s/]*+([^\s/>=][^\s/>=]*+)"
    rb"""(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"'][^\s>]*+)))?"""
)
_IN_CONTENT = re.compile(rb"""charset\s*+=\s*+["']?\s*+([^\s"';]++)""", re.IGNORECASE)
_XML = re.compile(rb"""\s*+<\?xml\s[^>]{0,200}?encoding\s*+=\s*+["']([^"'>]{1,40})""")


def find_charset_names(data: bytes) -> Iterator[str]:
    """Return what may be the name of the charset, the likeliest first; nothing is checked."""
    data = data[:MAX_HEAD]
    at, is_head = 0, True
    while markup := _MARKUP.search(data, at):
        at = markup.start()
        if not is_head and at >= PRESCAN:
            break
        tag = _TAG.match(data, at)
        if tag is None:
            at = _behind_markup(data, at)
            continue
        attributes, at = _read_attributes(data, tag.end())
        name = tag[2].lower()
        is_head = is_head and name in _HEAD_TAGS
        if name == b"meta" and not tag[1] and (found := _charset_of_meta(attributes)):
            yield found.decode("ascii", "replace").strip()
    if match := _XML.match(data):
        yield match[1].decode("ascii", "replace")


def _behind_markup(data: bytes, at: int) -> int:
    """Return the end of a comment, a declaration or another thing that is no tag."""
    mark = b"-->" if data.startswith(b"<!--", at) else b">"
    end = data.find(mark, at + 2)
    return len(data) if end < 0 else end + len(mark)


def _read_attributes(data: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """Return the attributes of a tag by lower-case name, and where they end."""
    attributes: dict[bytes, bytes] = {}
    while match := _ATTRIBUTE.match(data, at):
        at = match.end()
        attributes.setdefault(match[1].lower(), match[2] or match[3] or match[4] or b"")
    return attributes, at


def _charset_of_meta(attributes: dict[bytes, bytes]) -> bytes:
    if name := attributes.get(b"charset"):
        return name
    if attributes.get(b"http-equiv", b"").strip().lower() != b"content-type":
        return b""
    match = _IN_CONTENT.search(attributes.get(b"content", b""))
    return match[1] if match else b""
