"""Told of new mail while a page is open."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from kit.site import letter, visiting
from zajil.store.engine.open import Store


async def listen(application: Any, cookie: str, heard: asyncio.Queue[str]) -> None:
    """Be a browser with an open event source: httpx would wait for the end of the answer."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/live",
        "raw_path": b"/live",
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
