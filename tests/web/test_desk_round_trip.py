"""The round trip on the desk: sent by the administrator, and followed to its answer."""

from __future__ import annotations

import asyncio

from kit.site import visiting
from zajil.store.engine.open import Store


def test_a_round_trip_is_sent_and_followed(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            admin = site.browser()
            await admin.log_in("amal")
            form = await admin.get("/admin/roundtrip")
            assert "Echo address" in form.text
            for to, sentence in (
                ("nobody", "not an email address"),
                ("nobody@north.test", "This server does not have this address."),
            ):
                page = await admin.post("/admin/roundtrip", to=to)
                assert (page.status, sentence in page.text) == (409, True)
            sent = await admin.post("/admin/roundtrip", to="echo@far.test")
            assert sent.status == 303
            assert "to=echo%40far.test" in sent.location
            page = await admin.get(sent.location)
            assert "Waiting for the answer" in page.text
            assert page.response.headers["refresh"] == "3"
            assert "echo@far.test" in page.text
            unknown = await admin.get("/admin/roundtrip?mail=x&to=echo@far.test")
            assert "Waiting" not in unknown.text

    asyncio.run(scenario())
