"""The search page: what it finds and shows, and what its buttons do."""

from __future__ import annotations

import asyncio
import re
from datetime import date
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest

from kit.site import Browser, Page, Site, letter, visiting
from kit.webmail import member, role
from zajil.core.ids import Uid
from zajil.core.labels import read_labels
from zajil.read.search_query import ConditionKind, parse_query
from zajil.store.engine.open import Store
from zajil.store.mail.flag_changes import FlagChange, FlagMode, change_flags
from zajil.store.mail.right_changes import ChangeRights, Grant, change_rights
from zajil.store.mail.summaries import newest_summaries
from zajil.store.people.audit import AuditQuery, find_audit
from zajil.store.people.settings import NewSettings, get_settings, set_settings
from zajil.tracking.audit import SettingsChanged
from zajil.web.language import load_languages
from zajil.web.saved_searches import MOST, SETTING, read_saved


def in_box(site: Site, name: str) -> list[int]:
    mailbox_id = role(site, "amal", name)
    found = site.store.read_now(lambda conn: newest_summaries(conn, mailbox_id, 1000))
    return sorted(int(one.uid) for one, _ in found)


def subjects(page: Page) -> list[str]:
    """Return the subjects of the results, in their order, without marks."""
    found = re.findall(r'<a class="open"[^>]*>(.*?)</a>', page.text)
    return [unescape(re.sub(r"<[^>]+>", "", one)) for one in found]


async def search(browser: Browser, text: str, **more: str) -> Page:
    page = Page(await browser._client.get("/search", params={"q": text, **more}))
    assert page.status == 200
    return page


def deliver_some(site: Site) -> None:
    with_file = letter("Invoice of May", "The total is 100.\n", sender="Sara <sara@south.test>")
    with_file.add_attachment(b"%PDF", "application", "pdf", filename="invoice.pdf")
    for one in (
        letter("Garden plan", "Roses and lilies.\n"),
        with_file,
        letter("فاتورة الكهرباء", "المبلغ المستحق.\n", sender="سلمى <salma@south.test>"),
        letter("Lunch", "Bring the garden chairs.\n", to="amal@north.test, basim@north.test"),
    ):
        site.deliver("amal", one)


FOUND = [
    ("garden", ["Lunch", "Garden plan"]),
    ("GARD", ["Lunch", "Garden plan"]),
    ("garden roses", ["Garden plan"]),
    ('"garden chairs"', ["Lunch"]),
    ('"chairs garden"', []),
    ("garden -chairs", ["Garden plan"]),
    ("from:sara", ["Invoice of May"]),
    ("from:sara OR from:سلمى", ["فاتورة الكهرباء", "Invoice of May"]),
    ("من:سلمى", ["فاتورة الكهرباء"]),
    ("الفاتورة OR فاتوره", ["فاتورة الكهرباء"]),
    ("to:basim", ["Lunch"]),
    ("subject:garden", ["Garden plan"]),
    ("has:attachment", ["Invoice of May"]),
    ("-has:attachment garden", ["Lunch", "Garden plan"]),
    ("is:read", []),
    ("is:unread plan", ["Garden plan"]),
    ("larger:1M", []),
    ("before:2000-01-01", []),
    ("after:2000 plan", ["Garden plan"]),
    ("in:inbox lunch", ["Lunch"]),
    ("in:sent lunch", []),
    ("-in:inbox lunch", []),
    ("from:basim", []),
    ("to:me lunch", ["Lunch"]),
]


def test_what_is_found(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            deliver_some(site)
            amal = await member(site)
            for text, wanted in FOUND:
                page = await search(amal, text)
                assert (text, subjects(page)) == (text, wanted)
                count = len(wanted)
                assert f"{count} message{'' if count == 1 else 's'} found" in page.text

    asyncio.run(scenario())


def test_nobody_finds_the_mail_of_another(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            deliver_some(site)
            basim = await member(site, "basim")
            assert subjects(await search(basim, "garden OR lunch OR invoice in:all")) == []
            inbox = site.entry("amal").inbox
            await basim.get("/account")
            await basim.post("/search", q="garden", uid=f"{inbox}.1", action="delete")
            assert in_box(site, "inbox") == [1, 2, 3, 4]

    asyncio.run(scenario())


def test_junk_and_trash_are_searched_when_asked_for(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            deliver_some(site)
            amal = await member(site)
            await amal.post(site.inbox("amal"), uid="1", action="junk")
            await amal.post(site.inbox("amal"), uid="4", action="delete")
            page = await search(amal, "garden")
            assert subjects(page) == []
            assert "in all mailboxes except Junk and Trash" in page.text
            assert "Search there too" in page.text
            page = await search(amal, "garden in:all")
            assert set(subjects(page)) == {"Garden plan", "Lunch"}
            assert subjects(await search(amal, "garden in:junk")) == ["Garden plan"]
            assert subjects(await search(amal, "garden in:trash")) == ["Lunch"]

    asyncio.run(scenario())


def test_words_are_marked_and_nothing_of_a_mail_is_markup(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter("<b>Rose</b> & <rose>", "Kurdish <i>rose</i> water\n"))
            site.deliver("amal", letter("مُحَمَّد يكتب", "x\n"))
            amal = await member(site)
            page = await search(amal, "rose")
            assert (
                "&lt;b&gt;<mark>Rose</mark>&lt;/b&gt; &amp; &lt;<mark>rose</mark>&gt;" in page.text
            )
            assert "&lt;i&gt;<mark>rose</mark>&lt;/i&gt;" in page.text
            page = await search(amal, '<script> "<b>"')
            assert "<script>" not in page.text
            assert "<b>" not in page.text
            assert "<mark>مُحَمَّد</mark> يكتب" in (await search(amal, "محمد")).text

    asyncio.run(scenario())


def test_conditions_are_chips_that_can_be_removed(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site)
            page = await search(amal, 'from:noor "two words" -is:unread')
            chips = page.text.partition('class="chips"')[2].partition("</ul>")[0]
            assert "From: <bdi>noor</bdi>" in chips
            assert "Not: Unread" in chips
            links = [unescape(one) for one in re.findall(r'href="([^"]+)"', chips)]
            assert links[1] == "/search?q=from%3Anoor+-is%3Aunread"

    asyncio.run(scenario())


FAULTS = [
    ("before:soon garden", "is not a date"),
    ("larger:huge garden", "is not a size"),
    ("in:nowhere garden", "There is no mailbox <bdi>nowhere</bdi>"),
    ("is:nice garden", "has no meaning here"),
]


def test_a_condition_without_meaning_is_told(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            deliver_some(site)
            amal = await member(site)
            for text, said in FAULTS:
                page = await search(amal, text)
                assert said in page.text
                assert subjects(page) == ["Lunch", "Garden plan"]

    asyncio.run(scenario())


def test_without_words_the_page_says_how_to_search(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            page = await search(await member(site), "")
            assert "How to search" in page.text
            assert "found" not in page.text.partition("<main")[2].partition("How to search")[0]

    asyncio.run(scenario())


def test_results_are_paged(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in range(53):
                site.deliver("amal", letter(f"Rose {number}"))
            amal = await member(site)
            page = await search(amal, "rose")
            assert len(subjects(page)) == 50
            assert "1–50 of 53" in page.text
            page = await search(amal, "rose", page="2")
            assert set(subjects(page)) == {"Rose 0", "Rose 1", "Rose 2"}
            assert "51–53 of 53" in page.text
            # What was on the page may be gone by now.
            assert "51–53 of 53" in (await search(amal, "rose", page="9")).text

    asyncio.run(scenario())


def test_buttons_act_on_marked_results_of_several_mailboxes(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            deliver_some(site)
            amal, inbox = await member(site), site.entry("amal").inbox
            await amal.post(site.inbox("amal"), uid="1", action="archive")
            archive = role(site, "amal", "archive")
            picks = [f"{inbox}.4", f"{archive}.1", "nonsense", "9.9.9"]
            page = await amal.post("/search", q="garden", uid=picks, action="delete")
            assert page.location == "/search?q=garden"
            assert "2 messages moved to the Trash." in (await amal.get(page.location)).text
            assert len(in_box(site, "trash")) == 2
            page = await amal.post("/search", q="garden", action="delete")
            assert "No messages are selected." in (await amal.get(page.location)).text
            assert (await amal.post("/search", q="garden", action="burn")).status == 400

    asyncio.run(scenario())


def test_buttons_act_on_all_that_is_found(sqlite_store: Store) -> None:
    """Also on those of other pages; not on what came after the page was shown."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in range(52):
                site.deliver("amal", letter(f"Rose {number}"))
            site.deliver("amal", letter("Tulip"))
            amal = await member(site)
            page = await search(amal, "rose")
            assert "Select all 52 messages found" in page.text
            until = page.field("until")
            before = str(int(until) - 10**9)
            given: dict[str, Any] = {"q": "rose", "every": "1", "action": "archive"}
            await amal.post("/search", until=before, **given)
            assert len(in_box(site, "inbox")) == 53
            page = await amal.post("/search", until=until, **given)
            assert "52 messages moved to the archive." in (await amal.get(page.location)).text
            assert len(in_box(site, "archive")) == 52
            assert in_box(site, "inbox") == [53]

    asyncio.run(scenario())


def test_results_can_be_narrowed_to_one_of_their_mailboxes(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            deliver_some(site)
            amal = await member(site)
            assert "Mailboxes of the results" not in (await search(amal, "garden")).text
            await amal.post(site.inbox("amal"), uid="1", action="archive")
            page = await search(amal, "garden in:archive OR in:inbox")
            links = page.text.partition("Mailboxes of the results")[2].partition("</nav>")[0]
            assert 'href="/search?q=garden+in%3Ainbox">Inbox <span class="faint">1<' in links
            assert 'href="/search?q=garden+in%3Aarchive"' in links

    asyncio.run(scenario())


def test_a_mailbox_can_be_named_by_its_number(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site)
            page = await amal.get(f"/search?q=rose&in={role(site, 'amal', 'sent')}")
            assert page.location == "/search?q=rose+in%3Asent"
            page = await amal.get(f"/search?q=rose&in={site.entry('basim').inbox}")
            assert page.status == 200

    asyncio.run(scenario())


def test_arabic_names_of_mailboxes_and_operators(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            deliver_some(site)
            amal = await member(site, **{"accept-language": "ar"})
            page = await search(amal, "في:الوارد الموضوع:فاتورة")
            assert subjects(page) == ["فاتورة الكهرباء"]

    asyncio.run(scenario())


def share(site: Site, rights: str) -> None:
    """Let Amal use the INBOX of Basim."""
    basim = site.entry("basim")
    change = ChangeRights(basim.account_id, "INBOX", Grant("amal", frozenset(rights)))
    site.store.write_now(change_rights, change)


def test_shared_mailboxes_are_searched_and_named(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            deliver_some(site)
            site.deliver("basim", letter("Garden of Basim", "Tulips.\n"))
            amal = await member(site)
            assert "Garden of Basim" not in subjects(await search(amal, "garden"))
            share(site, "lr")
            page = await search(amal, "garden")
            assert sorted(subjects(page)) == ["Garden of Basim", "Garden plan", "Lunch"]
            assert "basim/INBOX" in page.text
            inbox = site.entry("basim").inbox
            assert subjects(await search(amal, "in:basim/INBOX")) == ["Garden of Basim"]
            # It may be read, and nothing else.
            await amal.get("/account")
            for action in ("flag", "delete", "seen"):
                await amal.post("/search", q="garden", uid=f"{inbox}.1", action=action)
            assert subjects(await search(amal, "in:basim/INBOX -is:starred")) == ["Garden of Basim"]
            share(site, "")
            assert sorted(subjects(await search(amal, "garden"))) == ["Garden plan", "Lunch"]

    asyncio.run(scenario())


def test_where_is_searched_is_chosen(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            deliver_some(site)
            amal = await member(site)
            inbox, sent = role(site, "amal", "inbox"), role(site, "amal", "sent")
            # Beside the field of a mailbox's page, and above the results.
            page = await amal.get(site.inbox("amal"))
            assert f'type="radio" name="in" value="{inbox}"' in page.text
            for typed, chosen, query in (
                ("garden", str(inbox), "garden in:inbox"),
                ("garden in:inbox", str(sent), "garden in:sent"),
                ("in:sent garden", "most", "garden"),
                ("garden", "all", "garden in:all"),
            ):
                page = await amal.get(f"/search?{urlencode({'q': typed, 'in': chosen})}")
                assert page.location == f"/search?{urlencode({'q': query})}"
            page = await search(amal, "garden in:sent")
            assert f'<option value="{sent}" selected>' in page.text
            assert '<a href="/search?q=garden">Search all mailboxes</a>' in page.text
            # Others, and none at all, change nothing.
            for chosen in ("", "99999", "x", str(site.entry("basim").inbox)):
                page = await amal.get(f"/search?{urlencode({'q': 'garden', 'in': chosen})}")
                assert page.status == 200
            page = await amal.get(f"/search?{urlencode({'q': 'garden', 'add': 'is:unread'})}")
            assert page.location == f"/search?{urlencode({'q': 'garden is:unread'})}"

    asyncio.run(scenario())


def test_labels_are_found_by_name_and_shown(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            deliver_some(site)
            amal = await member(site)
            await amal.post("/labels", action="make", name="Garten für Ä", colour="green")
            keyword = read_labels(
                site.store.read_now(lambda conn: get_settings(conn, site.entry("amal").account_id))
            )[-1].keyword
            inbox, amal_id = role(site, "amal", "inbox"), site.entry("amal").account_id
            for word, uid in ((keyword, 1), ("$label2", 4)):
                change = FlagChange(amal_id, inbox, (Uid(uid),), FlagMode.ADD, frozenset({word}))
                site.store.write_now(change_flags, change)
            page = await search(amal, 'label:"GARTEN für ä"')
            assert subjects(page) == ["Garden plan"]
            assert "Garten für Ä" in page.text
            for text in ("label:work", "label:$label2", "tag:WORK", "-label:x label:Work"):
                assert (text, subjects(await search(amal, text))) == (text, ["Lunch"])
            assert "Label: <bdi>Work</bdi>" in (await search(amal, "label:$label2")).text
            arabic = await member(site, **{"Accept-Language": "ar"})
            name = load_languages()["ar"].gettext("Work")
            assert subjects(await search(arabic, f'تصنيف:"{name}"')) == ["Lunch"]

    asyncio.run(scenario())


def test_days_are_those_of_the_reader(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter("Lunch"))  # at 22:13 UTC
            for zone, day in (("UTC", "2023-11-14"), ("Asia/Riyadh", "2023-11-15")):
                amal = await member(site)
                site.store.write_now(
                    set_settings, NewSettings(site.entry("amal").account_id, {"zone": zone})
                )
                assert subjects(await search(amal, f"on:{day}")) == ["Lunch"]
                assert subjects(await search(amal, f"after:{day}")) == ["Lunch"]
                assert subjects(await search(amal, f"before:{day}")) == []

    asyncio.run(scenario())


def saved(page: Page) -> list[tuple[str, str]]:
    """Return the saved searches at the side: where they lead, and their names."""
    found = re.search(r'<ul aria-labelledby="saved">(.*?)</ul>', page.text, re.DOTALL)
    if found is None:
        return []
    one = r'<a href="(/search[^"]*)".*?<bdi>(.*?)</bdi>'
    return [(unescape(path), unescape(name)) for path, name in re.findall(one, found[1])]


def test_searches_are_saved_renamed_and_deleted(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            deliver_some(site)
            amal = await member(site)
            await search(amal, "garden")
            for name, query in (("Garden <b>", "garden"), ("فواتير", "فاتورة has:attachment")):
                page = await amal.post("/search/saved", action="save", q=query, name=name)
                assert page.location == f"/search?{urlencode({'q': query})}"
            page = await amal.get(site.inbox("amal"))
            assert saved(page) == [
                ("/search?q=garden", "Garden <b>"),
                (f"/search?{urlencode({'q': 'فاتورة has:attachment'})}", "فواتير"),
            ]
            page = await search(amal, "garden")
            assert "Saved as" in page.text

            form: dict[str, Any] = {"q": "garden", "saved": "Garden <b>"}
            await amal.post("/search/saved", action="save", name="  Roses\u202e\n ", **form)
            assert [name for _, name in saved(await amal.get("/search"))] == ["Roses", "فواتير"]
            await amal.post("/search/saved", action="delete", q="garden", saved="Roses")
            assert [name for _, name in saved(await amal.get("/search"))] == ["فواتير"]
            assert saved(await (await member(site, "basim")).get("/search")) == []

            events = site.store.read_now(lambda conn: find_audit(conn, AuditQuery()))
            changes = [one.settings for one in events if isinstance(one, SettingsChanged)]
            assert changes == [("removed", "searches"), *[("searches",)] * 3]

    asyncio.run(scenario())


def test_odd_searches_are_not_saved(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site)
            await amal.get("/account")
            for name in ("", "  ", "\u200b"):
                page = await amal.post("/search/saved", action="save", q="x", name=name)
                assert page.status == 303
            assert (await amal.post("/search/saved", action="save", q="")).status == 400
            assert (await amal.post("/search/saved", action="other", q="x")).status == 400
            assert saved(await amal.get("/search")) == []
            for number in range(MOST + 3):
                await amal.post("/search/saved", action="save", q="x" * 1000, name=f"n{number}")
            assert len(saved(await amal.get("/search"))) == MOST

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "value", ["", "x", "{}", '[1, [2, 3], ["a"], ["", "q"], ["a", ""]]', "null", "[[", "1e999"]
)
def test_a_setting_that_nobody_wrote_so_is_none(value: str) -> None:
    assert read_saved({SETTING: value}) == ()


def test_the_operators_that_a_page_names_are_known() -> None:
    """In each language, those under the field, and those of its examples."""
    for language in load_languages().values():
        text = language.gettext("from: to: subject: has: is: in: before: after: on: larger: label:")
        values = ["x", "x", "x", "attachment", "unread", "x", "2026", "2026", "2026", "5M", "x"]
        for name, value in zip(text.split(), values, strict=True):
            query = parse_query(f"{name}{value}", date(2026, 11, 29))
            assert not query.faults, name
            assert query.groups[0][0].kind is not ConditionKind.TEXT, name
