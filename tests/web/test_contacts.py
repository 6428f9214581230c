"""The address book: list, form, import and export, completion."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from kit.site import Browser, Page, Site, letter, visiting
from kit.webmail import member
from zajil.config.options import LimitOptions
from zajil.store.engine.open import Store
from zajil.store.people.contacts import Contact, list_contacts

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def book(site: Site, login: str = "amal") -> list[Contact]:
    owner = site.entry(login).account_id
    return site.store.read_now(lambda conn: list_contacts(conn, owner))


async def send(browser: Browser, path: str, files: dict[str, Any], **data: str) -> Page:
    """Send a form with files."""
    form = {"csrf": browser.csrf, **data}
    return Page(await browser._client.post(path, data=form, files=files))


async def complete(browser: Browser, text: str) -> list[str]:
    page = await browser.get(f"/contacts/complete?q={text}")
    return [one["text"] for one in json.loads(page.text)]


FORM = {
    "name": "Noor Saleh",
    "emails": "noor@south.test\r\n\r\nns@x.test",
    "phones": "+967 1",
    "organisation": "South",
    "groups": "Family، Work",
    "note": "one\r\ntwo",
}


def test_a_contact_is_added_changed_and_deleted(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal = await member(site)
            assert "You have no contacts yet" in (await amal.get("/contacts")).text
            page = await send(amal, "/contacts", {"photo": ("a.png", PNG, "image/png")}, **FORM)
            assert page.status == 303
            assert "Contact saved." in (await amal.get(page.location)).text
            (one,) = book(site)
            assert one.emails == ("noor@south.test", "ns@x.test")
            assert one.groups == ("Family", "Work")
            assert one.note == "one\ntwo"
            path = f"/contacts/{one.contact_id}"
            assert (await amal.get(f"{path}/photo")).response.content == PNG
            assert 'value="Noor Saleh"' in (await amal.get(path)).text
            await send(amal, path, {}, **FORM | {"name": "Nour"})
            assert [one.name for one in book(site)] == ["Nour"]
            assert (await amal.get(f"{path}/photo")).status == 200
            await send(amal, path, {}, drop_photo="1", **FORM)
            assert (await amal.get(f"{path}/photo")).status == 404
            page = await amal.post("/contacts/delete", id=str(one.contact_id))
            assert book(site) == []
            page = await amal.get(page.location)
            assert "1 contact deleted." in page.text
            assert '<form method="post" action="/contacts/restore">' in page.text
            undo = page.field("undo")
            # It is said once, and where the list was that it was deleted from.
            assert "1 contact deleted." not in (await amal.get("/contacts")).text
            page = await amal.post("/contacts/restore", undo=undo, next="/contacts?group=Work")
            assert page.location == "/contacts?group=Work"
            assert "1 contact restored." in (await amal.get(page.location)).text
            assert len(book(site)) == 1
            page = await amal.post("/contacts/delete", next="//evil.test/")
            assert page.location == "/contacts"
            assert "No contacts are selected." in (await amal.get(page.location)).text
            assert (await amal.post("/contacts/restore", undo="x")).status == 400

    asyncio.run(scenario())


def test_a_form_that_cannot_be_saved_says_why_and_keeps_what_was_typed(
    sqlite_store: Store,
) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site)
            too_large = {"photo": ("a.png", PNG + bytes(300_000), "image/png")}
            svg = {"photo": ("a.svg", b"<svg onload=alert(1)>", "image/png")}
            for files, change, said in [
                ({}, {"emails": "samir"}, "“samir” is not a valid email address"),
                ({}, {"name": " ", "emails": ""}, "Enter a name or an email address."),
                (too_large, {}, "The photo is too large."),
                (svg, {}, "The photo must be a PNG"),
            ]:
                page = await send(amal, "/contacts", files, **FORM | change)
                assert page.status == 422
                assert said in page.text
                assert 'value="South"' in page.text
            assert book(site) == []

    asyncio.run(scenario())


def test_nobody_sees_or_changes_the_contacts_of_another(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, basim = await member(site), await member(site, "basim")
            await send(amal, "/contacts", {"photo": ("a.png", PNG, "image/png")}, **FORM)
            (one,) = book(site)
            path = f"/contacts/{one.contact_id}"
            assert (await basim.get(path)).status == 404
            assert (await basim.get(f"{path}/photo")).status == 404
            assert (await send(basim, path, {}, **FORM)).status == 404
            await basim.get("/contacts")
            await basim.post("/contacts/delete", id=str(one.contact_id))
            assert book(site) == [one]
            assert "BEGIN" not in (await basim.get("/contacts/export")).text
            assert await complete(basim, "noor") == []
            assert (await site.browser().get("/contacts/complete?q=noor")).status == 303
            page = await amal.post("/contacts/delete", csrf="0" * 64, id=str(one.contact_id))
            assert page.status == 403

    asyncio.run(scenario())


def test_search_and_groups(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site)
            await send(amal, "/contacts", {}, **FORM)
            await send(amal, "/contacts", {}, name="<b>Basim</b>", emails="basim@north.test")
            page = await amal.get("/contacts")
            assert "<b>Basim" not in page.text
            assert "&lt;b&gt;Basim" in page.text
            assert "2 contacts" in page.text
            assert "Noor Saleh" in (await amal.get("/contacts?page=99")).text
            page = await amal.get("/contacts?q=sale")
            assert "Noor Saleh" in page.text
            assert "Basim" not in page.text.partition("<main")[2]
            page = await amal.get("/contacts?group=Work")
            assert "Basim" not in page.text.partition("<main")[2]

    asyncio.run(scenario())


def test_what_is_exported_can_be_imported(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, basim = await member(site), await member(site, "basim")
            await send(amal, "/contacts", {"photo": ("a.png", PNG, "image/png")}, **FORM)
            for version in ("3.0", "4.0"):
                page = await amal.get(f"/contacts/export?version={version}")
                assert page.response.headers["content-type"].startswith("text/vcard")
                assert f"VERSION:{version}\r\n" in page.text
                file = {"file": ("c.vcf", page.response.content, "text/vcard")}
                page = await send(basim, "/contacts/import", file)
                assert "1 contact imported." in (await basim.get(page.location)).text
                (one,) = book(site, "basim")
                assert (one.name, one.emails, one.has_photo) == (
                    "Noor Saleh",
                    ("noor@south.test", "ns@x.test"),
                    True,
                )
            file = {"file": ("c.vcf", b"\xff\xfe nonsense", "text/vcard")}
            page = await send(basim, "/contacts/import", file)
            assert "0 contacts imported." in (await basim.get(page.location)).text
            assert (await amal.get("/contacts/export?version=9")).status == 404

    asyncio.run(scenario())


def test_a_sender_becomes_a_contact(sqlite_store: Store) -> None:
    """From the page of a message: once, whatever the name is then."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site)
            given: dict[str, Any] = {"name": "Noor", "address": "noor@south.test", "next": "/mail"}
            page = await amal.post("/contacts", **given)
            assert page.location == "/mail"
            await amal.post("/contacts", **given | {"name": "N.", "address": "NOOR@south.test"})
            assert [(one.name, one.emails) for one in book(site)] == [
                ("Noor", ("noor@south.test",))
            ]
            assert (await amal.post("/contacts", name="x", address="nonsense")).status == 422
            page = await amal.post("/contacts", **given | {"next": "https://evil.test/"})
            assert page.location == "/contacts"

    asyncio.run(scenario())


def test_completion_knows_contacts_and_whom_one_wrote_to(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site)
            await send(amal, "/contacts", {}, **FORM)
            await amal.get("/compose")
            mail = {"to": '"Nadia, N." <basim@north.test>', "subject": "s", "body": "b"}
            assert (await amal.post("/compose", None, action="send", **mail)).status == 303
            assert await complete(amal, "n") == [
                '"Nadia, N." <basim@north.test>',
                "Noor Saleh <noor@south.test>",
                "Noor Saleh <ns@x.test>",
            ]
            assert await complete(amal, "nadi") == ['"Nadia, N." <basim@north.test>']
            assert await complete(amal, "") == []
            await amal.get("/contacts")
            await amal.post("/contacts/forget", address="basim@north.test")
            assert await complete(amal, "nadi") == []

    asyncio.run(scenario())


def test_whom_one_got_mail_from_is_no_suggestion(sqlite_store: Store) -> None:
    """A stranger must not bring an address of his own into somebody's suggestions."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter(sender="Basim <evil@south.test>"))
            assert await complete(await member(site), "basim") == []

    asyncio.run(scenario())


async def make_family(amal: Browser) -> None:
    """Fill a group: two can be written to, one of them with two addresses, and two cannot."""
    for name, emails in [
        ("Saleh, Noor", "noor@south.test\nns@x.test"),
        ("سلمى", "salma@z.test"),
        ("Salma again", "SALMA@z.test"),
        ("Grandmother", ""),
        ("جدي", ""),
    ]:
        page = await send(amal, "/contacts", {}, name=name, emails=emails, groups="Family, Kin")
        assert page.status == 303
    await send(amal, "/contacts", {}, name="Fam Ous", emails="fam@x.test", groups="Familiar")


FAMILY = '"Saleh, Noor" <noor@south.test>, Salma again <SALMA@z.test>'


def test_a_group_is_suggested_with_its_people(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal = await member(site)
            await make_family(amal)
            rows = json.loads((await amal.get("/contacts/complete?q=fami")).text)
            assert [row["name"] for row in rows] == ["Familiar", "Family"]
            assert rows[1]["people"] == "2 people · 2 without an address"
            assert rows[1]["text"] == FAMILY
            # A person comes before groups, unless all of the name of a group was typed.
            rows = json.loads((await amal.get("/contacts/complete?q=fam")).text)
            assert [row["name"] for row in rows] == ["Fam Ous", "Familiar", "Family"]
            await send(amal, "/contacts", {}, name="Family Doctor", emails="doctor@x.test")
            rows = json.loads((await amal.get("/contacts/complete?q=FAMILY")).text)
            assert [row["name"] for row in rows] == ["Family", "Family Doctor"]
            assert await complete(await member(site, "basim"), "fami") == []
            # A group of which nobody can be written to is no recipient.
            await send(amal, "/contacts", {}, name="Nobody", emails="", groups="Empty")
            assert await complete(amal, "empty") == []

    asyncio.run(scenario())


def test_a_group_is_written_to_without_scripts(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site)
            await make_family(amal)
            page = await amal.get("/contacts?group=Family")
            assert 'href="/compose?group=Family">Write to this group</a>' in page.text
            assert "Write to this group" not in (await amal.get("/contacts")).text
            form = await amal.get("/compose?group=Family")
            assert form.field("to") == FAMILY
            assert (
                "Without an email address, and not added: \u2068Grandmother\u2069, \u2068جدي\u2069"
                in form.text
            )
            for name in ("None", "fami", "Fam%25", "%22", "%00", "x" * 5000, "x" * 50_000):
                form = await amal.get(f"/compose?group={name}")
                assert form.field("to") == ""
                assert "No contact in this group has an email address." in form.text
            form = await (await member(site, "basim")).get("/compose?group=Family")
            assert form.field("to") == ""

    asyncio.run(scenario())


def test_a_group_that_is_too_large_is_cut(sqlite_store: Store) -> None:
    async def scenario() -> None:
        limits = LimitOptions(recipients=100)
        async with visiting(sqlite_store, limits=limits) as site:
            amal = await member(site)
            cards = [
                f"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:P{n:03}\r\nEMAIL:p{n}@x.test\r\n"
                "CATEGORIES:Club\r\nEND:VCARD\r\n"
                for n in range(101)
            ]
            await send(amal, "/contacts/import", {"file": ("c.vcf", "".join(cards), "text/vcard")})
            form = await amal.get("/compose?group=Club")
            assert form.field("to").count("@") == 100
            assert "The group has 101 people, but a message can have up to 100" in form.text
            (row,) = json.loads((await amal.get("/contacts/complete?q=club")).text)
            assert row["people"] == "the first 100 of 101 people"
            assert row["text"].count("@") == 100

    asyncio.run(scenario())
