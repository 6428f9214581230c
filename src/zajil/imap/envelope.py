"""ENVELOPE: the header section as IMAP sums it up. (RFC 3501 section 7.4.2)"""

from __future__ import annotations

from zajil.imap.response import nstring, parenthesized, string
from zajil.message.address_list import Group, NamedAddress, parse_address_list
from zajil.message.part import Part

_NIL = b"NIL"


def envelope(part: Part) -> bytes:
    """Write the ENVELOPE of a message.

    Text stands as the message has it, encoded words included (RFC 3501 section 7.4.2); what is
    UTF-8 in the message is UTF-8 in a literal.
    """
    author = _addresses(part, b"from")
    return parenthesized(
        (
            nstring(part.value(b"date")),
            nstring(part.value(b"subject")),
            author,
            # RFC 3501 section 7.4.2: absent or empty, these two are From.
            _addresses(part, b"sender", author),
            _addresses(part, b"reply-to", author),
            _addresses(part, b"to"),
            _addresses(part, b"cc"),
            _addresses(part, b"bcc"),
            nstring(part.value(b"in-reply-to")),
            nstring(part.value(b"message-id")),
        )
    )


def _addresses(part: Part, field: bytes, otherwise: bytes = _NIL) -> bytes:
    value = part.value(field)
    if value is None:
        return otherwise
    written: list[bytes] = []
    for item in parse_address_list(value).items:
        if isinstance(item, Group):
            # A group is a pair of addresses without host, its members between them.
            written.append(b"(NIL NIL %b NIL)" % string(item.raw_name.encode("utf-8", "replace")))
            written += map(_address, item.members)
            written.append(b"(NIL NIL NIL NIL)")
        else:
            written.append(_address(item))
    return b"(" + b"".join(written) + b")" if written else otherwise


def _address(item: NamedAddress) -> bytes:
    name = item.raw_name.encode("utf-8", "replace")
    # Never NIL for a missing domain: without a host this would begin a group.
    return parenthesized(
        (
            nstring(name or None),
            # at-domain-list: the source route.
            nstring(item.route.encode("utf-8", "replace") or None),
            string(item.local_part.encode("utf-8", "replace")),
            string(item.domain.encode("utf-8", "replace")),
        )
    )
