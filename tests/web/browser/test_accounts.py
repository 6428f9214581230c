"""Accounts, in a browser: one made on the desk, and the second step of a log-in."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from kit.browser import Person, log_in, new_person, window
from kit.lab_process import LabAccount, LabDomain

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
]


def test_an_account_is_made_on_the_desk_and_writes(
    chromium: Any, north: LabDomain, south: LabDomain
) -> None:
    """An admin makes it; its owner logs in with the password shown, and writes elsewhere."""
    admin = new_person(north, "Amal Haddad", admin=True)
    other = new_person(south, "Noor Saleh")
    address = f"new.{admin.account.login}@{north.domain}"
    with window(chromium, admin.url) as page:
        log_in(page, admin)
        page.goto("/admin/accounts")
        page.get_by_label("Address", exact=True).fill(address)
        page.get_by_label("Name", exact=True).last.fill("New Person")
        page.get_by_role("button", name="Create account").click()
        password = page.locator("code.secret").inner_text()
    owner = Person(north, LabAccount(address, address, password, False))
    with window(chromium, owner.url) as page:
        log_in(page, owner)
        page.goto("/compose")
        page.get_by_label("To", exact=True).fill(other.address)
        page.get_by_label("Subject", exact=True).fill("My first message")
        page.locator("textarea[name=body]").fill("Hello.\n")
        page.get_by_role("button", name="Send", exact=True).click()
        with window(chromium, other.url) as theirs:
            log_in(theirs, other)
            theirs.get_by_role("link", name="My first message").first.wait_for()


def log_out(page: Any) -> None:
    page.goto("/account")
    page.click("main form[action='/logout'] button")
    page.wait_for_url("**/login")


def first_step(page: Any, person: Person) -> None:
    """Type name and password; the page then asks for a code."""
    page.fill("input[name=login]", person.account.login)
    page.fill("input[name=password]", person.account.password)
    page.press("input[name=password]", "Enter")
    page.locator("input[name=code]").wait_for()


def test_an_authenticator_app_is_set_up_and_used(chromium: Any, north: LabDomain) -> None:
    """A person copies the key by hand; a code logs in, and a recovery code keeps a message."""
    pyotp = pytest.importorskip("pyotp")
    person = new_person(north)
    with window(chromium, person.url, expected=["status of 401", "status of 403"]) as page:
        log_in(page, person)
        page.goto("/account/security")
        page.get_by_role("link", name="Set up Authenticator app").click()
        page.get_by_text("Enter the key by hand").click()
        app = pyotp.TOTP(page.locator("code.secret").inner_text())
        page.get_by_label("Code that the app shows").fill(app.now())
        page.get_by_role("button", name="Turn on").click()
        page.locator(".codes li").first.wait_for()
        codes = page.locator(".codes code").all_inner_texts()

        log_out(page)
        first_step(page, person)
        page.fill("input[name=code]", "000000")
        page.get_by_role("button", name="Continue").click()
        page.get_by_text("The code is not right").wait_for()
        # The code of the set-up was used; a clock may be one step ahead.
        page.fill("input[name=code]", app.at(int(time.time()) + 30))
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(re.compile(r"/mail/\d+"))

        page.goto("/compose")
        page.get_by_label("To", exact=True).fill(person.address)
        page.get_by_label("Subject", exact=True).fill("Kept over two steps")
        page.locator("textarea[name=body]").fill("It took an hour.\n")
        page.context.clear_cookies()
        page.get_by_role("button", name="Send", exact=True).click()
        page.locator("input[name=password]").wait_for()
        first_step(page, person)
        page.fill("input[name=code]", codes[0])
        page.get_by_role("button", name="Continue").click()
        subject = page.get_by_label("Subject", exact=True)
        subject.wait_for()
        assert subject.input_value() == "Kept over two steps"
        assert "an hour" in page.locator("textarea[name=body]").input_value()
        page.goto("/account/security")
        page.get_by_text("9 codes are left.").wait_for()
