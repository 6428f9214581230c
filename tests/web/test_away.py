"""A message in S3 that cannot be read now: the page says so, in each language."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kit.s3 import FaultyProxy, moto_server
from kit.site import letter, visiting
from kit.store import make_intake, open_test_store
from kit.webmail import member
from zajil.store.mail.intake import write_intakes

pytest.importorskip("obstore")
pytest.importorskip("moto.server")
WORDS = {
    "en": "The storage of large messages does not answer.",
    "ar": "مخزن الرسائل الكبيرة لا يجيب.",
    "fr": "Le stockage des grands messages ne répond pas.",
}


def test_the_page_of_a_message_that_is_away(tmp_path: Path) -> None:
    async def scenario(proxy: FaultyProxy) -> None:
        options = proxy.server.store_options(
            proxy.server.new_place(),
            inline_limit=0,
            cache_size=0,
            s3=proxy.server.options(timeout_ms=1000),
        )
        store = open_test_store("sqlite", tmp_path / "data", **options)
        async with visiting(store) as site:
            raw = letter("Roses", "The roses bloom.\n").as_bytes()
            item = make_intake(await store.blobs.stage_any([raw]), local=[site.entry("amal")])
            await store.write(write_intakes, item)
            proxy.fault = "503"
            for language, words in WORDS.items():
                amal = await member(site, **{"accept-language": language})
                page = await amal.get(f"{site.inbox('amal')}/1")
                assert (page.status, words in page.text) == (503, True)
                assert (await amal.get(site.inbox("amal"))).status == 200
            proxy.fault = ""
            store.blobs.objects._downloads._resting_until = 0
            assert "The roses bloom." in (await amal.get(f"{site.inbox('amal')}/1")).text
        store.close_now()

    with moto_server() as server:
        proxy = FaultyProxy(server)
        asyncio.run(scenario(proxy))
        proxy.close()
