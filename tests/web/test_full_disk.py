"""Where nothing can be written, mail can still be read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.logo_site import logo_site, make_contexts, proved
from kit.marks import LOGO
from kit.site import letter, visiting
from kit.webmail import member
from zajil.read.indexer import Indexer
from zajil.store.engine.errors import StoreFull
from zajil.store.engine.open import Store


async def _full(*_: object) -> None:
    raise StoreFull("the disk of the database is full")


def fill_disk(patch: pytest.MonkeyPatch) -> None:
    """Let every write fail as it does when the disk is full."""
    for name in ("write", "write_large"):
        patch.setattr(Store, name, _full)


def test_messages_are_shown_and_stay_unread(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", letter("Roses", "The roses bloom.\n"))
            await Indexer(store).index_waiting()
            amal, inbox = await member(site), site.inbox("amal")
            with monkeypatch.context() as patch:
                fill_disk(patch)
                page = await amal.get(f"{inbox}/1")
                assert page.status == 200
                assert "The roses bloom." in page.text
                for path in (inbox, f"{inbox}/1/source", "/search?q=roses", "/compose", "/account"):
                    assert (await amal.get(path)).status == 200, path
            assert '<li class="unread">' in (await amal.get(inbox)).text
            await amal.get(f"{inbox}/1")
            assert '<li class="unread">' not in (await amal.get(inbox)).text

    asyncio.run(scenario())


def test_a_logo_is_shown_and_not_kept(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with logo_site(sqlite_store, make_contexts(TestAuthority(tmp_path))) as found:
            found.site.deliver("amal", proved(letter()))
            amal, path = await member(found.site), f"{found.site.inbox('amal')}/1/logo"
            with monkeypatch.context() as patch:
                fill_disk(patch)
                assert (await amal.get(path)).response.content == LOGO
            assert (await amal.get(path)).response.content == LOGO
            assert (await amal.get(path)).response.content == LOGO
            assert len(found.marks.asked) == 2

    asyncio.run(scenario())
