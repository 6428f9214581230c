"""How much an account may keep, where nothing else is set for it."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.config.options import LimitOptions
from zajil.config.options_users import MailboxOptions

DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Caps:
    """Limits of an installation; 0: there is none."""

    mailbox_messages: int = 500_000
    """Messages of one mailbox."""
    account_messages: int = 1_000_000
    """Messages of all mailboxes of an account without a limit of its own."""
    account_size: int = 0
    """Their bytes."""
    mailboxes: int = 2_000
    """Mailboxes of one account."""
    undelete_ms: int = 30 * DAY_MS
    """How long deleted messages can be taken back; 0: they cannot."""


def make_caps(limits: LimitOptions, mail: MailboxOptions) -> Caps:
    """Return what the options say."""
    return Caps(
        mailbox_messages=limits.messages_per_mailbox,
        account_messages=limits.messages_per_account,
        account_size=mail.quota,
        mailboxes=limits.mailboxes_per_account,
        undelete_ms=mail.undelete_days * DAY_MS,
    )
