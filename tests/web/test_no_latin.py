"""No Arabic page holds an English sentence, whatever page it is.

All pages that links lead to are opened by an administrator whose mail is Arabic, so that Latin
words in a row are ours. Values stand in ``bdi``, texts of machines in ``code``, ``samp``, ``kbd``
and ``pre``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP

from selectolax.lexbor import LexborHTMLParser, LexborNode

from kit.site import Browser, Site, letter, visiting
from kit.store import NOW_MS, make_intake
from kit.talk import talk_to_receiver
from make_catalog import read_catalog
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.tracking.events import AttemptMade, CheckDone, FaultHappened, RouteFailed, SessionClosed

TWO_WORDS = re.compile(r"[A-Za-z][a-z'’]+[,;:.]? +[A-Za-z][a-z'’]+")
MACHINE = re.compile(
    r"\S+@\S+|https?://\S+|\bSPF (?:soft)?fail\b|\bnull MX\b|\S*[=_/]\S*|\S+:\S+"
    r"|Apple Mail|Google Authenticator"
)
"""Addresses, URLs, parameters, conditions of a search, terms of protocols and names of programs."""
NOT_OURS = (
    "bdi, code, samp, kbd, pre, script, style, textarea, template, svg, .preview, "
    ".said:not(.in-words)"
)
SPOKEN = ("title", "aria-label", "alt", "placeholder", "aria-description", "data-text", "label")
MOST_PAGES = 200


def left_in_english(html: str) -> list[str]:
    """Give the texts of a page, attributes too, in which two Latin words stand in a row."""
    page = LexborHTMLParser(html)
    for node in page.css(NOT_OURS):
        node.decompose()
    for node in page.css("[lang]:not([lang=ar]), select[name=zone]"):
        node.decompose()  # other languages, and names of cities
    texts = [*_texts(page), *_spoken(page)]
    return [text for text in texts if TWO_WORDS.search(MACHINE.sub("", text))]


def _texts(page: LexborHTMLParser) -> Iterator[str]:
    assert page.root is not None
    for node in page.root.traverse(include_text=True):
        if node.tag == "-text":
            yield " ".join((node.text_content or "").split())


def _spoken(page: LexborHTMLParser) -> Iterator[str]:
    for node in page.css("*"):
        for name in SPOKEN:
            yield node.attributes.get(name) or ""
        if node.tag in ("input", "button"):
            yield _value(node)


def _value(node: LexborNode) -> str:
    return (node.attributes.get("value") or "") if node.attributes.get("type") == "submit" else ""


async def crawl(browser: Browser, first: list[str]) -> dict[str, str]:
    """Open every page that a link leads to, one of each kind of address; give them by address."""
    waiting, known, pages = list(first), set[str](), dict[str, str]()
    while waiting and len(pages) < MOST_PAGES:
        path = waiting.pop(0)
        kind = re.sub(r"[0-9a-f]{20,}|\d+|(?<==)[^&]*", "0", path)
        if kind in known:
            continue
        known.add(kind)
        page = await browser.get(path)
        if not page.response.headers.get("content-type", "").startswith("text/html"):
            continue
        pages[path] = page.text
        found = LexborHTMLParser(page.text).css("a[href], iframe[src]")
        links = [one.attributes.get("href") or one.attributes.get("src") or "" for one in found]
        waiting += [
            f"{path.partition('?')[0]}{link}" if link.startswith("?") else link.partition("#")[0]
            for link in links
            if re.match(r"[/?](?!/|static/|live)", link)
        ]
    return pages


FIRST = ["/mail", "/admin", "/search?q=before:x+larger:y+in:nowhere+is:odd+or:that"]
ARABIC = ("تقرير الأسبوع", "هذا نص الرسالة، وفيه كلمات عربية.\n", "نور صالح <noor@south.test>")


async def fill(site: Site) -> None:
    """Let mail arrive by SMTP, wait in the queue, and meet with every kind of trouble."""
    subject, text, sender = ARABIC
    for number in ("الأول", "الثاني", "الثالث"):
        site.deliver("amal", letter(f"{subject} {number}", text, f"<p>{text}</p>", sender))
    with_file = letter(subject, text, f"<p>{text}<img src='https://a.test/x'></p>", sender)
    with_file.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="a.pdf")
    with_file["List-Unsubscribe"] = "<https://south.test/leave>"
    site.deliver("amal", with_file)
    talk = await talk_to_receiver(site.store)
    forged = EmailMessage(policy=SMTP)
    forged["From"] = "it@paypa1.example"
    forged["Subject"] = "تنبيه"
    forged["Reply-To"] = "a@gmail.com"
    forged.set_content("سجّل الدخول الآن: http://203.0.113.7/in\n")
    answer = await talk.send("a@b.test", ["amal@north.test"], forged.as_bytes())
    assert answer.startswith("250 ")
    for state in range(2):
        item = make_intake(site.store.blobs.stage([b"x"]), remote=[f"noor{state}@south.test"])
        await site.store.write(write_intakes, item)
        events = (
            RouteFailed(NOW_MS, "b.test", True, "DNS lookup of b.test failed",
                        ("MX b.test -> timeout",)),
            AttemptMade(NOW_MS, "b.test", "192.0.2.1:25", "TLSv1.3, certificate verified",
                        ("S: 220 ready for mail", "C: EHLO x"), "1 delivered, 1 failed"),
            CheckDone(NOW_MS, "spf", "none", "paypa1.example has no SPF record", ()),
            FaultHappened(NOW_MS, "check", "Traceback (most recent call last)"),
            SessionClosed(NOW_MS, "peer closed", 1),
        )  # fmt: skip
        await site.store.write(record_events, EventBatch(None, item.mail_id, NOW_MS, events))


def test_no_arabic_page_has_an_english_sentence(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            await fill(site)
            browser = site.browser(**{"accept-language": "ar"})
            before = {path: (await browser.get(path)).text for path in ("/login", "/nowhere")}
            await browser.log_in("amal")
            pages = before | await crawl(browser, FIRST)
            assert len(pages) >= 20, sorted(pages)
            left = {path: left_in_english(text) for path, text in pages.items()}
            assert {path: texts for path, texts in left.items() if texts} == {}

    asyncio.run(scenario())


ACTS: tuple[tuple[str, dict[str, str]], ...] = (
    *[
        ("INBOX", {"action": action, "uid": "1"})
        for action in ("seen", "unseen", "flag", "unflag", "archive", "junk", "delete", "nothing")
    ],
    ("INBOX", {"action": "seen"}),
    ("/compose", {"to": "باسم", "subject": "س", "body": "ن", "action": "send"}),
    ("/compose", {"to": "", "subject": "س", "body": "ن", "action": "send"}),
    ("/compose", {"to": "nobody@north.test", "subject": "س", "body": "ن", "action": "send"}),
    ("/account/app-passwords", {"action": "add", "name": "هاتف", "scope": "all"}),
    ("/account/app-passwords", {"action": "add", "name": "هاتف", "scope": "all"}),
    ("/account/app-passwords", {"action": "add", "name": "", "scope": "all"}),
    ("/account", {"name": "أ" * 200}),
    ("/account/language", {"language": "ar", "zone": ""}),
    ("/account/password", {"current": "x", "new": "y", "again": "z"}),
    ("/logout", {}),
    ("/login", {"login": "amal", "password": "wrong", "next": "/"}),
)
"""What is done, right or wrong, with the fields of its form; each answer says something."""


LATIN_NUMBER = re.compile(r"(?<![A-Za-z0-9_.=:@/-])(?<![A-Za-z] )[0-9]+(?![A-Za-z0-9@_-])")


def test_every_number_of_a_page_is_in_the_chosen_digits(sqlite_store: Store) -> None:
    """Counts, dates, sizes, and numbers in our sentences; not those of addresses and terms."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            await fill(site)
            browser = site.browser(**{"accept-language": "ar"})
            await browser.log_in("amal")
            await browser.post("/account/language", language="ar", zone="", digits="arab")
            left = {}
            for path, text in (await crawl(browser, FIRST)).items():
                page = LexborHTMLParser(text)
                for node in page.css(f"{NOT_OURS}, option, .choice .faint"):
                    node.decompose()
                left[path] = [one for one in _texts(page) if LATIN_NUMBER.search(one)]
            assert {path: texts for path, texts in left.items() if texts} == {}

    asyncio.run(scenario())


def test_no_answer_to_an_act_has_an_english_sentence(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            await fill(site)
            browser = site.browser(**{"accept-language": "ar"})
            await browser.log_in("amal")
            left, statuses = {}, set()
            for path, form in ACTS:
                page = await browser.post(path.replace("INBOX", site.inbox("amal")), None, **form)
                if page.status == 303:
                    page = await browser.get(page.location)
                statuses.add(page.status)
                left[path, form.get("action")] = left_in_english(page.text)
            assert {act: texts for act, texts in left.items() if texts} == {}
            assert 200 in statuses

    asyncio.run(scenario())


def test_english_pages_would_be_found(sqlite_store: Store) -> None:
    """The test above can fail: the same pages in English are full of sentences."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            await fill(site)
            browser = site.browser(**{"accept-language": "en"})
            await browser.log_in("amal")
            for path in ("/account", site.inbox("amal"), "/admin/queue"):
                page = (await browser.get(path)).text.replace('lang="en"', 'lang="ar"')
                assert left_in_english(page), path

    asyncio.run(scenario())


def test_no_translation_is_english() -> None:
    """A text that was copied into the catalog is there, and yet is no translation."""
    for message in read_catalog("ar"):
        if not message.id:
            continue
        forms = message.string if isinstance(message.string, tuple | list) else [message.string]
        for form in forms:
            words = MACHINE.sub("", re.sub(r"\{\w+\}|%\(\w+\)s", "", str(form)))
            assert not TWO_WORDS.search(words), form
