"""Accounts, in a browser: one made on the desk, whose owner writes."""

from __future__ import annotations

from typing import Any

import pytest

from kit.browser import Person, log_in, new_person, window
from kit.lab_process import LabAccount, LabDomain

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("browser_accounts"),
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
