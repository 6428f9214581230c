"""Junk, in a browser without scripts: what the filter learns is said, and taken back."""

from __future__ import annotations

from typing import Any

import pytest

from kit.browser import log_in, new_person, window
from kit.lab_process import LabDomain
from kit.real_mails import mail

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
]
SUBJECT = "Seven cheap pills"


def open_box(page: Any, name: str) -> None:
    page.locator("nav").get_by_role("link", name=name).first.click()
    page.get_by_role("link", name=SUBJECT).first.wait_for()


def open_message(page: Any) -> None:
    page.get_by_role("link", name=SUBJECT).first.click()
    page.get_by_role("heading", name=SUBJECT).first.wait_for()
    page.wait_for_load_state()


def press(page: Any, action: str) -> None:
    """Press a button of the bar of the open message."""
    page.locator(f".actions.one button[value={action}]:visible").first.click()


def test_junk_is_taught_taken_back_and_restored(chromium: Any, north: LabDomain) -> None:
    who = new_person(north)
    who.append(mail("shop@east.test", who.address, SUBJECT, "Buy them now.\n"))
    with window(chromium, who.url, java_script_enabled=False) as page:
        log_in(page, who)
        status = page.get_by_role("status")
        open_message(page)
        press(page, "junk")
        status.get_by_text("moved to Junk. The junk filter learns").wait_for()
        page.get_by_role("button", name="Undo", exact=True).click()
        status.get_by_text("The action was undone.").wait_for()
        open_message(page)
        press(page, "junk")
        # It learns nothing now if it has not unlearned the first move yet.
        status.get_by_text("moved to Junk.").wait_for()
        open_box(page, "Junk")
        open_message(page)
        press(page, "inbox")
        status.get_by_text("The junk filter learns").wait_for()
        open_box(page, "Inbox")
        open_message(page)
        press(page, "delete")
        status.get_by_text("moved to the Trash").wait_for()
        open_box(page, "Trash")
        open_message(page)
        press(page, "restore")
        status.get_by_text("restored").wait_for()
        open_box(page, "Inbox")
