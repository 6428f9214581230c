"""Chromium over HTTPS of our own: log in, see mail arrive, set up devices in both directions."""

from __future__ import annotations

import os
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from kit.browser import DESK, PHONE, WAIT_MS, running_chromium, window
from kit.certificates import TestAuthority
from kit.installation import Installation, running_installation
from kit.site import letter

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

SCREENSHOTS = os.environ.get("ZAJIL_SCREENSHOTS")
"""A folder: pictures of pages are left there, for whoever wants to look."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("https")
    tls = TestAuthority(folder).issue("mx.y.test")
    settings = ['listen.https=["127.0.0.1:0"]', "server.hostname=mx.y.test"]
    settings += ["check.sender.enabled=false", "check.peer.enabled=false"]
    with running_installation(folder / "zajil", tls, *settings) as ours:
        yield ours


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright, running_chromium(playwright) as chromium:
        yield chromium


def shoot(page: Any, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


def log_in(page: Any, server: Installation) -> None:
    page.goto("/login")
    page.fill("input[name=login]", server.login)
    page.fill("input[name=password]", server.password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(re.compile(r"/mail"), timeout=WAIT_MS)


def test_mail_arrives_on_a_page_over_https(server: Installation, browser: Any) -> None:
    host, port = server.address("https")
    url = f"https://{host}:{port}"
    with window(browser, url, ignore_https_errors=True) as page:
        log_in(page, server)
        (session,) = [one for one in page.context.cookies() if one["name"] == "zajil"]
        assert session["secure"]
        assert session["httpOnly"]
        with smtplib.SMTP(*server.address("smtp")) as client:
            sender = "noor@south.test"
            client.send_message(letter("The almond blooms", to="b@y.test"), sender, ["b@y.test"])
        # By the stream of events, without a reload.
        expect(page.get_by_text("The almond blooms").first).to_be_visible(timeout=WAIT_MS)


@pytest.mark.parametrize(
    ("language", "size", "heading"),
    [
        ("en-GB", DESK, "Programs that need only your address"),
        ("ar", DESK, "برامج يكفيها عنوانك"),
        ("ar", PHONE, "برامج يكفيها عنوانك"),
    ],
)
def test_devices_are_set_up(
    server: Installation, browser: Any, language: str, size: dict[str, int], heading: str
) -> None:
    host, port = server.address("https")
    url = f"https://{host}:{port}"
    with window(browser, url, locale=language, viewport=size, ignore_https_errors=True) as page:
        log_in(page, server)
        page.goto("/account/devices")
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        shoot(page, f"devices-{language}-{size['width']}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size["width"]
        with page.expect_download() as download:
            page.locator("a[href$='mail.mobileconfig']").click()
        assert download.value.path().read_bytes()[:1] == b"\x30"  # signed: DER
