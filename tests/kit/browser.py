"""Real browsers, and people of a lab who use them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from kit.firefox_bidi import write_starter
from kit.foreign import need_program
from kit.lab_process import LabAccount, LabDomain

WAIT_MS = 60_000
"""A guard, not a verdict: two cores may be busy with other tests."""

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
WIDTHS = (1280, 640, 390, 320)
"""The widths at which nothing may stick out, in CSS pixels; 320 is WCAG 2.2 criterion 1.4.10."""

AXE_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
"""What axe-core checks."""

_CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_OF_THE_BROWSER = ("chrome-extension:", "chrome:", "resource:")
"""What browsers bring themselves, as the viewer of PDF files."""
_FRAME_WITHOUT_SCRIPTS = "frame is sandboxed"
"""Chromium says so where a message has scripts: that is as it should be."""


@contextmanager
def running_chromium(playwright: Any) -> Iterator[Any]:
    """Start Debian's Chromium, or skip the test that asks for it."""
    program = need_program("chromium")
    browser = playwright.chromium.launch(executable_path=program, args=_CHROMIUM_FLAGS)
    yield browser
    browser.close()


@contextmanager
def running_firefox(playwright: Any, folder: Path) -> Iterator[Any]:
    """Start Debian's Firefox, or skip the test that asks for it; ``folder`` is for a program."""
    starter = write_starter(folder, need_program("firefox-esr"))
    browser = playwright.firefox.launch(
        channel="moz-firefox", executable_path=starter, timeout=WAIT_MS
    )
    yield browser
    browser.close()


@contextmanager
def window(
    browser: Any, url: str, *, expected: Sequence[str] = (), **options: Any
) -> Iterator[Any]:
    """Open a page in a new profile, and fail if it complained or loaded anything from elsewhere.

    Args:
        browser: of ``running_chromium``.
        url: origin of the site.
        expected: parts of console messages that are no fault here.
        options: of Playwright's ``new_context``; English at desk size if not given.
    """
    context = browser.new_context(
        **{"locale": "en-GB", "viewport": DESK, "base_url": url} | options
    )
    context.set_default_timeout(WAIT_MS)
    complaints: list[str] = []
    asked: list[str] = []
    allowed = (_FRAME_WITHOUT_SCRIPTS, *expected)

    def note(text: str) -> None:
        if not any(part in text for part in allowed):
            complaints.append(text)

    def note_console(message: Any) -> None:
        if message.type in ("error", "warning"):
            note(message.text)

    context.on("console", note_console)
    context.on("weberror", lambda error: note(str(error.error)))
    context.on("request", lambda one: asked.append(one.url))
    try:
        yield context.new_page()
    finally:
        context.close()
    if complaints:
        pytest.fail(f"the console has: {sorted(set(complaints))}")
    own = url.rstrip("/")
    known = (own, "blob:" + own, "data:", "about:", *_OF_THE_BROWSER)
    others = [one for one in asked if not one.startswith(known)]
    if others:
        pytest.fail(f"loaded from elsewhere: {others}")


@dataclass(frozen=True, slots=True)
class Person:
    """An account of a lab that one test has for itself."""

    domain: LabDomain
    account: LabAccount

    @property
    def url(self) -> str:
        """The web pages of the person's server, without a slash at the end."""
        return str(self.domain.described["web"]).rstrip("/")

    @property
    def address(self) -> str:
        """The person's address."""
        return self.account.address

    def append(self, *messages: EmailMessage | bytes, mailbox: str = "INBOX") -> None:
        """Put messages into a mailbox by IMAP."""
        with self.domain.imap(self.account) as client:
            for one in messages:
                raw = one if isinstance(one, bytes) else one.as_bytes()
                status, answer = client.append(mailbox, "", "", raw)
                assert status == "OK", answer

    def count(self, mailbox: str = "INBOX", *criteria: str) -> int:
        """Count the messages of a mailbox that match these search keys of IMAP."""
        with self.domain.imap(self.account) as client:
            status, _ = client.select(mailbox, readonly=True)
            if status != "OK":
                return 0
            return len(client.search(None, *(criteria or ("ALL",)))[1][0].split())

    def messages(self, mailbox: str = "INBOX") -> list[bytes]:
        """Return the messages of a mailbox, oldest first."""
        with self.domain.imap(self.account) as client:
            client.select(mailbox, readonly=True)
            found = client.search(None, "ALL")[1][0].split()
            fetched = [client.fetch(one.decode(), "(BODY.PEEK[])")[1][0] for one in found]
            return [one[1] for one in fetched if isinstance(one, tuple)]

    def send(self, message: EmailMessage) -> None:
        """Hand a message in by submission."""
        with self.domain.submission(self.account) as client:
            client.send_message(message)


_numbers = itertools.count(1)


def new_person(domain: LabDomain, name: str = "Rima Nasser", *, admin: bool = False) -> Person:
    """Make an account on a running server that nobody else uses."""
    login = f"person{next(_numbers)}"
    arguments = ["account", "add", f"{login}@{domain.domain}", "--login", login, "--name", name]
    made = domain.command(*arguments, *(["--admin"] if admin else []))
    return Person(domain, LabAccount(made["address"], login, made["password"], admin))


def log_in(page: Any, person: Person) -> str:
    """Log in by the form, with Enter; return the address of the INBOX."""
    page.goto(f"{person.url}/login")
    page.fill("input[name=login]", person.account.login)
    page.fill("input[name=password]", person.account.password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(re.compile(r"/mail/\d+"))
    return str(page.url).partition("?")[0]


def follow(what: Any, url: str | re.Pattern[str]) -> None:
    """Click, and stay until the next page is there: what is asked before may ask the old one."""
    what.click()
    what.page.wait_for_url(url)


def what_sticks_out(page: Any) -> list[str]:
    """Return the elements that reach beyond the window; wait some frames for a page to settle."""
    return [str(one) for one in page.evaluate(_BEYOND)]


_BEYOND = """async () => {
  const root = document.documentElement;
  for (let frames = 0; frames < 60 && root.scrollWidth > window.innerWidth; frames++)
    await new Promise((next) => setTimeout(next, 50));
  if (root.scrollWidth <= window.innerWidth) return [];
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > window.innerWidth + 1
      || one.getBoundingClientRect().left < -1)
    .map((one) => `${one.tagName} .${one.className} ${one.getBoundingClientRect().right}`)
    .slice(0, 8).concat("scrollWidth " + root.scrollWidth);
}"""


def describe_violation(violation: dict[str, Any]) -> str:
    """Return the rule of axe-core and the first place that breaks it."""
    node = violation["nodes"][0]
    return f"{violation['id']} ({len(violation['nodes'])}): {node['html'][:200]}"
