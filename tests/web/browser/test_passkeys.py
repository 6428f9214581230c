"""Passkeys in a real browser, with an authenticator that Chromium plays."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kit.browser import log_in, new_person, window
from kit.lab_process import LabDomain

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
]

INBOX = re.compile(r"/mail/\d+")


def add_authenticator(page: Any) -> None:
    """Let the page have a device that makes passkeys, and whose user is always there."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def register(page: Any, name: str) -> None:
    page.goto("/account/passkeys")
    page.fill("#name", name)
    page.click("text=Create passkey")


def log_out(page: Any) -> None:
    page.goto("/account")
    page.click("main form[action='/logout'] button")
    page.wait_for_url("**/login")


def test_a_passkey_logs_in_alone_and_after_the_password(chromium: Any, north: LabDomain) -> None:
    person = new_person(north)
    with window(chromium, person.url, expected=("400", "403")) as page:
        add_authenticator(page)
        log_in(page, person)
        register(page, "هاتف ريما")
        page.wait_for_selector(".codes")
        assert page.locator(".codes li").count() == 10
        page.goto("/account/security")
        assert page.get_by_text("هاتف ريما").first.is_visible()

        log_out(page)
        page.click("text=Sign in with a passkey")
        page.wait_for_url(INBOX)

        log_out(page)
        page.fill("#login", person.account.login)
        page.fill("#password", person.account.password)
        page.press("#password", "Enter")
        page.wait_for_url("**/login/code?next=*")
        page.click("text=Use a passkey")
        page.wait_for_url(INBOX)

        # One device has one passkey of an account.
        register(page, "again")
        page.get_by_text("Your browser made no passkey.").wait_for()

        page.goto("/account/security")
        page.click("summary:has-text('Rename')")
        page.fill("#passkey_1", "tablet")
        page.click("form[action='/account/passkeys'] button[value=rename]")
        page.get_by_text("Passkey: tablet").wait_for()
        page.locator("summary", has_text="Remove").click()
        page.fill("#passkey_password_1", "wrong")
        page.click("form[action='/account/passkeys'] button[value=remove]")
        page.get_by_text("The current password is not right.").wait_for()
        page.locator("summary", has_text="Remove").click()
        page.fill("#passkey_password_1", person.account.password)
        page.click("form[action='/account/passkeys'] button[value=remove]")
        page.get_by_text("The passkey was removed.").wait_for()

        log_out(page)
        page.click("text=Sign in with a passkey")
        page.get_by_text("The passkey was not accepted.").wait_for()
        log_in(page, person)


def test_without_scripts_no_button_is_shown_that_does_nothing(
    chromium: Any, north: LabDomain
) -> None:
    person = new_person(north)
    with window(chromium, person.url, java_script_enabled=False) as page:
        page.goto("/login")
        assert not page.get_by_text("Sign in with a passkey").is_visible()
        log_in(page, person)
        page.goto("/account/passkeys")
        assert page.get_by_text("Passkeys need JavaScript").is_visible()
        assert not page.get_by_text("Create passkey").is_visible()
