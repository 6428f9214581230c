"""Which bytes ``BODY[1.2.HEADER]`` means. (RFC 3501 section 6.4.5)"""

from __future__ import annotations

from zajil.core.value_class import value_class
from zajil.imap.fetch_item import BodySection, SectionText
from zajil.message.part import Part


@value_class(frozen=True, slots=True)
class Span:
    """A range of the message's bytes."""

    start: int
    end: int
    """Exclusive."""

    @property
    def size(self) -> int:
        """Bytes in the range."""
        return self.end - self.start

    def cut(self, partial: tuple[int, int] | None) -> Span:
        """Return what a partial fetch wants of the range; empty past its end."""
        if partial is None:
            return self
        start = min(self.start + partial[0], self.end)
        return Span(start, min(start + partial[1], self.end))


def needs_structure(section: BodySection) -> bool:
    """Return whether the tree of parts is needed; else the header section is enough."""
    return bool(section.path)


def find_part(root: Part, path: tuple[int, ...]) -> Part | None:
    """Find a part by its numbers; ``None``: there is none.

    A message that is no multipart has its body as part 1; the numbers below a message/rfc822
    part count inside the enclosed message.
    """
    at = root
    inside: Part | None = root  # whose children the next number counts
    for number in path:
        if inside is None:
            return None
        if inside.is_multipart:
            if number > len(inside.children):
                return None
            at = inside.children[number - 1]
        elif number == 1:
            at = inside
        else:
            return None
        enclosed = at.children[0] if at.is_message else None
        inside = at if at.is_multipart else enclosed
    return at


def find_section(root: Part, section: BodySection, size: int) -> list[Span] | None:
    """Return the ranges that make up a section, in order; ``None``: there is no such part.

    Args:
        root: the whole tree, or only its root for a section without a path.
        section: its ``partial`` is not looked at.
        size: of the whole message.

    Returns:
        For the two kinds of HEADER.FIELDS the fields; the empty line after them is not in it.
    """
    text = section.text
    if not section.path:
        if text is SectionText.WHOLE:
            return [Span(0, size)]
        if text is SectionText.TEXT:
            return [Span(root.body_start, size)]
        return _header(root, section)
    part = find_part(root, section.path)
    if part is None:
        return None
    if text is SectionText.WHOLE:
        return [Span(part.body_start, part.body_end)]
    if text is SectionText.MIME:
        return [Span(part.start, part.body_start)]
    if not part.is_message:
        return None
    enclosed = part.children[0]
    if text is SectionText.TEXT:
        spans = [Span(enclosed.body_start, enclosed.body_end)]
    else:
        spans = _header(enclosed, section)
    # Where a boundary ends the header section, the line end before it is the boundary's.
    end = part.body_end
    return [Span(min(one.start, end), min(one.end, end)) for one in spans]


def _header(part: Part, section: BodySection) -> list[Span]:
    if section.text is SectionText.HEADER:
        return [Span(part.start, part.body_start)]
    wanted = section.text is SectionText.HEADER_FIELDS
    return [
        Span(part.start + field.start, part.start + field.end)
        for field in part.fields
        if (field.name in section.fields) is wanted
    ]
