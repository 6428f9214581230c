"""SEARCH finds the same messages by the index as by reading each of them."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

from kit.imap import ImapClient, imap_place, make_reader
from kit.mail import make_message
from kit.store import running
from message.test_office_text import pack
from store.test_text_index import index
from zajil.store.engine.open import Store
from zajil.store.mail.text_lookup import SearchScope, find_hits, find_unindexed

DOCUMENT = base64.b64encode(pack(("word/document.xml", "<w:p>Confidential budget</w:p>"))).decode()
ATTACHED = f"""From: Amal <(secret)amal@north.test>
To: team: sami@south.test;
Subject: Plans
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

See the confidences.
--b
Content-Type: application/vnd.openxmlformats-officedocument.wordprocessingml.document;
 name="invoice.docx"
Content-Transfer-Encoding: base64

{DOCUMENT}
--b--
""".replace("\n", "\r\n").encode()
MESSAGES = [
    ATTACHED,
    make_message(subject="Budget of May", text="invoices, and a report-2026\r\n"),
    make_message(subject="Plans", text="the budget is confidential\r\n"),
    make_message(subject="أَخبار", text="السَّلام عليكم، 中文邮件\r\n"),
    make_message("budget@north.test", "plans@south.test", text="nothing\r\n"),
    make_message(extra=b"X-Note: budget plans\r\n", text="nothing, too\r\n"),
    make_message(subject="Re: plans", text="a" * 50 + "budget" + "a" * 50 + "\r\n"),
]
TERMS = (
    *("budget", "plans", "confiden", "invoice", "secret", "amal", "udge", "budget is"),
    *("report-2026", "a" * 30, "un", "سلام", "اخبار", "中文", "文", "delivered"),
)
KEYS = (*("TEXT", "BODY", "SUBJECT", "FROM", "TO", "HEADER X-Note", "NOT TEXT", "OR SEEN BODY"),)


async def _found(imap: ImapClient) -> dict[str, bytes]:
    found = {}
    for term in TERMS:
        data = term.encode()
        text = b"{%d+}\r\n%b" % (len(data), data)
        for key in KEYS:
            line = b"SEARCH CHARSET UTF-8 %b %b" % (key.encode(), text)
            found[f"{key} {term}"] = (await imap.ok(line))[0]
    return found


def test_the_index_decides_as_reading_does(store: Store, tmp_path: Path) -> None:
    who = make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for message in MESSAGES:
                await imap.append("INBOX", message)
            await imap.ok("SELECT INBOX")
            by_reading = await _found(imap)
            await asyncio.to_thread(index, store, who)
            assert store.read_now(lambda conn: find_unindexed(conn, who.inbox)) == []
            assert await _found(imap) == by_reading
            assert by_reading["TEXT budget"] == b"* SEARCH 2 3 5 6 7"
            assert by_reading["BODY confiden"] == b"* SEARCH 1 3"
            assert by_reading["FROM secret"] == b"* SEARCH 1"

    asyncio.run(run())


def test_a_message_that_surely_has_the_word_is_not_read(store: Store, tmp_path: Path) -> None:
    """What is not certain is: words of documents and of other header fields."""
    who = make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for message in MESSAGES:
                await imap.append("INBOX", message)

    asyncio.run(run())
    index(store, who)
    for scope, term, sure, possible in (
        (SearchScope.TEXT, "budget", [2, 3, 5, 7], [1, 2, 3, 5, 6, 7]),
        (SearchScope.BODY, "budget", [3, 7], [1, 2, 3, 5, 7]),
        (SearchScope.SUBJECT, "plan", [1, 3, 7], [1, 3, 7]),
        (SearchScope.SENDER, "budget", [5], [5]),
        (SearchScope.RECIPIENT, "plans", [], [5]),
        (SearchScope.FIELD, "note", [], [6]),
        (SearchScope.TEXT, "budget is", [], [3]),
    ):
        hits = store.read_now(
            lambda conn: find_hits(conn, who.account_id, who.inbox, term, scope)  # noqa: B023
        )
        assert hits is not None
        assert (list(hits.sure), list(hits.possible)) == (sure, possible), (scope, term)
