"""Invitations on the page of a message, and the answer that the organizer gets."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from kit.site import Site, letter, visiting
from kit.webmail import member, role
from zajil.core.ids import MailboxId
from zajil.read.indexer import Indexer
from zajil.store.engine.open import Store
from zajil.store.mail.messages import read_message
from zajil.store.mail.summaries import newest_summaries

EVENT = """BEGIN:VCALENDAR
METHOD:{method}
BEGIN:VEVENT
UID:abc@north.test
DTSTART:20261201T100000Z
DTEND:20261201T113000Z
SUMMARY:<b>Planning</b>
LOCATION:https://meet.test/room
ORGANIZER;CN=Basim:mailto:{organizer}
ATTENDEE;CN=Amal;PARTSTAT=NEEDS-ACTION:mailto:amal@north.test
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def invitation(method: str = "REQUEST", organizer: str = "basim@north.test") -> EmailMessage:
    message = letter("Invitation", "Words.\n", "<p>Form</p>")
    text = EVENT.format(method=method, organizer=organizer)
    message.add_alternative(text, subtype="calendar", params={"method": method})
    message.add_attachment(text.encode(), "application", "ics", filename="invite.ics")
    return message


def newest(site: Site, mailbox_id: MailboxId) -> bytes:
    def read(conn: object) -> bytes:
        ((found, _),) = newest_summaries(conn, mailbox_id, 1)  # type: ignore[arg-type]
        return read_message(conn, site.store.blobs, found)  # type: ignore[arg-type]

    return site.store.read_now(read)


@pytest.mark.parametrize("answer", ["ACCEPTED", "TENTATIVE", "DECLINED"])
def test_an_invitation_is_answered(store: Store, answer: str) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", invitation())
            amal = site.browser()
            await amal.log_in("amal")
            inbox = site.inbox("amal")
            amal.cookies.set("zajil_zone", "Asia/Riyadh")
            page = await amal.get(f"{inbox}/1")
            assert "&lt;b&gt;Planning&lt;/b&gt;" in page.text
            assert "1 December 2026, 13:00 – 14:30" in page.text or (
                "December 1, 2026, 13:00 – 14:30" in page.text
            )
            assert "You are invited as" in page.text
            assert page.text.count("/file/") == 1
            done = await amal.post(f"{inbox}/1/answer", answer=answer)
            assert done.location == f"{inbox}/1"
            assert "The organizer was informed." in (await amal.get(done.location)).text
            got = message_from_bytes(newest(site, site.entry("basim").inbox), policy=default)
            assert got["From"].addresses[0].addr_spec == "amal@north.test"
            assert "<b>Planning</b>" in got["Subject"]
            part = next(one for one in got.walk() if one.get_content_type() == "text/calendar")
            assert part.get_param("method") == "REPLY"
            text = part.get_content().replace("\r\n ", "").replace("\n ", "")
            assert f"PARTSTAT={answer}" in text
            assert "UID:abc@north.test" in text
            assert (await amal.post(f"{inbox}/1/answer", answer="x")).status == 400
            basim = site.browser()
            await basim.log_in("basim")
            assert (await basim.post(f"{inbox}/1/answer", answer=answer)).status == 404

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "organizer", "words"),
    [
        ("CANCEL", "basim@north.test", "This event was cancelled."),
        ("PUBLISH", "basim@north.test", "Organizer"),
        ("REQUEST", "not an address", "Organizer"),
    ],
)
def test_what_asks_for_no_answer_has_no_buttons(
    sqlite_store: Store, method: str, organizer: str, words: str
) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", invitation(method, organizer))
            amal = site.browser()
            await amal.log_in("amal")
            page = await amal.get(f"{site.inbox('amal')}/1")
            assert words in page.text
            assert 'value="ACCEPTED"' not in page.text
            done = await amal.post(f"{site.inbox('amal')}/1/answer", answer="ACCEPTED")
            assert done.status == 404

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", ["ACCEPTED", "TENTATIVE", "DECLINED"])
def test_an_answer_is_kept_and_told(store: Store, answer: str) -> None:
    words = {"ACCEPTED": "You accepted on", "DECLINED": "You declined on"}

    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", invitation())
            amal, place = await member(site, "amal"), f"{site.inbox('amal')}/1"
            indexer = Indexer(site.store)
            await indexer.index_waiting()
            page = await amal.get(place)
            assert "You can still change your answer." not in page.text
            await amal.post(f"{place}/answer", answer=answer)
            sent = newest(site, role(site, "amal", "sent"))
            assert b"In-Reply-To: <" in sent
            await indexer.index_waiting()
            page = await amal.get(place)
            assert words.get(answer, "You accepted tentatively on") in page.text
            assert "You can still change your answer." in page.text

    asyncio.run(scenario())
