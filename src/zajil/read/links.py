"""Links in plain text: where they begin and end, and where they really lead. Pure.

Security: only ``http``, ``https`` and ``mailto`` become links. A target is read as browsers read it
(WHATWG URL), so that the host that is shown is the one that is asked; it is shown beside every link
whose words do not begin with it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from urllib.parse import quote, unquote

from zajil.core.domain import BadDomain, to_dns_name, to_unicode
from zajil.core.value_class import value_class
from zajil.message.urls import URL, without_punctuation

_LONGEST = 4000
"""Characters of a target; a longer one is shown as text."""

# A link made of HTML travels inside the text as START target MIDDLE words END until the text is cut
# into paragraphs. The three are noncharacters (Unicode section 23.7); ``without_marks`` takes them
# out of everything that somebody else wrote.
_START, _MIDDLE, LINK_END = "\ufdd0", "\ufdd1", "\ufdd2"
_MARKS = re.compile(f"[{_START}{_MIDDLE}{LINK_END}]")
_MARKED = re.compile(
    f"{_START}([^{_START}{_MIDDLE}{LINK_END}]*){_MIDDLE}([^{_START}{_MIDDLE}{LINK_END}]*){LINK_END}"
)

_WEB = re.compile(r"(https?):[/\\]*([^/\\?#]+)(.*)\Z", re.IGNORECASE | re.DOTALL)
_IP_LITERAL = re.compile(r"\[[0-9a-fA-F:.]+\]\Z")
_IGNORED = re.compile(r"[\t\r\n]+")
_ENCODED = re.compile(r"[\x00-\x20\x7f\"<>\\^`{|}\ufdd0-\ufdef]")


@value_class(frozen=True, slots=True)
class LinkTarget:
    """Where a link leads."""

    url: str
    """With its scheme, ``http``, ``https`` or ``mailto``; no quotes, spaces or controls."""
    host: str
    """As it is shown; of ``mailto`` the address."""


@value_class(frozen=True, slots=True)
class LinkSpan:
    """A link in a text."""

    start: int
    """Offset of its words in the text."""
    end: int
    target: LinkTarget
    is_url: bool
    """The words are a URL: they run left to right."""
    shows_host: bool
    """The words begin with the host; else it has to be shown beside them."""


def read_target(text: str) -> LinkTarget | None:
    """Read a URL as a browser would; ``None`` for what is not followed.

    Args:
        text: of an ``href`` or of plain text; may be anything.
    """
    return _read_target(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=512)
def _read_target(text: str) -> LinkTarget | None:
    url = _IGNORED.sub("", text).strip("".join(map(chr, range(0x21))))
    scheme, _, recipient = url.partition(":")
    if scheme.lower() == "mailto":
        address = unquote(recipient.partition("?")[0]).strip()
        if "@" not in address or _ENCODED.search(address) or not address.isprintable():
            return None
        return LinkTarget(f"mailto:{quote(address, safe='@')}", address)
    match = _WEB.match(url)
    if match is None:
        return None
    # Security: the host stands behind the last "@", and browsers decode it before they ask.
    user, at, place = match[2].rpartition("@")
    literal, bracket, rest = place.rpartition("]")
    name, colon, port = rest.partition(":")
    name = literal + bracket + name
    try:
        host = name if _IP_LITERAL.match(name) else to_dns_name(unquote(name))
    except BadDomain:
        return None
    if colon and not port.isdecimal():
        return None
    user = _ENCODED.sub(lambda found: quote(found[0]), user)
    path = _ENCODED.sub(lambda found: quote(found[0]), match[3])
    return LinkTarget(f"{match[1].lower()}://{user}{at}{host}{colon}{port}{path}", _shown(host))


def find_links(text: str) -> tuple[LinkSpan, ...]:
    """Find the URLs of a text; without the punctuation of the sentence that they stand in."""
    found: list[LinkSpan] = []
    for match in URL.finditer(text):
        words = without_punctuation(match[0])
        target = read_target(words)
        if target is not None:
            end = match.start() + len(words)
            found.append(LinkSpan(match.start(), end, target, True, _begins_with(words, target)))
    return tuple(found)


def mark_link(words: str, target: LinkTarget) -> str:
    """Put a link into a text, for ``take_marks``; ``words`` are without marks."""
    return f"{_START}{target.url}{_MIDDLE}{words}{LINK_END}"


def without_marks(text: str) -> str:
    """Take what ``take_marks`` reads out of a text that somebody else wrote."""
    return _MARKS.sub("", text)


def take_marks(marked: str) -> tuple[str, tuple[LinkSpan, ...]]:
    """Return a text without marks, and its links: those that were marked and the URLs it shows."""
    if _START not in marked:
        return marked, find_links(marked)
    pieces: list[str] = []
    links: list[LinkSpan] = []
    length = end = 0
    whole = ""

    def add(text: str) -> None:
        nonlocal length
        for link in find_links(text):
            shifted = (length + link.start, length + link.end)
            links.append(LinkSpan(*shifted, link.target, True, link.shows_host))
        pieces.append(text)
        length += len(text)

    for match in _MARKED.finditer(marked):
        between = marked[end : match.start()]
        add(without_marks(between))
        end = match.end()
        words, target = match[2], read_target(match[1])
        pieces.append(words)
        length += len(words)
        if target is None or not words.strip():
            continue
        start = length - len(words)
        # ``<a>Reset <b>it</b></a>`` is one link, though it comes in pieces.
        goes_on = bool(links) and links[-1].target == target and not between.strip(" ")
        if goes_on and len(whole) < _LONGEST:
            start = links.pop().start
            whole += between + words
        else:
            whole = words
        is_url = URL.fullmatch(whole.strip()) is not None
        links.append(LinkSpan(start, length, target, is_url, _begins_with(whole.strip(), target)))
    add(without_marks(marked[end:]))
    return "".join(pieces), tuple(links)


def _begins_with(words: str, target: LinkTarget) -> bool:
    """Whether the words are the host, or a URL in which it stands where a reader looks for it."""
    bare = re.sub(r"\A(?:https?://|mailto:)", "", words, flags=re.IGNORECASE).lower()
    host = target.host.lower()
    return bare.startswith(host) and (len(bare) == len(host) or bare[len(host)] in "/:?#")


def _shown(host: str) -> str:
    """Return a host in U-labels where they can be taken for no other letters, else in A-labels."""
    name = to_unicode(host)
    is_arabic = all(label.isascii() or _is_arabic(label) for label in name.split("."))
    return name if is_arabic else host


def _is_arabic(label: str) -> bool:
    return all(unicodedata.name(char, "").startswith("ARABIC ") or char in "-" for char in label)
