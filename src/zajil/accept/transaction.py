"""One mail while it comes in: from MAIL to the end of its data (RFC 5321 section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from zajil.accept.outcome import NotAccepted
from zajil.accept.spool import Spool
from zajil.core.address import Address
from zajil.core.ids import MailId
from zajil.core.mail_options import PLAIN_MAIL, PLAIN_RECIPIENT, MailOptions, RecipientOptions
from zajil.route.recipient import Local, Remote
from zajil.store.mail.intake import OwnCopy
from zajil.tracking.events import TrackingEvent


@dataclass(slots=True)
class Recipient:
    """A forward path that was accepted, and where it leads."""

    address: Address
    """As the peer gave it."""
    route: Local | Remote
    options: RecipientOptions = PLAIN_RECIPIENT


@dataclass(slots=True, kw_only=True)
class Transaction:
    """The envelope, the message and the events of one mail; RSET discards it."""

    mail_id: MailId
    reverse_path: Address | None
    """``None`` is the null path of bounces."""
    smtputf8: bool
    """MAIL said SMTPUTF8."""
    spool: Spool
    recipients: list[Recipient] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    """Keys of the recipients, so that one that is named twice gets one copy."""
    events: list[TrackingEvent] = field(default_factory=list)
    options: MailOptions = PLAIN_MAIL
    declared_size: int = 0
    """SIZE of MAIL (RFC 1870); 0: not known yet."""
    named: list[str] = field(default_factory=list)
    """Keys of all accepted RCPTs, in their order: LMTP answers each of them."""
    rejected: dict[str, NotAccepted] = field(default_factory=dict)
    """By key: recipients that reject the message although others take it (LMTP)."""
    refused: list[tuple[Address, str]] = field(default_factory=list)
    """Refused recipients, and what the peer was answered: recorded with the mail."""
    own_copy: OwnCopy | None = None
    """For the sender's mailbox of sent mail, in the same commit."""
