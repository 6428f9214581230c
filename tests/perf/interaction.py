"""How long a person waits for what they do in webmail, in a real browser.

``python tests/perf/interaction.py [--messages 2000,100000] [--rounds 5] [--keep FOLDER]``

One worker and headless Chromium on the same machine, on loopback without TLS, three panes. For each
act: the median and the longest of the rounds, from the event (click or key) until the frame after
the one in which its result is on the page; for a new page until it is first painted. Needs Debian's
Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.browser import running_chromium
from kit.certificates import TestAuthority
from kit.installation import Installation, serving
from readers import set_up_filled
from report import machine_lines
from web import mailbox_folder

_WAIT_FOR = """([type, result]) => {
  const isThere = new Function(`return ${result}`);
  window.taken = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`nothing came of it: ${result}`)), 30_000);
    document.addEventListener(type, (event) => {
      const look = () => isThere()
        ? requestAnimationFrame(() => resolve(performance.now() - event.timeStamp))
        : requestAnimationFrame(look);
      look();
    }, { capture: true, once: true });
  });
}"""
_PAINTED = """new Promise((resolve) => new PerformanceObserver((entries) => {
  for (const one of entries.getEntriesByName("first-contentful-paint")) resolve(one.startTime);
}).observe({ type: "paint", buffered: true }))"""
_ROW = ".list .letters > li"


class Reader:
    """Somebody with three panes open."""

    def __init__(self, page: Any, server: Installation) -> None:
        self._page = page
        host, port = server.address("web")
        self._url = f"http://{host}:{port}"
        page.goto(f"{self._url}/login")
        page.fill("input[name=login]", server.login)
        page.fill("input[name=password]", server.password)
        page.press("input[name=password]", "Enter")
        page.wait_for_selector(_ROW)
        self._inbox = page.url

    def acts(self) -> dict[str, Callable[[], float]]:
        """Return what is measured, in the order in which it is done."""
        return {
            "open a message beside its list (click)": self.open_message,
            "open the next one (j)": self.open_next,
            "mark it with a star (s)": self.star,
            "select a row (click)": self.select,
            "archive a message (e)": self.archive,
            "open the list (a page)": lambda: self.page("/mail"),
            "open New message (a page)": lambda: self.page("/compose"),
            "search for a common word (a page)": lambda: self.page("/search?q=meeting"),
            "type a letter into a message": self.write,
        }

    def _until(self, kind: str, result: str, act: Callable[[], None]) -> float:
        self._page.evaluate(_WAIT_FOR, [kind, result])
        act()
        return float(self._page.evaluate("window.taken"))

    def open_message(self) -> float:
        """Click on a message that is not open."""
        self._page.goto(self._inbox)
        self._page.wait_for_selector(".office.panes")
        link = self._page.locator(f"{_ROW} a.open").nth(3)
        there = "document.querySelector('.reading .conversation')"
        return self._until("click", there, link.click)

    def open_next(self) -> float:
        """Go to the next message with a key."""
        self._page.evaluate("document.querySelector('.reading .conversation').dataset.old = 1")
        there = "document.querySelector('.reading .conversation:not([data-old])')"
        return self._until("keydown", there, lambda: self._page.keyboard.press("j"))

    def star(self) -> float:
        """Change the star of the open message with a key."""
        state = "document.querySelector('.list li.here .star')?.matches('.on')"
        self._page.evaluate(f"window.before = {state}")
        there = f"{state} === !window.before"
        with self._page.expect_response("**/mail/**"):
            taken = self._until("keydown", there, lambda: self._page.keyboard.press("s"))
        self._page.wait_for_timeout(500)  # the response is shown before the next act
        return taken

    def select(self) -> float:
        """Select a message of the list."""
        box = self._page.locator(f"{_ROW} input[type=checkbox]").nth(6)
        taken = self._until("click", "document.querySelector('.list input:checked')", box.click)
        box.click()
        return taken

    def archive(self) -> float:
        """Archive the open message with a key."""
        where = "document.querySelector('.list li.here a.open')?.pathname"
        self._page.evaluate(f"window.before = {where}")
        shown = "[...document.querySelectorAll('.list li:not(.leaving) a.open')]"
        gone = f"!{shown}.some((a) => a.pathname === before)"
        return self._until("keydown", gone, lambda: self._page.keyboard.press("e"))

    def page(self, path: str) -> float:
        """Go to a page."""
        self._page.goto(self._url + path)
        return float(self._page.evaluate(_PAINTED))

    def write(self) -> float:
        """Type into a new message."""
        self._page.goto(f"{self._url}/compose")
        field = "document.querySelector('textarea[name=body]')"
        self._page.locator("textarea[name=body]").focus()
        there = f"{field}.value.includes('x')"
        return self._until("keydown", there, lambda: self._page.keyboard.press("x"))


def measure(browser: Any, server: Installation, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Do everything so often, after one time that does not count."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    reader = Reader(context.new_page(), server)
    taken: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for name, act in reader.acts().items():
            value = act()
            if number:
                taken.setdefault(name, []).append(value)
    context.close()
    yield from taken.items()


def main() -> int:
    """Fill, act, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", default="2000,100000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="keep the mailboxes here, and use them again")
    arguments = parser.parse_args()
    print("\n".join(machine_lines()))
    with mailbox_folder(arguments.keep) as folder, sync_playwright() as playwright:
        (folder / "tls").mkdir(exist_ok=True)
        tls = TestAuthority(folder / "tls").issue("mx.y.test")
        for count in map(int, arguments.messages.split(",")):
            made = set_up_filled(folder / f"zajil-{count}", count)
            print(f"\n{count} messages\n\n| Act | median, ms | longest, ms |\n|---|---|---|")
            with serving(made, tls, workers=1) as server, running_chromium(playwright) as browser:
                for name, taken in measure(browser, server, arguments.rounds):
                    print(f"| {name} | {statistics.median(taken):.0f} | {max(taken):.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
