"""HTML of strangers made safe to show: an allow-list, no scripts, nothing loaded from elsewhere.

Security: this is one of three walls; the page shows the result in a sandboxed frame of its own,
under a policy that forbids scripts (attacks L). ``nh3`` keeps ``url()`` in styles, so each style
and style sheet is parsed by ``tinycss2`` and only what is harmless is written again.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import nh3

from zajil.core.value_class import value_class
from zajil.message.html_bounds import MAX_HTML, MAX_TAGS, cut_source
from zajil.read.ink import LOST_GROUND, LOST_PICTURE, SheetTooLong, mend_ink, read_legacy_color
from zajil.read.safe_sheet import BODY_CLASS, SafeSheet, read_sheet
from zajil.read.safe_style import style_with_losses

# What comes here was written anew from a tree (``message.html``): each element has its end tag, and
# signs that need it are entities. The parser of ``nh3`` copies the text before each ``&``.
_MAX_TAGS = 2 * MAX_TAGS + 1000
MAX_ENTITIES = 20_000
"""``&amp;`` and the like that are read of one text."""
MAX_REMOTE = 300
"""Pictures of other servers that one text may show, backgrounds among them."""
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
    "*": {
        "dir",
        "lang",
        "title",
        "style",
        "class",
        "id",
        "align",
        "valign",
        "width",
        "height",
        "bgcolor",
    }
    # ``mend_ink`` takes it out, or makes a style of it.
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
_PAINTED = frozenset({"table", "tbody", "td", "tfoot", "th", "thead", "tr", "div"})
"""Elements with ``background=``; a division stands for ``<body>``."""
CONTENT_IS_NO_TEXT = {"script", "style", "title", "head", "template", "noscript", "svg", "math"}

LINK_SCHEMES = {"http", "https", "mailto"}
_IMAGE_SCHEMES = {"http", "https"}
_BODY = re.compile(r"<body((?: [^\s=\">/]++=\"[^\"]*+\")*+)>")
_URL_AS_TEXT = re.compile(r"(<a [^<>]*>)((?:https?://|www\.)[^<>\s]{1,2000})(?=</a>)")
_CLASS = re.compile(r' class="([^"]*)"')


@value_class(frozen=True, slots=True)
class SafeHtml:
    """HTML that may be shown, and what was kept from it."""

    html: str
    """With its style sheets, if any, in front."""
    blocked: int
    """Pictures of other servers that were not loaded: each would tell its sender of the reader."""


def make_safe(
    html: str,
    *,
    sheets: str = "",
    remote_url: Callable[[str], str] | None = None,
    inline_url: Callable[[str], str | None] = lambda content_id: None,
) -> SafeHtml:
    """Make HTML safe.

    Args:
        html: of the message; beyond the limits above it is cut, and an ellipsis says so.
        sheets: what its ``<style>`` elements hold.
        remote_url: returns our own address for a picture of another server, which the reader
            asked for; ``None``: they are not loaded.
        inline_url: our own address for the image that a ``cid:`` names; ``None`` when there is
            none.
    """
    pictures = _Pictures(remote_url, inline_url)
    sheet = read_sheet(sheets, pictures.of_background) if sheets else SafeSheet()
    try:
        return _make_safe(html, sheet, pictures)
    except SheetTooLong:
        return _make_safe(html, SafeSheet(), _Pictures(remote_url, inline_url))


class _Pictures:
    """Which pictures of one text are shown, and how many are not."""

    def __init__(
        self,
        remote_url: Callable[[str], str] | None,
        inline_url: Callable[[str], str | None],
    ) -> None:
        self._remote_url = remote_url
        self._inline_url = inline_url
        self._remote = 0
        self.blocked = 0

    def of_image(self, url: str) -> str | None:
        """Return our own address of a picture, each time that it is shown."""
        if _scheme(url) == "cid":
            return self._inline_url(url.strip().partition(":")[2])
        self._remote += 1
        is_known = _scheme(url) in _IMAGE_SCHEMES and self._remote <= MAX_REMOTE
        if self._remote_url is None or not is_known:
            self.blocked += 1
            return None
        return self._remote_url(url.strip())

    def of_background(self, url: str) -> str | None:
        """Return the same of a background; without a known scheme it is none of another server."""
        return self.of_image(url) if _scheme(url) in _IMAGE_SCHEMES | {"cid"} else None


def _make_safe(html: str, sheet: SafeSheet, pictures: _Pictures) -> SafeHtml:
    styles = 0
    known_names = sheet.names | {BODY_CLASS}
    read: dict[str, str | None] = {}
    """Styles of this text that were read: most occur many times."""

    def filter_attribute(tag: str, name: str, value: str) -> str | None:
        nonlocal styles
        if name == "style":
            if value in read:
                return read[value]
            styles += len(value)
            if styles > MAX_STYLES:
                return LOST_GROUND
            style = style_with_losses(value, pictures.of_background)
            # Each picture counts: one of a few bytes of HTML may be a megabyte.
            if style is None or "url(" not in style:
                read[value] = style
            return style
        if name in ("class", "id"):
            return " ".join([one for one in value.split() if one in known_names]) or None
        if name == "background":
            return (tag in _PAINTED and pictures.of_background(value)) or LOST_PICTURE
        if name == "bgcolor" or (tag, name) == ("font", "color"):
            return read_legacy_color(value.strip())
        if name == "href":
            return value if _scheme(value) in LINK_SCHEMES else None
        if name == "src":
            return pictures.of_image(value)
        return value

    clean = nh3.clean(
        _BODY.sub(_as_division, cut_for_cleaner(html), count=1),
        tags=_TAGS,
        clean_content_tags=CONTENT_IS_NO_TEXT,
        attributes=_ATTRIBUTES,
        attribute_filter=filter_attribute,
        url_schemes=LINK_SCHEMES | _IMAGE_SCHEMES | {"cid"},
        # Only ``inline_url`` makes these: the filter above drops what has no scheme.
        url_relative="pass_through",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    # A URL reads from left to right; in Arabic text its slashes would go astray.
    mended = _URL_AS_TEXT.sub(r'\1<bdi dir="ltr">\2</bdi>', mend_ink(clean, sheet))
    return SafeHtml(
        f"<style>{sheet.text}</style>{mended}" if sheet.text else mended, pictures.blocked
    )


def _as_division(match: re.Match[str]) -> str:
    """Return what stands for ``<body>``: its ground is the one that colours were chosen for."""
    attributes = match[1]
    found = _CLASS.search(attributes)
    if found is None:
        return f'<div class="{BODY_CLASS}"{attributes}>'
    names = f' class="{BODY_CLASS} {found[1]}"'
    return f"<div{attributes[: found.start()]}{names}{attributes[found.end() :]}>"


def _scheme(url: str) -> str:
    return url.strip().partition(":")[0].lower()


def cut_for_cleaner(html: str) -> str:
    """Return the beginning of HTML that ``nh3`` is given; an ellipsis says that there is more."""
    text, is_cut = cut_source(
        html.replace("\r\n", "\n").replace("\x00", ""), 4 * MAX_HTML, _MAX_TAGS
    )
    if text.count("&") > MAX_ENTITIES:
        text = "&".join(text.split("&", MAX_ENTITIES)[:MAX_ENTITIES])
        is_cut = True
    return f"{text} …" if is_cut else text
