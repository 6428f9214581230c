"""One mail while it comes in: from MAIL to the end of its data (RFC 5321 section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from zajil.accept.spool import Spool
from zajil.core.address import Address
from zajil.core.envelope import PLAIN_MAIL, PLAIN_RECIPIENT, MailOptions, RecipientOptions
from zajil.core.ids import MailId
from zajil.route.recipient import Local, Remote
from zajil.smtp.reply import Reply
from zajil.tracking.events import TrackingEvent


@dataclass(slots=True)
class Recipient:
    """A forward path that RCPT accepted, and where it leads."""

    address: Address
    """As the peer gave it."""
    route: Local | Remote
    options: RecipientOptions = PLAIN_RECIPIENT


@dataclass(slots=True)
class Transaction:
    """What MAIL, RCPT and DATA have told so far; RSET throws it away."""

    mail_id: MailId
    started_ms: int
    reverse_path: Address | None
    """``None`` is the null path of bounces."""
    smtputf8: bool
    spool: Spool
    recipients: list[Recipient] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    """Keys of the recipients, so that one named twice gets one copy."""
    events: list[TrackingEvent] = field(default_factory=list)
    options: MailOptions = PLAIN_MAIL
    named: list[str] = field(default_factory=list)
    """Keys of all RCPTs that were accepted, in their order: LMTP answers each of them."""
    rejected: dict[str, Reply] = field(default_factory=dict)
    """By key: recipients that reject the message although others take it (LMTP)."""
    refused: list[tuple[Address, str]] = field(default_factory=list)
    """Recipients that RCPT refused, with the reply: kept with the mail if it goes on."""
