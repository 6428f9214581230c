"""Every page in both directions and themes, at four widths: accessible, and no wider than shown.

The pages are found by following links, so a new page is tested as soon as one leads to it.
axe-core checks WCAG 2.2 level AA; what it calls serious or critical fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

import zajil.web
from kit.browser import DESK, PHONE, WIDTHS, Person, log_in, new_person, what_sticks_out, window
from kit.lab_process import LabDomain
from kit.real_mails import everyday_mails, hostile, mail

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("browser_pages"),
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
_SLOW = ("english dark phone", "arabic light desk")


@pytest.mark.parametrize(
    "look",
    [pytest.param(name, marks=[pytest.mark.slow] if name in _SLOW else []) for name in LOOKS],
)
def test_every_page_is_accessible(
    chromium: Any, reader: Person, pages: dict[str, str], look: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    failures: dict[str, list[str]] = {}
    expected = ["status of 404"]
    with window(chromium, reader.url, expected=expected, **LOOKS[look]) as page:
        for form, path in pages.items():
            if (form != "/login" and page.url == "about:blank") or page.url.endswith("/login"):
                log_in(page, reader)
            page.goto(path)
            found = axe.run(page, options=rules).response["violations"]
            faults = [describe(one) for one in found if one["impact"] in _SEVERE]
            if faults:
                failures[form] = faults
    assert failures == {}


def describe(violation: dict[str, Any]) -> str:
    """Return the rule and the first place that breaks it."""
    node = violation["nodes"][0]
    return f"{violation['id']} ({len(violation['nodes'])}): {node['html'][:200]}"


@pytest.mark.parametrize("locale", ["en-GB", "ar"])
def test_no_page_is_wider_than_its_window(
    chromium: Any, reader: Person, pages: dict[str, str], locale: str
) -> None:
    """Nor does one complain: an error in the console fails, see ``window``."""
    wide: list[tuple[str, int, list[str]]] = []
    with window(chromium, reader.url, expected=["status of 404"], locale=locale) as page:
        for form, path in pages.items():
            if (form != "/login" and page.url == "about:blank") or page.url.endswith("/login"):
                log_in(page, reader)
            page.goto(path)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                if beyond := what_sticks_out(page):
                    wide.append((form, width, beyond))
            page.set_viewport_size(DESK)
    assert wide == []


_MOST_BYTES = 150_000
_MOST_SCRIPT_BYTES = 60_000
_EDITOR = re.compile(r"squire", re.IGNORECASE)
"""The editor's library is loaded where somebody writes, and is not ours."""


@pytest.mark.parametrize("locale", ["en-GB", "ar"])
def test_no_page_is_heavy(
    chromium: Any, reader: Person, pages: dict[str, str], locale: str
) -> None:
    """Every page with all that it loads, compressed, in a browser that has nothing of it yet."""
    heavy: list[tuple[str, int, int]] = []
    with window(chromium, reader.url, expected=["status of 404"], locale=locale) as page:
        log_in(page, reader)
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        urls: dict[str, str] = {}
        bytes_of: dict[str, int] = {}

        def note_url(event: dict[str, Any]) -> None:
            urls[event["requestId"]] = event["response"]["url"]

        def note_size(event: dict[str, Any]) -> None:
            bytes_of[urls.get(event["requestId"], "")] = event["encodedDataLength"]

        session.on("Network.responseReceived", note_url)
        session.on("Network.loadingFinished", note_size)
        for form, path in pages.items():
            if form == "/login":
                continue
            bytes_of.clear()
            page.goto(path)
            own = {url: size for url, size in bytes_of.items() if not _EDITOR.search(url)}
            scripts = sum(size for url, size in own.items() if url.partition("?")[0].endswith("js"))
            whole = sum(own.values())
            assert whole > 1000, form
            if whole > _MOST_BYTES or scripts > _MOST_SCRIPT_BYTES:
                heavy.append((form, whole, scripts))
    assert heavy == []


def test_our_scripts_are_small() -> None:
    """All of them together, as the files are, without the editor."""
    files = [path for path in STATIC_FOLDER.glob("*.js") if not _EDITOR.search(path.name)]
    assert len(files) > 1
    assert sum(path.stat().st_size for path in files) < _MOST_SCRIPT_BYTES
