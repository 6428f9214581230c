"""Tells the owner of a mailbox that another account has opened it."""

from __future__ import annotations

from zajil.core.actor import Interface
from zajil.net.logger import get_logger
from zajil.read.imap.context import Context
from zajil.store.engine.errors import StoreError
from zajil.store.mail.mailboxes import Mailbox
from zajil.store.people.openings import Opening, is_new_opening, record_openings


async def note_opening(context: Context, box: Mailbox) -> None:
    """Record that the account has opened a mailbox of another one, once a day.

    It never fails: mail can be read also where nothing can be written.
    """
    if not box.is_shared:
        return
    by = context.clock.now_ms(), context.account.login, Interface.IMAP.value, ""
    opening = Opening(by, context.account.account_id, box.mailbox_id)
    try:
        if await context.read(lambda conn: is_new_opening(conn, opening)):
            await context.write_alone(record_openings, opening)
    except StoreError as error:
        get_logger().warning("IMAP: an opened mailbox is not recorded", reason=str(error))
    except Exception as error:  # a fault of ours must not keep the mailbox closed
        get_logger().error("IMAP: cannot record an opened mailbox", exc_info=error)
