"""The overview: figures and charts from the store."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from kit.nodes import take_over
from kit.site import Browser, Site, visiting
from kit.store import NOW_MS, open_test_store
from zajil.store.engine.nodes import drain_nodes
from zajil.store.engine.open import Store
from zajil.store.people.login_failures import FailedLogin, count_failures
from zajil.store.reports.alerts import AlertChange, AlertRow, tell_alerts
from zajil.store.reports.traffic import TrafficCounts, add_traffic
from zajil.web.admin.charts import HEIGHT, WIDTH, Series, draw_lines, scale_top

MINUTE = NOW_MS // 60_000


async def admin_of(site: Site, **headers: str) -> Browser:
    browser = site.browser(**headers)
    await browser.log_in("amal")
    return browser


def test_an_empty_server(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            admin = await admin_of(site)
            for query in ("", "?period=hour", "?period=week", "?period=x"):
                page = await admin.get(f"/admin{query}")
                assert page.status == 200
                assert "no connections" in page.text
                assert "Show as a table" not in page.text

    asyncio.run(scenario())


def test_figures_of_the_chosen_period(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            counts = {
                (MINUTE, "mail.received"): 7,
                (MINUTE - 90, "mail.received"): 100,
                (MINUTE, "mail.sent"): 3,
                (MINUTE, "tls.in"): 3,
                (MINUTE, "plain.in"): 1,
                (MINUTE, "connections.refused"): 12,
                (MINUTE - 90, "refused"): 5,
            }
            await store.write(add_traffic, TrafficCounts(counts))
            failed = [FailedLogin("192.0.2.7", NOW_MS, 600_000)] * 3
            for one in failed:
                await store.write(count_failures, one)
            admin = await admin_of(site)
            hour = (await admin.get("/admin?period=hour")).text
            assert "received: 7" in hour
            assert "sent to other servers: 3" in hour
            assert "75 %" in hour
            assert "<code>192.0.2.7</code>: 3" in hour
            assert hour.count("<polyline") == 4
            assert "connections: 12" in hour
            assert "recipients, messages and commands: 0" in hour
            day = (await admin.get("/admin?period=day")).text
            assert "received: 107" in day
            assert "recipients, messages and commands: 5" in day
            assert "received: 107" in (await admin.get("/admin?period=week")).text

    asyncio.run(scenario())


def test_what_needs_an_administrator(sqlite_store: Store) -> None:
    facts: dict[str, str | int] = {"records": "MX north.test"}
    rows = [AlertRow("dns", "north.test", NOW_MS, 0, facts)]

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            admin = await admin_of(site)
            assert "What needs you now" not in (await admin.get("/admin")).text
            await sqlite_store.write(tell_alerts, AlertChange(seen={}, kept=rows))
            page = (await admin.get("/admin")).text
            assert "What needs you now" in page
            assert "DNS records have changed: north.test" in page
            assert '<code dir="ltr">zajil dns check north.test</code>' in page

    asyncio.run(scenario())


def test_the_nodes_of_the_store(postgres_url: str, tmp_path: Path) -> None:
    one, two, three = (open_test_store(postgres_url, tmp_path / name) for name in ("1", "2", "3"))
    two.standing.beat(4, 17)
    two.write_now(drain_nodes, two.node_id)
    take_over(two, three.node_id)

    async def scenario() -> None:
        async with visiting(one) as site:
            page = (await (await admin_of(site)).get("/admin")).text
            rows = page[page.index('id="nodes"') :].split("<tr>")[2:]
            for row, store in zip(rows, (one, two, three), strict=True):
                assert store.node_id in row
            words = [re.findall(r'class="state (\w*)">([^<]*)<', row) for row in rows]
            assert words == [[("good", "active")], [("wait", "being drained")], [("bad", "gone")]]
            assert ">17</td>" in rows[1]
            admin = await admin_of(site, **{"accept-language": "ar"})
            assert "العُقَد" in (await admin.get("/admin")).text

    asyncio.run(scenario())
    for store in (two, three):
        store.close_now()


def test_one_server_has_no_list_of_nodes(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            assert 'id="nodes"' not in (await (await admin_of(site)).get("/admin")).text

    asyncio.run(scenario())


def points(svg: str) -> list[tuple[int, int]]:
    found = re.search(r'<polyline[^>]*points="([^"]*)"', svg)
    assert found
    return [(int(x), int(y)) for x, y in (pair.split(",") for pair in found[1].split())]


def test_time_runs_in_the_direction_of_the_page() -> None:
    series = [Series("one", [0, 0, 10])]
    left = points(draw_lines("t", series, mirrored=False))
    right = points(draw_lines("t", series, mirrored=True))
    assert left[-1][0] == WIDTH
    assert right[-1][0] == 0
    assert [y for _, y in left] == [y for _, y in right]
    assert left[0][1] == HEIGHT


def test_a_title_cannot_leave_its_place() -> None:
    svg = draw_lines('"><script>', [Series("one", [])], mirrored=False)
    assert "<script>" not in svg


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (1, 1), (2, 2), (7, 8), (10, 10), (11, 20), (301, 400)]
)
def test_scales_are_round(highest: int, top: int) -> None:
    assert scale_top(highest) == top
