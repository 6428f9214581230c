"""What the commands of one session share."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from zajil.core.ids import BlobId
from zajil.imap.response import Completion, untagged_status
from zajil.imap.server import ImapServerConnection
from zajil.net.line_protocol import Connection
from zajil.read.imap.content import KnownMessage
from zajil.read.imap.search_context import SearchContext
from zajil.read.imap.selected_mailbox import SelectedMailbox
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Unit
from zajil.store.mail.mailboxes import Mailbox, find_mailbox
from zajil.store.mail.message_table import MessageTable
from zajil.store.mail.room import find_obstacle

if TYPE_CHECKING:
    from zajil.read.imap.notify import Watcher

T = TypeVar("T")
R = TypeVar("R")

NO_MAILBOX = Completion("NO", "there is no such mailbox", "NONEXISTENT")
NO_PERMISSION = Completion("NO", "you do not have the right to do this", "NOPERM")
TRY_CREATE = Completion("NO", "there is no such mailbox", "TRYCREATE")
"""For the target of APPEND, COPY and MOVE. (RFC 3501 section 7.1)"""

PORTION = 1000
"""Messages that one commit changes at first: others write in between (``read.imap.portions``)."""
_FEW = 20
"""A change of so many messages shares its commit with others."""
_MOST_FIELDS = 2000
"""Of a message whose structure is remembered."""
_MOST_KNOWN = 8

KnownKey = tuple[BlobId, bytes]
"""Blob and prefix: offsets count from the prefix."""


@dataclass(slots=True, kw_only=True)
class Context(SearchContext):
    """A session that has logged in."""

    engine: ImapServerConnection
    connection: Connection
    view: SelectedMailbox | None = None
    """The selected mailbox; ``None``: none is."""
    target: Mailbox | None = None
    """Where the last APPEND went: the next one mostly goes there too."""
    watcher: Watcher | None = None
    """What NOTIFY asked for; ``None``: the client did not send it."""
    known: OrderedDict[KnownKey, KnownMessage] = field(default_factory=OrderedDict)
    """Of large messages read last: a phone fetches an attachment in many pieces."""

    @property
    def selected(self) -> SelectedMailbox:
        """The selected mailbox.

        Raises:
            RuntimeError: there is none; the engine lets no such command through.
        """
        if self.view is None:
            raise RuntimeError("no mailbox is selected")
        return self.view

    async def pause(self) -> None:
        """Send what waits to be sent.

        Raises:
            ConnectionLost: the client is gone.
        """
        await self.connection.flush()

    def tell_progress(self, done: int, total: int | None) -> None:
        """Tell the client how far a long search is. (RFC 9585)"""
        counts = "NIL NIL" if total is None else f"{min(done, total)} {total}"
        code = f'INPROGRESS ("{self.engine.tag.decode("ascii")}" {counts})'
        self.engine.untagged(untagged_status("OK", "still searching", code))

    async def table(self) -> MessageTable:
        """Return the messages of the selected mailbox as they are now.

        Raises:
            NoSuchMailbox: it is gone.
            TooManyKeywords: its messages have too many different ones to be kept in memory.
            StoreUnavailable: the database cannot be read now.
        """
        tables, box = self.store.tables, self.selected.mailbox
        table = self.store.read_at_once(
            lambda conn: tables.kept(conn, box.account_id, box.mailbox_id)
        )
        if table is not None:
            return table
        return await self.read(lambda conn: tables.current(conn, box.account_id, box.mailbox_id))

    async def find_mailbox(self, name: str, needed: str) -> Mailbox | None:
        """Return the mailbox of a name, the account's own or another's, to use it so.

        Args:
            name: as the account sees it.
            needed: the rights for what is to be done (RFC 4314 section 4).

        Returns:
            ``None``: there is none, or the account may not know of it.

        Raises:
            NoRight: the account may see it, and not use it so.
            StoreUnavailable: the database cannot be read now.
        """
        account_id = self.account.account_id

        def find(conn: Snapshot) -> tuple[Mailbox | None]:
            return (find_mailbox(conn, account_id, name, needed),)

        found = self.store.read_at_once(find)
        if found is None:
            found = await self.read(find)
        return found[0]

    async def write(self, unit: Unit[T, R], item: T, count: int) -> R:
        """Run a unit that changes so many messages, one portion at most.

        Raises:
            StoreUnavailable: it may or may not be on disk.
        """
        if count <= _FEW:
            return await self.store.write(unit, item)
        return await self.write_alone(unit, item)

    async def write_alone(self, unit: Unit[T, R], item: T) -> R:
        """Run a unit of which the client decides how long it takes, or whether it is refused.

        Raises:
            StoreUnavailable: it may or may not be on disk.
        """
        return await self.store.write_large(unit, item, self.account.account_id)

    async def refuse_more(
        self, box: Mailbox, count: int, *, size: int = 0, moved: bool = False
    ) -> Completion | None:
        """Refuse so many more messages for a mailbox; ``None``: it may take them.

        Args:
            box: the mailbox.
            count: how many.
            size: their bytes, as far as they are known.
            moved: they come from another mailbox of its owner.
        """
        caps = self.store.caps
        found = await self.read(
            lambda conn: find_obstacle(
                conn, caps, box.owner_id, box.mailbox_id, count, size=size, moved=moved
            )
        )
        if found is None:
            return None
        # RFC 9051 section 7.1, RFC 9208 section 4.3.1
        return Completion("NO", found.reason, "OVERQUOTA" if found.is_quota else "LIMIT")

    def keep_known(self, key: KnownKey, known: KnownMessage) -> None:
        """Remember what was found out about a large message; the oldest is forgotten.

        One that has very many fields would take more memory than it saves time.
        """
        stack, fields = [known.part], 0
        while stack:
            one = stack.pop()
            stack += one.children
            fields += len(one.fields)
            if fields > _MOST_FIELDS:
                return
        self.known[key] = known
        if len(self.known) > _MOST_KNOWN:
            self.known.popitem(last=False)
