"""The mailboxes of an account, as they stand at the side of its pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from zajil.core.ids import AccountId, MailboxId
from zajil.store.mail.mailboxes import Mailbox, count_messages, list_mailboxes

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
        """Return one of them; another account's is not among them."""
        return next((box for box in self.all if box.mailbox_id == mailbox_id), None)

    @property
    def inbox_id(self) -> MailboxId | None:
        """The mailbox that new mail goes to."""
        inbox = self.with_role("inbox")
        return inbox.mailbox_id if inbox else None

    @property
    def inbox_unseen(self) -> int:
        """How much of it is unread; stands in the title of the window."""
        inbox = self.with_role("inbox")
        return inbox.unseen if inbox else 0

    def with_role(self, role: str) -> Box | None:
        """Return the one that has a role."""
        return next((box for box in self.all if box.role == role), None)


def load_boxes(conn: Any, account_id: AccountId) -> Boxes:
    """Return an account's mailboxes with their counts. A query: ``store.read`` runs it."""
    mailboxes = list_mailboxes(conn, account_id)
    counts = count_messages(conn, [box.mailbox_id for box in mailboxes])
    boxes = [
        Box(box, counts[box.mailbox_id].messages, counts[box.mailbox_id].unseen)
        for box in mailboxes
    ]
    return Boxes(tuple(sorted(boxes, key=_place)))


def read_number(text: object) -> int | None:
    """Read the id of a mailbox or a UID that somebody sent; ``None``: it is none.

    Ten digits hold every UID (32 bits: RFC 9051 section 2.3.1.1) and more mailboxes than there will
    be; ``int()`` alone takes ``+5``, ``1_000`` and numbers that no column can hold.
    """
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 10:
        return int(text)
    return None


def number_in_path(request: Request, name: str) -> int:
    """Return a number of the address; 404 for what is none."""
    number = read_number(request.path_params[name])
    if number is None:
        raise HTTPException(404)
    return number


def _place(box: Box) -> tuple[int, str]:
    return (_ORDER.index(box.role) if box.role in _ORDER else len(_ORDER), box.mailbox.name)
