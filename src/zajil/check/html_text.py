"""What a reader of HTML sees, what is hidden from him, and where its links lead. Pure.

Not a parser of HTML: a reader of tags and text for the checks, in one pass. It never makes anything
to be shown; that is ``read.safe_html``.

Laws:
- Linear: no byte is looked at more than a fixed number of times. What is never closed (a comment, a
  quoted attribute, a script) takes the rest of the text, as browsers do (CVE-2024-45626).
- Never raises, keeps no stack, so nothing nests.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

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
_HIDDEN = re.compile(
    r"(?:display\s*+:\s*+none|visibility\s*+:\s*+hidden|mso-hide\s*+:\s*+all"
    r"|font-size\s*+:\s*+(?:0(?:\.0\d*+)?|1px)(?![\d.])|opacity\s*+:\s*+0(?:\.0\d*+)?(?![\d.])"
    r"|text-indent\s*+:\s*+-\d{3,}|(?:max-height|max-width|line-height)\s*+:\s*+0(?![\d.]))",
    re.IGNORECASE,
)
# What may hide something: without it, attributes are not looked at one by one.
_TELLS = re.compile(
    r"&|hid|display|size\s*+:\s*+[01]|opacity|indent|max-|line-height\s*+:\s*+0|color|background",
    re.IGNORECASE,
)
_INK = re.compile(r"(?<![\w-])color\s*+:\s*+([#\w]++)", re.IGNORECASE)
_PAPER = re.compile(r"background(?:-color)?\s*+:\s*+([#\w]++)", re.IGNORECASE)
_WHITE = frozenset({"white", "#fff", "#ffffff", "#fefefe", "#fdfdfd"})
_DROPPED = re.compile(r"[\x00-\x20\x7f]+")


class _Reader:
    """The state of one pass."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found = HtmlText()
        self.visible: list[str] = []
        self.hidden: list[str] = []
        self.hidden_by = ""
        """Name of the element that hides; ``""``: what comes is visible."""
        self.hidden_depth = 0
        self.has_paper = False
        """Some element said a colour for its background; white ink may be meant for it."""
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
        (self.hidden if self.hidden_by else self.visible).append(chunk)

    def _tag(self, match: re.Match[str]) -> int:
        """Take what begins at this ``<``; gives where it ends."""
        slash, name, rest, comment = match.groups()
        text = self.text
        if name is None:
            needle = "-->" if comment else ">"
            # `<!-->` is a whole comment to a browser.
            close = text.find(needle, match.end() - (2 if comment else 0))
            return len(text) if close < 0 else close + len(needle)
        name = name.lower()
        at = match.end()
        attributes: dict[str, str] = {}
        if rest is None or name in _WITH_ATTRIBUTES or _TELLS.search(rest):
            attributes, at = self._read_attributes(name, match.end(2))
        if slash:
            self._end_tag(name)
            return at
        self._start_tag(name, attributes)
        if name in _RAW:
            end = _RAW_END[name].search(text, at)
            return len(text) if end is None else end.start()
        return at

    def _read_attributes(self, name: str, at: int) -> tuple[dict[str, str], int]:
        """Read the attributes of a tag, if one of them may matter; gives where the tag ends."""
        text = self.text
        end = text.find(">", at)
        if end >= 0 and name not in _WITH_ATTRIBUTES:
            raw = text[at:end]
            doubles, singles = raw.count('"'), raw.count("'")
            # With quotes of one kind, all closed, this ``>`` stands in none of them.
            is_whole = doubles % 2 == 0 and singles % 2 == 0 and not (doubles and singles)
            if is_whole and not _TELLS.search(raw):
                return {}, end + 1
        return _attributes(text, at)

    def _start_tag(self, name: str, attributes: dict[str, str]) -> None:
        if self.hidden_by:
            if name == self.hidden_by:
                self.hidden_depth += 1
        elif attributes and name not in _VOID and self._hides(attributes):
            self.hidden_by, self.hidden_depth = name, 1
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
        if name == self.hidden_by:
            self.hidden_depth -= 1
            if not self.hidden_depth:
                self.hidden_by = ""

    def _break(self) -> None:
        out = self.hidden if self.hidden_by else self.visible
        if out and out[-1] != "\n":
            out.append("\n")

    def _hides(self, attributes: dict[str, str]) -> bool:
        if "hidden" in attributes:
            return True
        style = attributes.get("style", "")
        ink, paper = attributes.get("color", ""), attributes.get("bgcolor", "")
        if style:
            if _HIDDEN.search(style):
                return True
            if match := _INK.search(style):
                ink = match[1]
            if match := _PAPER.search(style):
                paper = match[1]
        if paper or "background" in attributes:
            self.has_paper = self.has_paper or paper.lower() not in _WHITE
        ink, paper = ink.lower(), paper.lower()
        return bool(ink) and (ink == paper or (ink in _WHITE and not paper and not self.has_paper))

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
