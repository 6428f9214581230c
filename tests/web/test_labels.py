"""Labels on the pages: made, shown on messages, added, removed, taken back."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest

from kit.site import Page, Site, letter, visiting
from kit.store import NOW_MS
from kit.webmail import member
from zajil.core.ids import MailboxId, Uid
from zajil.core.labels import read_labels
from zajil.read.indexer import Indexer
from zajil.store.engine.open import Store
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.mail.messages import get_messages, list_uids
from zajil.store.people.settings import get_settings


def keywords(site: Site, mailbox_id: MailboxId) -> dict[int, set[str]]:
    uids = site.store.read_now(lambda conn: list_uids(conn, mailbox_id))
    found = site.store.read_now(lambda conn: get_messages(conn, mailbox_id, uids))
    return {one.uid: {flag for flag in one.flags if flag[0] != "\\"} for one in found}


def chips(text: str) -> list[str]:
    """Return the labels that rows or a message show."""
    found = re.findall(r'<span class="chips-of">(.*?</span>)</span>', text, re.S)
    return [
        unescape(re.sub(r"<[^>]*>", "", one))
        for some in found
        for one in re.findall(r'<span class="chip[^>]*>.*?</span>', some, re.S)
    ]


def names(site: Site, login: str) -> list[str]:
    account_id = site.entry(login).account_id
    settings = site.store.read_now(lambda conn: get_settings(conn, account_id))
    return [one.name for one in read_labels(settings)]


def told(page: Page) -> str:
    found = re.search(r'role="status">(.*?)</p>', page.text)
    assert found
    return unescape(re.sub(r"<[^>]*>", "", found[1])).strip()


def test_a_label_is_made_and_put_on_messages(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            for _ in range(3):
                site.deliver("amal", letter())
            amal, inbox, box = await member(site), site.inbox("amal"), site.entry("amal").inbox
            await amal.post("/labels", action="make", name="مشروع", colour="purple")
            page = await amal.get("/labels")
            assert told(page) == "The label was created."
            assert 'class="chip chip-purple"' in page.text
            await amal.post(inbox, uid=["1", "3"], label="label_1")
            assert keywords(site, box) == {1: {"label_1"}, 2: set(), 3: {"label_1"}}
            page = await amal.get(inbox)
            assert told(page) == "Label added to 2 messages."
            assert chips(page.text) == ["مشروع", "مشروع"]
            await amal.post("/mail/undo", undo=page.field("undo"), next="/mail")
            assert keywords(site, box) == {1: set(), 2: set(), 3: set()}
            await amal.post(inbox, uid="2", label="label_1")
            assert chips((await amal.get(f"{inbox}/2")).text) == ["مشروع"]
            await amal.post(inbox, uid="2", unlabel="label_1")
            page = await amal.get(inbox)
            assert told(page) == "Label removed from 1 message."
            await amal.post("/mail/undo", undo=page.field("undo"), next="/mail")
            assert keywords(site, box)[2] == {"label_1"}

    asyncio.run(scenario())


def test_labels_of_other_programs(sqlite_store: Store) -> None:
    """The five of Thunderbird have their names; keywords that nobody named are not shown."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            account, inbox = site.entry("amal").account_id, site.entry("amal").inbox
            staged = site.store.blobs.stage([letter().as_bytes()])
            flags = frozenset({"$label1", "$LABEL4", "$Forwarded", "$Junk", "Custom"})
            site.store.write_now(put_messages, PutMessage(account, inbox, staged, flags, NOW_MS))
            amal = await member(site)
            assert chips((await amal.get(site.inbox("amal"))).text) == ["Important", "To do"]
            await amal.post("/account/language", language="ar", zone="")
            assert chips((await amal.get(site.inbox("amal"))).text) == ["مهم", "للتنفيذ"]
            # The form of a page in Arabic shows the name in Arabic; that does not make it one.
            await amal.post(
                "/labels", action="change", keyword="$label1", name="مهم", colour="blue"
            )
            await amal.post(
                "/labels", action="change", keyword="$label4", name="للتنفيذ", colour="grey"
            )
            await amal.post("/account/language", language="en", zone="")
            page = await amal.get(f"{site.inbox('amal')}/1")
            assert chips(page.text) == ["Important", "To do"]
            assert 'class="chip chip-blue">Important' in page.text

    asyncio.run(scenario())


def test_a_row_shows_the_labels_of_its_conversation(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in (1, 2):
                message = letter()
                message.replace_header("Message-ID", f"<{number}@south.test>")
                message["References"] = "<1@south.test>"
                site.deliver("amal", message)
            await Indexer(site.store).index_waiting()
            amal, inbox = await member(site), site.inbox("amal")
            await amal.post(inbox, uid="1", label="$label2")
            assert chips((await amal.get(inbox)).text) == ["Work"]
            await amal.post(inbox, uid="2", label="$label3", conversations="1")
            assert keywords(site, site.entry("amal").inbox) == {
                1: {"$label2", "$label3"},
                2: {"$label3"},
            }

    asyncio.run(scenario())


def test_a_label_is_renamed_removed_and_taken_back(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", letter())
            amal, inbox = await member(site), site.inbox("amal")
            await amal.post("/labels", action="make", name="Plans", colour="red")
            await amal.post(inbox, uid="1", label="Plans")
            await amal.post(
                "/labels", action="change", keyword="Plans", name="Projects", colour="green"
            )
            assert chips((await amal.get(inbox)).text) == ["Projects"]
            await amal.post("/labels", action="remove", keyword="Plans")
            page = await amal.get("/labels")
            assert told(page) == "The label was deleted."
            assert chips((await amal.get(inbox)).text) == []
            assert "Projects" not in names(site, "amal")
            button = re.search(r'name="undo" value="([0-9a-f]+)">', page.text)
            assert button
            await amal.post("/labels", action="undo", undo=button[1])
            assert chips((await amal.get(inbox)).text) == ["Projects"]

    asyncio.run(scenario())


def test_results_of_a_search_are_labelled(store: Store) -> None:

    async def scenario() -> None:
        async with visiting(store) as site:
            for subject in ("First", "Second"):
                site.deliver("amal", letter(subject))
            amal, inbox, box = await member(site), site.inbox("amal"), site.entry("amal").inbox
            await amal.post("/labels", action="make", name="مشروع جديد", colour="red")
            await amal.post(inbox, uid="2", label="label_1")
            await amal.post(inbox, uid="1", label="$label2")
            for text, subject in (
                ("label:label_1", "Second"),
                ("label:$label2", "First"),
                ("-label:$label2", "Second"),
            ):
                page = await amal.get(f"/search?{urlencode({'q': text})}")
                assert re.findall(r'class="open"[^>]*>([^<]*)<', page.text) == [subject], text
            await amal.post("/search", q="x", uid=[f"{box}.1", f"{box}.2"], label="$label3")
            assert [len(one) for one in keywords(site, box).values()] == [2, 2]
            page = await amal.get("/search?q=x")
            await amal.post("/mail/undo", undo=page.field("undo"), next="/mail")
            assert [len(one) for one in keywords(site, box).values()] == [1, 1]
            await amal.post("/search", q="x", uid=f"{box}.1", unlabel="$label2")
            assert keywords(site, box)[1] == set()
            assert (await amal.post("/search", q="x", uid=f"{box}.1", label="$X")).status == 404

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"action": "make", "name": "important", "colour": "red"}, 422, "already exists"),
        ({"action": "make", "name": "", "colour": "red"}, 422, "not possible"),
        ({"action": "make", "name": "x", "colour": "javascript"}, 422, "not possible"),
        ({"action": "change", "keyword": "none", "name": "x", "colour": "red"}, 404, ""),
        ({"action": "undo", "undo": "zz"}, 404, ""),
        ({"action": "fly"}, 400, ""),
    ],
)
def test_what_is_refused(
    sqlite_store: Store, form: dict[str, Any], status: int, words: str
) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            page = await (await member(site)).post("/labels", **form)
            assert page.status == status
            assert words in page.text

    asyncio.run(scenario())


def test_only_labels_of_the_account_are_put_on_its_messages(sqlite_store: Store) -> None:
    """Security: a form cannot set flags that only programs set, or labels of messages of others."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            amal, basim, inbox = await member(site), await member(site, "basim"), site.inbox("amal")
            for keyword in ("\\Deleted", "$MDNSent", "", "x y"):
                assert (await amal.post(inbox, uid="1", label=keyword)).status == 404
            assert (await basim.post(inbox, uid="1", label="$label1")).status == 404
            box = site.entry("amal").inbox
            step = f"label:{box}:{b'$label1'.hex()}:1"
            await basim.post("/mail/undo", undo=step, next="/mail")
            await amal.post("/mail/undo", undo=f"label:{box}:{b'$MDNSent'.hex()}:1", next="/mail")
            assert keywords(site, box) == {Uid(1): set()}

    asyncio.run(scenario())


def test_text_of_a_label_is_no_markup(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site)
            await amal.post("/labels", action="make", name="<b>&x</b>", colour="red")
            page = await amal.get("/labels")
            assert "<b>" not in page.text
            assert "&lt;b&gt;&amp;x&lt;/b&gt;" in page.text

    asyncio.run(scenario())
