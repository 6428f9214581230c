"""A real browser, Chromium, in both languages: log in, read, write, see the journey."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from kit.browser import WAIT_MS, running_chromium
from kit.certificates import TestAuthority
from kit.logo_site import logo_site, make_contexts, proved
from kit.site import PASSWORD, Site, letter, visiting
from kit.store import open_test_store
from zajil.store.engine.open import Store

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]

SCREENSHOTS = os.environ.get("ZAJIL_SCREENSHOTS")
"""A folder: pictures of each page are left there, for whoever wants to look."""


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    inbox: str


Visit = Callable[[Store], AbstractAsyncContextManager[Site]]
"""Opens a site over an empty store."""


@contextmanager
def served(folder: Path, messages: Sequence[Any] = (), visit: Visit = visiting) -> Iterator[Served]:
    """Serve a site with two letters and these on a free port, in a thread with its own loop."""
    sock = socket.create_server(("127.0.0.1", 0))
    ready: threading.Event = threading.Event()
    told: dict[str, Any] = {}

    async def serve() -> None:
        async with visit(open_test_store("sqlite", folder)) as site:
            site.deliver("salma", letter("حديقة آذار", "أزهر اللوز.\n", to="سلمى@زاجل.test"))
            site.deliver("salma", letter("The garden", "The almond blooms.\n", "<p>Blooms</p>"))
            for message in messages:
                site.deliver("salma", message)
            config = uvicorn.Config(site.application, lifespan="off", log_config=None)
            # In a thread it leaves signals alone.
            told["server"] = uvicorn.Server(config)
            told["inbox"] = site.inbox("salma")
            ready.set()
            await told["server"].serve(sockets=[sock])

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(30)
        yield Served(f"http://localhost:{sock.getsockname()[1]}", told["inbox"])
    finally:
        told["server"].should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright, running_chromium(playwright) as running:
        yield running


@pytest.fixture
def chromium(browser: Any) -> Iterator[Any]:
    """One browser for the file, in which nothing of another test is open."""
    yield browser
    for context in browser.contexts:
        context.close()


WORDS = {
    "en-GB": ("ltr", "New message", "Send", "Message sent.", "Delivery details"),
    "ar": ("rtl", "رسالة جديدة", "إرسال", "أُرسلت الرسالة.", "تفاصيل التسليم"),
}


def follow(what: Any, url: str) -> None:
    """Click, and stay until the next page is there: what is asked before may ask the old one."""
    what.click()
    what.page.wait_for_url(url)


def log_in(page: Any, login: str, site: Served) -> None:
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url(f"**{site.inbox}")


@pytest.mark.parametrize(
    ("locale", "scripts"),
    [
        ("en-GB", True),
        ("ar", False),
        pytest.param("en-GB", False, marks=pytest.mark.slow),
        pytest.param("ar", True, marks=pytest.mark.slow),
    ],
)
def test_read_and_write(chromium: Any, tmp_path: Path, locale: str, scripts: bool) -> None:
    """Every page works in both directions, with JavaScript and without, and loads nothing else."""
    direction, write, send, on_its_way, its_journey = WORDS[locale]
    with served(tmp_path / "data") as site:
        context = chromium.new_context(
            locale=locale, java_script_enabled=scripts, viewport={"width": 360, "height": 740}
        )
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        complaints: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda one: asked.append(one.url))

        def picture(name: str) -> None:
            # Nothing sticks out at the narrowest width there is.
            if scripts:
                assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
            if SCREENSHOTS:
                page.screenshot(path=f"{SCREENSHOTS}/{locale}-{name}.png", full_page=True)

        page.goto(f"{site.url}/")
        assert page.locator("html").get_attribute("dir") == direction
        picture("login")
        log_in(page, "سلمى@زاجل.test", site)
        picture("inbox")
        follow(page.get_by_role("link", name="حديقة آذار"), f"**{site.inbox}/*")
        assert page.get_by_text("أزهر اللوز.").get_attribute("dir") == "rtl"
        picture("letter")
        follow(page.get_by_role("link", name=its_journey), "**/journey/*")
        picture("journey")
        page.goto(f"{site.url}{site.inbox}/2")
        page.frame_locator("iframe").get_by_text("Blooms").wait_for()
        follow(page.get_by_role("link", name=write), "**/compose*")
        page.fill("#to", "amal@north.test")
        page.fill("#subject", "شكرا")
        page.fill("#body", "سأزورك غدا.")
        picture("compose")
        follow(page.get_by_role("button", name=send), "**/mail/*")
        page.get_by_text(on_its_way).wait_for()
        picture("sent")
        page.goto(f"{site.url}/account/app-passwords")
        page.fill("#name", "هاتفي")
        page.locator("button[value=add]").click()
        page.get_by_role("status").locator("code.id").wait_for()
        picture("app-passwords")
        context.close()
    # The frame of a letter may not run scripts: that Chromium says so is as it should be. So is
    # that this test, on a slow machine, types into a field before the browser looks for autofocus.
    told = ("sandboxed", "Autofocus processing was blocked")
    assert [text for text in complaints if not any(one in text for one in told)] == []
    assert [url for url in asked if not url.startswith(site.url)] == []


def test_the_list_follows_new_mail(chromium: Any, tmp_path: Path) -> None:
    """Server-sent events: a letter to oneself appears without a reload."""
    with served(tmp_path / "data") as site:
        context = chromium.new_context(locale="en-GB")
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.goto(f"{site.url}/login")
        log_in(page, "salma", site)
        writer = context.new_page()
        writer.goto(f"{site.url}/compose")
        writer.fill("#to", "سلمى@زاجل.test")
        writer.fill("#subject", "To myself")
        follow(writer.get_by_role("button", name="Send"), "**/mail/*")
        page.get_by_role("link", name="To myself").wait_for()
        context.close()


BUTTONS = """<style>.b { background: #0b6a63 }</style>
<a class="b" style="color:#ffffff" href="https://shop.test/1">Shop now</a>
<a style="background: #0b6a63; color: #ffffff" href="https://shop.test/2">Reset password</a>
<div style="background: url(https://shop.test/dark.png); color: #fff">Your code: 482 913</div>
<table background="https://shop.test/a.png"><tr><td><font color="white">Sale</font></td></table>
<div bgcolor="#000000" style="background: linear-gradient(#111, #333)"><b>Black on black</b></div>
"""
"""Buttons and boxes as a newsletter has them; each must be legible."""

CONTRASTS = """() => {
  const luminance = (color) => {
    const part = (value) => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
    const [r, g, b] = color.map((value) => part(value / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const read = (text) => text.match(/[0-9.]+/g).map(Number);
  const found = {};
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const words = walker.currentNode.textContent.trim();
    if (!words || walker.currentNode.parentElement.matches("style")) continue;
    let ground = [255, 255, 255];
    for (let at = walker.currentNode.parentElement; at; at = at.parentElement) {
      const color = read(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) { ground = color.slice(0, 3); break; }
    }
    const ink = read(getComputedStyle(walker.currentNode.parentElement).color).slice(0, 3);
    const [dark, light] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
    found[words] = (light + .05) / (dark + .05);
  }
  return found;
}"""


@contextmanager
def reader(
    browser: Any, folder: Path, *messages: Any, visit: Visit = visiting, **options: Any
) -> Iterator[Any]:
    """Open the list of Salma's INBOX, in which these are the newest messages."""
    with served(folder, messages, visit) as site:
        context = browser.new_context(**{"locale": "en-GB", **options})
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.goto(f"{site.url}/login")
        log_in(page, "salma", site)
        yield page
        context.close()


def test_every_word_of_a_message_can_be_read(chromium: Any, tmp_path: Path) -> None:
    """White on white, because the ground was dropped: a password reset without its button."""
    # Not wide enough for a list beside the message, which a script would fetch first.
    size = {"width": 1000, "height": 700}
    with reader(chromium, tmp_path, letter("Sale", "Words.\n", BUTTONS), viewport=size) as page:
        page.goto(f"{page.url}/3")
        frame = page.frame(url="**/html")
        assert frame is not None
        contrasts = frame.evaluate(CONTRASTS)
        assert len(contrasts) == 5
        assert {words: ratio for words, ratio in contrasts.items() if ratio < 4.5} == {}


def test_a_logo_comes_with_its_sentence(chromium: Any, tmp_path: Path) -> None:
    """It is looked up while it is loaded; where there is none, the first letter stays."""
    tls = make_contexts(TestAuthority(tmp_path))

    @asynccontextmanager
    async def visit(store: Store) -> AsyncIterator[Site]:
        async with logo_site(store, tls) as found:
            found.zone["_dmarc.west.test"] = {"TXT": ["v=DMARC1; p=reject"]}
            yield found.site

    other = proved(letter("Other", sender="a@west.test")).replace(b"=south.test", b"=west.test")
    messages = (proved(letter("Invoice")), other)
    width = "document.querySelector('.from .logo').naturalWidth"
    with reader(chromium, tmp_path / "data", *messages, visit=visit) as page:
        inbox = page.url
        page.goto(f"{inbox}/3")
        said = page.locator(".proof .of-logo")
        said.wait_for(state="attached")
        assert "certificate for south.test (issuer: Mark Authority)." in said.text_content()
        assert page.evaluate(width) > 1
        assert page.locator(".from .logo[data-new]").count() == 0
        page.goto(f"{inbox}/4")
        page.wait_for_function(f"{width} === 1")
        assert said.count() == 0


NEWSLETTERS = Path(__file__).parents[1] / "corpus" / "newsletters"


def test_newsletters_are_legible_and_fit(chromium: Any, tmp_path: Path) -> None:
    """With their style sheets, on a telephone: words on their ground, and nothing sticks out."""
    paths = sorted(NEWSLETTERS.glob("*.html"))
    letters = [letter(path.stem, "Words.\n", path.read_text()) for path in paths]
    size = {"width": 390, "height": 844}
    with reader(chromium, tmp_path, *letters, viewport=size, color_scheme="dark") as page:
        inbox = page.url
        for number, path in enumerate(paths, start=3):
            page.goto(f"{inbox}/{number}")
            page.wait_for_function("document.querySelector('.frame').style.blockSize")
            frame = page.frame(url="**/html")
            assert frame is not None
            contrasts = frame.evaluate(CONTRASTS)
            assert len(contrasts) > 5, path
            assert {words: ratio for words, ratio in contrasts.items() if ratio < 2} == {}, path
            root = "document.documentElement"
            assert frame.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"), path
            assert frame.evaluate(f"{root}.scrollHeight <= {root}.clientHeight"), path


def test_keys_work_after_the_list_was_replaced(chromium: Any, tmp_path: Path) -> None:
    with reader(chromium, tmp_path) as page:
        fetched: list[str] = []
        page.on("request", lambda one: fetched.append(one.url))
        page.reload()
        with page.expect_response("**/live"):
            page.reload()
        writer = page.context.new_page()
        writer.goto(page.url.replace("/mail/", "/compose?x="))
        writer.fill("#to", "سلمى@زاجل.test")
        writer.fill("#subject", "To myself")
        follow(writer.get_by_role("button", name="Send"), "**/mail/*")
        page.get_by_role("link", name="To myself").wait_for()
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.textContent") == "To myself"
        page.keyboard.press("x")
        assert page.locator("input[name=uid]:checked").count() == 1
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.textContent") == "The garden"
        page.keyboard.press("?")
        page.get_by_role("dialog").get_by_text("next message").wait_for()
        page.keyboard.press("Escape")
        # Two reloads and the new message: what the first event says is on the page already.
        assert len([url for url in fetched if url == page.url]) == 3
        assert page.title().startswith("(3) ")


def test_a_letter_is_printed_as_wide_as_the_paper(chromium: Any, tmp_path: Path) -> None:
    with reader(chromium, tmp_path, viewport={"width": 800, "height": 1100}) as page:
        follow(page.get_by_role("link", name="The garden"), "**/mail/*/2")
        page.emulate_media(media="print")
        assert page.locator(".letter").bounding_box()["width"] > 0.9 * 800
        assert not page.locator(".actions").first.is_visible()
        assert not page.locator(".top").is_visible()


@pytest.mark.parametrize("locale", [pytest.param("en-GB", marks=pytest.mark.slow), "ar"])
def test_a_telephone_reaches_everything(chromium: Any, tmp_path: Path, locale: str) -> None:
    """The account page, and check boxes that a finger hits; a finger beside one opens nothing."""
    size = {"width": 390, "height": 844}
    with reader(chromium, tmp_path, viewport=size, locale=locale, has_touch=True) as page:
        assert page.locator(".top").bounding_box()["height"] < 64
        box = page.locator(".pick").first.bounding_box()
        assert box["width"] >= 44
        assert box["height"] >= 44
        page.touchscreen.tap(box["x"] + 4, box["y"] + box["height"] / 2)
        assert page.locator("input[name=uid]:checked").count() == 1
        follow(page.locator("a.me"), "**/account")
        assert page.locator("main form[action='/logout'] button").is_visible()


WIDE = {"width": 1440, "height": 900}


def test_a_wide_window_shows_a_message_beside_its_list(chromium: Any, tmp_path: Path) -> None:
    """Address, title and Back are those of pages; acts change the list in place."""
    more = [letter(f"Letter {number}", f"Text {number}.\n") for number in range(4)]
    with reader(chromium, tmp_path, *more, viewport=WIDE) as page:
        inbox = page.url
        loads: list[str] = []
        page.on("framenavigated", lambda frame: loads.append(frame.url))
        page.get_by_role("link", name="Letter 2").click()
        page.locator(".reading").get_by_text("Text 2.").wait_for()
        page.wait_for_url("**/mail/*/5")
        assert "Letter 2" in page.title()
        assert page.get_by_role("link", name="Letter 3").is_visible()
        page.keyboard.press("j")
        page.locator(".reading").get_by_text("Text 1.").wait_for()
        page.keyboard.press("e")
        page.get_by_role("status").get_by_text("1 message moved to the archive.").wait_for()
        page.locator(".reading").get_by_text("Text 0.").wait_for()
        assert page.get_by_role("link", name="Letter 1").count() == 0
        page.keyboard.press("u")
        page.wait_for_url(inbox)
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("link", name="Letter 1").wait_for()
        page.go_back()
        page.locator(".reading").get_by_text("Text 0.").wait_for()
        # All that in one page: nothing was loaded but parts.
        assert page.evaluate("performance.getEntriesByType('navigation').length") == 1
        page.reload()
        page.get_by_role("article").get_by_text("Text 0.").wait_for()


def test_buttons_of_the_list_act_in_place(chromium: Any, tmp_path: Path) -> None:
    more = [letter(f"Letter {number}") for number in range(40)]
    with reader(chromium, tmp_path, *more, viewport={"width": 1000, "height": 600}) as page:
        assert not page.get_by_role("button", name="Delete").is_visible()
        page.mouse.wheel(0, 500)
        page.wait_for_function("scrollY > 300")
        box = page.locator("li", has=page.get_by_role("link", name="Letter 25")).first
        box.get_by_role("checkbox").check()
        before = page.evaluate("scrollY")
        page.get_by_role("button", name="Move to").click()
        page.get_by_role("group", name="Move to").get_by_role("button", name="Archive").click()
        page.get_by_role("status").get_by_text("1 message moved to Archive.").wait_for()
        assert page.evaluate("scrollY") == before
        assert page.get_by_role("link", name="Letter 25").count() == 0


def test_acts_are_shown_before_the_server_answers(chromium: Any, tmp_path: Path) -> None:
    """And a star leaves alone what is selected."""
    more = [letter(f"Letter {number}") for number in range(3)]
    with reader(chromium, tmp_path, *more, viewport=WIDE) as page:
        row = page.locator("li", has=page.get_by_role("link", name="Letter 2")).first
        other = page.locator("li", has=page.get_by_role("link", name="Letter 1")).first
        other.get_by_role("checkbox").check()
        held: list[Any] = []

        def hold(route: Any) -> None:
            if route.request.method == "POST":
                held.append(route)
            else:
                route.continue_()

        page.route("**/mail/*", hold)
        row.get_by_role("button", name="Star").click()
        page.locator(".star.on").wait_for()
        held[0].continue_()
        row.get_by_role("button", name="Unstar").wait_for()
        assert other.get_by_role("checkbox").is_checked()
        page.keyboard.press("e")
        other.wait_for(state="hidden")
        # Without a connection nothing is done: the page comes back as it was.
        held[1].abort()
        other.wait_for()
        other.get_by_role("checkbox").check()
        page.keyboard.press("e")
        other.wait_for(state="hidden")
        held[2].continue_()
        page.get_by_role("status").get_by_text("1 message moved to the archive.").wait_for()


def test_tabs_share_one_stream(chromium: Any, tmp_path: Path) -> None:
    with reader(chromium, tmp_path) as page:
        page.wait_for_function("navigator.locks.query().then((all) => all.held.length === 1)")
        asked: list[str] = []
        others = [page.context.new_page() for _ in range(2)]
        for other in others:
            other.on("request", lambda one: asked.append(one.url))
            other.goto(page.url)
            other.get_by_role("link", name="The garden").wait_for()
        page.get_by_role("button", name="Star", exact=True).first.click()
        page.get_by_role("status").get_by_text("1 message starred.").wait_for()
        for other in others:
            other.get_by_role("button", name="Unstar").wait_for()
        assert [url for url in asked if url.endswith("/live")] == []


def test_another_language_loses_nothing(chromium: Any, tmp_path: Path) -> None:
    with reader(chromium, tmp_path) as page:
        page.goto(page.url.partition("/mail/")[0] + "/compose")
        page.locator("#subject").fill("Half a thought")
        page.get_by_role("button", name="العربية").first.click()
        page.locator("html[lang=ar]").wait_for()
        assert page.locator("#subject").input_value() == "Half a thought"
