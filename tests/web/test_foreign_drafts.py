"""Drafts that other mail programs saved are continued with their formatting."""

from __future__ import annotations

import asyncio
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from kit.site import Browser, Page, Site, visiting
from kit.webmail import member, newest, put_draft, role
from zajil.store.engine.open import Store

DRAFTS = Path(__file__).parents[1] / "corpus" / "drafts"
_FIELDS = ("to", "cc", "subject", "in_reply_to", "references", "place", "html")
_REMOVED = "This draft was written in another program. Saving it here removes: "


def draft(name: str) -> bytes:
    """Return a draft of the corpus as it lies in a mailbox."""
    return (DRAFTS / f"{name}.eml").read_bytes().replace(b"\n", b"\r\n")


def body_of(page: Page) -> str:
    """Return what stands in the field of plain text."""
    text = page.text.split('rows="16"')[1].partition("</textarea>")[0]
    return unescape(text.partition(">")[2]).removeprefix("\n")


def files_of(page: Page, name: str) -> list[str]:
    """Return the files, or the pictures, that a form names."""
    return re.findall(rf'type="hidden" name="{name}" value="([^"]+)"', page.text)


def fields_of(page: Page) -> dict[str, Any]:
    """Return what a browser without scripts sends of a form that nobody changed."""
    values: dict[str, Any] = {name: page.field(name) for name in _FIELDS}
    values |= {"rich": page.field("rich"), "body": body_of(page)}
    values |= {"file": files_of(page, "file"), "picture": files_of(page, "picture")}
    return values


async def opened(site: Site, name: str) -> tuple[Browser, Page]:
    """Put a draft into a mailbox, and open it."""
    amal = await member(site, "amal")
    return amal, await amal.get(f"/compose?draft={put_draft(site, 'amal', draft(name))}")


async def sent(site: Site, amal: Browser, form: Page) -> EmailMessage:
    """Send what stands in the form to somebody here; return what arrives."""
    values = fields_of(form) | {"to": "basim@north.test", "cc": "", "action": "send-anyway"}
    assert (await amal.upload("/compose", **values)).status == 303
    return message_from_bytes(newest(site, site.entry("basim").inbox), policy=default)


def part_of(message: EmailMessage, kind: str) -> str:
    """Return the body of this subtype."""
    part = message.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def test_a_reply_begun_in_thunderbird(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal, form = await opened(site, "thunderbird-reply")
            html = form.field("html")
            assert "<b>budget</b>" in html
            assert '<a href="https://south.test/budget">the sheet</a>' in html
            assert "<li>rent</li>" in html
            assert _REMOVED not in form.text
            (address,) = re.findall(r'src="(/compose/picture/[^"]+)"', html)
            assert (await amal.get(address)).response.content[1:4] == b"PNG"
            assert len(files_of(form, "file")) == len(files_of(form, "picture")) == 1
            assert "> Can you check the budget?" in body_of(form)
            message = await sent(site, amal, form)
            assert message["In-Reply-To"] == "<first.1@south.test>"
            assert "<b>budget</b>" in part_of(message, "html")
            assert 'src="cid:part1.AbCd12.EfGh34@north.test"' in part_of(message, "html")
            (picture,) = [one for one in message.walk() if one.get_content_type() == "image/png"]
            assert picture["Content-ID"] == "<part1.AbCd12.EfGh34@north.test>"
            assert [one.get_filename() for one in message.iter_attachments()][-1] == "notes.txt"

    asyncio.run(scenario())


def test_a_file_in_the_middle_of_a_text_of_apple_mail(sqlite_store: Store) -> None:
    """Its text is two parts; both are the text, and neither is a file."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, form = await opened(site, "apple-mail")
            assert form.field("subject") == "مسودة"
            html = form.field("html")
            assert html.startswith("<b>مرحبا</b> نور")
            assert "<div>التقرير</div>" in html
            assert body_of(form).split() == ["مرحبا", "نور", "التقرير"]
            assert _REMOVED not in form.text
            assert len(files_of(form, "file")) == 1
            message = await sent(site, amal, form)
            assert [one.get_filename() for one in message.iter_attachments()] == ["report.pdf"]
            assert part_of(message, "html").count("التقرير") == 1

    asyncio.run(scenario())


def test_what_the_editor_does_not_have_is_said(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, form = await opened(site, "outlook")
            html = form.field("html")
            assert "<b><span>offer</span></b>" in html
            rows = [" ".join(one.split()) for one in re.findall("<div>([^<]*)</div>", html)]
            assert rows == ["Item Price", "Paper 12"]
            assert "tracker" not in html
            lost = "colors, fonts and sizes, tables (their text stays), pictures that are not"
            assert _REMOVED + lost in form.text
            assert len(files_of(form, "picture")) == 1
            assert files_of(form, "file") == []
            # Opening it changes nothing: the draft is as its program left it.
            assert newest(site, role(site, "amal", "drafts")) == draft("outlook")
            saved = await amal.upload("/compose", action="save", **fields_of(form))
            again = await amal.get(saved.location)
            assert _REMOVED not in again.text
            assert len(files_of(again, "picture")) == 1
            assert "<b><span>offer</span></b>" in again.field("html")

    asyncio.run(scenario())


def test_a_draft_without_formatting_is_plain_text(sqlite_store: Store) -> None:
    """Unless its author writes with formatting."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, form = await opened(site, "outlook-plain")
            assert form.field("html") == ""
            assert body_of(form) == "See you tomorrow at the café.\n\nAmal"
            await amal.get("/account/mail")
            await amal.post("/account/mail", write="rich")
            place = put_draft(site, "amal", draft("outlook-plain"))
            form = await amal.get(f"/compose?draft={place}")
            assert "<div>See you tomorrow at the café.</div>" in form.field("html")

    asyncio.run(scenario())


@pytest.mark.parametrize("changed", ["", "\nNew words."])
def test_who_leaves_the_formatting_has_plain_text(sqlite_store: Store, changed: str) -> None:
    """By the button, or by changing the plain text without scripts: pictures become files."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, form = await opened(site, "thunderbird-reply")
            values = fields_of(form)
            values |= {"body": values["body"] + changed, "rich": "kept" if changed else ""}
            saved = await amal.upload("/compose", action="save", **values)
            form = await amal.get(saved.location)
            assert form.field("html") == ""
            assert len(files_of(form, "file")) == 2

    asyncio.run(scenario())


def test_plain_text_that_was_saved_here_stays_plain(sqlite_store: Store) -> None:
    """Arabic text has HTML beside it, which only says its direction."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            await amal.get("/account/mail")
            await amal.post("/account/mail", write="rich")
            text = "مرحبا\n\n> اقتباس"
            saved = await amal.upload("/compose", action="save", body=text)
            form = await amal.get(saved.location)
            assert form.field("html") == ""
            assert body_of(form).split() == text.split()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "html",
    [
        b"<b>" * 3000 + b"x",
        b"<table><tr><td title='a>b'>one<td>two" * 200,
        b"<script>alert(1)</script><b onclick=alert(1)>x</b><img src=x onerror=alert(1)>",
        b'<b>x</b><img src="cid:gone@x"><img src="cid:&quot;&gt;<script>">',
        b"\xff\xfe<b>\x00",
        b"<a" + b" style=x" * 100_000,
    ],
)
def test_hostile_html_of_a_draft_is_harmless(sqlite_store: Store, html: bytes) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            raw = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html + b"\r\n"
            amal = await member(site, "amal")
            form = await amal.get(f"/compose?draft={put_draft(site, 'amal', raw)}")
            assert form.status == 200
            kept = form.field("html")
            assert not re.search(r"<script|onerror|onclick|<td|cid:|src=", kept)
            assert "alert" not in kept

    asyncio.run(scenario())
