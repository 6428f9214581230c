"""The words of HTML laid out as plain text, with its links marked: the text view of a message.

Security: the HTML comes from a stranger; ``nh3`` takes out everything but a few elements first.
"""

from __future__ import annotations

import html as entities
import re

import nh3

from zajil.message.html_bounds import MAX_HTML
from zajil.read.links import LINK_END, LinkTarget, mark_link, read_target, without_marks
from zajil.read.safe_html import CONTENT_IS_NO_TEXT, LINK_SCHEMES, cut_for_cleaner

# Elements of a text view: what begins and ends a line, and what stands apart from its neighbours.
_LINES = frozenset(
    {
        *("address", "article", "aside", "blockquote", "caption", "center", "dd", "details"),
        *("dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer"),
        *("form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "legend", "li"),
        *("listing", "main", "menu", "nav", "ol", "optgroup", "option", "p", "pre", "search"),
        *("section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul"),
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
        _TABLE_TAG.sub(" <", cut_for_cleaner(html).replace("\r", "\n")),
        tags=_LINES | _CELLS | _INLINE,
        clean_content_tags=CONTENT_IS_NO_TEXT,
        attributes=attributes,
        attribute_filter=filter_attribute if has_styles else None,
        url_schemes=LINK_SCHEMES,
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
            is_pre = tag in ("pre", "listing", "textarea") or "pre" in style
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
