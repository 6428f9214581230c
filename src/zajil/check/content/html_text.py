"""What a reader of HTML sees, what is hidden from him, and where its links lead. Pure.

Not a parser of HTML: a reader of tags and text for the checks, in one pass. It never makes anything
to be shown; that is ``read.safe_html``.

Laws:
- Linear: no byte is looked at more than a fixed number of times. What is never closed (a comment, a
  quoted attribute, a script) takes the rest of the text, as browsers do (CVE-2024-45626).
- Never raises. What is open is kept by ``open_elements``, in lists; nothing is recursive.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any

from zajil.check.content.inline_style import UNKNOWN, read_color, read_style
from zajil.check.content.open_elements import OpenElements

MAX_HTML = 262_144
"""Characters that are read of one part; a letter has a tenth of it."""
MAX_LINKS = 300
"""Links that are kept of one part."""


@dataclass(frozen=True, slots=True)
class Link:
    """Something that leads elsewhere."""

    target: str
    """As it stands, without the controls and spaces that browsers drop."""
    shown: str
    """The words that are clicked; of a plain-text URL the URL itself."""
    kind: str
    """``a``, ``form`` or ``text`` (found in plain text)."""


@dataclass(slots=True)
class HtmlText:
    """What one HTML part says."""

    text: str = ""
    """Visible, with line ends where blocks begin."""
    hidden: str = ""
    """In elements that show nothing: no display, no size, no opacity, ink of the paper's colour."""
    links: list[Link] = field(default_factory=list)
    images: int = 0
    has_form: bool = False
    """It asks to type something in."""
    has_password: bool = False
    has_script: bool = False
    base: str = ""
    """What relative links stand for."""


def read_html(text: str) -> HtmlText:
    """Read one part; never raises."""
    return _Reader(text[:MAX_HTML]).run()


# The head of a tag; `<` ends whatever was not closed, so no byte is taken twice.
_TAG = re.compile(r"<(?:(/?)([A-Za-z][^\s/<>]*+)([^<>=\"']*+>)?|(!--)|[!?])")
# One attribute; a quote that is never closed takes the rest of the text.
_ATTRIBUTE = re.compile(
    r"[\s/]*+(?:(>)|([^\s=>/]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"?|'([^']*+)'?|([^\s>]*+)))?|=)"
)
_BLOCKS = frozenset(
    {
        *("address", "article", "blockquote", "br", "center", "dd", "div", "dl", "dt"),
        *("figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("header", "hr", "li", "main", "nav", "ol", "p", "pre", "section"),
        *("table", "td", "th", "tr", "ul"),
    }
)
_RAW = frozenset({"script", "style", "title", "textarea", "xmp", "noembed", "noframes", "iframe"})
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in _RAW}
_VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
        "wbr",
    ]
)
_WITH_ATTRIBUTES = frozenset({"a", "area", "form", "base", "input", "meta", "body", "script"})
# What may hide something: without it, attributes are not looked at one by one.
_TELLS = re.compile(
    r"&|\\|hid|display|size\s*+:\s*+[01.]|font\s*+:|opacity|height|max-|overflow|visib"
    r"|color|background",
    re.IGNORECASE,
)
_SHEET_WITH_PAPER = re.compile(r"background", re.IGNORECASE)
_SHOWN_RAW = frozenset({"xmp", "textarea"})
_BARE_HEX = re.compile(r"[0-9a-fA-F]{6}\Z")
_COMMENT_END = re.compile(r"--!?>")
_DROPPED = re.compile(r"[\x00-\x20\x7f]+")


class _Reader:
    """The state of one pass."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found = HtmlText()
        self.visible: list[str] = []
        self.hidden: list[str] = []
        self.open = OpenElements()
        self.styles: dict[str, dict[str, Any]] = {}
        """What styles of this text say: most stand there many times."""
        self.target: str | None = None
        self.link_starts = 0
        """Where the visible words of the open link begin."""

    def run(self) -> HtmlText:
        text, at = self.text, 0
        while match := _TAG.search(text, at):
            if match.start() > at:
                self._say(text[at : match.start()])
            at = self._tag(match)
        if at < len(text):
            self._say(text[at:])
        self._end_link()
        self.found.text = "".join(self.visible)
        self.found.hidden = "".join(self.hidden)
        return self.found

    def _say(self, chunk: str) -> None:
        if "&" in chunk:
            chunk = unescape(chunk)
        (self.hidden if self.open.is_hidden else self.visible).append(chunk)

    def _tag(self, match: re.Match[str]) -> int:
        """Take what begins at this ``<``; gives where it ends."""
        slash, name, rest, comment = match.groups()
        text = self.text
        if name is None:
            if comment:
                # `<!-->` is a whole comment to a browser.
                end = _COMMENT_END.search(text, match.end() - 2)
                return len(text) if end is None else end.end()
            close = text.find(">", match.end())
            return len(text) if close < 0 else close + 1
        name = name.lower()
        at = match.end()
        attributes: dict[str, str] = {}
        is_watchful = self.open.is_watchful and not slash
        if rest is None or is_watchful or name in _WITH_ATTRIBUTES or _TELLS.search(rest):
            attributes, at = self._read_attributes(name, match.end(2))
        if slash:
            self._end_tag(name)
            return at
        self._start_tag(name, attributes, is_closed=text[at - 2 : at] == "/>")
        return self._raw(name, at) if name in _RAW else at

    def _raw(self, name: str, at: int) -> int:
        """Take what has no tags in it, up to its end tag."""
        text = self.text
        end = _RAW_END[name].search(text, at)
        stop = len(text) if end is None else end.start()
        if name in _SHOWN_RAW:
            self._say(text[at:stop])
        elif name == "style" and _SHEET_WITH_PAPER.search(text, at, stop):
            # White ink may be meant for what a style sheet paints.
            self.open.has_paper = True
        return stop

    def _read_attributes(self, name: str, at: int) -> tuple[dict[str, str], int]:
        """Read the attributes of a tag, if one of them may matter; gives where the tag ends."""
        text = self.text
        end = text.find(">", at)
        if end >= 0 and name not in _WITH_ATTRIBUTES and not self.open.is_watchful:
            raw = text[at:end]
            doubles, singles = raw.count('"'), raw.count("'")
            # With quotes of one kind, all closed, this ``>`` stands in none of them.
            is_whole = doubles % 2 == 0 and singles % 2 == 0 and not (doubles and singles)
            if is_whole and not _TELLS.search(raw):
                return {}, end + 1
        return _attributes(text, at)

    def _start_tag(self, name: str, attributes: dict[str, str], *, is_closed: bool) -> None:
        values = self._read_values(name, attributes) if attributes else None
        is_void = name in _VOID or name in _RAW or (is_closed and name in ("svg", "math"))
        self.open.start(name, values, is_void=is_void)
        if name in _BLOCKS:
            self._break()
        if name == "a":
            self._end_link()
            self._begin_link(attributes)
        elif name in _WITH_ATTRIBUTES or name in ("img", "textarea"):
            self._note(name, attributes)

    def _note(self, name: str, attributes: dict[str, str]) -> None:
        found = self.found
        if name == "img":
            found.images += 1
        elif name == "area":
            self._add_link(attributes.get("href", ""), attributes.get("alt", ""), "a")
        elif name == "form":
            found.has_form = True
            self._add_link(attributes.get("action", ""), "", "form")
        elif name == "input":
            found.has_password |= attributes.get("type", "").lower() == "password"
        elif name == "script":
            found.has_script = True
        elif name == "base":
            found.base = found.base or _clean(attributes.get("href", ""))
        elif name == "meta" and attributes.get("http-equiv", "").lower() == "refresh":
            _, equals, target = attributes.get("content", "").partition("=")
            if equals:
                self._add_link(target, "", "a")

    def _end_tag(self, name: str) -> None:
        if name == "a":
            self._end_link()
        if name in _BLOCKS:
            self._break()
        self.open.end(name)

    def _break(self) -> None:
        out = self.hidden if self.open.is_hidden else self.visible
        if out and out[-1] != "\n":
            out.append("\n")

    def _read_values(self, name: str, attributes: dict[str, str]) -> dict[str, Any] | None:
        """Give what attributes say of being seen; style wins."""
        values: dict[str, Any] = {}
        if "hidden" in attributes and name not in ("svg", "math"):
            values["display"] = "none"
        if "background" in attributes:
            values["paper"] = UNKNOWN
        for attribute, key in (("color", "ink"), ("bgcolor", "paper")):
            if text := attributes.get(attribute, "").strip():
                color = read_color(f"#{text}" if _BARE_HEX.match(text) else text)
                # Browsers make a colour of any word.
                values[key] = UNKNOWN if color is None else color
        if style := attributes.get("style", ""):
            if style not in self.styles:
                self.styles[style] = read_style(style)
            values.update(self.styles[style])
        return values or None

    # ---- links ------------------------------------------------------------------------------

    def _begin_link(self, attributes: dict[str, str]) -> None:
        if "href" in attributes:
            self.target = attributes["href"]
            self.link_starts = len(self.visible)

    def _end_link(self) -> None:
        if self.target is not None:
            shown = "".join(self.visible[self.link_starts :])
            self._add_link(self.target, " ".join(shown.split())[:300], "a")
            self.target = None

    def _add_link(self, target: str, shown: str, kind: str) -> None:
        if len(self.found.links) < MAX_LINKS and target:
            self.found.links.append(Link(_clean(target), shown, kind))


def _clean(target: str) -> str:
    # Browsers drop tabs and line ends anywhere in a URL: ``java\nscript:`` works.
    return _DROPPED.sub("", target[:4000])


def _attributes(text: str, at: int) -> tuple[dict[str, str], int]:
    """Read attributes from ``at``; the first of a name counts, as in browsers."""
    found: dict[str, str] = {}
    while match := _ATTRIBUTE.match(text, at):
        at = match.end()
        close, name, double, single, bare = match.groups()
        if close:
            return found, at
        if name is not None and len(found) < 50:
            value = double or single or bare or ""
            found.setdefault(name.lower(), unescape(value) if "&" in value else value)
    return found, len(text)


def unescape(text: str) -> str:
    """Turn entities into characters; what has too many digits for Python stays as it is."""
    try:
        return html.unescape(text)
    except ValueError:
        return text
