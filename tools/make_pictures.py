"""Take the pictures of the README anew, from a lab and a real browser.

``.venv/bin/python tools/make_pictures.py`` writes ``docs/images/``; needs Chromium. Letters travel
in a lab of their own, so ids and times differ at each run.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # the kit

from kit.lab_process import LabAccount, LabDomain, LabProcess

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
_MORE_FLAGS = ("--disable-background-networking", "--disable-component-update")
_SECONDS = 60.0

_ENGLISH = {"locale": "en-GB", "viewport": {"width": 1000, "height": 800}}
_ARABIC = {"locale": "ar", "viewport": {"width": 1000, "height": 800}}
_DARK = {**_ARABIC, "color_scheme": "dark"}
_WIDE = {"locale": "en-GB", "viewport": {"width": 1180, "height": 1020}}
"""Not the whole page: pictures stay small."""


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

    def __init__(self, browser: Any) -> None:
        self._browser = browser

    def take(
        self,
        name: str,
        look: Mapping[str, Any],
        base: str,
        account: LabAccount | None,
        go: str | Callable[[Any], None],
    ) -> None:
        """Open a page, after a log-in if there is an account, and keep what it shows."""
        context = self._browser.new_context(**look)
        page = context.new_page()
        page.goto(base)
        if account is not None:
            page.fill("input[name=login]", account.login)
            page.fill("input[name=password]", account.password)
            page.keyboard.press("Enter")
            page.wait_for_url("**/mail/**")
        if callable(go):
            go(page)
        else:
            page.goto(base.rstrip("/") + go)
        page.wait_for_load_state("networkidle") if account is None else page.wait_for_load_state()
        page.screenshot(path=str(IMAGES / f"{name}.png"), full_page=look is not _WIDE)
        context.close()


def open_first_junk(page: Any) -> None:
    """Go to Junk, and open what lies on top."""
    page.locator("nav a", has_text="البريد غير الهام").first.click()
    page.locator("a.open").first.click()
    page.wait_for_selector("article.letter")


def take_all(lab: LabProcess) -> None:
    """Send the letters, and take every picture."""
    north, south, zajil = lab.domains[:3]
    amal, noor, salma = north.accounts[0], south.accounts[0], zajil.accounts[0]
    out = send(north, amal, noor, "The garden in March", "The almond blooms.\n")
    arabic = send(zajil, salma, noor, "حديقة آذار", "أزهر اللوز.\n")
    send_bait(zajil, salma)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=[*_FLAGS, *_MORE_FLAGS]
        )
        camera = Camera(browser)
        pages = {domain.domain: domain.described["web"] for domain in lab.domains}
        camera.take("journey", _ENGLISH, pages[north.domain], amal, f"/journey/{out}")
        camera.take("journey-arabic", _ARABIC, pages[zajil.domain], salma, f"/journey/{arabic}")
        camera.take("junk-arabic", _DARK, pages[zajil.domain], salma, open_first_junk)
        camera.take("both-ends", _WIDE, lab.described["web"], None, f"/journey/{out}")
        browser.close()


def main() -> int:
    """Take the pictures; give the exit status."""
    lab = LabProcess("--workers", "1")
    try:
        take_all(lab)
    finally:
        lab.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
