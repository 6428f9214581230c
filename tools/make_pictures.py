"""Take the pictures of the README anew, from a lab and a real browser.

``.venv/bin/python tools/make_pictures.py [NAME...]`` writes ``docs/images/`` (WebP); needs
Chromium. Without names it takes all pictures. Mails travel in a lab of their own, so ids and times
differ at each run.

``tools/make_pictures.py --all FOLDER`` takes the ten main pages in English and Arabic, light and
dark, on a desk and on a phone: 80 pictures, and ``index.html``, which shows them side by side.
"""

from __future__ import annotations

import base64
import itertools
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # the kit

from kit.browser import Person, log_in
from kit.lab_process import LabAccount, LabDomain, LabProcess
from kit.real_mails import everyday_mails

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
_MORE_FLAGS = ("--disable-background-networking", "--disable-component-update")
_SECONDS = 60.0
_QUALITY = 80

_ENGLISH = {"locale": "en-GB", "viewport": {"width": 1280, "height": 800}}
_ARABIC = {**_ENGLISH, "locale": "ar"}
_PHONE = {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 1.5, "has_touch": True}
_JOURNEY = {"viewport": {"width": 1000, "height": 900}}
_BOTH_ENDS = {"viewport": {"width": 1180, "height": 1020}}
_DARK = {"color_scheme": "dark"}

Go = str | Callable[[Any], None]
"""What to show: a path, or what is done on the page."""


def letter(sender: str, to: str, subject: str, text: str, html: str = "") -> EmailMessage:
    """Write a letter."""
    mail = EmailMessage(policy=SMTPUTF8)
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    return mail


def send(domain: LabDomain, account: LabAccount, to: LabAccount, subject: str, text: str) -> str:
    """Hand a letter in; give our id of it, once it is delivered."""
    with domain.submission(account) as client:
        client.send_message(letter(account.address, to.address, subject, text))
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        found = domain.command("journey", "find", "--to", to.address)["mails"]
        if found and found[0]["states"].get("delivered"):
            return str(found[0]["mail_id"])
        time.sleep(0.2)
    raise RuntimeError(f"the letter to {to.address} did not arrive")


def send_bait(domain: LabDomain, to: LabAccount) -> None:
    """Bring a letter that wants to catch somebody, from outside."""
    link = f"http://{domain.ascii_domain}.verify-login.example/login"
    bait = letter(
        '"إدارة البريد" <alert@x.example>',
        to.address,
        "سيُغلق حسابك اليوم",
        f"صندوقك ممتلئ. سجّل الدخول حالًا: {link}\n",
        f'<p>صندوقك ممتلئ.</p><a href="http://203.0.113.7/in">https://{domain.domain}/</a>',
    )
    bait["Reply-To"] = "account.team@gmail.com"
    with domain.smtp() as client:
        client.send_message(bait, "bounce@x.example", [to.address])


class Camera:
    """A browser that leaves pictures."""

    def __init__(self, browser: Any, names: list[str]) -> None:
        self._browser = browser
        self._names = names

    def take(self, name: str, look: Mapping[str, Any], who: Person | str, go: Go) -> None:
        """Open a page and keep what it shows.

        Args:
            name: of the file.
            look: options of Playwright's ``new_context``.
            who: somebody who logs in; or the address of a page without a log-in.
            go: a path, or what is done after the log-in.
        """
        if self._names and name not in self._names:
            return
        context = self._browser.new_context(**look)
        context.set_default_timeout(_SECONDS * 1000)
        page = context.new_page()
        if isinstance(who, Person):
            log_in(page, who)
            base = who.url
        else:
            base = who.rstrip("/")
        if callable(go):
            go(page)
        else:
            page.goto(base + go)
        keep(page, IMAGES / f"{name}.webp")
        print(name)
        context.close()


def keep(page: Any, path: Path) -> None:
    """Write what a page shows to a file, once it has settled."""
    page.wait_for_load_state()
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(800)
    session = page.context.new_cdp_session(page)
    taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": _QUALITY})
    path.write_bytes(base64.b64decode(taken["data"]))


def open_message(subject: str) -> Callable[[Any], None]:
    """Return what opens a message of the list."""

    def go(page: Any) -> None:
        page.locator("a.open", has_text=subject).first.click()
        page.get_by_role("heading", name=subject).first.wait_for()

    return go


def open_first_junk(page: Any) -> None:
    """Go to Junk, and open what lies on top."""
    page.locator("nav a", has_text="البريد غير الهام").first.click()
    page.wait_for_load_state()
    page.locator("a.open").first.click()
    page.wait_for_selector(".letter")


def show_steps(place: str) -> Callable[[Any], None]:
    """Return what opens a journey with all its steps."""

    def go(page: Any) -> None:
        page.goto(page.url.partition("/mail")[0] + place)
        page.locator("details.steps > summary, main details > summary").first.click()

    return go


def write_arabic(page: Any) -> None:
    """Begin a message with a file."""
    page.goto(page.url.partition("/mail")[0] + "/compose")
    page.locator("#to").fill("noor@south.test")
    page.locator("#subject").fill("تقرير الحديقة لشهر آذار")
    page.locator("textarea[name=body]").fill(
        "أهلًا نور،\n\nأزهر اللوز هذا الأسبوع، والتقرير مرفق.\n\nمع التحية\nسلمى\n"
    )
    report = {"name": "تقرير آذار.txt", "mimeType": "text/plain", "buffer": b"1\n" * 900}
    page.locator("input[type=file]").first.set_input_files(report)
    page.locator("#files li").first.wait_for()


@dataclass(frozen=True, slots=True)
class Stage:
    """A lab whose letters have arrived."""

    reader: Person
    arabic_reader: Person
    journey: str
    arabic_journey: str


def set_stage(lab: LabProcess) -> Stage:
    """Send the letters."""
    north, south, zajil = lab.domains[:3]
    amal, noor, salma = north.accounts[0], south.accounts[0], zajil.accounts[0]
    reader, arabic_reader = Person(north, amal), Person(zajil, salma)
    reader.append(*everyday_mails(amal.address))
    arabic_reader.append(*everyday_mails(salma.address))
    out = send(north, amal, noor, "The garden in March", "The almond blooms.\n")
    arabic = send(zajil, salma, noor, "حديقة آذار", "أزهر اللوز.\n")
    send_bait(zajil, salma)
    return Stage(reader, arabic_reader, f"/journey/{out}", f"/journey/{arabic}")


def take_named(browser: Any, stage: Stage, front: str, names: list[str]) -> None:
    """Take the pictures of the README; ``front`` is the address of the lab's first page."""
    reader, arabic_reader = stage.reader, stage.arabic_reader
    camera = Camera(browser, names)
    sale, visit = open_message("Autumn sale"), open_message("زيارة الحديقة")
    camera.take("inbox", _ENGLISH, reader, "/mail")
    camera.take("message", _ENGLISH, reader, sale)
    camera.take("message-dark", {**_ENGLISH, **_DARK}, reader, open_message("Invoice"))
    camera.take("compose-arabic", _ARABIC, arabic_reader, write_arabic)
    camera.take("inbox-arabic-dark", {**_ARABIC, **_DARK}, arabic_reader, "/mail")
    camera.take("search", _ENGLISH, reader, "/search?q=release")
    camera.take("phone-inbox", {**_ENGLISH, **_PHONE}, reader, "/mail")
    camera.take("phone-message", {**_ENGLISH, **_PHONE}, reader, sale)
    camera.take("phone-arabic-dark", {**_ARABIC, **_PHONE, **_DARK}, arabic_reader, visit)
    camera.take("admin", _ENGLISH, reader, "/admin")
    camera.take("journey", {**_ENGLISH, **_JOURNEY}, reader, show_steps(stage.journey))
    steps = show_steps(stage.arabic_journey)
    camera.take("journey-arabic", {**_ARABIC, **_JOURNEY}, arabic_reader, steps)
    junk = {**_ARABIC, **_DARK, **_JOURNEY}
    camera.take("junk-arabic", junk, arabic_reader, open_first_junk)
    camera.take("both-ends", {**_ENGLISH, **_BOTH_ENDS}, front, stage.journey)


def take_all(browser: Any, stage: Stage, folder: Path) -> None:
    """Take the ten main pages in every look, and write the page that shows them."""
    folder.mkdir(parents=True, exist_ok=True)
    pages: dict[str, Go] = {
        "list": "/mail",
        "message": open_message("Autumn sale"),
        "compose": "/compose",
        "search": "/search?q=release",
        "contacts": "/contacts",
        "account": "/account",
        "security": "/account/security",
        "journey": stage.journey,
        "desk": "/admin",
        "queue": "/admin/queue",
    }
    rows = []
    looks = itertools.product(("en-GB", "ar"), ("light", "dark"), ("desk", "phone"))
    for language, theme, size in looks:
        look = _ENGLISH | {"locale": language, "color_scheme": theme}
        context = browser.new_context(**(look | (_PHONE if size == "phone" else {})))
        context.set_default_timeout(_SECONDS * 1000)
        page = context.new_page()
        inbox = log_in(page, stage.reader)
        for name, go in pages.items():
            page.goto(inbox if callable(go) else stage.reader.url + go)
            if callable(go):
                go(page)
            file = folder / f"{name}-{language}-{theme}-{size}.webp"
            keep(page, file)
            rows.append(f'<img src="{file.name}" alt="{file.stem}" title="{file.stem}" width=360>')
        context.close()
    (folder / "index.html").write_text("<!doctype html>" + "\n".join(rows), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Take the pictures; give the exit status."""
    lab = LabProcess("--workers", "1")
    try:
        stage = set_stage(lab)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=[*_FLAGS, *_MORE_FLAGS]
            )
            if arguments[:1] == ["--all"]:
                take_all(browser, stage, Path(arguments[1]))
            else:
                take_named(browser, stage, str(lab.described["web"]), arguments)
            browser.close()
    finally:
        lab.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
