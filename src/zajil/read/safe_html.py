"""HTML of strangers made safe to show: an allow-list, no scripts, nothing loaded from elsewhere.

Security: this is one of three walls; the page shows the result in a sandboxed frame of its own,
under a policy that forbids scripts (attacks L). ``nh3`` keeps ``url()`` in styles, so each style
is parsed by ``tinycss2`` and only harmless properties with harmless values are written again.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import nh3
import tinycss2

MAX_HTML = 1_048_576
"""Characters that are shown; a letter has a hundredth of it."""
# The HTML parser is not linear: at each ``<div>`` it walks the whole stack of open elements, and
# each ``&`` and NUL copies the text before it. 200,000 of them take minutes; of these, a quarter
# second (CVE-2024-45626 was of this kind).
MAX_TAGS = 10_000
"""Tags that are read of one text."""
MAX_ENTITIES = 20_000
"""``&amp;`` and the like that are read of one text."""
MAX_STYLES = 65_536
"""Characters of all style attributes of one text; the others are dropped."""

_TAGS = set(
    [
        "a",
        "abbr",
        "address",
        "b",
        "bdi",
        "bdo",
        "big",
        "blockquote",
        "br",
        "caption",
        "center",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "font",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "mark",
        "ol",
        "p",
        "pre",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "u",
        "ul",
        "var",
        "wbr",
    ]
)
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"dir", "lang", "title", "style", "align", "valign", "width", "height", "bgcolor"},
    "a": {"href"},
    "img": {"src", "alt", "border"},
    "font": {"color", "face", "size"},
    "ol": {"start", "type"},
    "table": {"border", "cellpadding", "cellspacing"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "col": {"span"},
    "colgroup": {"span"},
}
_CONTENT_IS_NO_TEXT = {"script", "style", "title", "head", "template", "noscript", "svg", "math"}

# What changes how words look where they stand. Nothing that loads, covers, moves or measures:
# no background images, no position, no content, no custom properties.
_PROPERTIES = set(
    [
        "background-color",
        "border",
        "border-bottom",
        "border-collapse",
        "border-color",
        "border-left",
        "border-radius",
        "border-right",
        "border-spacing",
        "border-style",
        "border-top",
        "border-width",
        "caption-side",
        "clear",
        "color",
        "direction",
        "display",
        "float",
        "font",
        "font-family",
        "font-size",
        "font-style",
        "font-variant",
        "font-weight",
        "height",
        "letter-spacing",
        "line-height",
        "list-style-type",
        "margin",
        "margin-bottom",
        "margin-left",
        "margin-right",
        "margin-top",
        "max-width",
        "min-width",
        "padding",
        "padding-bottom",
        "padding-left",
        "padding-right",
        "padding-top",
        "text-align",
        "text-decoration",
        "text-indent",
        "text-transform",
        "unicode-bidi",
        "vertical-align",
        "white-space",
        "width",
        "word-break",
        "word-wrap",
    ]
)
_LINK_SCHEMES = {"http", "https", "mailto"}
_IMAGE_SCHEMES = {"http", "https"}
_FUNCTIONS = {"rgb", "rgba", "hsl", "hsla"}
_VALUE_TOKENS = {"whitespace", "ident", "number", "percentage", "dimension", "hash", "literal"}
_FONT_NAME = re.compile(r"[\w ,.-]*\Z")
_MAX_STYLE = 4096


@dataclass(frozen=True, slots=True)
class SafeHtml:
    """HTML that may be shown, and what was kept from it."""

    html: str
    blocked: int
    """Images of other servers that were not loaded: each would tell its sender of the reader."""


def make_safe(
    html: str,
    *,
    load_remote: bool = False,
    inline_url: Callable[[str], str | None] = lambda content_id: None,
) -> SafeHtml:
    """Make HTML safe.

    Args:
        html: of the message; beyond the limits above it is cut, and an ellipsis says so.
        load_remote: images of other servers may load: the reader asked for it.
        inline_url: our own address for the image that a ``cid:`` names; ``None`` when there is
            none.
    """
    blocked = 0
    styles = 0

    def filter_attribute(tag: str, name: str, value: str) -> str | None:
        nonlocal blocked, styles
        if name == "style":
            styles += len(value)
            return safe_style(value) if styles <= MAX_STYLES else None
        if name == "href":
            return value if _scheme(value) in _LINK_SCHEMES else None
        if name == "src":
            if _scheme(value) == "cid":
                return inline_url(value.strip().partition(":")[2])
            if not load_remote or _scheme(value) not in _IMAGE_SCHEMES:
                blocked += 1
                return None
        return value

    clean = nh3.clean(
        _cut(html),
        tags=_TAGS,
        clean_content_tags=_CONTENT_IS_NO_TEXT,
        attributes=_ATTRIBUTES,
        attribute_filter=filter_attribute,
        url_schemes=_LINK_SCHEMES | _IMAGE_SCHEMES | {"cid"},
        # Only ``inline_url`` makes these: the filter above drops what has no scheme.
        url_relative="pass_through",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return SafeHtml(clean, blocked)


def _scheme(url: str) -> str:
    return url.strip().partition(":")[0].lower()


def _cut(html: str) -> str:
    is_whole = len(html) <= MAX_HTML
    text = html[:MAX_HTML].replace("\r\n", "\n").replace("\x00", "")
    for mark, limit in (("<", MAX_TAGS), ("&", MAX_ENTITIES)):
        if text.count(mark) > limit:
            text = mark.join(text.split(mark, limit)[:limit])
            is_whole = False
    return text if is_whole else f"{text} …"


def safe_style(style: str) -> str | None:
    """Give the harmless declarations of a style attribute; ``None`` when there are none."""
    if len(style) > _MAX_STYLE:
        return None
    kept: list[str] = []
    for item in tinycss2.parse_blocks_contents(style, skip_comments=True, skip_whitespace=True):
        if item.type != "declaration" or item.lower_name not in _PROPERTIES:
            continue
        if _is_harmless(item.value):
            kept.append(f"{item.lower_name}:{tinycss2.serialize(item.value).strip()}")
    return ";".join(kept) or None


def _is_harmless(tokens: Sequence[Any]) -> bool:
    for token in tokens:
        if token.type == "function":
            if token.lower_name not in _FUNCTIONS or not _is_harmless(token.arguments):
                return False
        elif token.type == "string":
            if not _FONT_NAME.match(token.value):
                return False
        elif token.type not in _VALUE_TOKENS:
            return False
    return True


_BREAK = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/blockquote)\b[^<>]{0,100}>", re.I)
_SPACE = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n ?(?:\n ?)+")


def html_to_text(html: str) -> str:
    """Give the words of HTML, a line for each block."""
    spaced = _BREAK.sub("\n", _cut(html).replace("\r", "").replace("\n", " "))
    bare = nh3.clean(spaced, tags=set(), clean_content_tags=_CONTENT_IS_NO_TEXT)
    text = _SPACE.sub(" ", entities.unescape(bare))
    return _LINES.sub("\n\n", text).strip()
