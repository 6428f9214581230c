"""One search through several mailboxes of an account, for a page: the newest messages first.

It runs the searches of IMAP, mailbox by mailbox, on the same index.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence

from zajil.core.errors import Refused
from zajil.core.ids import MailboxId, Uid
from zajil.core.value_class import value_class
from zajil.imap.search_key import SearchKey
from zajil.read.imap.matcher import SearchedMailbox
from zajil.read.imap.search import find
from zajil.read.imap.search_answer import FoundMessages
from zajil.read.imap.search_context import SearchContext
from zajil.read.indexer import ListPage, complete_page
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.mailboxes import Mailbox
from zajil.store.mail.messages import Message, get_messages
from zajil.store.mail.summaries import find_summaries

MAX_SECONDS = 15.0
"""How long a page waits for a search."""

Place = tuple[MailboxId, Uid]
"""Where a message is."""


class SearchTooLong(Refused):
    """A search was not done in time: it has to read too many messages."""


@value_class(frozen=True, slots=True)
class MailSearch:
    """What was found in some mailboxes."""

    found: tuple[tuple[MailboxId, FoundMessages], ...]
    """For each mailbox in which something was found."""

    @property
    def total(self) -> int:
        """How many messages were found."""
        return sum(len(one.uids) for _, one in self.found)

    def newest(self, offset: int, limit: int) -> list[Place]:
        """Return some of the messages, from the newest on. It takes time: for a reader thread."""
        listed: list[tuple[int, MailboxId, Uid]] = []
        for mailbox_id, one in self.found:
            table = one.table
            listed += [
                (table.received_at_ms[place], mailbox_id, Uid(table.uids[place]))
                for place in table.newest(one.uids, offset + limit)
            ]
        listed.sort(reverse=True)
        return [(mailbox_id, uid) for _, mailbox_id, uid in listed[offset : offset + limit]]

    def by_mailbox(self) -> list[tuple[MailboxId, array[int]]]:
        """Return the UIDs of all messages, ascending, for each mailbox."""
        return [(mailbox_id, one.uids) for mailbox_id, one in self.found]


async def search_mail(
    context: SearchContext,
    boxes: Iterable[Mailbox],
    key: SearchKey,
    seconds: float = MAX_SECONDS,
) -> MailSearch:
    """Search mailboxes that the account may read.

    Args:
        context: who searches.
        boxes: where; one that is gone meanwhile is left out.
        key: what must hold.
        seconds: how long it may take.

    Raises:
        SearchTooLong: it takes longer.
        StoreUnavailable: the database cannot be read now.
    """
    found: list[tuple[MailboxId, FoundMessages]] = []
    try:
        async with asyncio.timeout(seconds):
            for box in boxes:
                one = await _search_one(context, box, key)
                if one is not None and one.uids:
                    found.append((box.mailbox_id, one))
    except TimeoutError:
        raise SearchTooLong("the search has to read too many messages") from None
    return MailSearch(tuple(found))


async def _search_one(context: SearchContext, box: Mailbox, key: SearchKey) -> FoundMessages | None:
    tables = context.store.tables
    try:
        table = await context.read(
            lambda conn: tables.current(conn, box.account_id, box.mailbox_id)
        )
        if not table.uids:
            return None
        scope = SearchedMailbox(
            account_id=box.account_id, mailbox_id=box.mailbox_id, uids=table.uids
        )
        return await find(context, scope, key, of_many=True)
    except NoSuchMailbox:
        return None


@value_class(frozen=True, slots=True)
class FoundPage:
    """Some of the messages that were found."""

    places: tuple[Place, ...]
    page: ListPage
    """A line for each place."""


async def read_found(
    context: SearchContext, search: MailSearch, offset: int, limit: int
) -> FoundPage:
    """Return some of the messages that were found, from the newest on, as lines of a list.

    Raises:
        StoreUnavailable: the database cannot be read now.
    """
    places = await context.work(lambda: search.newest(offset, limit))
    return await context.read(lambda conn: _read(context, conn, places))


def _read(context: SearchContext, conn: Snapshot, places: Sequence[Place]) -> FoundPage:
    by_mailbox: dict[MailboxId, list[Uid]] = defaultdict(list)
    for mailbox_id, uid in places:
        by_mailbox[mailbox_id].append(uid)
    rows: dict[Place, Message] = {
        (mailbox_id, row.uid): row
        for mailbox_id, uids in by_mailbox.items()
        for row in get_messages(conn, mailbox_id, uids)
    }
    there = [place for place in places if place in rows]  # others were expunged since
    summaries = find_summaries(conn, [rows[place].blob_id for place in there])
    listed = [(rows[place], summaries.get(rows[place].blob_id)) for place in there]
    return FoundPage(tuple(there), complete_page(conn, context.store.blobs, listed))
