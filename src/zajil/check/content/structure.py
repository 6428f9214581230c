"""What the form of a message gives away: fields, lines, hidden words, parts that differ (RFC 5322).

``check_format`` looks at the header section and the lines, ``check_structure`` at the parts. Pure,
but for a body that is read from a file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from zajil.check.facts import MessageFacts
from zajil.check.sender.author import find_authors
from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Reason
from zajil.message.date import parse_date
from zajil.message.fields import MAX_FIELDS, find_value
from zajil.message.source import Source, read_pieces
from zajil.message.view import MessageView, TextPiece

# RFC 5322 section 3.6: at most one of each; a second one shows one thing to a filter and another
# to a reader.
_ONCE = (b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id")


_LINE = 998
"""RFC 5322 section 2.1.1: octets of a line, without CRLF."""
_NO_AUTHOR = 5.0
"""What a From without any address weighs: as much as one that a policy says to suspect."""


def check_format(facts: MessageFacts) -> Sequence[Reason]:
    """Return what speaks against the form of the message; usually nothing."""
    limits = facts.limits
    names = [field.name for field in facts.fields]
    kinds = set(names)
    reasons: list[Reason] = []
    if names.count(b"received") > limits.received_fields:
        reasons.append(make_reason("format.loop"))
    if len(facts.header) > limits.header_size or len(facts.fields) >= MAX_FIELDS:
        reasons.append(make_reason("format.header-size"))
    if b"from" not in kinds:
        reasons.append(make_reason("format.no-from"))
    elif names.count(b"from") > 1:
        # Security: DMARC looks at one of them and the reader sees another (RFC 9989 section 5.1).
        reasons.append(make_reason("format.repeated-from"))
    elif not (authors := find_authors(facts.fields)).is_readable:
        # Security: where not even an address can be guessed, nobody can be asked about the author.
        weight = None if authors.domains else _NO_AUTHOR
        reasons.append(make_reason("format.bad-from", weight=weight))
    if b"date" not in kinds:
        reasons.append(make_reason("format.no-date"))
    if b"" in kinds:
        reasons.append(make_reason("format.bad-line"))
    if len(kinds) < len(names):
        reasons += _repeated(Counter(names))
    if not facts.smtputf8 and not facts.header.isascii():
        reasons.append(make_reason("format.8bit-header"))
    if has_long_line(facts.body):
        reasons.append(make_reason("format.long-line"))
    return reasons


def _repeated(counts: Counter[bytes]) -> list[Reason]:
    return [
        make_reason("format.repeated-field", count=counts[name], field=name.decode("ascii").title())
        for name in _ONCE
        if counts[name] > 1
    ]


def has_long_line(body: bytes | Source) -> bool:
    """Whether a line is longer than RFC 5322 section 2.1.1 allows; looks at every thousandth byte.

    It jumps from each line end to the last one within reach, so a mail of short lines costs
    one search in a thousand bytes.
    """
    begun = b""  # of the line that goes on in the next piece
    for piece in read_pieces(body):
        data = begun + piece if begun else piece
        at, end = 0, len(data)
        while end - at > _LINE + 2:
            line_end = data.rfind(b"\n", at, at + _LINE + 2)
            if line_end < 0:
                return True
            at = line_end + 1
        begun = data[at:]
    return False


# ---- parts -------------------------------------------------------------------------------------

_DAY_MS = 86_400_000
_PREHEADER = 250
"""Hidden characters that honest newsletters have: the first line that a list of mails shows."""
_COMPARED = 20_000
"""Characters of two alternatives that are compared."""


def check_structure(view: MessageView, facts: MessageFacts) -> list[Reason]:
    """Return what speaks against the build of the message; usually nothing."""
    reasons = list(_check_header(view, facts))
    root = view.root
    if root.children or root.defects:
        reasons += _check_parts(view)
    elif root.encoding == "base64" and root.type == "text/plain" and _is_needless(view):
        reasons.append(make_reason("structure.needless-base64"))
    for piece in view.texts:
        if piece.html is not None:
            reasons += _check_html(view, piece)
    return list({reason.signal: reason for reason in reasons}.values())


def _check_header(view: MessageView, facts: MessageFacts) -> Iterator[Reason]:
    names = {field.name for field in view.fields}
    if b"message-id" not in names and facts.login is None:
        yield make_reason("structure.no-message-id")
    date_ms = parse_date(find_value(view.fields, b"date") or b"")
    if date_ms is not None:
        if date_ms > facts.now_ms + 2 * _DAY_MS:
            yield make_reason("structure.date-ahead")
        elif date_ms < facts.now_ms - 30 * _DAY_MS:
            yield make_reason("structure.date-old")
    if b"to" not in names and b"cc" not in names:
        yield make_reason("structure.undisclosed")
    if b"content-type" in names and b"mime-version" not in names:
        yield make_reason("structure.no-mime-version")
    subject = find_value(view.fields, b"subject") or b""
    # A few letters to a word: nobody's program writes so, and a filter of plain words is blind.
    if subject.count(b"=?") > 8 and len(view.subject) < subject.count(b"=?") * 4:
        yield make_reason("structure.split-words")


def _check_parts(view: MessageView) -> Iterator[Reason]:
    defects = {defect for _, part in view.root.walk() for defect in part.defects}
    defects.update(view.root.defects)
    if "no closing boundary" in defects and not view.is_cut:
        yield make_reason("structure.open-multipart")
    if defects & {"too many parts", "too deep"} or view.has_more_texts:
        yield make_reason("structure.part-bomb")
    if any(one.startswith(("repeated ", "duplicate parameter")) for one in defects):
        # Security: one program reads the first, another the last (attacks I).
        yield make_reason("structure.ambiguous")
    root = view.root
    if root.is_multipart and not view.is_cut:
        last = root.children[-1]
        if _PART_AFTER.search(view.data, last.body_end, last.body_end + 4000):
            yield make_reason("structure.hidden-epilogue")
    if any(_differs(pair) for pair in _alternatives(view)):
        yield make_reason("structure.texts-differ")


# After the closing boundary: what looks like a part, which some programs show.
_PART_AFTER = re.compile(rb"\n--[^\r\n]{1,70}--\r?\n[^\x00]{0,2000}?\nContent-Type:", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{4,30}")
_LETTERS = re.compile(r"\w+")


def _alternatives(view: MessageView) -> Iterator[tuple[TextPiece, TextPiece]]:
    plain = [piece for piece in view.texts if piece.html is None]
    rich = [piece for piece in view.texts if piece.html is not None]
    if view.root.type == "multipart/alternative" and len(plain) == 1 and len(rich) == 1:
        yield plain[0], rich[0]


def _differs(pair: tuple[TextPiece, TextPiece]) -> bool:
    """Whether two alternatives share hardly a word."""
    one, other = [set(_WORD.findall(piece.text[:_COMPARED].lower())) for piece in pair]
    fewer = min(len(one), len(other))
    return fewer >= 15 and len(one & other) * 5 < fewer


def _check_html(view: MessageView, piece: TextPiece) -> Iterator[Reason]:
    html = piece.html
    if html is None:
        return
    # Where an image is not loaded, the text that stands for it is.
    visible = len(piece.text.strip()) - sum([len(image.alt) for image in html.images])
    # Newsletters pad their first line with characters that show nothing, to push others out.
    hidden = sum(map(len, _LETTERS.findall(html.hidden))) if len(html.hidden) > _PREHEADER else 0
    if hidden > _PREHEADER and hidden > visible // 2:
        yield make_reason("structure.hidden-text")
    if html.has_script:
        yield make_reason("structure.script")
    if len(view.texts) == 1:
        if html.images and visible < 30:
            yield make_reason("structure.image-only")
        elif visible < 30 and html.links:
            yield make_reason("structure.link-only")
        elif view.root.type == "text/html":
            yield make_reason("structure.html-only")


def _is_needless(view: MessageView) -> bool:
    """Whether encoded text is plain ASCII in short lines, which needs no encoding.

    Programs that encode whatever they call UTF-8 are many, and honest.
    """
    if view.root.content_type.parameters.get("charset", "us-ascii").lower() != "us-ascii":
        return False
    content = view.content(view.root, 8192)
    return len(content) > 20 and content.isascii() and max(map(len, content.split(b"\n"))) < 900
