"""What of a message SEARCH looks through, in its search form. (RFC 3501 section 6.4.4)

SEARCH compares these texts with its terms (``read.imap.search_text``), and the index has their
words (``message.index_words``): so no message is missed whose words were looked up.
"""

from __future__ import annotations

from collections.abc import Iterator

from zajil.message.address_list import Group, NamedAddress, parse_address_list
from zajil.message.encoded_word import decode_words
from zajil.message.fields import Field, unfold
from zajil.message.html_words import html_words
from zajil.message.large_data import Data
from zajil.message.normal_form import search_form
from zajil.message.part import Part

ADDRESS_FIELDS = frozenset({b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"})
MAX_HEADER = 1 << 20
"""Bytes in which the header section is looked for."""
_READABLE = ("text/", "message/", "multipart/")
"""Types that are looked through: the second for what reports say (message/delivery-status), the
third where it has no parts, which is text."""


def header_text(fields: list[tuple[str, str]]) -> str:
    """Return the text of a header section.

    Args:
        fields: name and decoded value of each.
    """
    return search_form("\n".join([f"{name}: {value}" for name, value in fields]))


def people_text(value: bytes) -> str:
    """Return the addresses of a field as ENVELOPE has them: no comment or space is within one.

    RFC 3501 section 6.4.4: FROM and its like look into the envelope structure.
    """
    lines: list[str] = []
    for item in parse_address_list(value).items:
        members: tuple[NamedAddress, ...] = (item,) if isinstance(item, NamedAddress) else ()
        if isinstance(item, Group):
            lines.append(item.display_name)
            members = item.members
        for one in members:
            name, spec = one.display_name, f"{one.local_part}@{one.domain}"
            # As most people write it, and without the quotes that a local part may need.
            lines.append(f"{name} <{spec}>" if name else spec)
            if one.spec != spec:
                lines.append(one.spec)
    return search_form("\n".join(lines))


def part_header_text(root: Part, room: int) -> tuple[str, bool]:
    """Return the header fields of the parts of multiparts, which TEXT looks through, too.

    RFC 9051 section 6.4.4: the header includes MIME header fields.

    Args:
        root: the parts of the message.
        room: bytes that are looked at; the last section may pass it.

    Returns:
        The text, and whether it was cut.
    """
    fields: list[tuple[str, str]] = []
    size, stack = 0, [root]
    while stack:
        part = stack.pop()
        stack.extend(reversed(part.children))
        if not part.is_multipart:
            continue
        for child in part.children:
            fields += _decoded(child.fields)
            size += child.header_end - child.start
            if size > room:
                return header_text(fields), True
    return header_text(fields), False


def body_texts(root: Part, data: Data, room: int) -> Iterator[tuple[str, bool]]:
    """Return the names of each part that has one and its text if it is text; whether each was cut.

    RFC 9051 section 6.4.4: BODY looks through no header fields. Names of files are what people see
    of a message; clients look for them with BODY, and RFC 3501 has the parts' fields in the body.

    Args:
        root: the parts of the message.
        data: the message.
        room: characters that are looked at; where more are left, the last text counts as cut.
    """
    stack = [root]
    while stack:
        part = stack.pop()
        stack.extend(reversed(part.children))
        if names := _names(part):
            text = search_form("\n".join(names)[:room])
            room -= len(text)
            if room <= 0:
                yield text, True
                return
            yield text, False
        if part.is_message:
            fields = _decoded(part.children[0].fields)
            text, is_cut = header_text(fields), False
        elif part.children or not part.type.startswith(_READABLE):
            continue
        else:
            source, is_cut = part.read_text(data, room)
            is_cut = is_cut or len(source) > room
            if part.type == "text/html":
                text = search_form(html_words(source, room))
            else:
                text = search_form(source[:room])
        room -= len(text)
        if room <= 0:
            yield text, is_cut or bool(stack)
            return
        yield text, is_cut


def _names(part: Part) -> list[str]:
    """Return the names of a file, decoded; the type may say another one than the disposition."""
    types = (part.disposition, part.content_type)
    pairs = zip(types, ("filename", "name"), strict=True)
    names = [one.parameters.get(name, "") for one, name in pairs if one is not None]
    return [name for name in dict.fromkeys(names) if name]


def _decoded(fields: list[Field]) -> list[tuple[str, str]]:
    return [(field.name.decode("latin-1"), decode_words(unfold(field.value))) for field in fields]
