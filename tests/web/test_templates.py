"""Texts that a person uses again and again: kept in the account, inserted in writing."""

from __future__ import annotations

import asyncio
from html import unescape
from typing import Any

import pytest

from kit.site import Page, letter, visiting
from kit.webmail import member
from zajil.store.engine.open import Store
from zajil.web.text_templates import MOST, read_templates

PATH = "/account/templates"
THANKS: dict[str, Any] = {"name": "شكر", "text": "شكرًا لك.\r\nسأجيب غدًا.", "action": "save"}


def body_of(page: Page) -> str:
    """Return what stands in the field of plain text."""
    text = page.text.split('rows="16"')[1].split("</textarea>")[0]
    return unescape(text.partition(">")[2]).removeprefix("\n")


def test_templates_are_added_renamed_and_deleted(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal, basim = await member(site, "amal"), await member(site, "basim")
            assert (await amal.post(PATH, **THANKS)).location == PATH
            page = await amal.get(PATH)
            assert "<summary><bdi>شكر</bdi></summary>" in page.text
            assert "شكرًا لك.\nسأجيب غدًا.</textarea>" in page.text
            assert "شكر" not in (await basim.get(PATH)).text
            await amal.post(PATH, before="شكر", name=" Thanks  a lot ", text="T", action="save")
            page = await amal.get(PATH)
            assert "<bdi>Thanks a lot</bdi>" in page.text
            assert "شكر" not in page.text
            await amal.post(
                PATH, before="Thanks a lot", name="a\0b", text="a\0\tb\n", action="save"
            )
            assert "a\tb</textarea>" in (await amal.get(PATH)).text
            await amal.post(PATH, before="a b", action="delete")
            assert "<summary>" not in (await amal.get(PATH)).text.split("<main")[1]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({"name": " ", "text": "a"}, "A template needs a name and a text."),
        ({"name": "a", "text": "\n"}, "A template needs a name and a text."),
        ({"name": "a" * 101, "text": "a"}, "A template has at most 4000 characters"),
        ({"name": "a", "text": "a" * 4001}, "A template has at most 4000 characters"),
        ({"name": "شكر", "text": "a"}, "Another template has this name."),
    ],
)
def test_what_cannot_be_kept_is_said_and_still_stands_there(
    sqlite_store: Store, sent: dict[str, Any], problem: str
) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            await amal.post(PATH, **THANKS)
            page = await amal.post(PATH, action="save", **sent)
            assert page.status == 400
            assert problem in page.text
            assert f">\n{sent['text']}".strip("\n") in page.text
            assert (await amal.get(PATH)).text.count("<summary><bdi>") == 1

    asyncio.run(scenario())


def test_there_are_not_more_than_fit(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            for number in range(MOST):
                await amal.post(PATH, name=str(number), text="a", action="save")
            page = await amal.post(PATH, name="more", text="a", action="save")
            assert "You have 50 templates." in page.text
            answers = [
                await amal.post(PATH, before=str(one), name=str(one), text="a" * 4000)
                for one in range(20)
            ]
            assert "Your templates are too long together." in answers[-1].text

    asyncio.run(scenario())


@pytest.mark.parametrize("value", ["", "[1]", "{", "[" * 100_000, '{"a": 1}'])
def test_a_setting_that_is_something_else_is_no_template(value: str) -> None:
    assert read_templates({"templates": value}) == []


def test_a_template_is_inserted_without_scripts(sqlite_store: Store) -> None:
    """Behind what was written, before the signature and the quote."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            await amal.post(PATH, **THANKS)
            await amal.post("/account/signature", signature="Amal")
            page = await amal.get("/compose")
            assert 'name="template" value="شكر"' in page.text
            form: dict[str, Any] = {"body": "Dear Noor,\n\n-- \nAmal", "template": "شكر"}
            saved = await amal.upload("/compose", **form)
            page = await amal.get(saved.location)
            expected = "Dear Noor,\n\nشكرًا لك.\nسأجيب غدًا.\n\n-- \nAmal"
            assert body_of(page) == expected
            site.deliver("amal", letter("Question"))
            page = await amal.get(f"/compose?reply={site.entry('amal').inbox}.1")
            saved = await amal.upload("/compose", body=body_of(page), kind="reply", template="شكر")
            text = body_of(await amal.get(saved.location))
            assert text.index("سأجيب") < text.index("-- \nAmal") < text.index("wrote:")
            # One that was deleted meanwhile changes nothing.
            saved = await amal.upload("/compose", body="same", template="gone")
            assert body_of(await amal.get(saved.location)) == "same"

    asyncio.run(scenario())


def test_a_template_is_inserted_into_a_text_with_formatting(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            await amal.post(PATH, name="t", text="<b> & so", action="save")
            html = '<div dir="auto"><b>Hi</b></div><div dir="auto">-- </div><div>Amal</div>'
            form: dict[str, Any] = {"rich": "1", "html": html, "body": "", "template": "t"}
            page = await amal.get((await amal.upload("/compose", **form)).location)
            inserted = '<div dir="auto">&lt;b&gt; &amp; so</div><div dir="auto">-- </div>'
            assert f'<div dir="auto"><b>Hi</b></div>{inserted}' in page.field("html")

    asyncio.run(scenario())
