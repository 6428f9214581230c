"""Text with formatting: what an editor sends is made safe, and made plain text as well. Pure.

Security: the HTML comes from a browser, and from whatever was pasted there; it is cleaned as the
HTML of a stranger's message is, before it is stored, shown or sent.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

import nh3

from zajil.message.html import read_html
from zajil.read.paragraphs import find_direction

LONGEST = 1 << 20
"""Characters of HTML that are read."""
_TAGS = {
    *("a", "b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "hr", "i", "li", "ol"),
    *("p", "pre", "s", "span", "strong", "sub", "sup", "u", "ul"),
}
_BLOCKS = frozenset(
    ("div", "p", "li", "ul", "ol", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "tr")
)
_WITHOUT_DIRECTION = re.compile(r"<(div|p|li|h[1-6]|td)>")
_WRAPPED = re.compile(r'<div dir="(?:ltr|rtl|auto)">(.*)</div>\Z', re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]+")
_MOST_DEPTH = 20


def clean_html(html: str) -> str:
    """Return HTML of an editor without anything that runs or loads; pictures stay out."""
    clean = nh3.clean(
        read_html(html[:LONGEST]).shown_source,
        tags=_TAGS,
        clean_content_tags={"script", "style", "title"},
        attributes={"*": {"dir"}, "a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )
    return clean.strip()


def as_document(html: str) -> str:
    """Return clean HTML as the HTML part of a message: each paragraph has a direction."""
    direction = find_direction(plain_text(html))
    inside = _WITHOUT_DIRECTION.sub(r'<\1 dir="auto">', html)
    return f'<!DOCTYPE html>\n<html><body><div dir="{direction}">{inside}</div></body></html>'


def of_document(source: str) -> str:
    """Return the clean HTML that ``as_document`` made a document of."""
    html = clean_html(source)
    match = _WRAPPED.match(html)
    return html if match is None else match[1]


def plain_text(html: str) -> str:
    """Return clean HTML as plain text: ``>`` before what is quoted, URLs behind their words."""
    writer = _Writer()
    writer.feed(html)
    writer.close()
    return writer.finish()


class _Writer(HTMLParser):
    """Writes one line for each block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line = ""
        self._mark = ""
        """Bullet or number of the list item that begins."""
        self._depth = 0
        self._lists: list[int] = []
        """Of each list around: the number of its last item; -1: it has bullets."""
        self._link: tuple[str, int] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        if tag in _BLOCKS:
            self._end_line()
        if tag == "blockquote":
            self._depth = min(self._depth + 1, _MOST_DEPTH)
        elif tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else -1)
        elif tag == "li":
            self._begin_item()
        elif tag == "br":
            self._add_line()
        elif tag == "hr":
            self._line = "---"
            self._end_line()
        elif tag == "a":
            self._link = (dict(attrs).get("href") or "", len(self._line))

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        if tag == "a" and self._link is not None:
            url, start = self._link
            if url and self._line[start:].strip() not in (url, url.removeprefix("mailto:")):
                self._line += f" <{url}>"
            self._link = None
        if tag in _BLOCKS:
            self._end_line()
        if tag == "p":
            self._add_line()
        elif tag == "blockquote":
            self._depth = max(self._depth - 1, 0)
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()

    def handle_data(self, data: str) -> None:
        """Take text."""
        words = _SPACE.sub(" ", data.replace("\u200b", ""))
        self._line += words if self._line else words.lstrip(" ")

    def finish(self) -> str:
        """Return the whole text."""
        self._end_line()
        return "\n".join(self._lines).rstrip("\n")

    def _begin_item(self) -> None:
        mark = "* "
        if self._lists and self._lists[-1] >= 0:
            self._lists[-1] += 1
            mark = f"{self._lists[-1]}. "
        self._mark = "  " * max(len(self._lists) - 1, 0) + mark

    def _end_line(self) -> None:
        if self._line:
            self._add_line()

    def _add_line(self) -> None:
        text = self._mark + self._line.replace("\xa0", " ")
        self._lines.append(f"{'>' * self._depth} {text}" if self._depth else text)
        self._line = self._mark = ""
