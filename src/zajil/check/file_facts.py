"""What is known of a message that lies in a file, as if a peer brought it."""

from __future__ import annotations

from collections.abc import Sequence

from zajil.check.facts import MessageFacts
from zajil.config.options import LimitOptions
from zajil.core.address import Address
from zajil.mailauth.dkim_body import BodyDigests, body_needs, body_of
from zajil.message.address_list import parse_address_list
from zajil.message.fields import Field, find_fields, read_fields, split_message
from zajil.net.peer import Peer

_MOST_RECIPIENTS = 20


def facts_of_file(
    message: bytes,
    now_ms: int,
    peer: Peer | None = None,
    claimed_name: str = "",
    reverse_path: Address | None = None,
) -> MessageFacts:
    """Give what the checks get of a whole message.

    Args:
        message: with CRLF line ends.
        now_ms: when it would have come.
        peer: who would have brought it; ``None``: nothing is known of that.
        claimed_name: what the peer would have said in EHLO.
        reverse_path: ``None`` is the null path.
    """
    end, _ = split_message(message)
    header, body = message[:end], message[end:]
    fields = read_fields(header)
    digests = BodyDigests(body_needs(fields))
    digests.feed(body_of(body))
    return MessageFacts(
        now_ms,
        peer,
        claimed_name,
        reverse_path,
        _recipients(fields),
        header,
        fields,
        len(message),
        True,
        None,
        "localhost",
        LimitOptions(),
        digests=digests,
        body=body,
    )


def _recipients(fields: Sequence[Field]) -> tuple[Address, ...]:
    """Give to whom it is addressed: the envelope of a file is not known."""
    found: list[Address] = []
    for field in (*find_fields(fields, b"to"), *find_fields(fields, b"cc")):
        found += [one.address for one in parse_address_list(field.value).people if one.address]
    return tuple(found[:_MOST_RECIPIENTS])
