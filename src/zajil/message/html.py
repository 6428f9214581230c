"""HTML as a browser shows it: text, links, images, forms, and what is hidden. Pure.

One reading for the checks and the web pages; SEARCH has ``html_words``. lexbor builds the tree of
the HTML standard, without scripts; this module walks it. What some browser may show counts as
shown (``html_look``).

Laws:
- One bound for everybody: ``cut_source`` says how much of a text is read, and nobody shows more.
- Linear in what is read: ``cut_source`` keeps away what makes a parser of HTML slow.
- Never raises. Nothing is recursive but ``srcdoc``, ``_MAX_FRAMES`` deep.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from selectolax.lexbor import LexborHTMLParser, LexborNode

from zajil.core.value_class import value_class
from zajil.message.html_bounds import MAX_HTML, SPACE, cut_source, parse_html
from zajil.message.html_look import (
    BLOCKS,
    NEVER_SHOWN,
    OWN_LETTERS,
    SHOWN,
    SMALLEST,
    WHITE_INK,
    Attributes,
    Look,
    Styles,
)
from zajil.message.html_sheet import generated_text

MAX_LINKS = 300
"""Links that are kept of one part."""
_MAX_FRAMES = 3
"""Documents in ``srcdoc`` of documents."""


Kind = Literal["a", "form", "frame", "text"]


@value_class(frozen=True, slots=True)
class Link:
    """Something that leads elsewhere."""

    target: str
    """As written, without the controls and spaces that browsers drop."""
    shown: str
    """The words that are clicked; of a URL in plain text the URL itself."""
    kind: Kind
    """``text``: found in plain text."""


@value_class(frozen=True, slots=True)
class Image:
    """An ``img`` element that is shown."""

    source: str
    alt: str
    """Shown where the image is not loaded."""


@dataclass(slots=True, kw_only=True)
class Html:
    """What one HTML document says."""

    text: str = ""
    """Shown, with a line end where a block begins or ends. Alternative texts of images and values
    of form fields are part of it."""
    hidden: str = ""
    """In elements that show nothing: no display, size or opacity, the colour of the background."""
    links: list[Link] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    has_form: bool = False
    has_password: bool = False
    has_script: bool = False
    base: str = ""
    """What relative links refer to."""
    is_cut: bool = False
    """There was more than is read."""
    sheets: str = ""
    """Style sheets for screens, as written."""
    _tree: LexborHTMLParser | None = None
    _hidden_nodes: list[LexborNode] = field(default_factory=list)

    @property
    def shown_source(self) -> str:
        """The document without what is hidden, written anew from the tree; for pages.

        Security: it still holds whatever its author wrote into it; ``read.safe_html`` cleans it.
        """
        if self._tree is None:
            return ""
        while self._hidden_nodes:
            self._hidden_nodes.pop().decompose()
        for node in self._tree.css("plaintext, xmp"):
            # Their text is written without escapes, and would be read as another one; the first
            # has no end tag, so that whatever follows it would be its text, too.
            node.replace_with(f"\n{node.text()}\n")
        return self._tree.html or ""


def read_html(source: str, limit: int = MAX_HTML) -> Html:
    """Read one document or fragment; never raises.

    Args:
        limit: characters that are enough.
    """
    return _Walk(*cut_source(source, limit), depth=0).run()


_BLOCK_DISPLAYS = frozenset({"block", "flex", "grid", "list-item", "table", "table-cell"})
_PREFORMATTED = frozenset({"pre", "textarea", "listing", "xmp", "plaintext"})
_HAS_MEANING = frozenset(
    {
        *("a", "area", "base", "button", "embed", "form", "frame", "iframe", "input"),
        *("meta", "object", "optgroup", "option", "script"),
    }
)
_SOURCES = {"iframe": "src", "frame": "src", "embed": "src", "object": "data"}
_CONTROLS = frozenset({"button", "form", "input"})
_ANIMATED = ("to", "from", "by", "values")
_FIELDS = frozenset({"", "button", "email", "number", "reset", "search", "submit", "tel", "text"})
"""Types of ``input`` whose value is shown as text."""
_DROPPED = re.compile(r"[\x00-\x20\x7f]+")


@dataclass(slots=True)
class _FoundLink:
    """A link, and which pieces of text are its words."""

    target: str
    kind: Kind
    shown: str = ""
    start: int = 0
    end: int = 0


class _Walk:
    """One pass over a tree."""

    def __init__(self, source: str, is_cut: bool, depth: int) -> None:
        self.tree = parse_html(source)
        self.found = Html(is_cut=is_cut, _tree=self.tree)
        self.depth = depth
        self.stack: list[tuple[LexborNode | None, Look, Any]] = []
        """Nodes to visit, with whether each is foreign; ``None``: an element ends."""
        self.pieces: list[str] = []
        self.states: list[int] = []
        self.links: list[_FoundLink] = []
        self.open_links: list[int] = []
        self.white_nodes: list[LexborNode] = []
        lower = source.lower()
        sheets = self.tree.css("style") if "<style" in lower else []
        self.sheet_text = "\n".join([one.text() for one in sheets])
        self.found.sheets = "\n".join([one.text() for one in sheets if _is_for_screens(one)])
        is_known = "stylesheet" not in lower and "shadowroot" not in lower
        self.styles = Styles(self.sheet_text, is_known=is_known)

    def run(self) -> Html:
        if self.tree.root is not None:
            self._walk(self.tree.root)
        if "content" in self.sheet_text.lower() and (made := generated_text(self.sheet_text)):
            self._break(SHOWN)
            self._say(made, SHOWN)
        self._finish()
        return self.found

    def _walk(self, root: LexborNode) -> None:
        stack = self.stack
        stack.append((root, Look(), False))
        while stack:
            node, look, around = stack.pop()
            if node is None:
                self._leave(look, around)
                continue
            if (following := node.next) is not None:
                stack.append((following, look, around))
            tag = node.tag or ""
            if tag == "-text":
                self._text(node, look)
            elif node.is_element_node:
                is_foreign = around or tag == "svg" or tag == "math"
                inner = self._enter(node, tag, look, is_foreign)
                child = node.first_child
                if tag == "template":
                    child = child or _shadow_of(node)
                # What stands in a frame is for programs that know no frames; in SVG it is shown.
                is_left = tag == "iframe" or (inner.gone and tag in NEVER_SHOWN)
                if child is not None and (is_foreign or not is_left):
                    stack.append((child, inner, is_foreign))
            elif (child := node.first_child) is not None:
                stack.append((child, look, around))

    # ---- text -------------------------------------------------------------------------------

    def _text(self, node: LexborNode, look: Look) -> None:
        text = node.text_content or ""
        if not look.is_pre and ("\n" in text or "  " in text or "\t" in text):
            text = SPACE.sub(" ", text)
        if look.state and not look.gone:
            nodes = self.white_nodes if look.state == WHITE_INK else self.found._hidden_nodes
            nodes.append(node)
        self.pieces.append(text)
        self.states.append(look.state)

    def _say(self, text: str, state: int) -> None:
        self.pieces.append(text)
        self.states.append(state)

    def _break(self, state: int) -> None:
        if self.pieces and not (self.pieces[-1] == "\n" and self.states[-1] == state):
            self.pieces.append("\n")
            self.states.append(state)

    def _finish(self) -> None:
        """Put the pieces together, now that all backgrounds are known."""
        found, states = self.found, self.states
        if WHITE_INK in states:
            is_white_shown = self.styles.is_white_shown
            if not is_white_shown:
                found._hidden_nodes += self.white_nodes
            states = [(is_white_shown and one == WHITE_INK) or not one for one in states]
        else:
            states = [not one for one in states]
        shown = [
            piece if is_shown else "" for piece, is_shown in zip(self.pieces, states, strict=True)
        ]
        found.text = "".join(shown).strip("\n")
        if not all(states):
            hidden = [
                one for one, is_shown in zip(self.pieces, states, strict=True) if not is_shown
            ]
            found.hidden = "".join(hidden)
        for link in self.links:
            words = link.shown or " ".join("".join(shown[link.start : link.end]).split())[:300]
            found.links.append(Link(link.target, words, link.kind))

    # ---- elements ---------------------------------------------------------------------------

    def _enter(self, node: LexborNode, tag: str, look: Look, is_foreign: bool) -> Look:
        attributes = node.attributes
        inner, display = look, ""
        if attributes or look.state or is_foreign or tag in NEVER_SHOWN:
            inner, display = self.styles.look_of(tag, attributes, look, is_foreign=is_foreign)
        if tag in OWN_LETTERS and (inner.ink is not None or inner.size <= SMALLEST):
            inner = self.styles.look_with_own_letters(tag, attributes, look)
        if tag in _PREFORMATTED:
            inner = inner.inside({}, is_box=False)
            inner.is_pre = True
        if (tag == "iframe" and not is_foreign) or (inner.gone and not look.gone):
            self.found._hidden_nodes.append(node)
        is_block = tag in BLOCKS or display in _BLOCK_DISPLAYS
        if is_block:
            self._break(inner.state)
        is_link = False
        if tag == "img":
            self._note_image(node, attributes, inner)
        elif tag in _HAS_MEANING or (is_foreign and attributes):
            is_link = self._note(tag, attributes, inner, is_foreign)
        if is_block or is_link:
            self.stack.append((None, inner, (is_link, is_block)))
        return inner

    def _leave(self, look: Look, marks: tuple[bool, bool]) -> None:
        is_link, is_block = marks
        if is_link:
            self.links[self.open_links.pop()].end = len(self.pieces)
        if is_block:
            self._break(look.state)

    # ---- links, images, forms ---------------------------------------------------------------

    def _note(self, tag: str, attributes: Attributes, look: Look, is_foreign: bool) -> bool:
        """Note what an element means; returns whether it is a link that has words."""
        found = self.found
        get = {name: value or "" for name, value in attributes.items()}.get
        target = get("href", "") or get("xlink:href", "")
        if is_foreign and tag in ("animate", "set"):
            for name in _ANIMATED:
                self._add_link(get(name, ""), "a")
        elif tag == "a" or (is_foreign and target):
            if not target or len(self.links) >= MAX_LINKS:
                return False
            self.open_links.append(len(self.links))
            self.links.append(_FoundLink(_clean(target), "a", start=len(self.pieces)))
            return True
        elif tag in _SOURCES:
            self._add_link(get(_SOURCES[tag], ""), "frame")
            if tag == "iframe" and (inner := get("srcdoc", "")) and self.depth < _MAX_FRAMES:
                self._add_document(inner)
        elif tag == "base":
            found.base = found.base or _clean(get("href", ""))
        elif tag == "area":
            self._add_link(get("href", ""), "a", get("alt", ""))
        elif tag == "script":
            found.has_script = True
        elif tag == "meta":
            if get("http-equiv", "").lower() == "refresh":
                self._add_link(_refresh_target(get("content", "")), "a")
        elif tag in ("option", "optgroup"):
            self._say(get("label", ""), look.state)
        elif tag in _CONTROLS:
            self._note_form(tag, get, look)
        return False

    def _note_image(self, node: LexborNode, attributes: Attributes, look: Look) -> None:
        # White ink hides no picture.
        state = SHOWN if look.state == WHITE_INK else look.state
        alt = attributes.get("alt") or ""
        if state == SHOWN:
            self.found.images.append(Image(attributes.get("src") or "", alt))
        elif not look.gone:
            self.found._hidden_nodes.append(node)
        if alt:
            self._say(f" {alt} ", state)

    def _note_form(self, tag: str, get: Callable[[str, str], str], look: Look) -> None:
        found = self.found
        if tag == "form":
            found.has_form = True
            self._add_link(get("action", ""), "form")
            return
        self._add_link(get("formaction", ""), "form")
        if tag == "input":
            kind = get("type", "").lower()
            found.has_password |= kind == "password"
            if kind in _FIELDS:
                self._say(f" {get('value', '') or get('placeholder', '')} ", look.state)
            elif kind == "image":
                self._say(f" {get('alt', '')} ", look.state)

    def _add_link(self, target: str, kind: Kind, shown: str = "") -> None:
        if target and len(self.links) < MAX_LINKS:
            self.links.append(_FoundLink(_clean(target), kind, shown[:300]))

    def _add_document(self, source: str) -> None:
        """Add what the document in a frame says to what this one says."""
        inner = _Walk(*cut_source(source), depth=self.depth + 1).run()
        found = self.found
        self._break(SHOWN)
        self._say(inner.text, SHOWN)
        self._break(SHOWN)
        found.has_form |= inner.has_form
        found.has_password |= inner.has_password
        found.has_script |= inner.has_script
        for link in inner.links:
            self._add_link(link.target, link.kind, link.shown)


def _is_for_screens(sheet: LexborNode) -> bool:
    media = (sheet.attributes.get("media") or "").lower()
    return "print" not in media and "(" not in media


def _shadow_of(template: LexborNode) -> LexborNode | None:
    """Return what a browser shows of a template: a shadow tree that is open at once."""
    if "shadowrootmode" not in template.attributes:
        return None
    fragments = template.template_fragments()
    return fragments[0].first_child if fragments else None


def _clean(target: str) -> str:
    # Browsers drop tabs and line ends anywhere in a URL: ``java\nscript:`` works.
    return _DROPPED.sub("", target[:4000])


def _refresh_target(content: str) -> str:
    """Return where ``<meta http-equiv=refresh>`` leads (HTML standard section 4.2.5.3)."""
    match = _REFRESH.match(content)
    return match[1] if match else ""


_REFRESH = re.compile(r"\s*[\d.]*\s*[;,]?\s*(?:url\s*=\s*)?[\"']?(.+)", re.IGNORECASE | re.DOTALL)
