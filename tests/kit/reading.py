"""What lies in a mailbox, read straight from the store."""

from __future__ import annotations

from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.store.engine.open import Store
from zajil.store.mail.messages import get_messages, list_uids, read_message
from zajil.store.people.directory import look_up


async def inbox_of(store: Store, address: str, role: str = "inbox") -> list[bytes]:
    """Return every message in the INBOX or the Junk of an account, as a reader gets it."""
    who = parse_address(address)
    entry = (await store.read(lambda conn: look_up(conn, who))).entry
    if not isinstance(entry, AccountEntry):
        raise TypeError(f"{address} is no account")
    inbox = entry.junk if role == "junk" else entry.inbox
    return await store.read(
        lambda conn: [
            read_message(conn, store.blobs, found)
            for found in get_messages(conn, inbox, list_uids(conn, inbox))
        ]
    )
