"""The list in a browser: conversations, drag and drop, swiping, and a message beside its list."""

from __future__ import annotations

import re
from email.message import EmailMessage
from typing import Any

import pytest

from kit.browser import Person, log_in, new_person, window
from kit.lab_process import LabDomain
from kit.real_mails import mail

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(600),
]

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}


def thread(who: Person, *names: str) -> list[EmailMessage]:
    """Make the messages of a conversation, one of each author."""
    made = []
    for number, name in enumerate(names):
        message = mail(f"{name} <{name.lower()}@south.test>", who.address, "Summer", "Words.\n")
        del message["Message-ID"]
        message["Message-ID"] = f"<summer.{number}.{who.address}>"
        if number:
            message["References"] = f"<summer.0.{who.address}>"
        made.append(message)
    return made


def swipe(page: Any, row: Any, by: int) -> None:
    """Draw a finger over a row, to the right by so many pixels."""
    session = page.context.new_cdp_session(page)
    box = row.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def touch(kind: str, *points: dict[str, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

    touch("touchStart", {"x": x, "y": y})
    for step in range(1, 9):
        touch("touchMove", {"x": x + by * step / 8, "y": y})
    touch("touchEnd")


def test_a_conversation_is_dragged_onto_a_mailbox(chromium: Any, north: LabDomain) -> None:
    """All its messages move in one act, which "Undo" takes back."""
    who = new_person(north)
    who.append(
        *thread(who, "Noor", "Samir"), mail("a@south.test", who.address, "Other", "Words.\n")
    )
    with window(chromium, who.url) as page:
        log_in(page, who)
        page.locator(".letters .many").wait_for()
        row = page.locator(".letters li", has_text="Summer")
        assert "Noor, Samir" in re.sub("[\u2066-\u2069]", "", row.inner_text())
        row.locator("a.open").drag_to(page.locator(".side a", has_text="Archive"))
        page.get_by_text("2 messages moved to Archive.").wait_for()
        assert page.locator(".letters li").count() == 1
        page.get_by_role("button", name="Undo").click()
        page.locator(".letters .many").wait_for()
        assert (who.count(), who.count("Archive")) == (3, 0)


@pytest.mark.parametrize("language", [pytest.param("en-GB", marks=pytest.mark.slow), "ar"])
def test_rows_are_swiped(chromium: Any, north: LabDomain, language: str) -> None:
    """Towards the start of the line: to the archive. Towards its end: read or unread."""
    who = new_person(north)
    who.append(*[mail("a@south.test", who.address, f"Letter {n}", "Words.\n") for n in (1, 2)])
    far = 200 if language == "en-GB" else -200
    with window(chromium, who.url, locale=language, **PHONE) as page:
        log_in(page, who)
        rows = page.locator(".letters li")
        swipe(page, rows.first, far)
        page.locator(".letters li:not(.unread)").wait_for()
        assert who.count("INBOX", "SEEN") == 1
        swipe(page, rows.first, far // 5)  # not far enough
        swipe(page, rows.first, -far)
        page.wait_for_function("() => document.querySelectorAll('.letters li').length === 1")
        assert (who.count(), who.count("Archive")) == (1, 1)


def test_a_message_opened_by_its_address_has_its_list_beside_it(
    chromium: Any, north: LabDomain
) -> None:
    who = new_person(north)
    who.append(*[mail("a@south.test", who.address, f"Letter {n}", "Words.\n") for n in (1, 2)])
    with window(chromium, who.url, viewport={"width": 1300, "height": 800}) as page:
        inbox = log_in(page, who)
        page.goto(f"{inbox}/1")
        page.locator(".reading article.letter").wait_for()
        page.locator("main .letters li.here", has_text="Letter 1").wait_for()
        page.locator("main a.open", has_text="Letter 2").click()
        page.get_by_role("heading", name="Letter 2").wait_for()
        page.go_back()
        page.locator(".reading").get_by_role("heading", name="Letter 1").wait_for()
