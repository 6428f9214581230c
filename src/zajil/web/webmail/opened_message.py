"""One message of an account, found by the address of its page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request

from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.login.account import Account
from zajil.store.engine.open import Store
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.mailboxes import may_read
from zajil.store.mail.messages import Message, get_messages, read_message
from zajil.web.webmail.mailboxes import number_in_path

T = TypeVar("T")


def place_of(request: Request) -> tuple[MailboxId, Uid]:
    """Return what ``/mail/MAILBOX/UID`` names; 404 for what is none."""
    return MailboxId(number_in_path(request, "mailbox_id")), Uid(number_in_path(request, "uid"))


def find_message(conn: Any, account_id: AccountId, place: tuple[MailboxId, Uid]) -> Message:
    """Return a message without its bytes; 404 if there is none. A query."""
    mailbox_id, uid = place
    # Security: the mailbox is looked up under the account; an id alone is never enough.
    if not may_read(conn, account_id, mailbox_id):
        raise HTTPException(404)
    found = get_messages(conn, mailbox_id, [uid])
    if not found:
        raise HTTPException(404)
    return found[0]


def open_message(
    conn: Any,
    store: Store,
    account_id: AccountId,
    place: tuple[MailboxId, Uid],
    read: Callable[[bytes], T],
) -> tuple[Message, T]:
    """Return a message and what is read of it; 404 if there is none. A query."""
    found = find_message(conn, account_id, place)
    try:
        return found, read(read_message(conn, store.blobs, found))
    except NoSuchBlob:
        raise HTTPException(404) from None


async def load_message(
    store: Store, request: Request, account: Account, read: Callable[[bytes], T]
) -> tuple[Message, T]:
    """Return the message of a page and what is read of it; 404 if there is none."""
    place = place_of(request)
    return await store.read(
        lambda conn: open_message(conn, store, account.account_id, place, read), account.account_id
    )
