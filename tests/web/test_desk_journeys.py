"""An administrator finds a mail by what people know of it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

from kit.site import Browser, Site, visiting
from kit.store import NOW_MS, make_intake
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake, write_intakes


async def admin_of(site: Site, **headers: str) -> Browser:
    browser = site.browser(**headers)
    await browser.log_in("amal")
    return browser


def intake(site: Site, subject: str, mailbox: str = "INBOX", at_ms: int = NOW_MS) -> Intake:
    content = site.store.blobs.stage([subject.encode()])
    item = make_intake(content, local=[site.entry("basim")], at_ms=at_ms)
    copy = item.local[0]
    place = replace(copy.places[0], mailbox_name=mailbox)
    return replace(item, subject=subject, local=(replace(copy, places=(place,)),))


def test_a_phish_in_junk_is_no_green_delivered(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            phish, news = intake(site, "Your <account>", "Junk"), intake(site, "أخبار")
            for item in (phish, news):
                await store.write(write_intakes, item)
            admin = await admin_of(site)
            page = (await admin.get("/admin/journeys?result=junk")).text
            assert f'href="/journey/{phish.mail_id}"><bdi>Your &lt;account&gt;</bdi>' in page
            assert '<span class="state wait">in Junk</span>' in page
            assert '<span class="state good">' not in page
            assert str(news.mail_id) not in page
            for query in ("subject=أخبار", f"message_id={news.mail_id}", "result=delivered"):
                page = (await admin.get(f"/admin/journeys?{query}")).text
                assert str(news.mail_id) in page
                assert str(phish.mail_id) not in page
            story = (await admin.get(f"/journey/{phish.mail_id}")).text
            assert "Your &lt;account&gt;</p>" in story
            shown = (await admin.get(f"/journey/{news.mail_id}.json")).response.json()
            assert shown["subject"] == "أخبار"
            arabic = await admin_of(site, **{"accept-language": "ar"})
            assert "في البريد غير الهام" in (await arabic.get("/admin/journeys?result=junk")).text

    asyncio.run(scenario())


def test_results_are_paged(sqlite_store: Store) -> None:
    """Each mail stands on one page, and the filters stay."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            items = [intake(site, f"Number {n} ?&", at_ms=NOW_MS + n) for n in range(120)]
            for item in items:
                await sqlite_store.write(write_intakes, item)
            admin = await admin_of(site)
            seen: list[str] = []
            path = "/admin/journeys?subject=number&to=basim@north.test"
            pages = 0
            while path:
                pages += 1
                page = (await admin.get(path)).text
                seen += re.findall(r'href="/journey/(\w+)"', page)
                older = re.search(r'href="([^"]+before=\w+)"', page)
                path = older[1].replace("&amp;", "&") if older else ""
                assert not path or "subject=number" in path
            assert pages == 3
            assert seen == [str(item.mail_id) for item in reversed(items)]

    asyncio.run(scenario())


def test_odd_questions_ask_for_nothing(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            item = intake(site, "One")
            await sqlite_store.write(write_intakes, item)
            admin = await admin_of(site)
            for query in ("before=x", "result=nothing", "since=9999-99-99", "until=9999-12-31"):
                page = await admin.get(f"/admin/journeys?{query}")
                assert str(item.mail_id) in page.text
            for query in ("subject=%00One%00", "reason=%25", "from=" + "x" * 5000):
                assert (await admin.get(f"/admin/journeys?{query}")).status == 200

    asyncio.run(scenario())
