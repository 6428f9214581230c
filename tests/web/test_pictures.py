"""Pictures of other servers: blocked, shown when asked, always shown of a sender."""

from __future__ import annotations

import asyncio
import re
from html import unescape

import pytest

from kit.site import letter, visiting
from kit.web_server import PNG, answer, redirect, web_server
from kit.webmail import member
from zajil.store.engine.open import Store
from zajil.store.mail.mailboxes import find_role

ZONE = {"pictures.test": {"A": ["127.0.0.1"]}, "inside.test": {"A": ["127.0.0.2"]}}


def pictures_in(frame: str) -> list[str]:
    return [unescape(one) for one in re.findall(r'src="(/picture[^"]*)"', frame)]


def test_pictures_come_through_this_server_when_asked(store: Store) -> None:
    async def scenario() -> None:
        async with (
            web_server(
                {"/a.png": answer(PNG), "/b.svg": answer(b"<svg/>", "image/svg+xml")}
            ) as far,
            visiting(store, ZONE, private_networks=("127.0.0.1",)) as site,
        ):
            far.answers["/r"] = redirect(far.url("/a.png", "inside.test"))
            names = ("/a.png", "/b.svg", "/r")
            html = "".join([f'<img src="{far.url(one)}">' for one in names])
            site.deliver("amal", letter(html=html))
            amal, path = await member(site), f"{site.inbox('amal')}/1"
            page = await amal.get(path)
            assert "3 remote pictures were blocked." in page.text
            assert "pictures.test" not in (await amal.get(f"{path}/html")).text
            page = await amal.get(f"{path}?pictures=1")
            assert f'src="{path}/html?pictures=1"' in page.text
            frame = (await amal.get(f"{path}/html?pictures=1")).response
            assert "img-src 'self' data:;" in frame.headers["content-security-policy"]
            found = pictures_in(frame.text)
            assert len(found) == 3
            assert far.asked == []
            got = (await amal.get(found[0])).response
            assert (got.status_code, got.content) == (200, PNG)
            assert got.headers["content-type"] == "image/png"
            assert got.headers["content-security-policy"] == "sandbox"
            assert got.headers["x-content-type-options"] == "nosniff"
            assert (await amal.get(found[1])).status == 404
            assert (await amal.get(found[2])).status == 404
            assert len(far.asked) == 3
            # Of another log-in, without one, or for another URL it is nobody's.
            assert (await (await member(site)).get(found[0])).status == 404
            assert (await amal.get(found[0].replace("a.png", "b.png"))).status == 404
            assert (await site.browser().get(found[0])).status == 303
            assert len(far.asked) == 3

    asyncio.run(scenario())


def test_a_link_in_a_message_cannot_switch_them_on(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            html = '<td background="https://shop.test/p.png">x<img src="https://shop.test/p.png">'
            site.deliver("amal", letter(html=f"<table><tr>{html}</table>"))
            amal, path = await member(site), f"{site.inbox('amal')}/1/html?pictures=1"
            frame = await amal.get(path, **{"sec-fetch-site": "cross-site"})
            assert "shop.test" not in frame.text
            frame = await amal.get(path, **{"sec-fetch-site": "same-origin"})
            assert frame.text.count("/picture?url=https%3A%2F%2Fshop.test%2Fp.png") == 2
            page = await amal.get(f"{site.inbox('amal')}/1")
            assert "2 remote pictures were blocked." in page.text

    asyncio.run(scenario())


def test_pictures_of_a_sender_are_always_shown(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            html = '<img src="https://shop.test/p.png">'
            site.deliver("amal", letter(html=html, sender="Shop <Shop@south.test>"))
            site.deliver("amal", letter(html=html, sender="shop@south.test"))
            site.deliver("amal", letter(html=html, sender="Else <else@south.test>"))
            site.deliver("amal", letter(html=html, sender='"bank@b.test" <shop@south.test>'))
            amal, inbox = await member(site), site.inbox("amal")
            page = await amal.get(f"{inbox}/1")
            assert "Always show pictures from this sender" in page.text
            done = await amal.post(f"{inbox}/1/pictures", always="1")
            assert (done.status, done.location) == (303, f"{inbox}/1")
            for number, is_shown in (1, True), (2, True), (3, False), (4, False):
                page = await amal.get(f"{inbox}/{number}")
                assert ("html?pictures=1" in page.text) is is_shown, number
            assert "Always show pictures" not in page.text
            assert (
                "Pictures from this sender are always shown." in (await amal.get(f"{inbox}/2")).text
            )
            # What was moved to Junk only poses as that sender.
            await amal.post(inbox, uid="2", action="junk")
            account_id = site.entry("amal").account_id
            junk = site.store.read_now(lambda conn: find_role(conn, account_id, "junk"))
            assert junk is not None
            page = await amal.get(f"/mail/{junk.mailbox_id}/1")
            assert "html?pictures=1" not in page.text
            assert "from this sender" not in page.text
            await amal.post(f"{inbox}/1/pictures", always="0")
            assert "html?pictures=1" not in (await amal.get(f"{inbox}/1")).text

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/picture", "/picture?url=https://a.test/", "/picture?mac=x"])
def test_what_no_page_named_is_not_fetched(sqlite_store: Store, path: str) -> None:
    async def scenario() -> int:
        async with visiting(sqlite_store) as site:
            return (await (await member(site)).get(path)).status

    assert asyncio.run(scenario()) == 404


def test_the_view_is_remembered(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for _ in range(2):
                site.deliver("amal", letter(text="The words", html="<p>The form</p>"))
            amal, inbox = await member(site), site.inbox("amal")
            page = await amal.get(f"{inbox}/1")
            assert "<iframe" in page.text
            assert 'name="view" value="text">Plain text<' in page.text
            assert (await amal.post(f"{inbox}/1/view", view="text")).location == f"{inbox}/1"
            page = await amal.get(f"{inbox}/2")
            assert "The words" in page.text
            assert "<iframe" not in page.text
            assert 'name="view" value="html">Show formatting<' in page.text
            assert "<iframe" in (await amal.get(f"{inbox}/2?view=html")).text
            await amal.post(f"{inbox}/1/view", view="html")
            assert "<iframe" in (await amal.get(f"{inbox}/2")).text
            assert (await amal.post(f"{inbox}/1/view", view="x")).status == 400
            basim = await member(site, "basim")
            assert (await basim.post(f"{inbox}/1/pictures", always="1")).status == 404

    asyncio.run(scenario())
