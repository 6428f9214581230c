"""Search, in a browser: by keyboard alone, with acts on what is found, and in Arabic."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kit.browser import Person, log_in, new_person, window
from kit.lab_process import LabDomain
from kit.real_mails import mail

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
]

_RESULTS = re.compile(r"/search\?q=")


@pytest.fixture(scope="module")
def reader(north: LabDomain) -> Person:
    """Somebody with four messages."""
    who = new_person(north)
    for sender, subject, text in (
        ("Sara <sara@south.test>", "Garden plan", "Roses and lilies.\n"),
        ("Sara <sara@south.test>", "Lunch", "Bring the garden chairs.\n"),
        ("Omar <omar@south.test>", "Report", "Nothing else.\n"),
        ("سلمى <salma@south.test>", "فاتورة الكهرباء", "المبلغ المستحق.\n"),
    ):
        who.append(mail(sender, who.address, subject, text))
    return who


def found(page: Any) -> list[str]:
    """Return the subjects of the results."""
    return [str(one) for one in page.locator("ol.letters a.open").all_inner_texts()]


def test_search_by_keyboard_alone(chromium: Any, reader: Person) -> None:
    """From the list to the results, a chip off, a message archived, and back by Undo."""
    with window(chromium, reader.url) as page:
        log_in(page, reader)
        page.keyboard.press("/")
        field = page.get_by_role("searchbox", name="Search", exact=True)
        page.wait_for_function("document.activeElement.type === 'search'")
        page.keyboard.type("garden from:sara")
        page.keyboard.press("Enter")
        page.wait_for_url(_RESULTS)
        assert sorted(found(page)) == ["Garden plan", "Lunch"]
        assert page.locator("mark").all_inner_texts()

        # Where: the panel under the field is behind it in the order of Tab.
        field.focus()
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Unread", exact=True).first.wait_for()
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"is%3Aunread"))
        assert sorted(found(page)) == ["Garden plan", "Lunch"]

        chips = page.get_by_role("link", name="Remove this condition")
        assert chips.count() == 3
        chips.nth(1).focus()
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "sara" not in url)

        page.get_by_role("checkbox", name="Select message").first.focus()
        page.keyboard.press("Space")
        first = found(page)[0]
        page.get_by_role("button", name="Archive", exact=True).focus()
        page.keyboard.press("Enter")
        status = page.get_by_role("status").filter(has_text="moved to the archive")
        status.wait_for()
        row = page.locator("ol.letters li").filter(has_text=first)
        row.get_by_text("Archive", exact=True).wait_for()
        page.get_by_role("button", name="Undo", exact=True).focus()
        page.keyboard.press("Enter")
        row.get_by_text("Inbox", exact=True).wait_for()


def test_search_in_arabic(chromium: Any, reader: Person) -> None:
    """Operators, a saved search and its place at the side, without a script."""
    with window(chromium, reader.url, locale="ar", java_script_enabled=False) as page:
        log_in(page, reader)
        field = page.locator("input[type=search]")
        field.fill("من:سلمى فاتوره")
        field.press("Enter")
        page.wait_for_url(_RESULTS)
        assert page.locator("html").get_attribute("dir") == "rtl"
        assert found(page) == ["فاتورة الكهرباء"]
        page.locator(".keep summary").click()
        page.locator("#saved-name").fill("فواتير")
        page.locator(".keep button[value=save]").click()
        page.get_by_text("حُفظ البحث.").wait_for()
        page.goto("/mail")
        page.get_by_role("link", name="فواتير", exact=True).click()
        page.wait_for_url(_RESULTS)
        assert found(page) == ["فاتورة الكهرباء"]
