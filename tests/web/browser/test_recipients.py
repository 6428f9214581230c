"""Recipients in a browser: completion from contacts, chips, the keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest

from kit.browser import follow, log_in, new_person, window
from kit.lab_process import LabDomain

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
]


def test_recipients_are_completed_and_removed_by_keyboard(chromium: Any, south: LabDomain) -> None:
    who = new_person(south)
    with window(chromium, who.url) as page:
        log_in(page, who)
        page.goto(f"{who.url}/contacts/new")
        page.get_by_label("Name", exact=True).fill("Saleh, Noor")
        page.get_by_label("Email addresses, one per line").fill("noor@elsewhere.example")
        follow(page.get_by_role("button", name="Save"), "**/contacts?saved=1")
        page.goto(f"{who.url}/compose")
        to = page.get_by_label("To", exact=True)
        sent = page.locator("input[name=to]")
        to.focus()
        page.keyboard.type("sal")
        page.get_by_role("option").first.wait_for()
        assert to.get_attribute("aria-expanded") == "true"
        page.keyboard.press("Enter")
        assert sent.input_value() == '"Saleh, Noor" <noor@elsewhere.example>'
        page.keyboard.type("first@x.test, second@x.test,third")
        assert sent.input_value().endswith(">, first@x.test, second@x.test, third")
        page.keyboard.press("Enter")  # a chip, not a message that is sent
        page.keyboard.press("Backspace")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Delete")
        assert sent.input_value().endswith("<noor@elsewhere.example>, first@x.test, third")
        page.get_by_role("button", name="Remove third").click()
        to.fill("typed@x.test")
        assert sent.input_value().endswith("first@x.test, typed@x.test")


def test_a_group_becomes_a_chip_for_each_of_its_people(chromium: Any, south: LabDomain) -> None:
    who = new_person(south)
    with window(chromium, who.url) as page:
        log_in(page, who)
        for name, address in (("Noor", "noor@x.test"), ("سلمى", "salma@x.test")):
            page.goto(f"{who.url}/contacts/new")
            page.get_by_label("Name", exact=True).fill(name)
            page.get_by_label("Email addresses, one per line").fill(address)
            page.get_by_label("Groups, separated by commas").fill("Family")
            follow(page.get_by_role("button", name="Save"), "**/contacts?saved=1")
        page.goto(f"{who.url}/compose")
        to = page.get_by_label("To", exact=True)
        to.press_sequentially("fam")
        option = page.get_by_role("option", name="Family · 2 people")
        option.wait_for()
        page.keyboard.press("Enter")
        chips = page.locator(".recipients li:has(button)")
        assert chips.all_inner_texts() == ["Noor\n×", "سلمى\n×"]
        page.get_by_text("Family: 2 people").wait_for()
        page.get_by_role("button", name="Remove Noor").click()
        assert page.locator("input[name=to]").input_value() == "سلمى <salma@x.test>"


def test_without_scripts_recipients_are_a_field(chromium: Any, south: LabDomain) -> None:
    who = new_person(south)
    with window(chromium, who.url, java_script_enabled=False) as page:
        log_in(page, who)
        page.goto(f"{who.url}/compose")
        page.get_by_label("To", exact=True).fill("noor@elsewhere.example")
        assert page.locator("input[name=to]").input_value() == "noor@elsewhere.example"
