"""Every page in both directions and themes, at four widths: accessible, and no wider than shown.

The pages are found by following links, so a new page is tested as soon as one leads to it.
axe-core checks WCAG 2.2 level AA; what it calls serious or critical fails. So does a page that
is heavy, or an error in the console, see ``window``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

import zajil.web
from kit.browser import (
    AXE_RULES,
    DESK,
    PHONE,
    WIDTHS,
    Person,
    describe_violation,
    log_in,
    new_person,
    what_sticks_out,
    window,
)
from kit.lab_process import LabDomain
from kit.real_mails import everyday_mails, hostile, mail

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
]

_MOST_PAGES = 150
_ID = re.compile(r"(?<=[/.=-])(?:\d+|[0-9A-Za-z_-]{20,}|[^/]+@[^/]+)(?=[/.?]|$)")
_NO_PAGES = re.compile(r"/(file/\d+|source|html|logout|static/.*)$|\.json$|[?&]pictures=")
"""Files, and pages that load the pictures of others: in a test these fail."""
_SEVERE = ("serious", "critical")
STATIC_FOLDER = Path(zajil.web.__file__).parent / "static"

EXPECTED = (
    "/login",
    "/mail/#",
    "/mail/#/#",
    "/compose",
    "/compose?reply",
    "/journey/#",
    "/account",
    "/account/app-passwords",
    "/admin",
    "/admin/journeys",
    "/admin/queue",
)
"""Pages without which something is wrong with the test itself."""


@pytest.fixture(scope="module")
def reader(north: LabDomain, south: LabDomain) -> Person:
    """An admin with a full mailbox: messages of each form, a draft, junk and a journey."""
    who = new_person(north, admin=True)
    who.append(*everyday_mails(who.address), hostile(who.address))
    who.append(mail(who.address, "noor@south.test", "A draft", "Words\n"), mailbox="Drafts")
    who.append(mail("x@x.example", who.address, "You have won", "Words\n"), mailbox="Junk")
    long = mail("Noor <noor@south.test>", who.address, "long" * 300, "0123456789" * 300 + "\n")
    who.append(long)
    who.send(mail(who.address, "noor@south.test", "A long way", "Words.\n"))
    return who


@pytest.fixture(scope="module")
def pages(chromium: Any, reader: Person) -> dict[str, str]:
    """The address of one page of each form, found by following links from page to page."""
    found = {"/login": "/login", "/nothing": "/nothing"}
    with window(chromium, reader.url) as page:
        inbox = log_in(page, reader)
        waiting = [urlsplit(inbox).path, *(f"{urlsplit(inbox).path}/{uid}" for uid in range(1, 12))]
        seen = set(waiting)
        while waiting:
            path = waiting.pop(0)
            form = form_of(path)
            if form in found and not path.startswith(urlsplit(inbox).path + "/"):
                continue
            answer = page.request.get(reader.url + path)
            if "html" not in answer.headers.get("content-type", ""):
                continue
            if "attachment" in answer.headers.get("content-disposition", ""):
                continue
            assert answer.status == 200, (path, answer.status)
            # Each message of the INBOX is a page of its own kind.
            found[form if form not in found else path] = path
            assert len(found) < _MOST_PAGES, sorted(found)
            for link in links(answer.text()):
                if link not in seen and not _NO_PAGES.search(link):
                    seen.add(link)
                    waiting.append(link)
    assert set(EXPECTED) - set(found) == set()
    return found


def form_of(path: str) -> str:
    """Return an address with its ids replaced, and of its query the names only."""
    parts = urlsplit(path)
    names = sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True)})
    return _ID.sub("#", parts.path) + ("?" + "&".join(names) if names else "")


def links(text: str) -> Iterator[str]:
    """Return the addresses of our own pages that a page links to."""
    for tag in re.findall(r"<a\b[^>]*>", text):
        href = re.search(r'\bhref="(/[^"#]*)', tag)
        if href and not re.search(r"\sdownload\b", tag):
            yield href[1].replace("&amp;", "&")


LOOKS = {
    "english light desk": {"locale": "en-GB", "color_scheme": "light", "viewport": DESK},
    "arabic dark phone": {"locale": "ar", "color_scheme": "dark", "viewport": PHONE},
    "english dark phone": {"locale": "en-GB", "color_scheme": "dark", "viewport": PHONE},
    "arabic light desk": {"locale": "ar", "color_scheme": "light", "viewport": DESK},
}


@pytest.mark.parametrize("look", ["arabic dark phone"])
def test_one_page_of_each_kind(
    chromium: Any, reader: Person, pages: dict[str, str], look: str
) -> None:
    """Addresses without a query, and one message; ``./test slow`` has all pages and looks."""
    some = {form: path for form, path in pages.items() if is_main(form)}
    assert len(some) > 20
    with window(chromium, reader.url, expected=["status of 404"], **LOOKS[look]) as page:
        assert faults_of(page, reader, some) == {}


def is_main(form: str) -> bool:
    """Say whether a page is the plain one of its kind, and not one that only slow tests open."""
    return form in EXPECTED or not ("?" in form or re.search(r"/mail/\d", form))


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_every_page(chromium: Any, reader: Person, pages: dict[str, str], look: str) -> None:
    with window(chromium, reader.url, expected=["status of 404"], **LOOKS[look]) as page:
        assert faults_of(page, reader, pages) == {}


def faults_of(page: Any, reader: Person, pages: dict[str, str]) -> dict[str, list[str]]:
    """Open the pages one after the other, /login first; say what is wrong with each."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    weights = Weights(page)
    size = page.viewport_size
    faults: dict[str, list[str]] = {}
    logged_in = False
    for form, path in sorted(pages.items(), key=lambda one: one[0] != "/login"):
        if form != "/login" and not logged_in:
            log_in(page, reader)
            logged_in = True
        weights.clear()
        page.goto(path)
        found = weights.faults()
        violations = axe.run(page, options=AXE_RULES).response["violations"]
        found += [describe_violation(one) for one in violations if one["impact"] in _SEVERE]
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            if beyond := what_sticks_out(page):
                found.append(f"wider than {width}: {beyond}")
        page.set_viewport_size(size)
        if found:
            faults[form] = found
    return faults


_MOST_BYTES = 150_000
_MOST_SCRIPT_BYTES = 60_000
_EDITOR = re.compile(r"squire|editor\.", re.IGNORECASE)
"""The editor of rich text, loaded where somebody writes: the library and what drives it."""


class Weights:
    """What a page loads, compressed, in a browser that has nothing of it yet."""

    def __init__(self, page: Any) -> None:
        self._urls: dict[str, str] = {}
        self._bytes: dict[str, int] = {}
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        session.on("Network.responseReceived", self._note_url)
        session.on("Network.loadingFinished", self._note_size)

    def _note_url(self, event: dict[str, Any]) -> None:
        self._urls[event["requestId"]] = event["response"]["url"]

    def _note_size(self, event: dict[str, Any]) -> None:
        self._bytes[self._urls.get(event["requestId"], "")] = event["encodedDataLength"]

    def clear(self) -> None:
        """Begin with the next page."""
        self._bytes.clear()

    def faults(self) -> list[str]:
        """Say what is too heavy of the page, without the editor."""
        own = {url: size for url, size in self._bytes.items() if not _EDITOR.search(url)}
        scripts = sum(size for url, size in own.items() if url.partition("?")[0].endswith("js"))
        whole = sum(own.values())
        assert whole > 1000, sorted(own)
        heavy = whole > _MOST_BYTES or scripts > _MOST_SCRIPT_BYTES
        return [f"{whole} bytes, {scripts} of scripts"] if heavy else []


def test_our_scripts_are_small() -> None:
    """All of them together, as the files are, without the editor."""
    files = [path for path in STATIC_FOLDER.glob("*.js") if not _EDITOR.search(path.name)]
    assert len(files) > 1
    assert sum(path.stat().st_size for path in files) < _MOST_SCRIPT_BYTES
