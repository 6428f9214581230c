"""The audit event of a change of rights on a mailbox."""

from __future__ import annotations

from zajil.core.mailbox_rights import format_rights
from zajil.store.mail.right_changes import RightsChange
from zajil.tracking.audit import AuditEvent, MailboxShared, MailboxUnshared


def describe_sharing(by: tuple[int, str, str, str], change: RightsChange) -> AuditEvent:
    """Return the event that records a change.

    Args:
        by: when, who, by what interface, from which address.
        change: what ``change_rights`` has done.
    """
    about = (*by, change.owner_id, change.owner, change.name, change.entry.identifier)
    if not change.entry.rights:
        return MailboxUnshared(*about)
    return MailboxShared(*about, format_rights(change.entry.rights))
