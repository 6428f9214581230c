"""Answers of passkeys that no browser of the owner sent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from kit.site import PASSWORD, visiting
from zajil.store.engine.open import Store

ODD: list[str] = [
    "",
    "[]",
    "{}",
    "x",
    '{"id": 1}',
    "[" * 5000,
    "x" * 30_000,
    json.dumps({"id": "aWQ", "rawId": "aWQ", "type": "public-key", "response": {}}),
    json.dumps(
        {
            "id": "aWQ",
            "rawId": "aWQ",
            "type": "public-key",
            "response": {"clientDataJSON": "e30", "attestationObject": "oA"},
        }
    ),
]


@pytest.mark.parametrize("credential", ODD, ids=range(len(ODD)))
def test_odd_answers(sqlite_store: Store, credential: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            page = await browser.get("/login")
            form: dict[str, Any] = {"credential": credential, "next": "/mail"}
            for challenge in (page.field("challenge"), "", "x", "A" * 75):
                page = await browser.post("/login/passkey", **form, challenge=challenge)
                assert (page.status, page.location[:7]) == (303, "/login?")
            await browser.log_in("basim")
            page = await browser.get("/account/passkeys")
            for challenge in (page.field("challenge"), "", "x"):
                page = await browser.post(
                    "/account/passkeys", **form, challenge=challenge, action="add", name="x"
                )
                assert page.status == 400
            for action in ("remove", "rename"):
                fields = {"action": action, "id": "aWQ", "name": "x", "password": PASSWORD}
                page = await browser.post("/account/passkeys", None, **fields)
                assert page.status == 404
            page = await browser.post("/account/passkeys", action="remove", id="aWQ", password="x")
            assert page.status == 403
            assert (await browser.post("/account/passkeys", action="other")).status == 400
            assert (await site.browser().log_in("basim")).location == "/mail"

    asyncio.run(scenario())
