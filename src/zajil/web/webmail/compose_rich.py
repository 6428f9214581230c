"""Text with formatting: what an editor sends is made safe, and made plain text as well. Pure.

Security: the HTML comes from a browser, and from whatever was pasted there; it is cleaned as the
HTML of a stranger's message is, before it is stored, shown or sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape, unescape
from html.parser import HTMLParser
from urllib.parse import quote, unquote

import nh3

from zajil.message.html import read_html
from zajil.read.paragraphs import find_direction

LONGEST = 1 << 20
"""Characters of HTML that are read."""
_TAGS = {
    *("a", "b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "hr", "i", "li", "ol"),
    *("p", "pre", "s", "span", "strong", "sub", "sup", "u", "ul", "img"),
}
_BLOCKS = frozenset(
    ("div", "p", "li", "ul", "ol", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "tr")
)
_WITHOUT_DIRECTION = re.compile(r"<(div|p|li|h[1-6]|td)>")
_WRAPPED = re.compile(r'<div dir="(?:ltr|rtl|auto)">(.*)</div>\Z', re.DOTALL)
PICTURE_PATH = "/compose/picture"
"""Address of the pictures of drafts: below it are mailbox, UID and Content-ID."""
_PICTURE = re.compile(r"(?:cid:|/compose/picture/[0-9]{1,16}/[0-9]{1,10}/)([^\s<>\"]{1,1500})\Z")
_IMG = re.compile(r'<img(?: [a-z]+="[^"]*")*>')
_SRC = re.compile(r' src="cid:([^"]*)"')
_SIZE = re.compile(r"[0-9]{1,4}\Z")
_IN_CID = "@!$*+=:"
"""Stands as it is in a ``cid:`` URL (RFC 2392)."""
_PICTURE_LOOK = 'style="max-width:100%;height:auto"'
_QUOTE_MARK = re.compile(r"(?:> ?)+")
_RENAMED = re.compile(
    r"<(/?)(h[4-6]|strike|del|tt|kbd|samp|center|tr|caption)(?=[\s/>])", re.IGNORECASE
)
_NEW_NAMES = {
    **{"strike": "s", "del": "s", "center": "div", "tr": "div", "caption": "div"},
    **{"tt": "code", "kbd": "code", "samp": "code", "h4": "h3", "h5": "h3", "h6": "h3"},
}
"""What the editor has instead; a row of a table becomes a line."""
_END_OF_TAG = r'(?=[\s/>])(?:[^<>"]|"[^"]*+")*+>'
_TABLE = re.compile(rf"</?(?:table|thead|tbody|tfoot|colgroup|col){_END_OF_TAG}", re.IGNORECASE)
_CELL = re.compile(
    rf"<t[dh]{_END_OF_TAG}(?:\s*<p{_END_OF_TAG})?|(?:</p>\s*)?</t[dh]{_END_OF_TAG}", re.IGNORECASE
)
"""With the paragraph in it: the cells of a row stay in one line."""
_HARD_SPACE = re.compile(r"(?<=[^\s;>«])&nbsp;(?=[^\s<&!?:;»%])")
"""Firefox puts one between any two words, which would then never be broken into lines."""
_SPACE = re.compile(r"[ \t\r\n]+")
_EMPTY = re.compile(r"<(div|p|span)(?: [^<>]*)?>[ \r\n]*</\1>")
"""Has no height where it is shown; an editor would give it a line."""
_FORMATTING = re.compile(r"<(?!/|(?:div|p|br|span)\b)")
_MOST_DEPTH = 20


def clean_html(html: str) -> str:
    """Return HTML of an editor without anything that runs or loads.

    Pictures of the letter stay, named by their Content-ID (``cid:``); all others stay out.
    """
    source = _RENAMED.sub(
        lambda found: f"<{found[1]}{_NEW_NAMES[found[2].lower()]}",
        read_html(html[:LONGEST]).shown_source,
    )
    clean = nh3.clean(
        _CELL.sub(" ", _TABLE.sub("", source)),
        tags=_TAGS,
        clean_content_tags={"script", "style", "title"},
        attributes={"*": {"dir"}, "a": {"href"}, "img": {"src", "alt", "width", "height"}},
        url_schemes={"http", "https", "mailto", "cid"},
        attribute_filter=_filter,
        link_rel=None,
    )
    clean = _HARD_SPACE.sub(" ", _EMPTY.sub("", clean))
    return _IMG.sub(lambda found: found[0] if _SRC.search(found[0]) else "", clean).strip()


def has_formatting(html: str) -> bool:
    """Check whether clean HTML says more than its lines of plain text do."""
    return _FORMATTING.search(html) is not None


def _filter(tag: str, name: str, value: str) -> str | None:
    if tag == "img" and name == "src":
        match = _PICTURE.match(value)
        return None if match is None else cid_url(unquote(match[1]))
    if tag == "img" and name in ("width", "height"):
        return value if _SIZE.match(value) else None
    return None if value[:4].lower() == "cid:" else value


def cid_url(content_id: str) -> str:
    """Return the URL of a part by its Content-ID (RFC 2392 section 2)."""
    return "cid:" + quote(content_id, safe=_IN_CID)


def pictures_in(html: str) -> set[str]:
    """Return the Content-IDs of the pictures in clean HTML."""
    return {_content_id(found[0]) for found in _IMG.finditer(html)}


def place_pictures(html: str, addresses: Mapping[str, str]) -> str:
    """Give the pictures in clean HTML other addresses.

    Args:
        html: names them by ``cid:``.
        addresses: by Content-ID; pictures without one are left out.
    """

    def place(found: re.Match[str]) -> str:
        address = addresses.get(_content_id(found[0]))
        if address is None:
            return ""
        return _SRC.sub(lambda _: f' src="{escape(address)}"', found[0])

    return _IMG.sub(place, html)


def _content_id(img: str) -> str:
    match = _SRC.search(img)
    return "" if match is None else unquote(unescape(match[1]))


def as_document(html: str) -> str:
    """Return clean HTML as the HTML part of a message: each paragraph has a direction."""
    direction = find_direction(plain_text(html))
    inside = _WITHOUT_DIRECTION.sub(r'<\1 dir="auto">', html)
    inside = inside.replace("<img ", f"<img {_PICTURE_LOOK} ")
    return f'<!DOCTYPE html>\n<html><body><div dir="{direction}">{inside}</div></body></html>'


def of_document(source: str) -> str:
    """Return the clean HTML that ``as_document`` made a document of."""
    html = clean_html(source)
    match = _WRAPPED.match(html)
    return html if match is None else match[1]


def of_text(text: str) -> str:
    """Return plain text as clean HTML: a block for each line, what ``>`` begins as a quote."""
    out: list[str] = []
    depth = 0
    for line in text.split("\n"):
        match = _QUOTE_MARK.match(line)
        mark = "" if match is None else match[0]
        wanted = min(mark.count(">"), _MOST_DEPTH)
        out.append("<blockquote>" * (wanted - depth) + "</blockquote>" * (depth - wanted))
        out.append(f'<div dir="auto">{escape(line[len(mark) :], quote=False) or "<br>"}</div>')
        depth = wanted
    return "".join(out) + "</blockquote>" * depth


def plain_text(html: str, picture: str = "picture") -> str:
    """Return clean HTML as plain text: ``>`` before what is quoted, URLs behind their words.

    Args:
        html: clean.
        picture: the word for one, in the language of the author.
    """
    writer = _Writer(picture)
    writer.feed(html)
    writer.close()
    return writer.finish()


class _Writer(HTMLParser):
    """Writes one line for each block."""

    def __init__(self, picture: str) -> None:
        super().__init__(convert_charrefs=True)
        self._picture = picture
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
        elif tag == "img":
            name = _SPACE.sub(" ", dict(attrs).get("alt") or "")
            self._line += f"[{self._picture}: {name}]" if name else f"[{self._picture}]"
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
