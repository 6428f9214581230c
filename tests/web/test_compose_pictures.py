"""Pictures in the text of a letter that is written on the web."""

from __future__ import annotations

import asyncio
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.site import Browser, Page, Site, letter, visiting
from kit.webmail import member, newest, role
from zajil.store.engine.open import Store
from zajil.store.people.settings import NewSettings, set_settings
from zajil.web.webmail.compose_rich import (
    as_document,
    cid_url,
    clean_html,
    of_document,
    pictures_in,
    place_pictures,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3
CAT = ("قطة.png", PNG, "image/png")


def pictures(page: Page) -> list[tuple[str, str]]:
    """Return reference and address of the pictures of a form."""
    found = re.findall(r'name="picture" value="([^"]+)" data-address="([^"]+)"', page.text)
    return [(unescape(ref), unescape(address)) for ref, address in found]


def files(page: Page) -> list[str]:
    return re.findall(r'name="file" value="([^"]+)"', page.text)


async def begun(amal: Browser) -> tuple[dict[str, Any], str]:
    """Insert a picture into a new letter; return the fields of its form, and the address."""
    form: dict[str, Any] = {"html": "<div>See:</div>", "rich": "1", "body": "", "subject": "s"}
    await amal.get("/compose")
    saved = await amal.upload("/compose", CAT, files_field="picture", action="attach", **form)
    page = await amal.get(saved.location)
    ((ref, address),) = pictures(page)
    assert files(page) == []
    html = f'<div>See:</div><div><img src="{address}" alt="قطة"></div>'
    fields = {"place": page.field("place"), "picture": ref, "html": html, "rich": "1", "body": ""}
    return {**fields, "subject": "s", "to": "basim@north.test"}, address


def parts_of(raw: bytes) -> dict[str, list[EmailMessage]]:
    found: dict[str, list[EmailMessage]] = {}
    for part in message_from_bytes(raw, policy=default).walk():
        found.setdefault(part.get_content_type(), []).append(part)
    return found


def test_a_picture_is_shown_kept_and_sent(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal = await member(site, "amal")
            form, address = await begun(amal)
            shown = await amal.get(address)
            assert shown.response.content == PNG
            assert shown.response.headers["content-type"] == "image/png"
            # Saved again, it has another address, and the old one counts for the same picture.
            saved = await amal.upload("/compose", action="save", **form)
            page = await amal.get(saved.location)
            ((ref, second),) = pictures(page)
            assert second != address
            assert second in page.field("html")
            assert (await amal.get(second)).response.content == PNG
            form |= {"picture": ref, "place": page.field("place")}
            await amal.upload("/compose", action="send", **form)
            raw = newest(site, site.entry("basim").inbox)
            parts = parts_of(raw)
            (picture,) = parts["image/png"]
            assert picture.get_content() == PNG
            assert picture.get_content_disposition() == "inline"
            assert picture.get_filename() == CAT[0]
            (related,) = parts["multipart/related"]
            assert [part.get_content_type() for part in related.iter_parts()] == [
                "multipart/alternative",
                "image/png",
            ]
            name = picture["Content-ID"].strip("<>")
            assert cid_url(name) in parts["text/html"][0].get_content()
            assert "[picture: قطة]" in parts["text/plain"][0].get_content()
            basim = await member(site, "basim")
            read = await basim.get(f"{site.inbox('basim')}/1/html")
            assert "data:image/png;base64," in read.text

    asyncio.run(scenario())


def test_a_picture_that_was_deleted_is_not_sent_but_can_come_back(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            form, _ = await begun(amal)
            saved = await amal.upload("/compose", action="save", **{**form, "html": "<p>No</p>"})
            page = await amal.get(saved.location)
            ((ref, address),) = pictures(page)
            assert (await amal.get(address)).response.content == PNG
            form |= {"html": "<p>No</p>", "picture": ref, "place": page.field("place")}
            await amal.upload("/compose", action="send", **form)
            assert b"image/png" not in newest(site, role(site, "amal", "sent"))

    asyncio.run(scenario())


def test_without_formatting_pictures_are_attached(sqlite_store: Store) -> None:
    """Nothing is lost when the author goes back to plain text."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            form, _ = await begun(amal)
            form |= {"html": "", "rich": "", "body": "See: [picture: قطة]"}
            saved = await amal.upload("/compose", action="save", **form)
            page = await amal.get(saved.location)
            assert (pictures(page), len(files(page))) == ([], 1)
            form |= {"place": page.field("place"), "picture": "", "file": files(page)}
            await amal.upload("/compose", action="send", **form)
            parts = parts_of(newest(site, role(site, "amal", "sent")))
            assert "multipart/related" not in parts
            assert parts["image/png"][0].get_content() == PNG

    asyncio.run(scenario())


def test_what_is_no_picture_is_attached(sqlite_store: Store) -> None:
    """Attacks L: an SVG, which is a document with scripts, is never shown from our address."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            evil = ("x.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png")
            form: dict[str, Any] = {"html": "<p>a</p>", "rich": "1", "action": "attach"}
            saved = await amal.upload("/compose", evil, files_field="picture", **form)
            page = await amal.get(saved.location)
            assert (pictures(page), len(files(page))) == ([], 1)

    asyncio.run(scenario())


def test_pictures_of_others_are_not_found(sqlite_store: Store) -> None:
    """Attacks L: an address of a picture is worth nothing without the account."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            _, address = await begun(await member(site, "amal"))
            basim = await member(site, "basim")
            assert (await basim.get(address)).status == 404
            for wrong in ("/compose/picture/1/1/", "/compose/picture/x/1/a", f"{address}x"):
                assert (await basim.get(wrong)).status == 404

    asyncio.run(scenario())


def test_a_send_that_was_taken_back_has_its_pictures(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            wait_seconds(site, "amal", 10)
            form, _ = await begun(amal)
            await amal.upload("/compose", action="send", **form)
            told = await amal.get("/folders")
            undone = await amal.post("/compose/undo", mail_id=told.field("mail_id"))
            page = await amal.get(undone.location)
            ((_, address),) = pictures(page)
            assert address in page.field("html")
            assert (await amal.get(address)).response.content == PNG

    asyncio.run(scenario())


def wait_seconds(site: Site, login: str, seconds: int) -> None:
    account_id = site.entry(login).account_id
    site.store.write_now(set_settings, NewSettings(account_id, {"undo_seconds": str(seconds)}))


@pytest.mark.parametrize(
    "source",
    ["https://t.test/1.gif", "//t.test/1.gif", "data:image/png;base64,AA", "/mail", "cid:", "x"],
)
def test_pictures_from_elsewhere_stay_out(source: str) -> None:
    assert clean_html(f'<p>a<img src="{source}" alt="b">c</p>') == "<p>ac</p>"


def test_pictures_get_their_addresses_back() -> None:
    clean = clean_html(
        '<p dir="auto"><img alt="a>&quot;b" src="/compose/picture/1/2/a%26b%40c"></p>'
    )
    assert pictures_in(clean) == {"a&b@c"}
    placed = place_pictures(clean, {"a&b@c": "/compose/picture/9/9/a%26b%40c"})
    assert 'src="/compose/picture/9/9/a%26b%40c"' in placed
    assert clean_html(placed) == clean
    assert of_document(as_document(clean)) == clean
    assert place_pictures(clean, {}) == '<p dir="auto"></p>'


@given(st.text(min_size=1, max_size=40))
def test_any_content_id_survives(name: str) -> None:
    html = clean_html(f'<img src="{cid_url(name)}">')
    assert pictures_in(html) in (set(), {name})
    assert bool(html) == (name in pictures_in(html))


def newsletter() -> EmailMessage:
    """Return HTML with one picture in the text, one that is missing, and one that is attached."""
    message = letter("News")
    html = '<p>Look: <b>here</b> <img src="cid:in@a" alt="logo"><img src="cid:gone@a"></p>'
    message.add_alternative(html, subtype="html")
    _, html_part = message.iter_parts()
    assert isinstance(html_part, EmailMessage)
    html_part.add_related(PNG, "image", "png", cid="<in@a>", filename="logo.png")
    message.add_attachment(b"GIF89a", maintype="image", subtype="gif", filename="other.gif")
    return message


@pytest.mark.parametrize("kind", ["reply", "forward"])
def test_who_writes_with_formatting_quotes_with_pictures(sqlite_store: Store, kind: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, inbox = await member(site, "amal"), site.entry("amal").inbox
            site.deliver("amal", newsletter())
            # Plain text by default: then pictures of what is forwarded are attached.
            page = await amal.get(f"/compose?{kind}={inbox}.1")
            assert (page.field("html"), pictures(page)) == ("", [])
            assert len(files(page)) == (2 if kind == "forward" else 0)
            await amal.post("/account/mail", write="rich")
            await amal.post("/account/signature", signature="Amal H.")
            page = await amal.get(f"/compose?{kind}={inbox}.1")
            ((ref, address),) = pictures(page)
            assert (await amal.get(address)).response.content == PNG
            assert len(files(page)) == (1 if kind == "forward" else 0)
            html = page.field("html")
            assert "<b>here</b>" in html
            assert ("<blockquote>" in html) == (kind == "reply")
            assert html.index("Amal H.") < html.index("<b>here</b>")
            assert html.count("<img") == 1
            # Sent without scripts and without a change, it keeps them.
            body = unescape(page.text.split('rows="16"')[1].split("</textarea>")[0])
            form = {name: page.field(name) for name in ("html", "rich", "kind", "source")}
            form |= {"to": "basim@north.test", "subject": "s", "picture": ref}
            await amal.upload("/compose", body=body.partition(">")[2], **form)
            parts = parts_of(newest(site, site.entry("basim").inbox))
            assert parts["image/png"][0].get_content() == PNG
            assert parts["image/png"][0]["Content-ID"] == "<in@a>"
            assert "cid:in@a" in parts["text/html"][0].get_content()
            assert "[picture: logo]" in parts["text/plain"][0].get_content()

    asyncio.run(scenario())


def test_a_reply_with_formatting_to_plain_text(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            site.deliver("amal", letter("Plain"))
            await amal.post("/account/mail", write="rich")
            page = await amal.get(f"/compose?reply={site.entry('amal').inbox}.1")
            assert "wrote:</div><blockquote><div" in page.field("html")
            assert 'data-write="rich"' in page.text

    asyncio.run(scenario())
