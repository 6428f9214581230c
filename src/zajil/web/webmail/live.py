"""``/live``: tells an open page of new mail, as server-sent events. The pages do without it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from zajil.core.ids import AccountId
from zajil.login.account import Account
from zajil.store.engine.batch import mailbox_topic
from zajil.store.engine.open import Store
from zajil.web.page import Visitor
from zajil.web.streams import LONGEST_SECONDS, STILL_SECONDS, event_stream
from zajil.web.webmail.mailboxes import Boxes, load_boxes


class Live:
    """Follows the mailboxes of an account, whichever worker changes them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def stream(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Return events until the browser goes, for some minutes at most."""
        return event_stream(request, self._events(account.account_id))

    async def _events(self, account_id: AccountId) -> AsyncIterator[str]:
        changed = asyncio.Event()
        boxes = await self._load(account_id)
        endings = [
            self._store.changes.subscribe(mailbox_topic(box.mailbox_id), changed.set)
            for box in (*boxes.all, *boxes.shared)
        ]
        told = ""
        try:
            yield "retry: 3000\n\n"
            loop = asyncio.get_running_loop()
            end = loop.time() + LONGEST_SECONDS
            while loop.time() < end:
                boxes = await self._load(account_id)
                counts = {
                    str(box.mailbox_id): [box.unseen, box.messages, box.mailbox.modseq]
                    for box in (*boxes.all, *boxes.shared)
                }
                news = json.dumps(counts)
                yield f"event: mailboxes\ndata: {news}\n\n" if news != told else ": still here\n\n"
                told = news
                try:
                    async with asyncio.timeout(STILL_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    continue
                changed.clear()
        finally:
            for end_subscription in endings:
                end_subscription()

    async def _load(self, account_id: AccountId) -> Boxes:
        tables = self._store.tables
        return await self._store.read(lambda conn: load_boxes(conn, account_id, tables), account_id)
