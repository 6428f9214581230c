"""Reading, in a browser: mail that arrives, newsletters, hostile HTML, moving, junk, searching."""

from __future__ import annotations

import re
from email.message import EmailMessage
from typing import Any

import pytest

from kit.browser import Person, follow, log_in, new_person, window
from kit.lab_process import LabDomain
from kit.real_mails import hostile, mail, newsletter, password_reset

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
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
    who.append(with_pdf(who.address))
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


def threaded(address: str, number: int) -> EmailMessage:
    """Make a message of one conversation."""
    message = mail("Noor <noor@south.test>", address, "Plans", f"Words of {number}.\n")
    del message["Message-ID"]
    message["Message-ID"] = f"<plans.{number}@south.test>"
    if number > 1:
        message["References"] = "<plans.1@south.test>"
    return message


def store_flags(who: Person, numbers: str, flags: str, *, expunge: bool = False) -> None:
    """Set flags in INBOX as another mail program does."""
    with who.domain.imap(who.account) as client:
        client.select("INBOX")
        assert client.store(numbers, "+FLAGS", flags)[0] == "OK"
        if expunge:
            client.expunge()


def test_a_conversation_is_read_in_place(chromium: Any, north: LabDomain) -> None:
    """A folded message unfolds where it is, and what other programs change is followed."""
    who = new_person(north)
    who.append(*[threaded(who.address, number) for number in (1, 2, 3)])
    store_flags(who, "1", r"\Seen")
    with window(chromium, who.url) as page:
        log_in(page, who)
        page.get_by_role("link", name="Plans").first.click()
        reading = page.locator(".reading")
        words = [reading.locator(".words").get_by_text(f"Words of {one}.") for one in range(4)]
        words[2].wait_for()
        words[3].wait_for()
        address = page.url
        assert reading.locator(".part").count() == 2
        reading.locator(".fold a").click()
        words[1].wait_for()
        assert reading.locator(".part").count() == 3
        assert page.url == address
        assert who.count("INBOX", "UNSEEN") == 0
        store_flags(who, "1:3", r"\Flagged")
        reading.locator(".part .star.on").nth(2).wait_for()
        reading.locator(".actions.one [value=unflag]").first.wait_for()
        reading.locator(".part .star").first.click()
        reading.locator(".part").first.locator(".star:not(.on)").wait_for()
        store_flags(who, "2", r"\Deleted", expunge=True)
        reading.locator(".part:has(.gone:not([hidden])) .words").get_by_text(
            "Words of 2."
        ).wait_for()
        assert words[2].is_visible()
        who.append(threaded(who.address, 4))
        reading.locator(".fold .new").wait_for()
        assert words[1].is_visible()


PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R
/Resources<</Font<</F1 5 0 R>>>>>>endobj
4 0 obj<</Length 44>>stream
BT /F1 24 Tf 50 100 Td (Garden plan) Tj ET
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
trailer<</Root 1 0 R>>
"""


def with_pdf(address: str) -> EmailMessage:
    """Make a message with a PDF file."""
    message = mail("Noor <noor@south.test>", address, "With a plan", "See the file.\n")
    message.add_attachment(PDF, "application", "pdf", filename="plan.pdf")
    return message


def open_pdf(page: Any) -> Any:
    """Open the file of a message in a tab of its own."""
    open_message(page, "With a plan")
    with page.context.expect_page() as opened:
        page.locator(".file.pdf").get_by_role("link", name="Open").click()
    opened.value.wait_for_load_state()
    return opened.value


def test_a_pdf_file_is_looked_at(chromium: Any, reader: Person) -> None:
    """By the viewer of the browser, which is an extension of it."""
    viewer = re.compile("^chrome-extension:")
    # The viewer finds no picture for its tab.
    with window(chromium, reader.url, expected=["404"]) as page:
        log_in(page, reader)
        tab = open_pdf(page)
        assert tab.evaluate("document.contentType") == "application/pdf"
        while not any(viewer.match(frame.url) for frame in tab.frames):
            tab.wait_for_timeout(100)


def test_firefox_reads(firefox: Any, reader: Person) -> None:
    """The same pages in the other engine."""
    with window(firefox, reader.url, expected=["sandbox", "Indexing all PDF"]) as page:
        log_in(page, reader)
        open_message(page, "Autumn sale")
        frame = text_of_frame(page)
        frame.get_by_text("40% on all bulbs").wait_for()
        follow(page.get_by_role("link", name="New message").first, re.compile("/compose"))
        page.get_by_label("To", exact=True).wait_for()
        page.goto("/")
        tab = open_pdf(page)
        tab.get_by_text("Garden plan").wait_for()
