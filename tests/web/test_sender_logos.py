"""Logos of senders (BIMI): looked up when a message is read, shown where a certificate holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from kit.certificates import TestAuthority
from kit.logo_site import AUTHORITY, PASSED, Contexts, ZoneRecords, logo_site, make_contexts, proved
from kit.marks import LOGO, MarkAuthority, MarkOrder
from kit.site import Browser, Page, Site, letter
from kit.store import NOW_MS
from kit.web_server import PNG, WebServer, answer, redirect
from kit.webmail import member, role
from kit.zone import ZoneResolver
from zajil.dns.flow import Answer, Question
from zajil.mailauth.mark_certificate import MarkRoots
from zajil.net.peer import Networks
from zajil.read.guarded_fetch import GuardedFetcher
from zajil.read.logo_question import LogoQuestion
from zajil.read.sender_logos import LONGEST_MS, SHORTEST_MS, LogoFinder
from zajil.store.engine.open import Store
from zajil.store.mail.sender_logos import MOST_ROWS, KeptLogo, forget_logos, get_logo, keep_logos
from zajil.store.people.contacts import Contact, Photo, SavedContact, save_contacts

EMPTY = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
SENTENCE = "Logo confirmed by a certificate for"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    return make_contexts(TestAuthority(tmp_path_factory.mktemp("authority")))


@dataclass
class Scene:
    """A site with one message, and the server that has the certificate of its author."""

    site: Site
    marks: WebServer
    zone: ZoneRecords
    amal: Browser
    path: str

    async def page(self) -> Page:
        """Open the message."""
        return await self.amal.get(self.path)

    async def logo(self, **headers: str) -> Page:
        """Ask for the logo in its page."""
        return await self.amal.get(f"{self.path}/logo", **headers)

    async def has_logo(self) -> bool:
        """Ask for the logo; without one, the picture is empty."""
        got = (await self.logo()).response
        assert got.status_code == 200
        assert got.content in (LOGO, EMPTY)
        assert ("max-age" in got.headers["cache-control"]) is (got.content == LOGO)
        return got.content == LOGO


@asynccontextmanager
async def scene(
    store: Store, tls: Contexts, *, roots: bytes | None = AUTHORITY.root
) -> AsyncIterator[Scene]:
    async with logo_site(store, tls, roots=roots) as found:
        site = found.site
        site.deliver("amal", proved(letter()))
        yield Scene(site, found.marks, found.zone, await member(site), f"{site.inbox('amal')}/1")


def test_a_logo_is_looked_up_once_and_shown(store: Store, tls: Contexts) -> None:
    async def scenario() -> None:
        async with scene(store, tls) as one:
            page = await one.page()
            assert f'src="{one.path}/logo"' in page.text
            assert SENTENCE not in page.text
            assert one.marks.asked == []  # the page does not wait for it
            found = await asyncio.gather(one.logo(), one.logo())
            assert [(got.status, got.response.content) for got in found] == [(200, LOGO)] * 2
            headers = found[0].response.headers
            assert headers["content-type"] == "image/svg+xml; charset=utf-8"
            policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
            assert headers["content-security-policy"] == policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            (asked,) = one.marks.asked
            assert asked.startswith(b"GET /c.pem HTTP/1.1\r\n")
            for word in (b"amal", b"noor", b"Cookie", b"Referer"):
                assert word not in asked
            page = await one.page()
            assert SENTENCE in page.text
            assert "<bdi>Mark Authority</bdi>" in page.text
            assert (await one.logo()).status == 200
            # As a picture, and of nobody else's mailbox.
            assert (await one.logo(**{"sec-fetch-dest": "document"})).status == 404
            assert (await one.logo(**{"sec-fetch-dest": "image"})).status == 200
            basim = await member(one.site, "basim")
            assert (await basim.get(f"{one.path}/logo")).status == 404
            assert len(one.marks.asked) == 1
            one.site.clock.advance(SHORTEST_MS - 1)
            assert SENTENCE in (await one.page()).text
            one.site.clock.advance(1)  # the TTL of the record is less
            assert SENTENCE not in (await one.page()).text
            assert (await one.logo()).status == 200
            assert len(one.marks.asked) == 2

    asyncio.run(scenario())


def of_zone(name: str, text: str | None) -> Callable[[Scene], None]:
    def change(one: Scene) -> None:
        one.zone[name] = None if text is None else {"TXT": [text]}

    return change


def by_redirect(scheme: str) -> Callable[[Scene], None]:
    def change(one: Scene) -> None:
        one.marks.answers["/d.pem"] = one.marks.answers["/c.pem"]
        there = one.marks.url("/d.pem", "marks.test").replace("http", scheme, 1)
        one.marks.answers["/c.pem"] = redirect(there)

    return change


def of_server(served: bytes, media_type: str = "text/plain") -> Callable[[Scene], None]:
    return lambda one: one.marks.answers.update({"/c.pem": answer(served, media_type)})


_POLICY, _RECORD = "_dmarc.south.test", "default._bimi.south.test"
CHANGES: dict[str, tuple[Callable[[Scene], None], bool]] = {
    "nothing": (lambda one: None, True),
    "redirect": (by_redirect("https"), True),
    "redirect without TLS": (by_redirect("http"), False),
    "policy none": (of_zone(_POLICY, "v=DMARC1; p=none"), False),
    "policy for some": (of_zone(_POLICY, "v=DMARC1; p=quarantine; pct=50"), False),
    "policy not known": (of_zone(_POLICY, None), False),
    "record not known": (of_zone(_RECORD, None), False),
    "declined": (of_zone(_RECORD, "v=BIMI1; l=; a="), False),
    "no certificate": (of_zone(_RECORD, "v=BIMI1; l=https://marks.test/l.svg"), False),
    "private host": (of_zone(_RECORD, "v=BIMI1; l=https://x.test; a=https://10.0.0.1"), False),
    "not found": (lambda one: one.marks.answers.clear(), False),
    "too large": (of_server(b"x" * 300_000), False),
    "not a certificate": (of_server(LOGO, "image/svg+xml"), False),
    "unknown root": (of_server(MarkAuthority(number=2).issue()), False),
    "other domain": (of_server(AUTHORITY.issue(MarkOrder(names=("north.test",)))), False),
    "other purpose": (of_server(AUTHORITY.issue(MarkOrder(purposes=()))), False),
}


def test_what_records_and_servers_say(sqlite_store: Store, tls: Contexts) -> None:
    async def scenario() -> None:
        async with scene(sqlite_store, tls) as one:
            zone, answers = dict(one.zone), dict(one.marks.answers)
            for name, (change, is_shown) in CHANGES.items():
                one.zone.update(zone)
                one.marks.answers.update(answers)
                one.site.clock.advance(SHORTEST_MS)  # what was found before is forgotten
                change(one)
                assert await one.has_logo() is is_shown, name
                page = (await one.page()).text
                assert (f'src="{one.path}/logo"' in page) is is_shown, name
                assert (SENTENCE in page) is is_shown, name
                # Nobody is asked again at once.
                asked = len(one.marks.asked)
                assert await one.has_logo() is is_shown, name
                assert len(one.marks.asked) == asked, name

    asyncio.run(scenario())


def test_nothing_is_looked_up_without_a_proof(sqlite_store: Store, tls: Contexts) -> None:
    heads = (
        b"",
        PASSED.replace(b"pass", b"fail"),
        PASSED.replace(b"reject", b"none"),
        PASSED.replace(b"mx.north", b"mx.evil"),
        PASSED + b"From: ceo@bank.test\r\n",
    )

    async def scenario() -> None:
        async with scene(sqlite_store, tls) as one:
            inbox = one.site.inbox("amal")
            for number, head in enumerate(heads, 2):
                one.site.deliver("amal", head + letter().as_bytes())
                path = f"{inbox}/{number}"
                assert f"{path}/logo" not in (await one.amal.get(path)).text
                assert (await one.amal.get(f"{path}/logo")).status == 404
            # A photo that the reader gave an author is shown instead.
            saved = SavedContact(
                account_id=one.site.entry("amal").account_id,
                contact=Contact(uid="urn:1", name="Nora", emails=("noor@south.test",)),
                photo=Photo("image/png", PNG),
                now_ms=0,
            )
            one.site.store.write_now(save_contacts, saved)
            known = KeptLogo(
                domain="south.test",
                selector="default",
                until_ms=NOW_MS + SHORTEST_MS,
                svg=LOGO,
                name="south.test",
            )
            one.site.store.write_now(keep_logos, known)
            page = (await one.page()).text
            assert f"{one.path}/logo" not in page
            assert SENTENCE not in page
            # In Junk nobody has a logo.
            await one.amal.post(inbox, uid="1", action="junk")
            junk = f"/mail/{role(one.site, 'amal', 'junk')}/1"
            assert f"{junk}/logo" not in (await one.amal.get(junk)).text
            assert (await one.amal.get(f"{junk}/logo")).status == 404
            assert one.marks.asked == []

    asyncio.run(scenario())


def test_nothing_is_looked_up_without_roots(sqlite_store: Store, tls: Contexts) -> None:
    async def scenario() -> None:
        async with scene(sqlite_store, tls, roots=None) as one:
            assert f"{one.path}/logo" not in (await one.page()).text
            assert (await one.logo()).status == 404
            assert one.marks.asked == []

    asyncio.run(scenario())


def test_nobody_waits_for_name_servers_that_do_not_answer(
    sqlite_store: Store, tls: Contexts
) -> None:
    """Attack: many domains that take long to look up, so that pages wait."""

    async def scenario() -> None:
        async with logo_site(sqlite_store, tls) as one:
            resolver, busy, never = ZoneResolver(one.zone), asyncio.Event(), asyncio.Event()
            waiting = 0

            async def resolve(question: Question) -> Answer:
                nonlocal waiting
                if "silent" not in question.name:
                    return await resolver.resolve(question)
                waiting += 1
                if waiting == 8:
                    busy.set()
                await never.wait()
                raise AssertionError

            outside = GuardedFetcher(resolver.resolve, tls[1], Networks(("127.0.0.1",)))
            roots, clock = MarkRoots(AUTHORITY.root), one.site.clock
            finder = LogoFinder(one.site.store, resolve, outside, roots, clock, seconds=600)
            silent = [LogoQuestion(f"silent{number}.test", "default") for number in range(8)]
            tasks = [asyncio.create_task(finder.find(question)) for question in silent]
            await busy.wait()
            south = LogoQuestion("south.test", "default")
            assert (await finder.find(south)).svg is None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert (await finder.find(south)).svg == LOGO

    asyncio.run(scenario())


def test_logos_are_kept_and_forgotten(store: Store) -> None:
    def known(domain: str, now_ms: int = NOW_MS) -> KeptLogo | None:
        return store.read_now(lambda conn: get_logo(conn, domain, "default", now_ms))

    one = KeptLogo(domain="a.test", selector="default", until_ms=NOW_MS + 5)
    assert known("a.test") is None
    store.write_now(keep_logos, one)
    assert known("a.test") == one
    found = replace(one, until_ms=NOW_MS + 9, svg=LOGO, name="a.test", issuer="X")
    store.write_now(keep_logos, found)
    assert known("a.test") == found
    assert known("a.test", NOW_MS + 9) is None
    assert known("b.test") is None
    store.write_now(keep_logos, replace(one, domain="b.test"))
    assert store.write_now(forget_logos, NOW_MS + 5) == 1
    assert (known("a.test"), known("b.test")) == (found, None)
    assert LONGEST_MS == 24 * SHORTEST_MS
    assert MOST_ROWS > 0
