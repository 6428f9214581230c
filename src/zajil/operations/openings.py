"""Who looked into the mail of another account; its owner sees it."""

from __future__ import annotations

from collections.abc import Iterable

from zajil.core.actor import Actor
from zajil.core.ids import AccountId, MailboxId
from zajil.net.logger import get_logger
from zajil.operations.context import OperationContext
from zajil.store.engine.errors import StoreError
from zajil.store.people.openings import DAY_MS, Opening, is_new_opening, record_openings

_MOST_KNOWN = 20_000
"""Openings that one process remembers; then it asks the store again."""

_Known = tuple[AccountId, str, int]
"""Reader, what kind of thing, and which."""


class Openings:
    """Records the first opening of each reader, mailbox and day (UTC).

    What was looked up once is remembered for the day, so that later pages do not ask the store.
    Recording never fails: mail can be read also where nothing can be written.
    """

    def __init__(self, context: OperationContext) -> None:
        self._context = context
        self._day = 0
        self._known: set[_Known] = set()

    async def note_mailbox(self, actor: Actor, mailbox_id: MailboxId) -> None:
        """Record that an account has opened a mailbox, unless it is its own or was recorded today.

        Args:
            actor: an account of this server, which may read the mailbox.
            mailbox_id: whosever it is.
        """
        if actor.account_id is not None:
            opening = Opening(self._context.stamp(actor), actor.account_id, mailbox_id)
            await self._note(opening, {(actor.account_id, "mailbox", mailbox_id)})

    async def note_journey(self, actor: Actor, owner_ids: Iterable[AccountId]) -> None:
        """Record that an administrator has opened the journey of a mail of others.

        Args:
            actor: an account of this server.
            owner_ids: the accounts that sent it or have a copy.
        """
        if actor.account_id is not None:
            owners = tuple(owner_ids)
            opening = Opening(self._context.stamp(actor), actor.account_id, None, owners)
            await self._note(opening, {(actor.account_id, "journey", one) for one in owners})

    async def _note(self, opening: Opening, keys: set[_Known]) -> None:
        day = opening.by[0] // DAY_MS
        if day != self._day or len(self._known) >= _MOST_KNOWN:
            self._day, self._known = day, set()
        if keys <= self._known:
            return
        context = self._context
        try:
            if await context.read(lambda conn: is_new_opening(conn, opening)):
                await context.store.write_large(record_openings, opening, opening.reader_id)
        except StoreError as error:
            get_logger().warning("who opened a mailbox is not recorded", reason=str(error))
            return
        except Exception as error:  # a fault of ours must not hide the mail
            get_logger().error("cannot record who opened a mailbox", exc_info=error)
            return
        self._known |= keys
