"""Which mailbox a copy goes to: the MDA's choice. Pure. (Sieve will speak here.)"""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.directory import AccountEntry
from zajil.core.ids import MailboxId

JUNK = "Junk"
"""Name under which unwanted mail is filed."""


@dataclass(frozen=True, slots=True)
class Filing:
    """A mailbox, and why it."""

    mailbox_id: MailboxId
    mailbox_name: str
    reason: str
    """One sentence for a person."""


def choose_mailbox(entry: AccountEntry, *, is_junk: bool, why_junk: str = "") -> Filing:
    """File into INBOX, or into Junk when the verdict says so."""
    if is_junk:
        return Filing(entry.junk, JUNK, why_junk or "The checks found it unwanted.")
    return Filing(entry.inbox, "INBOX", "Nothing speaks against it.")
