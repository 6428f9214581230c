"""The mailboxes of an account, as they stand at the side of its pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zajil.core.ids import AccountId, MailboxId
from zajil.store.mailboxes import Mailbox, count_messages, list_mailboxes

_ORDER = ("inbox", "drafts", "sent", "archive", "junk", "trash")


@dataclass(frozen=True, slots=True)
class Box:
    """One mailbox and how much of it is unread."""

    mailbox: Mailbox
    messages: int
    unseen: int

    @property
    def mailbox_id(self) -> MailboxId:
        """Its id, which stands in addresses of pages."""
        return self.mailbox.mailbox_id

    @property
    def role(self) -> str | None:
        """``inbox``, ``sent`` ...; ``None``: a mailbox that its owner made."""
        return self.mailbox.role


@dataclass(frozen=True, slots=True)
class Boxes:
    """All mailboxes of one account: those with a role first, the others by name."""

    all: tuple[Box, ...]

    def get(self, mailbox_id: MailboxId) -> Box | None:
        """Give one of them; another account's is not among them."""
        return next((box for box in self.all if box.mailbox_id == mailbox_id), None)

    def with_role(self, role: str) -> Box | None:
        """Give the one that has a role."""
        return next((box for box in self.all if box.role == role), None)


def load_boxes(conn: Any, account_id: AccountId) -> Boxes:
    """Give an account's mailboxes with their counts. A query: ``store.read`` runs it."""
    mailboxes = list_mailboxes(conn, account_id)
    counts = count_messages(conn, [box.mailbox_id for box in mailboxes])
    boxes = [
        Box(box, counts[box.mailbox_id].messages, counts[box.mailbox_id].unseen)
        for box in mailboxes
    ]
    return Boxes(tuple(sorted(boxes, key=_place)))


def _place(box: Box) -> tuple[int, str]:
    return (_ORDER.index(box.role) if box.role in _ORDER else len(_ORDER), box.mailbox.name)
