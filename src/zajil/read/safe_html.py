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

from zajil.message.html_bounds import MAX_HTML, MAX_TAGS, cut_source
from zajil.read.ink import LOST_GROUND, mend_ink, read_color, read_legacy_color
from zajil.read.links import (
    LINK_END,
    LinkTarget,
    mark_link,
    read_target,
    without_marks,
)

# What comes here was written anew from a tree (``message.html``): each element has its end tag, and
# signs that need it are entities. The parser of ``nh3`` copies the text before each ``&``.
_MAX_TAGS = 2 * MAX_TAGS + 1000
MAX_ENTITIES = 20_000
"""``&amp;`` and the like that are read of one text."""
MAX_STYLES = 65_536
"""Characters of all style attributes of one text; the others are dropped."""

_TAGS = frozenset(
    {
        *("a", "abbr", "address", "b", "bdi", "bdo", "big", "blockquote", "br", "caption"),
        *("center", "cite", "code", "col", "colgroup", "dd", "del", "dfn", "div", "dl", "dt"),
        *("em", "figcaption", "figure", "font", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i"),
        *("img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s"),
        *("samp", "small", "span", "strike", "strong", "sub", "sup", "table", "tbody", "td"),
        *("tfoot", "th", "thead", "tr", "tt", "u", "ul", "var", "wbr"),
    }
)
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"dir", "lang", "title", "style", "align", "valign", "width", "height", "bgcolor"}
    # Only to know that it was there: ``mend_ink`` takes it out.
    | {"background"},
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
_PROPERTIES = frozenset(
    {
        *("border", "border-bottom", "border-collapse", "border-color"),
        *("border-left", "border-radius", "border-right", "border-spacing", "border-style"),
        *("border-top", "border-width", "caption-side", "clear", "color", "direction"),
        *("display", "float", "font", "font-family", "font-size", "font-style"),
        *("font-variant", "font-weight", "height", "letter-spacing", "line-height"),
        *("list-style-type", "margin", "margin-bottom", "margin-left", "margin-right"),
        *("margin-top", "max-width", "min-width", "padding", "padding-bottom", "padding-left"),
        *("padding-right", "padding-top", "text-align", "text-decoration", "text-indent"),
        *("text-transform", "unicode-bidi", "vertical-align", "white-space", "width"),
        *("word-break", "word-wrap"),
    }
)
_LINK_SCHEMES = {"http", "https", "mailto"}
_IMAGE_SCHEMES = {"http", "https"}
_FUNCTIONS = {"rgb", "rgba", "hsl", "hsla"}
_VALUE_TOKENS = {"whitespace", "ident", "number", "percentage", "dimension", "hash", "literal"}
_COLOR_TOKENS = {"ident", "hash", "function"}
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
    read: dict[str, str | None] = {}
    """Styles of this text that were read: most occur many times."""

    def filter_attribute(tag: str, name: str, value: str) -> str | None:
        nonlocal blocked, styles
        if name == "style":
            if value not in read:
                styles += len(value)
                read[value] = _style_with_losses(value) if styles <= MAX_STYLES else LOST_GROUND
            return read[value]
        if name == "background":
            return "lost"
        if name == "bgcolor" or (tag, name) == ("font", "color"):
            return read_legacy_color(value.strip())
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
    return SafeHtml(mend_ink(clean), blocked)


def _scheme(url: str) -> str:
    return url.strip().partition(":")[0].lower()


def _cut(html: str) -> str:
    text, is_cut = cut_source(
        html.replace("\r\n", "\n").replace("\x00", ""), 4 * MAX_HTML, _MAX_TAGS
    )
    if text.count("&") > MAX_ENTITIES:
        text = "&".join(text.split("&", MAX_ENTITIES)[:MAX_ENTITIES])
        is_cut = True
    return f"{text} …" if is_cut else text


def safe_style(style: str) -> str | None:
    """Return the harmless declarations of a style attribute; ``None`` when there are none."""
    return ";".join(_read_style(style)[0]) or None


def _style_with_losses(style: str) -> str | None:
    kept, is_lost = _read_style(style)
    return ";".join([*kept, LOST_GROUND] if is_lost else kept) or None


def _read_style(style: str) -> tuple[list[str], bool]:
    """Return the harmless declarations, and whether a background was dropped without a colour."""
    if len(style) > _MAX_STYLE:
        return [], True
    kept: list[str] = []
    picture = has_ground = False
    for item in tinycss2.parse_blocks_contents(style, skip_comments=True, skip_whitespace=True):
        if item.type != "declaration":
            continue
        name = item.lower_name
        if name in ("background", "background-color", "background-image"):
            ground, is_picture = _ground(item.value)
            picture = picture or is_picture
            if ground is not None and (name != "background-image" or not has_ground):
                kept.append(f"background-color:{ground}")
                has_ground = True
        elif name == "color":
            ink = tinycss2.serialize(item.value).strip()
            if ink.lower() == "inherit" or read_color(ink) is not None:
                kept.append(f"color:{ink}")
        elif name in _PROPERTIES and _is_harmless(item.value, has_names=name.startswith("font")):
            kept.append(f"{name}:{tinycss2.serialize(item.value).strip()}")
    return kept, picture and not has_ground


def _ground(tokens: Sequence[Any]) -> tuple[str | None, bool]:
    """Return the colour of a background, and whether something else was to be painted.

    A gradient is painted as its first colour: the ink on it was chosen for that as well.
    """
    found: str | None = None
    is_picture = False
    for token in tokens:
        if token.type == "url" or (token.type == "function" and _color_of(token) is None):
            is_picture = True
            if token.type == "function" and "gradient" in token.lower_name and found is None:
                found = _ground(token.arguments)[0]
        elif found is None and _color_of(token) is not None:
            found = tinycss2.serialize([token])
    return found, is_picture


def _color_of(token: Any) -> Any:
    return read_color(tinycss2.serialize([token])) if token.type in _COLOR_TOKENS else None


def _is_harmless(tokens: Sequence[Any], *, has_names: bool = False) -> bool:
    for token in tokens:
        if token.type == "function":
            if token.lower_name not in _FUNCTIONS or not _is_harmless(token.arguments):
                return False
        elif token.type == "string":
            # Security: a string elsewhere is text that is shown, as in ``list-style-type``.
            if not has_names or not _FONT_NAME.match(token.value):
                return False
        elif token.type not in _VALUE_TOKENS:
            return False
    return True


# Elements of a text view: what begins and ends a line, and what stands apart from its neighbours.
_LINES = frozenset(
    {
        *("address", "article", "aside", "blockquote", "caption", "center", "dd", "details"),
        *("dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer"),
        *("form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "legend", "li"),
        *("listing", "main", "menu", "nav", "ol", "optgroup", "option", "p", "pre", "search"),
        *("section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul", "xmp"),
    }
)
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "table"})
_CELLS = frozenset({"td", "th", "button", "input", "select", "textarea"})
_INLINE = frozenset({"a", "b", "br", "em", "font", "i", "img", "label", "span", "strong"})
_SPACE = re.compile(r"\s+")
_TOKEN = re.compile(r'<(/?)([a-z][a-z0-9]*)((?: [a-z-]+="[^"]*")*)>')
_VALUE = re.compile(r' (href|alt|style)="([^"]*)"')
# Parsers drop these where no table is open; the words must not join for that.
_TABLE_TAG = re.compile(r"<(?=/?(?:td|th|tr|caption|thead|tbody|tfoot)(?=[\s/>]))", re.IGNORECASE)
_DISPLAY = re.compile(
    r"display\s*:\s*(?:block|flex|grid|list-item|flow-root"
    r"|table(?:-row|-caption|-(?:row|header|footer)-group)?)\b(?!-)",
    re.IGNORECASE,
)
_CELL_STYLE = re.compile(r"display\s*:\s*table-cell\b(?!-)", re.IGNORECASE)
_PRE_STYLE = re.compile(r"white-space\s*:\s*(?:pre|break-spaces)", re.IGNORECASE)


def html_to_marked_text(html: str) -> str:
    """Return the words of HTML as a page shows them, for ``split_paragraphs(marked=True)``.

    A line for each block, a space between cells, ``<pre>`` as it is; paragraphs stand apart, and
    links are marked (``read.links``).
    """
    return _TextWriter().write(_clean_for_text(html))


_STYLES = (("block", _DISPLAY), ("cell", _CELL_STYLE), ("pre", _PRE_STYLE))
"""What a style makes of an element, by the word that the writer below knows it by."""


def _clean_for_text(html: str) -> str:

    def filter_attribute(tag: str, name: str, value: str) -> str | None:
        if name == "style":
            return " ".join([word for word, style in _STYLES if style.search(value)]) or None
        return value

    has_styles = any(style.search(html) for _, style in _STYLES)
    attributes = {"a": {"href"}, "img": {"alt"}}
    if has_styles:
        attributes["*"] = {"style"}
    return nh3.clean(
        _TABLE_TAG.sub(" <", _cut(html).replace("\r", "\n")),
        tags=_LINES | _CELLS | _INLINE,
        clean_content_tags=_CONTENT_IS_NO_TEXT,
        attributes=attributes,
        attribute_filter=filter_attribute if has_styles else None,
        url_schemes=_LINK_SCHEMES,
        link_rel=None,
    )


class _TextWriter:
    """Lays clean HTML out as lines, in one pass."""

    def __init__(self) -> None:
        self._left = MAX_HTML
        """Characters that are still wanted; the targets of links count too."""
        self._lines: list[str] = []
        self._line = ""
        self._gap = False
        """An empty line stands before the next words."""
        self._open: list[tuple[str, bool]] = []
        """Kept elements around this place, and whether each keeps its lines."""
        self._target: LinkTarget | None = None

    def write(self, html: str) -> str:
        end = 0
        for match in _TOKEN.finditer(html):
            if self._left <= 0:
                break
            self._say(html[end : match.start()])
            end = match.end()
            self._tag(match[1] == "/", match[2], dict(_VALUE.findall(match[3])))
        else:
            self._say(html[end:])
        self._end_line()
        return "\n".join(self._lines).strip("\n")

    def _tag(self, is_end: bool, tag: str, values: dict[str, str]) -> None:
        if tag == "br":
            self._lines.append(self._line.rstrip())
            self._line = ""
            return
        style = values.get("style", "").split()
        if is_end and self._open:
            style = self._open.pop()[0].split()
        elif tag not in ("hr", "img", "input"):
            is_pre = tag in ("pre", "listing", "xmp", "textarea") or "pre" in style
            self._open.append((" ".join(style), is_pre or (bool(self._open) and self._open[-1][1])))
        if tag in _LINES or "block" in style:
            self._end_line()
            self._gap = self._gap or tag in _PARAGRAPHS
        elif tag in _CELLS or "cell" in style:
            self._add(" ")
        elif tag == "a":
            self._target = read_target(entities.unescape(values.get("href", "")))
        elif tag == "img" and values.get("alt"):
            self._say(f" {values['alt']} ")

    def _say(self, html: str) -> None:
        text = without_marks(entities.unescape(html))
        if self._open and self._open[-1][1]:
            first, *others = text.split("\n")
            self._put(first)
            for line in others:
                self._lines.append(self._line.rstrip())
                self._line = ""
                self._put(line)
        else:
            self._add(_SPACE.sub(" ", text))

    def _add(self, text: str) -> None:
        """Add words whose spaces say nothing but that there is one."""
        if not self._line or self._line.endswith((" ", f" {LINK_END}")):
            text = text.lstrip(" ")
        self._put(text)

    def _put(self, text: str) -> None:
        if not text:
            return
        if self._gap and text.strip():
            if self._lines and self._lines[-1]:
                self._lines.append("")
            self._gap = False
        is_link = self._target is not None and text.strip()
        written = mark_link(text, self._target) if is_link and self._target else text
        self._left -= len(written)
        self._line += written

    def _end_line(self) -> None:
        if self._line.strip():
            self._lines.append(self._line.rstrip())
        self._line = ""
