"""Writing, in a browser: Arabic with a file, a lost session, undoing a send, keyboard only."""

from __future__ import annotations

import email
import re
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from kit.browser import DESK, PHONE, Person, log_in, new_person, window
from kit.lab_process import LabDomain

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
]

_TEXT = "أهلًا يا أمل،\n\nهذا تقرير شهر آذار كما وعدتك.\n"
_FILE = {"name": "تقرير آذار.txt", "mimeType": "text/plain", "buffer": "التقرير\n".encode()}
_GIVE = """(root, [kind, name, size]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(size)], name));
  const about = { bubbles: true, cancelable: true };
  root.dispatchEvent(kind === "paste"
    ? new ClipboardEvent(kind, { clipboardData: data, ...about })
    : new DragEvent(kind, { dataTransfer: data, ...about }));
}"""
_NOTE_PROGRESS = """() => {
  window.seen = [];
  const bar = document.querySelector("form.compose progress");
  const note = () => { if (bar.offsetParent) window.seen.push(bar.value); };
  new MutationObserver(note).observe(bar, { attributes: true });
}"""
_LIST = re.compile(r"/mail/\d+(\?|$)")


def last_message(who: Person, mailbox: str = "INBOX") -> EmailMessage:
    """Return the newest message of a mailbox."""
    return email.message_from_bytes(who.messages(mailbox)[-1], policy=default)


def wait_for_mail(browser: Any, who: Person, subject: str) -> None:
    """Wait in somebody's open list until a message is there."""
    with window(browser, who.url) as page:
        log_in(page, who)
        page.get_by_role("link", name=subject).first.wait_for()


def write(page: Any, to: str, subject: str, text: str) -> None:
    """Open a new message and fill it in."""
    page.goto("/compose")
    page.get_by_label("To", exact=True).fill(to)
    page.get_by_label("Subject", exact=True).fill(subject)
    page.locator("textarea[name=body]").fill(text)


def send(page: Any) -> None:
    """Press Send, and wait for the list."""
    page.get_by_role("button", name="Send", exact=True).click()
    page.wait_for_url(_LIST)


@pytest.fixture(scope="module")
def writer(zajil: LabDomain) -> Person:
    return new_person(zajil, "سلمى الخطيب")


@pytest.fixture(scope="module")
def amal(north: LabDomain) -> Person:
    return new_person(north, "Amal Haddad")


@pytest.mark.parametrize(
    ("scripts", "size"),
    [pytest.param(True, DESK, marks=pytest.mark.slow), (True, PHONE), (False, DESK)],
    ids=["desk", "phone", "no scripts"],
)
def test_arabic_with_a_file_to_another_domain(
    chromium: Any, writer: Person, amal: Person, scripts: bool, size: dict[str, int]
) -> None:
    """From the first click to the other person's list; what arrives is what was written."""
    subject = f"تقرير آذار {scripts} {size['width']}"
    look: dict[str, Any] = {"locale": "ar", "java_script_enabled": scripts, "viewport": size}
    with window(chromium, writer.url, **look) as page:
        log_in(page, writer)
        page.goto("/compose")
        page.get_by_label("إلى", exact=True).fill(amal.address)
        page.get_by_label("الموضوع", exact=True).fill(subject)
        page.locator("textarea[name=body]").fill(_TEXT)
        page.locator("input[type=file]").first.set_input_files(_FILE)
        if not scripts:
            page.locator("button[name=action][value=attach]").click()
        page.locator("#files").get_by_text("تقرير آذار.txt").wait_for()
        page.get_by_role("button", name="إرسال", exact=True).click()
        page.wait_for_url(_LIST)
        page.locator("a[href*='/journey/']").first.wait_for()
    wait_for_mail(chromium, amal, subject)
    message = last_message(amal)
    assert message["Subject"] == subject
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n").strip() == _TEXT.strip()
    (file,) = message.iter_attachments()
    assert file.get_filename() == "تقرير آذار.txt"


def test_files_are_dropped_and_pasted(chromium: Any, north: LabDomain) -> None:
    """Anywhere on the form, with their progress; one that is too large is said, nothing is lost."""
    who = new_person(north)
    with window(chromium, who.url) as page:
        log_in(page, who)
        write(page, "noor@south.test", "Files", "Here they are.\n")
        page.evaluate(_NOTE_PROGRESS)
        form, files = page.locator("form.compose"), page.locator("#files .filename")
        form.evaluate(_GIVE, ["dragover", "report.pdf", 3 << 20])
        assert form.evaluate("one => one.classList.contains('drop')")
        form.evaluate(_GIVE, ["drop", "report.pdf", 3 << 20])
        files.get_by_text("report.pdf").wait_for()
        assert not form.evaluate("one => one.classList.contains('drop')")
        assert page.evaluate("window.seen").count(1) >= 1
        page.get_by_label("Subject", exact=True).evaluate(_GIVE, ["paste", "notes.txt", 10])
        files.get_by_text("notes.txt").wait_for()
        form.evaluate(_GIVE, ["drop", "film.mp4", 60 << 20])
        page.get_by_text("The files are too large for one message.").wait_for()
        assert files.all_inner_texts() == ["report.pdf", "notes.txt"]
        assert page.locator("textarea[name=body]").input_value() == "Here they are.\n"
        assert not page.locator("progress").is_visible()
    message = last_message(who, "Drafts")
    assert [one.get_filename() for one in message.iter_attachments()] == ["report.pdf", "notes.txt"]


def test_a_lost_session_loses_no_text(chromium: Any, amal: Person) -> None:
    """The cookie is gone when Send is pressed: after the log-in the draft has all of it."""
    with window(chromium, amal.url, expected=["status of 401", "status of 403"]) as page:
        log_in(page, amal)
        write(page, "noor@south.test", "Not lost", "These words took an hour.\n")
        page.context.clear_cookies()
        page.get_by_role("button", name="Send", exact=True).click()
        page.locator("input[name=password]").wait_for()
        page.fill("input[name=login]", amal.account.login)
        page.fill("input[name=password]", amal.account.password)
        page.press("input[name=password]", "Enter")
        subject = page.get_by_label("Subject", exact=True)
        subject.wait_for()
        assert subject.input_value() == "Not lost"
        assert "took an hour" in page.locator("textarea[name=body]").input_value()
    assert last_message(amal, "Drafts")["Subject"] == "Not lost"


def test_a_bad_network_loses_nothing(chromium: Any, north: LabDomain) -> None:
    """Offline, then logged out while a file is attached, then Back after Send."""
    who = new_person(north)
    expected = ["status of 401", "status of 403", "ERR_INTERNET_DISCONNECTED"]
    with window(chromium, who.url, expected=expected) as page:
        log_in(page, who)
        write(page, who.address, "Bad network", "Words.\n")
        page.context.set_offline(True)
        page.get_by_role("button", name="Save draft").last.click()
        page.get_by_text("Not saved. Your text is kept in this browser.").wait_for()
        page.context.set_offline(False)
        page.locator("#saved").get_by_text("Saved ").wait_for()
        page.context.clear_cookies()
        file = page.locator("input[type=file]").first
        file.set_input_files(_FILE)
        page.get_by_text("You are logged out. Your text is kept in this browser.").wait_for()
        other = page.context.new_page()
        log_in(other, who)
        file.set_input_files(_FILE)
        page.locator("#files .filename").wait_for()
        send(page)
        # Back leads to no form that would send it once more.
        page.go_back()
        page.wait_for_url(_LIST)
    assert who.count("Sent") == 1
    assert who.count("Drafts") == 0


def test_a_closed_window_loses_no_text(chromium: Any, north: LabDomain) -> None:
    """What was typed is saved meanwhile, and continued from Drafts."""
    who = new_person(north)
    with window(chromium, who.url) as page:
        log_in(page, who)
        write(page, "", "Half a letter", "It was a\n")
        page.get_by_text("Saved", exact=False).first.wait_for()
    with window(chromium, who.url) as page:
        log_in(page, who)
        page.get_by_role("link", name="Drafts").first.click()
        page.get_by_role("link", name="Half a letter").first.click()
        page.locator("textarea[name=body]").wait_for()
        assert page.locator("textarea[name=body]").input_value().startswith("It was a")


def test_a_send_is_taken_back(chromium: Any, amal: Person, south: LabDomain) -> None:
    """Undo within the seconds that were chosen: nobody gets it, and it is a draft again."""
    noor = new_person(south, "Noor Saleh")
    with window(chromium, amal.url) as page:
        log_in(page, amal)
        write(page, noor.address, "Too early", "Wait.\n")
        send(page)
        page.get_by_role("button", name="Undo").first.click()
        subject = page.get_by_label("Subject", exact=True)
        subject.wait_for()
        assert subject.input_value() == "Too early"
        assert amal.count("Sent", "SUBJECT", '"Too early"') == 0
        # The same message, which is not taken back now, is the only one that arrives.
        subject.fill("In time")
        send(page)
    wait_for_mail(chromium, noor, "In time")
    assert noor.count() == 1


def test_writing_with_the_keyboard_alone(chromium: Any, amal: Person, south: LabDomain) -> None:
    """A key of the list, Tab between the fields, Ctrl+Enter: no pointer."""
    noor = new_person(south, "Noor Saleh")
    with window(chromium, amal.url) as page:
        log_in(page, amal)
        page.keyboard.press("c")
        page.get_by_label("To", exact=True).wait_for()
        for name, text in (("to", noor.address), ("subject", "By keys"), ("body", "No pointer.")):
            tab_to(page, name)
            page.keyboard.type(text)
        # Whoever is in a hurry presses twice: it is one message.
        for _ in range(2):
            page.keyboard.press("Control+Enter")
        page.wait_for_url(_LIST)
    wait_for_mail(chromium, noor, "By keys")
    assert amal.count("Sent", "SUBJECT", '"By keys"') == 1


def tab_to(page: Any, name: str) -> None:
    """Press Tab until the field of this id has the focus."""
    for _ in range(60):
        if page.evaluate("document.activeElement.id") == name:
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not reach {name}")
