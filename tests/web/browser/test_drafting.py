"""Writing with formatting and pictures, in a browser."""

from __future__ import annotations

import email
import re
from base64 import b64decode
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from kit.browser import Person, log_in, new_person, window
from kit.lab_process import LabDomain

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
]

_LIST = re.compile(r"/mail/\d+(\?|$)")
_PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAIAAAAmkwkpAAAAEElEQVR4nGP4z8AARwzEcQCukw/x0F8jngAAAABJRU5E"
    "rkJggg=="
)
_PNG = b64decode(_PICTURE)
_PASTE = """([root, kind, content]) => {
  const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
  const about = { bubbles: true, cancelable: true };
  const event = kind === "paste"
    ? new ClipboardEvent(kind, { clipboardData: data, ...about })
    : new DragEvent(kind, { dataTransfer: data, ...about });
  root.dispatchEvent(event);
}"""
_PASTE_TEXT = """(field, text) => {
  const data = new DataTransfer();
  data.setData("text", text);
  const about = { clipboardData: data, bubbles: true, cancelable: true };
  field.dispatchEvent(new ClipboardEvent("paste", about));
}"""
_KINDS = {"chromium": "paste", "firefox": "drop"}
"""How a picture comes into the text; scripts cannot make Firefox paste a file."""


@pytest.fixture(scope="module")
def writer(zajil: LabDomain) -> Person:
    return new_person(zajil, "سلمى الخطيب")


@pytest.fixture(scope="module")
def amal(north: LabDomain) -> Person:
    return new_person(north, "Amal Haddad")


def last_message(who: Person, mailbox: str = "INBOX") -> EmailMessage:
    """Return the newest message of a mailbox."""
    return email.message_from_bytes(who.messages(mailbox)[-1], policy=default)


def _is_save(response: Any) -> bool:
    """Check whether this answers a form."""
    return bool(response.request.method == "POST")


@pytest.mark.parametrize(
    "browser_name", ["chromium", pytest.param("firefox", marks=pytest.mark.slow)]
)
def test_arabic_with_pictures_in_the_text(
    request: pytest.FixtureRequest, writer: Person, amal: Person, browser_name: str
) -> None:
    """From the file dialog, and pasted; the draft is opened again, sent, and read elsewhere."""
    browser = request.getfixturevalue(browser_name)
    subject = f"صور {browser_name}"
    with window(browser, writer.url, locale="ar") as page:
        log_in(page, writer)
        page.goto("/compose")
        page.get_by_label("إلى", exact=True).fill(amal.address)
        page.get_by_label("الموضوع", exact=True).fill(subject)
        page.get_by_role("button", name="تنسيق").click()
        editor = page.locator("#editor")
        editor.click()
        page.keyboard.type("أهلًا يا أمل")
        with page.expect_file_chooser() as dialog:
            page.get_by_role("button", name="إدراج صورة").click()
        file = {"name": "قطة.png", "mimeType": "image/png", "buffer": _PNG}
        dialog.value.set_files(file)
        editor.locator("img").wait_for()
        page.evaluate(_PASTE, [editor.element_handle(), _KINDS[browser_name], _PICTURE])
        editor.locator("img").nth(1).wait_for()
        page.keyboard.type(" انظري")
        with page.expect_response(_is_save):
            page.get_by_role("button", name="حفظ المسودة").last.click()
        page.locator("#saved").get_by_text("حُفظت").wait_for()
        page.reload()
        editor.get_by_text("انظري").wait_for()
        for picture in editor.locator("img").all():
            picture.evaluate("one => one.decode()")
        assert editor.locator("img").count() == 2
        page.get_by_role("button", name="إرسال", exact=True).click()
        page.wait_for_url(_LIST)
    with window(browser, amal.url) as page:
        log_in(page, amal)
        page.get_by_role("link", name=subject).first.click()
        frame = page.frame_locator("iframe").first
        frame.locator("img").nth(1).wait_for()
        assert frame.locator("[dir=rtl]").first.inner_text().strip().startswith("أهلًا يا أمل")
    message = last_message(amal)
    plain = message.get_body(("plain",))
    assert plain is not None
    assert "[صورة: قطة]" in plain.get_content()
    pictures = [one for one in message.walk() if one.get_content_type() == "image/png"]
    assert [one.get_content() for one in pictures] == [_PNG, _PNG]


def test_formatting_with_the_keyboard_alone(chromium: Any, north: LabDomain) -> None:
    """The toolbar is one stop of the Tab key, its arrows move; nothing holds the focus."""
    who = new_person(north)
    with window(chromium, who.url) as page:
        log_in(page, who)
        page.on("dialog", lambda dialog: dialog.accept("https://south.test/"))
        page.goto("/compose")
        toggle = page.get_by_role("button", name="Formatting", exact=True)
        toggle.focus()
        page.keyboard.press("Enter")
        editor = page.locator("#editor")
        editor.wait_for()
        page.keyboard.type("Dear ")
        press(page, "Bold")
        page.keyboard.type("Noor")
        press(page, "Bold")
        page.keyboard.type(", see ")
        for _ in range(4):
            page.keyboard.press("Shift+ArrowLeft")
        press(page, "Link")
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        press(page, "Bulleted list")
        page.keyboard.type("one")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        press(page, "Quote")
        page.keyboard.type("said")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        press(page, "Right to left")
        page.keyboard.type("Zajil")
        is_pressed = page.get_by_role("button", name="Right to left").get_attribute("aria-pressed")
        assert is_pressed == "true"
        html = page.locator("input[name=html]").input_value().replace("&nbsp;", " ")
        html = html.replace("<br>", "")
        assert "Dear <b>Noor</b>," in html
        assert 'href="https://south.test/"' in html
        assert re.search(r"<ul><li[^>]*>(?:<div[^>]*>)?one", html)
        assert re.search(r"<blockquote><div[^>]*>said</div></blockquote>", html)
        assert re.search(r'<div dir="rtl">Zajil</div>', html)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.sending') !== null")
        with page.expect_response(_is_save):
            page.get_by_role("button", name="Save draft").last.press("Enter")
    sent = last_message(who, "Drafts").get_body(("html",))
    assert sent is not None
    assert '<div dir="rtl">Zajil</div>' in sent.get_content()


def press(page: Any, name: str) -> None:
    """Go from the text to a button of the toolbar and press it; the focus is back in the text."""
    page.keyboard.press("Shift+Tab")
    for _ in range(20):
        at = page.evaluate("document.activeElement.ariaLabel")
        # A ring around what has the focus, or nobody knows where they are.
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if at == name:
            break
        page.keyboard.press("ArrowRight")
    else:
        pytest.fail(f"arrows do not reach {name}")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "editor"


def test_a_template_with_and_without_formatting(chromium: Any, north: LabDomain) -> None:
    """It is inserted where the cursor stands; who writes with formatting by default begins so."""
    who = new_person(north)
    with window(chromium, who.url) as page:
        log_in(page, who)
        page.goto("/account/templates")
        page.get_by_label("Name").fill("Thanks")
        page.get_by_label("Text").fill("Thank you.")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Your settings were saved.").wait_for()
        page.goto("/compose")
        plain = page.locator("textarea[name=body]")
        plain.fill("Dear Noor,\n\nAmal")
        plain.evaluate("one => one.setSelectionRange(12, 12)")
        insert(page)
        assert plain.input_value() == "Dear Noor,\n\nThank you.\nAmal"
        page.goto("/account/mail")
        page.get_by_label("Write with formatting").check()
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Your settings were saved.").wait_for()
        page.goto("/compose")
        editor = page.locator("#editor")
        editor.click()
        page.keyboard.type("Dear Noor,")
        page.keyboard.press("Enter")
        insert(page)
        page.keyboard.type(" Amal")
        assert editor.inner_text().split() == ["Dear", "Noor,", "Thank", "you.", "Amal"]


def insert(page: Any) -> None:
    """Choose the template below the text."""
    page.locator("summary", has_text="Templates").click()
    page.get_by_role("button", name="Thanks").click()


def test_a_pasted_list_of_recipients(chromium: Any, north: LabDomain) -> None:
    """One in each line, as a spreadsheet has them, or with the commas of Arabic."""
    who = new_person(north)
    with window(chromium, who.url) as page:
        log_in(page, who)
        page.goto("/compose")
        to = page.get_by_label("To", exact=True)
        lines = "\n".join([f"person{number}@south.test" for number in range(200)])
        to.evaluate(_PASTE_TEXT, lines)
        chips = page.locator(".recipients li")
        chips.nth(199).wait_for()
        to.evaluate(_PASTE_TEXT, "أمل <amal@south.test>،\tنور <noor@south.test>")
        chips.nth(201).wait_for()
        assert chips.count() == 202
        assert page.locator(".recipients li.bad").count() == 0
        sent = page.locator("input[name=to]").input_value().split(", ")
        assert sent[:2] == ["person0@south.test", "person1@south.test"]
        assert sent[-1] == "نور <noor@south.test>"
