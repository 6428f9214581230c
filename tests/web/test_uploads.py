"""Where uploaded files are while they come."""

from __future__ import annotations

import asyncio
import tempfile
from email import message_from_bytes
from email.policy import default

import pytest

from kit.site import visiting
from kit.webmail import member, newest, role, uids
from zajil.store.engine.open import Store

LARGE = ("large.bin", bytes(range(251)) * 12_000, "application/octet-stream")


def test_uploads_need_no_folder_for_temporary_files(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the system has as its folder; and nothing of them is left beside the messages."""

    async def scenario() -> None:
        async with visiting(store) as site:
            amal = await member(site, "amal")
            await amal.get("/compose")
            monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
            saved = await amal.upload("/compose", LARGE, LARGE, action="attach")
            assert saved.status == 303
            raw = newest(site, role(site, "amal", "drafts"))
            files = list(message_from_bytes(raw, policy=default).iter_attachments())
            assert [one.get_content() for one in files] == [LARGE[1]] * 2
            assert site.store.read_now(lambda conn: store.blobs.files.orphans(conn, 1 << 62)) == []

    asyncio.run(scenario())


def test_a_full_disk_is_said_and_the_text_stays(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal, drafts = await member(site, "amal"), role(site, "amal", "drafts")
            await amal.get("/compose")
            store._options = store._options.model_copy(update={"free_space_reserve": 1 << 62})
            page = await amal.upload("/compose", LARGE, action="attach", body="An hour of work")
            assert page.status == 422
            assert "The server has no space for new messages. Try again later." in page.text
            assert "An hour of work" in page.text
            assert uids(site, drafts) == []

    asyncio.run(scenario())


def test_a_form_that_is_cut_off_is_refused(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            kind = {"content-type": "multipart/form-data"}
            page = await amal.post("/compose", send_headers=kind, body="x")
            assert page.status == 400

    asyncio.run(scenario())
