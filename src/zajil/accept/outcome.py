"""What came of a mail or of one recipient: facts, without a word of SMTP.

The SMTP sessions turn them into replies (``receive.replies``), the web into sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum, auto

from zajil.core.address import Address
from zajil.core.ids import MailId
from zajil.core.value_class import value_class


class RefusalReason(Enum):
    """Why a mail, or one recipient of it, was not accepted."""

    # The message
    TOO_LARGE = auto()
    BARE_LINE_END = auto()
    """CR or LF alone."""
    NUL_BYTE = auto()
    MALFORMED = auto()
    FOLDED_START = auto()
    """The header section begins with a continuation line."""
    CANNOT_TRAVEL = auto()
    """A submission that no server could pass on; ``detail`` and ``status`` say why."""

    # The sender
    NOT_YOUR_SENDER = auto()
    """The reverse path is not an address of the account."""
    NOT_YOUR_FROM = auto()
    """From or Sender names an address that is not one of the account's."""
    SENT_TOO_MUCH = auto()
    """A limit of the account is reached; ``until_ms`` says when it may send again."""

    # A recipient
    NO_SUCH_RECIPIENT = auto()
    NO_RELAY = auto()
    """Its domain is not ours, and the peer may not send elsewhere."""
    SUSPENDED = auto()
    """Its account is suspended."""
    MAILBOX_FULL = auto()
    TOO_MANY_RECIPIENTS = auto()

    # The verdict, and the recipients' own rules
    LOOP = auto()
    UNWANTED = auto()
    """The checks refuse it."""
    LOOKS_LIKE_ABUSE = auto()
    """A submission that looks like the work of a thief or a worm."""
    CHECK_LATER = auto()
    """The checks defer it."""
    DNS_LATER = auto()
    """The checks defer it, because DNS gave no answer about its sender."""
    REJECTED_BY_RECIPIENT = auto()
    """The filing rules of all recipients reject it; ``detail`` is what they say."""

    # This server
    NO_SPACE = auto()
    UNAVAILABLE = auto()
    """The store does not answer, or a fault of ours."""


@value_class(frozen=True, slots=True)
class NotAccepted:
    """Nothing was kept; the peer still owns the mail."""

    reason: RefusalReason
    detail: str = ""
    """For a person; untrusted where a recipient's rule wrote it."""
    status: str = ""
    """Enhanced status code (RFC 3463), where the reason alone does not tell it."""
    until_ms: int | None = None
    recipient: Address | None = None
    """The recipient that it concerns; ``None``: the whole mail."""


@value_class(frozen=True, slots=True)
class Accepted:
    """The mail is on disk, and ours."""

    mail_id: MailId
    rejected: Mapping[str, NotAccepted] = field(default_factory=dict)
    """By address key: recipients that reject the message although others take it. Only of a
    service that answers for each recipient (LMTP)."""
