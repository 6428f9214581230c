"""DMARC reports and slowed networks on the desk."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from kit.reports import BAD_ROW, REPORT, ROW
from kit.site import PASSWORD, Browser, Site, letter, visiting
from kit.store import NOW_MS
from zajil.reports.codec import to_store
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.people.login_failures import FailedLogin, count_failures, slowed_networks
from zajil.store.reports.received import add_reports
from zajil.tracking.events import FaultHappened, LoginFailed


async def admin_of(site: Site, **headers: str) -> Browser:
    browser = site.browser(**headers)
    await browser.log_in("amal")
    return browser


async def add(store: Store, *, number: int = 1, is_proven: bool = True) -> int:
    now_s = NOW_MS // 1000
    report = replace(
        REPORT,
        organization=f"<mx{number}>",
        report_id=f"r{number}",
        begin_s=now_s - 86_400,
        end_s=now_s,
        rows=(ROW, BAD_ROW),
    )
    new = to_store(report, sender="south.test", is_proven=is_proven, received_ms=NOW_MS)
    made = await store.write(add_reports, new)
    assert made is not None
    return made


def test_sources_that_fail_are_first(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            admin = await admin_of(site)
            assert "No reports were received" in (await admin.get("/admin/reports")).text
            first = await add(store)
            await add(store, number=2, is_proven=False)
            page = (await admin.get("/admin/reports")).text
            assert page.index("2001:db8::66") < page.index("192.0.2.7")
            assert "passed: 3" in page
            assert "failed: 2" in page
            assert "&lt;mx1&gt;" in page
            assert "&lt;mx2&gt;" not in page
            every = (await admin.get("/admin/reports?all=1&days=7")).text
            assert "passed: 6" in every
            assert "not proven" in every
            for query in ("domain=south.test", "domain=no+domain"):
                assert "No reports were" in (await admin.get(f"/admin/reports?{query}")).text
            assert "&lt;mx1&gt;" in (await admin.get("/admin/reports?domain=north.test")).text
            one = (await admin.get(f"/admin/reports/{first}")).text
            assert "<code>quarantine</code>" in one
            assert "p=reject" in one
            for odd in ("0", "x", "9" * 30):
                assert (await admin.get(f"/admin/reports/{odd}")).status == 404

    asyncio.run(scenario())


def test_a_slowed_network_is_released(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            for _ in range(3):
                await store.write(count_failures, FailedLogin("192.0.2.7", NOW_MS, 600_000))
            failed = LoginFailed(NOW_MS, "amal", "PLAIN", "wrong", "imaps", "192.0.2.7")
            await store.write(record_events, EventBatch(None, None, NOW_MS, (failed,)))
            fault = FaultHappened(NOW_MS, "a <bug>", "line 1\nline 2")
            mail_id = site.deliver("basim", letter())
            await store.write(record_events, EventBatch(None, mail_id, NOW_MS, (fault,)))
            admin, path = await admin_of(site), "/admin/security"
            page = (await admin.get(path)).text
            assert "<samp>a &lt;bug&gt;</samp>" in page
            assert f'href="/journey/{mail_id}"' in page
            row = '<code>192.0.2.7</code></td><td class="number" data-label="Failed log-ins">3</td>'
            assert row in page
            assert "log-in failed: wrong" in page
            assert "log-in failed: wrong" in (await admin.get(f"{path}?q=imaps")).text
            assert "Nothing was found." in (await admin.get(f"{path}?q=nothing")).text
            assert (await admin.post(path, network="192.0.2.7")).status == 303
            assert "The network was released" in (await admin.get(path)).text
            assert store.read_now(lambda conn: slowed_networks(conn, 0, 10)) == []
            assert (await admin.post(path, network="192.0.2.7")).status == 409
            assert "are no longer slowed" in (await admin.get("/admin/changes")).text
            basim = site.browser()
            await basim.log_in("basim", PASSWORD)
            assert (await basim.post(path, network="192.0.2.7")).status == 404

    asyncio.run(scenario())
