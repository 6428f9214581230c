"""Devices, activity, sharing and the export of an account."""

from __future__ import annotations

import asyncio
import io
import mailbox
import plistlib
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from kit.site import Browser, Site, letter, visiting
from zajil.core.address import parse_address
from zajil.message.mbox import Quoter, separator
from zajil.operations.mail_servers import MailServer
from zajil.store.engine.open import Store
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.web.client_settings.apple_profile import make_profile
from zajil.web.client_settings.autoconfig import make_autoconfig

TABS = ["/account/devices", "/account/activity", "/account/sharing", "/account/export"]
SERVERS = (
    MailServer("imap", "mx.north.test", 993, True),
    MailServer("smtp", "mx.north.test", 587, False),
)


async def logged_in(site: Site, login: str) -> Browser:
    browser = site.browser()
    assert (await browser.log_in(login)).status == 303
    return browser


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("path", TABS)
def test_every_tab_is_a_page(sqlite_store: Store, path: str, language: str) -> None:
    async def scenario() -> None:
        options: dict[str, Any] = {"url": "https://mail.north.test/"}
        async with visiting(sqlite_store, servers=SERVERS, **options) as site:
            url = "https://mail.north.test"
            assert (await site.browser(url).get(path)).status == 303
            browser = site.browser(url)
            assert (await browser.log_in("basim")).status == 303
            await browser.post("/preferences", language=language, next="/")
            page = await browser.get(path)
            assert page.status == 200
            assert 'aria-current="page"' in page.text
            if path == "/account/devices":
                assert "993" in page.text
                assert "<svg" in page.text

    asyncio.run(scenario())


def test_files_that_set_programs_up(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store, servers=SERVERS) as site:
            salma = await logged_in(site, "salma")
            page = await salma.get("/account/devices/mail.mobileconfig")
            assert page.response.headers["content-type"] == "application/x-apple-aspen-config"
            profile = plistlib.loads(page.response.content)
            (mail,) = profile["PayloadContent"]
            assert mail["IncomingMailServerPortNumber"] == 993
            assert mail["OutgoingMailServerUsername"] == "salma"
            assert "assword" not in str({key for key in mail if "Same" not in key})
            stranger = site.browser()
            path = "/mail/config-v1.1.xml"
            found = await stranger.get(f"{path}?emailaddress=basim@north.test")
            root = ET.fromstring(found.text)  # noqa: S314 - ours
            assert [one.text for one in root.iter("port")] == ["993", "587"]
            assert [one.text for one in root.iter("socketType")] == ["SSL", "STARTTLS"]
            assert "set-cookie" not in found.response.headers
            for odd in ("x@elsewhere.test", "@", "x" * 5000, "<a>@north.test", "a@b\0"):
                page = (
                    await stranger.get(path, **{})
                    if odd == "@"
                    else await stranger.get(f"{path}?emailaddress={odd.replace(chr(0), '%00')}")
                )
                assert page.status == 404

    asyncio.run(scenario())


def test_what_is_missing_is_not_described() -> None:
    assert make_profile(SERVERS[:1], address=parse_address("a@b.test"), login="a") is None
    evil = replace(SERVERS[0], host="<b>&")
    assert b"<hostname>&lt;b&gt;&amp;</hostname>" in make_autoconfig([evil], "b.test")


def test_the_owner_sees_who_changed_what(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            basim, amal = await logged_in(site, "basim"), await logged_in(site, "amal")
            await basim.post("/account/mail", density="compact")
            page = await basim.get("/account/activity")
            assert "Settings of <bdi>basim</bdi> were changed" in page.text
            assert "on the web, from" in page.text
            assert "basim" not in (await amal.get("/account/activity")).text

    asyncio.run(scenario())


def test_the_right_to_send_is_given_and_taken_back(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            basim, salma = await logged_in(site, "basim"), await logged_in(site, "salma")
            path, address = "/account/sharing", "basim@north.test"
            await basim.post(path, action="add", who="salma", address=address)
            assert "<bdi>salma</bdi>" in (await basim.get(path)).text
            assert address in (await salma.get(path)).text
            again = await basim.post(path, action="add", who="salma", address=address)
            assert again.status == 400
            nobody = await basim.post(path, action="add", who="nobody", address=address)
            assert nobody.status == 400
            # Whoever got the right may give it up.
            await salma.post(path, action="remove", who="salma", address=address)
            assert "<bdi>salma</bdi>" not in (await basim.get(path)).text
            missing = await basim.post(path, action="remove", who="salma", address=address)
            assert missing.status == 404

    asyncio.run(scenario())


def test_nobody_gives_what_is_not_theirs_alone(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            names = ("team@north.test", "basim@north.test", "amal@north.test")
            team, basim, amal = map(parse_address, names)
            await site.store.write(create_alias, AliasRow(team, (basim, amal)))
            browser = await logged_in(site, "basim")
            path = "/account/sharing"
            for address in ("amal@north.test", "team@north.test"):
                page = await browser.post(path, action="add", who="basim", address=address)
                assert page.status == 409
            for form in ({}, {"action": "x"}, {"action": "add", "address": "x" * 3000}):
                assert (await browser.post(path, None, **form)).status in (400, 404, 409)

    asyncio.run(scenario())


def test_all_mail_is_exported_as_it_is(store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            tricky = letter("Tricky", "From here\n>From there\n\nFrom \n" + "x" * 700_000 + "\n")
            site.deliver("basim", letter("حديقة", "أزهر اللوز.\n"))
            site.deliver("basim", tricky)
            site.deliver("amal", letter("Private", "Not yours.\n"))
            browser = await logged_in(site, "basim")
            page = await browser.get("/account/export.zip")
            assert page.response.headers["content-type"] == "application/zip"
            archive = zipfile.ZipFile(io.BytesIO(page.response.content))
            assert archive.testzip() is None
            assert set(archive.namelist()) >= {"INBOX.mbox", "Sent.mbox", "Trash.mbox"}
            assert archive.read("Sent.mbox") == b""
            file = tmp_path / "INBOX.mbox"
            file.write_bytes(archive.read("INBOX.mbox"))
            with closing(mailbox.mbox(file)) as box:
                found = list(box)
            assert len(found) == 2
            text = (
                found[1].as_bytes().replace(b"\n>From", b"\nFrom").replace(b"\n>>From", b"\n>From")
            )
            body = tricky.as_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")[2]
            assert text.partition(b"\n\n")[2].strip() == body.strip()
            assert b"Private" not in page.response.content

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_message_is_quoted_the_same_in_any_pieces(size: int) -> None:
    """RFC 4155 appendix A: a separator begins with "From " in front of the time."""
    raw = b"A: b\r\n\r\nFrom x\r\n>From y\r\n>>From z\r\n From\r\nFromage\r\nFrom"
    quoter = Quoter()
    made = b"".join(quoter.feed(raw[at : at + size]) for at in range(0, len(raw), size))
    made += quoter.finish()
    expected = b"A: b\n\n>From x\n>>From y\n>>>From z\n From\nFromage\nFrom\n\n"
    assert made == expected
    assert separator(0) == b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n"
