"""What is known of a mail when its last byte is here: all that the check step looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zajil.config.options import LimitOptions
from zajil.core.address import Address
from zajil.core.ids import AccountId
from zajil.mailauth.dkim_body import BodyDigests
from zajil.message.fields import Field
from zajil.message.source import Source
from zajil.net.peer import Peer


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """One mail, before anything was decided."""

    now_ms: int
    peer: Peer | None
    """``None``: our own web or command line."""
    claimed_name: str
    """Of EHLO or HELO."""
    reverse_path: Address | None
    recipients: tuple[Address, ...]
    header: bytes
    """The header section as it came."""
    fields: Sequence[Field]
    """Its fields, scanned once for everybody."""
    size: int
    smtputf8: bool
    """MAIL said so."""
    login: str | None
    """Of the account that submitted it; ``None``: it came from outside."""
    authserv_id: str
    """Our name in Authentication-Results."""
    limits: LimitOptions
    accounts: Mapping[AccountId, Address] = field(default_factory=dict)
    """Whose copies it would become, and the recipient that leads there; each account may judge it
    by its own words and history."""
    leaves: bool = False
    """A copy of it goes to another server."""
    digests: BodyDigests | None = None
    """Hashes of the body that its signatures ask for; ``None``: they cannot be checked."""
    body: bytes | Source = b""
    """With the empty line before it. To read a ``Source`` may wait on the disk: in a thread."""
