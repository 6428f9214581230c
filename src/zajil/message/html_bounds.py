"""How much of an HTML text is read, by everybody. Pure.

Parsers of HTML follow a standard that is not linear: at some tags they walk all open elements, at
each attribute all others of the tag, and after the end of a block they open again every formatting
element that was not closed. So a text of 20 kB can fill gigabytes (CVE-2024-45626 was similar).
What goes beyond a bound is cut off before it is parsed: no check judges it, and no page shows it.

Law: linear.
"""

from __future__ import annotations

import re
from itertools import islice

from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser

MAX_HTML = 1_048_576
"""Characters that are read of the text parts of one message; a real one has a hundredth of it."""
MAX_TAGS = 10_000
"""Less-than signs that are read of one HTML text."""
MAX_REOPENED = 200_000
"""Elements that a parser may make where it opens formatting elements again."""
MAX_ATTRIBUTES = 1000
"""Attributes of one tag."""
SPACE = re.compile(r"[ \t\r\n\f]+")
"""White space of HTML: where it does not count, a run of it is one space."""

# Of ``a`` there is one at a time: the next one closes it.
_FORMATTING = r"(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)"
_OPENED = re.compile(rf"<{_FORMATTING}[\s/]", re.IGNORECASE)
# A whole tag without oddities, or anything else that begins with "<".
_TAG = re.compile(
    r"<(?:(/?)([A-Za-z][A-Za-z0-9]*+)"
    r"((?:\s++[A-Za-z:-]++(?:=(?:\"[^\"<>]*+\"|'[^'<>]*+'|[^\s\"'=<>`/]++))?)*)\s*+/?>)?"
)
_IS_FORMATTING = re.compile(rf"{_FORMATTING}\Z", re.IGNORECASE).match
_PLAIN = frozenset(
    {
        *(
            "a",
            "abbr",
            "acronym",
            "address",
            "bdi",
            "bdo",
            "blockquote",
            "br",
            "center",
            "cite",
            "dd",
        ),
        *("del", "dfn", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "ins"),
        *("kbd", "li", "mark", "ol", "p", "pre", "q", "samp", "span", "sub", "sup", "ul", "var"),
        *("wbr", "tr", "tbody", "thead", "tfoot"),
    }
)
"""Elements within which the end tag of a formatting element has its plain meaning."""
_LONG = 65_536
"""Characters of a text in which one tag may have so many attributes that they take long."""
_ATTRIBUTE = re.compile(r"[\s/]*+(?:[^\s=>/]++(?:\s*+=\s*+(?:\"[^\"]*+\"?|'[^']*+'?|[^\s>]*+))?|=)")
_EXACT_TAG = re.compile(rf"(<[A-Za-z][^\s/>]*+)(?:{_ATTRIBUTE.pattern})*")


def cut_source(source: str, limit: int = MAX_HTML, max_tags: int = MAX_TAGS) -> tuple[str, bool]:
    """Return the beginning of an HTML text that is read, and whether more follows.

    Args:
        limit: characters that are enough.
        max_tags: less-than signs.
    """
    end = min(limit, len(source))
    count = source.count("<", 0, end)
    if count > max_tags:
        at = -1
        for _ in range(max_tags + 1):
            at = source.find("<", at + 1)
        end = at
    if count * len(_OPENED.findall(source, 0, end)) > MAX_REOPENED:
        end = _end_of_reopened(source, end)
    if end > _LONG:
        end = _end_of_attributes(source, end)
    return source[:end], end < len(source)


def _end_of_reopened(source: str, end: int) -> int:
    """Return where formatting elements that may still be open have been opened again too often."""
    open_names: list[str] = []
    kept = 0
    """Of ``open_names``: those that an end tag may not close any more."""
    seen: dict[str, int] = {}
    reopened = 0
    for match in _TAG.finditer(source, 0, end):
        slash, name, attributes = match.groups()
        reopened += len(open_names)
        if reopened > MAX_REOPENED:
            return match.start()
        name = name.lower() if name else ""
        if not _IS_FORMATTING(name):
            if name not in _PLAIN:
                kept = len(open_names)
            continue
        if not slash:
            # The list of a parser holds three equal ones (HTML standard section 13.2.4.3).
            same = f"{name}{attributes}"
            if seen.get(same, 0) < 3:
                seen[same] = seen.get(same, 0) + 1
                open_names.append(same)
            continue
        for place in range(len(open_names) - 1, max(kept, len(open_names) - 20) - 1, -1):
            same = open_names[place]
            if same.startswith(name) and same[len(name) :][:1] in ("", " ", "\t", "\n", "\r", "\f"):
                del open_names[place]
                seen[same] -= 1
                break
    return end


def _end_of_attributes(source: str, end: int) -> int:
    """Return where the first tag with too many attributes begins."""
    for tag in _EXACT_TAG.finditer(source, 0, end):
        if tag.end() - tag.start() > MAX_ATTRIBUTES * 2:
            attributes = _ATTRIBUTE.finditer(source, tag.end(1), tag.end())
            if next(islice(attributes, MAX_ATTRIBUTES, None), None) is not None:
                return tag.start()
    return end


def parse_html(source: str) -> LexborHTMLParser:
    """Return the tree of a document or fragment that ``cut_source`` has bounded."""
    # With the doctype, a table ends a paragraph; without events, no content is copied to where it
    # is mirrored (``selectedcontent``).
    data = b"<!DOCTYPE html>" + source.encode("utf-8", "replace")
    return LexborHTMLParser(data, options=LexborDocumentOptions.WO_EVENTS)
