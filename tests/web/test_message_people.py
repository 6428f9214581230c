"""The people of a message: contacts, and mailing lists."""

from __future__ import annotations

import asyncio

import pytest

from kit.site import Site, letter, visiting
from kit.web_server import PNG
from kit.webmail import member, role
from zajil.store.engine.open import Store
from zajil.store.people.contacts import Contact, Photo, SavedContact, save_contacts


def result(text: str) -> bytes:
    return f"Authentication-Results: mx.north.test; {text}\r\n".encode()


PASSED = result("dmarc=pass header.from=south.test")


def make_contact(site: Site, name: str, address: str) -> int:
    saved = SavedContact(
        account_id=site.entry("amal").account_id,
        contact=Contact(uid="urn:1", name=name, emails=(address,)),
        photo=Photo("image/png", PNG),
        now_ms=0,
    )
    return site.store.write_now(save_contacts, saved)


@pytest.mark.parametrize(
    ("found", "is_shown"),
    [(PASSED, True), (result("dmarc=fail header.from=south.test"), False), (b"", True)],
)
def test_an_author_is_shown_as_a_contact_unless_forged(
    sqlite_store: Store, found: bytes, is_shown: bool
) -> None:
    """Attack: a forged address shows the photo and the name that its reader trusts."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            contact = make_contact(site, "Nora", "NOOR@south.test")
            site.deliver("amal", found + letter().as_bytes())
            amal, inbox = await member(site, "amal"), site.inbox("amal")
            page = (await amal.get(f"{inbox}/1")).text
            assert (f'src="/contacts/{contact}/photo"' in page) is is_shown
            assert ("<bdi>Nora</bdi>" in page) is is_shown
            assert ("<bdi>Noor Saleh</bdi>" in page) is not is_shown
            assert "Add to contacts" not in page
            # In Junk nobody is shown as somebody that one knows.
            await amal.post(inbox, uid="1", action="junk")
            assert "Nora" not in (await amal.get(f"/mail/{role(site, 'amal', 'junk')}/1")).text

    asyncio.run(scenario())


def test_people_are_added_to_the_contacts(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", letter(to="amal@north.test, Omar <omar@south.test>"))
            amal, inbox = await member(site, "amal"), site.inbox("amal")
            page = await amal.get(f"{inbox}/1")
            assert 'name="address" value="omar@south.test"' in page.text
            assert 'name="address" value="amal@north.test"' not in page.text
            place = f"{inbox}/1"
            for said in ("Added to your contacts.", "This address is in your contacts already."):
                done = await amal.post(
                    "/contacts", name="Noor Saleh", address="noor@south.test", next=place
                )
                assert (done.status, done.location) == (303, place)
                page = await amal.get(place)
                assert said in page.text
            assert 'name="address" value="noor@south.test"' not in page.text
            assert 'name="address" value="omar@south.test"' in page.text

    asyncio.run(scenario())


def test_a_list_has_its_own_reply(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            message = letter("To the list")
            message["List-Post"] = "<mailto:tea@lists.test>"
            site.deliver("amal", message)
            site.deliver("amal", letter())
            amal, inbox = await member(site, "amal"), site.entry("amal").inbox
            assert "Reply to list" in (await amal.get(f"/mail/{inbox}/1")).text
            assert "Reply to list" not in (await amal.get(f"/mail/{inbox}/2")).text
            compose = (await amal.get(f"/compose?reply={inbox}.1&list=1")).text
            assert "tea@lists.test" in compose

    asyncio.run(scenario())
