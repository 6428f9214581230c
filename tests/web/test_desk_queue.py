"""The queue on the desk: filters, figures, and acts on many mails at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kit.site import Browser, Site, visiting
from kit.store import NOW_MS, make_intake
from zajil.core.ids import MailId
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.queue.queue_admin import QueueQuery, list_rows

DAY_MS = 86_400_000


async def admin_of(site: Site, **headers: str) -> Browser:
    browser = site.browser(**headers)
    await browser.log_in("amal")
    return browser


async def queued(
    store: Store, *to: str, reason: str = "", age_ms: int = 0, sender: str = "amal@north.test"
) -> MailId:
    item = make_intake(
        store.blobs.stage([b"x"]), remote=to, reverse_path=sender, at_ms=NOW_MS - age_ms
    )
    remote = tuple(replace(one, reason=reason) for one in item.remote)
    return await store.write(write_intakes, replace(item, remote=remote))


def states(store: Store) -> dict[str, str]:
    rows = store.read_now(lambda conn: list_rows(conn, QueueQuery()))
    return {row.recipient: row.state for row in rows}


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", "noor huda omar"),
        ("domain=south.test", "noor omar"),
        ("reason=GREYLISTED", "noor"),
        ("reason=%25", ""),
        ("age=24", "huda"),
        ("state=held", ""),
        ("state=waiting", "noor huda omar"),
        ("from=basim@north.test", "omar"),
        ("from=north.test", "noor huda omar"),
        ("to=huda@west.test", "huda"),
        ("to=west.test&age=24", "huda"),
        ("to=west.test&age=72", ""),
        ("domain=no+domain", ""),
    ],
)
def test_filters(sqlite_store: Store, query: str, shown: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            await queued(sqlite_store, "noor@south.test", reason="450 4.2.0 Greylisted")
            await queued(sqlite_store, "huda@west.test", age_ms=2 * DAY_MS)
            await queued(sqlite_store, "omar@south.test", sender="basim@north.test")
            page = (await (await admin_of(site)).get(f"/admin/queue?{query}")).text
            rows = page.partition('name="mail_id"')[2]
            names = [name for name in ("noor", "huda", "omar") if f"<bdi>{name}@" in rows]
            assert names == [name for name in ("noor", "huda", "omar") if name in shown.split()]
            assert ('role="alert"' in page) == ("no+domain" in query)

    asyncio.run(scenario())


def test_acts_on_all_that_match(store: Store) -> None:
    """Only the recipients that match; what was filtered stays filtered."""

    async def scenario() -> None:
        async with visiting(store) as site:
            await queued(store, "noor@south.test", "huda@west.test")
            await queued(store, "omar@south.test")
            admin = await admin_of(site)
            await admin.get("/admin/queue")
            page = await admin.post("/admin/queue", action="hold", all="1", domain="south.test")
            assert page.location == "/admin/queue?domain=south.test"
            held = {"noor@south.test": "held", "omar@south.test": "held"}
            assert states(store) == {**held, "huda@west.test": "waiting"}
            assert "2 messages are on hold." in (await admin.get("/admin/queue")).text
            await admin.post("/admin/queue", action="release", all="1", note="it was a mistake")
            assert set(states(store).values()) == {"waiting"}
            await admin.post("/admin/queue", action="delete", all="1", domain="south.test")
            assert states(store) == {"huda@west.test": "waiting"}
            await admin.post("/admin/queue", action="delete", all="1", domain="south.test")
            assert "Nothing was changed." in (await admin.get("/admin/queue")).text
            for odd in ({"action": "hold", "domain": "no domain"}, {"action": "x"}):
                assert (await admin.post("/admin/queue", None, all="1", **odd)).status == 400

    asyncio.run(scenario())


def test_acts_on_selected_mails(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            chosen = [await queued(store, f"{name}@south.test") for name in ("noor", "omar")]
            await queued(store, "huda@south.test")
            admin = await admin_of(site)
            await admin.get("/admin/queue")
            await admin.post("/admin/queue", action="expire", mail_id=chosen)
            page = (await admin.get("/admin/queue")).text
            assert "2 messages were returned to the senders." in page
            rows = store.read_now(lambda conn: list_rows(conn, QueueQuery()))
            expired = {row.recipient for row in rows if row.expires_ms <= NOW_MS}
            assert expired == {"noor@south.test", "omar@south.test"}
            await admin.post("/admin/queue", action="retry")
            assert "Nothing was changed." in (await admin.get("/admin/queue")).text

    asyncio.run(scenario())


def test_reasons_and_destinations_are_counted(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            for number in range(3):
                await queued(store, f"a{number}@south.test", reason="no host responded")
            await queued(store, "b@west.test", reason="450 <b> later")
            admin = await admin_of(site)
            page = (await admin.get("/admin/queue")).text
            assert "Waiting: <b>4</b>" in page
            assert '/admin/queue?reason=no+host+responded">' in page.replace("%20", "+")
            assert "450 &lt;b&gt; later" in page
            assert page.index("south.test") < page.index("west.test")
            arabic = await admin_of(site, **{"accept-language": "ar"})
            assert "no host responded</a>" not in (await arabic.get("/admin/queue")).text

    asyncio.run(scenario())
