"""Told of new mail while a page is open."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from kit.site import letter, visiting
from kit.store import NOW_MS, make_intake
from zajil.core.service import RecipientState
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.queue.queue import Claim, claim
from zajil.store.queue.settlement import RowResult, Settlement, settle
from zajil.tracking.events import DeliveryDeferred, RecipientDelivered


async def listen(
    application: Any, cookie: str, heard: asyncio.Queue[str], path: str = "/live"
) -> None:
    """Be a browser with an open event source: httpx would wait for the end of the answer."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"cookie", f"zajil={cookie}".encode()), (b"host", b"mail.test")],
        "client": ("127.0.0.1", 4711),
        "server": ("mail.test", 80),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
    }

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            heard.put_nowait(message["body"].decode())

    await application(scope, receive, send)


def test_a_page_hears_of_new_mail(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            browser = site.browser()
            await browser.log_in("amal")
            heard: asyncio.Queue[str] = asyncio.Queue()
            listening = asyncio.create_task(
                listen(site.application, browser.cookies["zajil"], heard)
            )
            assert (await heard.get()).startswith("retry:")
            inbox = str(site.entry("amal").inbox)

            def counts(event: str) -> list[int]:
                name, data = event.strip().split("\n")
                assert name == "event: mailboxes"
                found: list[int] = json.loads(data.removeprefix("data: "))[inbox]
                return found

            assert counts(await heard.get())[:2] == [0, 0]
            site.deliver("basim", letter())
            site.deliver("amal", letter())
            async with asyncio.timeout(10):
                event = await heard.get()
                while event.startswith(":"):
                    event = await heard.get()
            assert counts(event)[:2] == [1, 1]
            listening.cancel()
            await asyncio.wait([listening])

    asyncio.run(scenario())


def test_a_journey_hears_of_each_change_until_it_ends(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            item = make_intake(store.blobs.stage([b"x"]), remote=["noor@south.test"])
            item = replace(item, account_id=site.entry("amal").account_id)
            await store.write(write_intakes, item)
            other = site.deliver("basim", letter())
            path = f"/journey/{item.mail_id}"
            browser = site.browser()
            await browser.log_in("amal")
            assert f'data-live="{path}/live"' in (await browser.get(path)).text
            heard: asyncio.Queue[str] = asyncio.Queue()
            listening = asyncio.create_task(
                listen(site.application, browser.cookies["zajil"], heard, f"{path}/live")
            )

            async def next_change() -> str:
                async with asyncio.timeout(60):
                    event = await heard.get()
                    while event.startswith((":", "retry:")):
                        event = await heard.get()
                return event

            assert await next_change() == "event: journey\ndata: -\n\n"
            deferred = DeliveryDeferred(NOW_MS, "noor@south.test", "mx", "450 later", NOW_MS + 1)
            waits = RowResult(
                position=0, state=RecipientState.WAITING, reason="450 later", next_try_ms=NOW_MS + 1
            )
            claims = [
                await store.write(claim, Claim("w", "one", NOW_MS, NOW_MS + 9, 9, frozenset()))
            ]
            assert len(claims[0]) == 1
            await store.write(
                settle, Settlement(item.mail_id, "one", NOW_MS, (waits,), (deferred,))
            )
            assert await next_change() == "event: journey\ndata: -\n\n"
            await store.write(claim, Claim("w", "two", NOW_MS + 1, NOW_MS + 9, 9, frozenset()))
            sent = RecipientDelivered(NOW_MS + 2, "noor@south.test", "mx", "250 ok")
            done = RowResult(position=0, state=RecipientState.DELIVERED, reason="250 ok")
            await store.write(settle, Settlement(item.mail_id, "two", NOW_MS + 2, (done,), (sent,)))
            assert await next_change() == "event: journey\ndata: -\n\n"
            async with asyncio.timeout(60):
                await listening  # there is nothing more to tell
            assert "data-live" not in (await browser.get(path)).text
            assert (await browser.get(f"{path}/live")).status == 204
            assert (await browser.get("/journey/nothing/live")).status == 404
            stranger = site.browser()
            await stranger.log_in("salma")
            assert (await stranger.get(f"{path}/live")).status == 404
            assert (await stranger.get(f"/journey/{other}/live")).status == 404

    asyncio.run(scenario())
