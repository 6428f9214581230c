"""The mailboxes of an account, as they stand at the side of its pages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from zajil.core.ids import AccountId, MailboxId
from zajil.imap.mailbox_name import SEPARATOR
from zajil.store.mail.mailboxes import Mailbox, list_mailboxes, list_shared
from zajil.store.mail.message_tables import MessageTables

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
        """``inbox``, ``sent`` ...; ``None``: one that its owner made, or another account's."""
        return None if self.mailbox.is_shared else self.mailbox.role

    @property
    def depth(self) -> int:
        """How many mailboxes are above it: how far its name is indented."""
        return self.mailbox.name.count(SEPARATOR)

    @property
    def last_name(self) -> str:
        """The last level of its name."""
        return self.mailbox.name.rpartition(SEPARATOR)[2]

    @property
    def shared_name(self) -> str:
        """The name of another account's mailbox: whose it is, and its name there."""
        return self.mailbox.name.partition(SEPARATOR)[2]

    def may(self, right: str) -> bool:
        """Check whether the account has a right on it (RFC 4314 section 2.1)."""
        return right in self.mailbox.rights


@dataclass(frozen=True, slots=True)
class Boxes:
    """All mailboxes of one account: those with a role first, the others by name."""

    all: tuple[Box, ...]
    shared: tuple[Box, ...] = ()
    """Those of other accounts that this one may read, by name."""

    @property
    def every(self) -> tuple[Box, ...]:
        """All that the account may read: its own, and those that are shared with it."""
        return (*self.all, *self.shared)

    def get(self, mailbox_id: MailboxId) -> Box | None:
        """Return one that the account may read: its own, or one that is shared with it."""
        return next((box for box in self.every if box.mailbox_id == mailbox_id), None)

    def targets(self, current: Box | None) -> tuple[Box, ...]:
        """Return the mailboxes that messages of one may be put into."""
        every = [*self.all, *[box for box in self.shared if box.may("i")]]
        return tuple([box for box in every if box is not current and box.role != "drafts"])

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

    @property
    def modseqs(self) -> str:
        """The MODSEQ of each as JSON: a page compares them with what the stream of events says."""
        return json.dumps({str(box.mailbox_id): box.mailbox.modseq for box in self.every})

    def with_role(self, role: str) -> Box | None:
        """Return the one that has a role."""
        return next((box for box in self.all if box.role == role), None)


def load_boxes(conn: Any, account_id: AccountId, tables: MessageTables) -> Boxes:
    """Return an account's mailboxes with their counts. A query: ``store.read`` runs it.

    Args:
        conn: a snapshot.
        account_id: whose they are.
        tables: of the store: nothing is counted that did not change.
    """
    own = list_mailboxes(conn, account_id)
    shared = [box for box in list_shared(conn, account_id) if "r" in box.rights]
    ids = [box.mailbox_id for box in (*own, *shared)]
    counts = tables.count(conn, ids)
    boxes = {
        one.mailbox_id: Box(one, counts[one.mailbox_id].messages, counts[one.mailbox_id].unseen)
        for one in (*own, *shared)
    }
    return Boxes(
        tuple(sorted([boxes[one.mailbox_id] for one in own], key=_place)),
        tuple([boxes[one.mailbox_id] for one in shared]),
    )


def read_number(text: object) -> int | None:
    """Read the id of a mailbox or a UID that somebody sent; ``None``: it is none.

    Sixteen digits hold every UID (32 bits: RFC 9051 section 2.3.1.1) and every mailbox of any shard
    (``store.shards.numbers``); ``int()`` alone takes ``+5``, ``1_000`` and numbers that no column
    can hold.
    """
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 16:
        return int(text)
    return None


def read_stamp(text: object) -> int | None:
    """Read a time in milliseconds that a page sent; ``None``: it is none."""
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 15:
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
