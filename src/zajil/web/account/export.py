"""``/account/export``: all mail of an account as a ZIP file with one mbox file for each mailbox.

The file is made while it is sent: a piece of one message is in memory at a time. It is read and
compressed in a thread, beside the event loop.
"""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from zajil.core.ids import MailboxId, Uid
from zajil.login.account import Account
from zajil.message.mbox import Quoter, separator
from zajil.operations.moving.destination import file_name
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.mailboxes import list_mailboxes
from zajil.store.mail.messages import MessageReader, get_messages, list_uids, open_message
from zajil.web.account.frame import AccountPages
from zajil.web.page import Visitor

_PIECE = 262_144
"""Bytes that are read at a time."""
_AT_ONCE = 4096
"""Bytes that are compressed in the event loop: a header line, the line between two messages."""


class ExportPages(AccountPages):
    """The page that offers the file, and the file."""

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Say what is in the file."""
        return self.render(request, visitor, "account_export.html")

    async def download(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Send the file; a connection that breaks ends the work."""
        day = datetime.fromtimestamp(self._parts.services.clock.now_ms() / 1000, UTC)
        name = f"mail-{account.login}-{day:%Y-%m-%d}.zip"
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        return StreamingResponse(self._pieces(account), 200, headers, "application/zip")

    async def _pieces(self, account: Account) -> AsyncIterator[bytes]:
        sink = _Sink()
        mailboxes = await self._context.read(lambda conn: list_mailboxes(conn, account.account_id))
        names: set[str] = set()
        with zipfile.ZipFile(sink, "w", compresslevel=1) as archive:
            for one in mailboxes:
                entry = zipfile.ZipInfo(f"{file_name(one.name, names)}.mbox", (1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as file:
                    async for lines in self._lines(one.mailbox_id):
                        # A piece takes some milliseconds; a line less than a thread does.
                        if len(lines) > _AT_ONCE:
                            await self._context.compute(functools.partial(file.write, lines))
                        else:
                            file.write(lines)
                        if sink.size >= _PIECE:
                            yield sink.take()
        yield sink.take()

    async def _lines(self, mailbox_id: MailboxId) -> AsyncIterator[bytes]:
        """Give all messages of a mailbox in their order; those expunged meanwhile are left out."""
        for uid in await self._context.read(lambda conn: list_uids(conn, mailbox_id)):
            opened = await self._open(mailbox_id, uid)
            if opened is None:
                continue
            reader, at_ms = opened
            with reader:
                yield separator(at_ms)
                quoter, offset = Quoter(), 0
                while offset < reader.size:
                    yield await self._context.compute(
                        functools.partial(_read_quoted, reader, quoter, offset)
                    )
                    offset += _PIECE
                yield quoter.finish()

    async def _open(self, mailbox_id: MailboxId, uid: Uid) -> tuple[MessageReader, int] | None:
        def work(conn: Snapshot) -> tuple[MessageReader, int] | None:
            for found in get_messages(conn, mailbox_id, [uid]):
                try:
                    return open_message(conn, self._parts.store.blobs, found), found.received_at_ms
                except NoSuchBlob:
                    return None
            return None

        return await self._context.read(work)


def _read_quoted(reader: MessageReader, quoter: Quoter, offset: int) -> bytes:
    return quoter.feed(reader.read_at(offset, _PIECE))


class _Sink(io.RawIOBase):
    """What a ZIP file is written to: a stream that cannot go back."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, data: Any) -> int:
        """Keep data until it is taken."""
        part = bytes(data)
        self._parts.append(part)
        self.size += len(part)
        return len(part)

    def take(self) -> bytes:
        """Return what was written since."""
        data = b"".join(self._parts)
        self._parts, self.size = [], 0
        return data
