"""What is known of a mail when its last byte has come: all that the checks get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from zajil.config.options import LimitOptions
from zajil.core.address import Address
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.mailauth.dkim_body import BodyDigests, body_needs, body_of
from zajil.message.address_list import parse_address_list
from zajil.message.fields import Field, find_fields, read_fields, split_message
from zajil.message.source import Source
from zajil.net.peer import Peer

_MAX_FILE_RECIPIENTS = 20


@value_class(frozen=True, slots=True, kw_only=True)
class MessageFacts:
    """One mail, before anything was decided."""

    now_ms: int
    peer: Peer | None
    """``None``: it came from our web pages, or from a file."""
    claimed_name: str
    """Of EHLO or HELO."""
    reverse_path: Address | None
    recipients: tuple[Address, ...]
    header: bytes
    """The header section as it came."""
    fields: Sequence[Field]
    """Its fields, parsed once for all checks."""
    size: int
    smtputf8: bool
    """MAIL said so."""
    login: str | None
    """Of the account that submitted it; ``None``: it came from outside."""
    authserv_id: str
    """Our name in Authentication-Results."""
    limits: LimitOptions
    accounts: Mapping[AccountId, Address] = field(default_factory=dict)
    """Whose copies it would become, and the recipient that leads there: the learned words and the
    history of each account count for its copy."""
    leaves: bool = False
    """A copy of it goes to another server."""
    digests: BodyDigests | None = None
    """Hashes of the body that its signatures ask for; ``None``: they cannot be checked."""
    body: bytes | Source = b""
    """With the empty line before it. Reading a ``Source`` may wait for the disk: use a thread."""


def facts_of_file(
    message: bytes,
    now_ms: int,
    peer: Peer | None = None,
    claimed_name: str = "",
    reverse_path: Address | None = None,
) -> MessageFacts:
    """Return the facts of a message in a file, as if a peer had brought it.

    Args:
        message: with CRLF line ends.
        now_ms: when it would have come.
        peer: the client that would have brought it; ``None``: unknown.
        claimed_name: what the peer would have said in EHLO.
        reverse_path: ``None`` is the null path.
    """
    end, _ = split_message(message)
    header, body = message[:end], message[end:]
    fields = read_fields(header)
    digests = BodyDigests(body_needs(fields))
    digests.feed(body_of(body))
    return MessageFacts(
        now_ms=now_ms,
        peer=peer,
        claimed_name=claimed_name,
        reverse_path=reverse_path,
        recipients=_recipients(fields),
        header=header,
        fields=fields,
        size=len(message),
        smtputf8=True,
        login=None,
        authserv_id="localhost",
        limits=LimitOptions(),
        digests=digests,
        body=body,
    )


def _recipients(fields: Sequence[Field]) -> tuple[Address, ...]:
    """Return the recipients in its header section: the envelope of a file is not known."""
    found: list[Address] = []
    for one_of in (*find_fields(fields, b"to"), *find_fields(fields, b"cc")):
        found += [one.address for one in parse_address_list(one_of.value).people if one.address]
    return tuple(found[:_MAX_FILE_RECIPIENTS])
