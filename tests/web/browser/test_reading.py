"""Reading, in a browser: mail that arrives, newsletters, hostile HTML, moving, junk, searching."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kit.browser import Person, follow, log_in, new_person, window
from kit.lab_process import LabDomain
from kit.real_mails import hostile, mail, newsletter, password_reset

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("browser_reading"),
]

_MESSAGE = re.compile(r"/mail/\d+/\d+")


def open_message(page: Any, subject: str) -> None:
    """Follow the link of a message in the list."""
    page.get_by_role("link", name=subject).first.click()
    page.get_by_role("heading", name=subject).first.wait_for()
    page.wait_for_load_state()


def text_of_frame(page: Any) -> Any:
    """Return the document in which the HTML of the message is shown."""
    show = page.get_by_role("link", name="Show formatting")
    page.locator("iframe").or_(show).first.wait_for()
    if show.count():
        show.first.click()
    page.locator("iframe").first.wait_for()
    return page.frame_locator("iframe").first


@pytest.fixture(scope="module")
def reader(north: LabDomain) -> Person:
    who = new_person(north)
    who.append(newsletter(who.address), password_reset(who.address), hostile(who.address))
    return who


def test_new_mail_appears(chromium: Any, north: LabDomain, south: LabDomain) -> None:
    """From another server, into a list that is open, without a reload."""
    who, other = new_person(north), new_person(south, "Omar Said")
    with window(chromium, who.url) as page:
        log_in(page, who)
        other.send(mail(other.address, who.address, "Seen at once", "Words.\n"))
        page.get_by_role("link", name="Seen at once").wait_for()
        page.wait_for_function("() => document.title.startsWith('(1)')")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_newsletter_is_shown_as_it_was_sent(chromium: Any, reader: Person, scripts: bool) -> None:
    """With its button; its pictures of other servers are not loaded, see ``window``."""
    with window(chromium, reader.url, java_script_enabled=scripts) as page:
        log_in(page, reader)
        open_message(page, "Autumn sale")
        frame = text_of_frame(page)
        frame.get_by_text("40% on all bulbs").wait_for()
        button = frame.get_by_role("link", name="Shop now")
        assert button.get_attribute("href") == "https://shop.garden.example/sale"
        page.goto("/")
        open_message(page, "Reset your password")
        frame = text_of_frame(page)
        reset = frame.get_by_role("link", name="Reset password")
        assert "reset?token=a1b2c3" in reset.get_attribute("href")


def test_hostile_html_does_nothing(chromium: Any, reader: Person) -> None:
    """No script runs, nothing is loaded, no form and no cover over the page."""
    with window(chromium, reader.url) as page:
        dialogs: list[str] = []

        def note(dialog: Any) -> None:
            dialogs.append(dialog.message)
            dialog.dismiss()

        page.on("dialog", note)
        log_in(page, reader)
        open_message(page, "Hostile")
        frame = text_of_frame(page)
        frame.get_by_text("The harmless words.").wait_for()
        link = frame.get_by_role("link", name="A good link")
        assert link.get_attribute("href") == "https://good.example/page"
        assert (
            page.frame_locator("iframe").locator("form, input, script, iframe, object").count() == 0
        )
        assert frame.locator("a[href^=javascript]").count() == 0
        assert frame.locator("video, audio, embed, meta[content*=evil]").count() == 0
        covers = (
            "() => [...document.querySelectorAll('*')]"
            ".filter((one) => getComputedStyle(one).position === 'fixed').length"
        )
        assert page.frames[1].evaluate(covers) == 0
        assert "run" not in page.title()
        assert dialogs == []
        assert page.url.startswith(reader.url)


def test_the_language_changes_with_one_click(chromium: Any, reader: Person) -> None:
    with window(chromium, reader.url) as page:
        log_in(page, reader)
        open_message(page, "Reset your password")
        place = page.url.partition("?")[0]
        page.get_by_role("button", name="العربية").first.click()
        page.locator("html[dir=rtl]").wait_for()
        assert page.url.partition("?")[0] == place
        page.get_by_role("link", name="رسالة جديدة").first.wait_for()
        # The account keeps it, and the other tests read English.
        page.get_by_role("button", name="English").first.click()
        page.locator("html[dir=ltr]").wait_for()


def test_firefox_reads(firefox: Any, reader: Person) -> None:
    """The same pages in the other engine."""
    with window(firefox, reader.url, expected=["sandbox"]) as page:
        log_in(page, reader)
        open_message(page, "Autumn sale")
        frame = text_of_frame(page)
        frame.get_by_text("40% on all bulbs").wait_for()
        follow(page.get_by_role("link", name="New message").first, re.compile("/compose"))
        page.get_by_label("To", exact=True).wait_for()
