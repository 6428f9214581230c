"""SEARCH finds the same messages by the index as by reading each of them, and in documents more."""

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
DOCUMENT_TERMS = ("budget", "udge", "confiden")
"""Terms within a word of the document in the first message, which only the index has."""
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


def _others(found: dict[str, bytes]) -> dict[str, bytes]:
    """Return what was found without the first message, where its document may decide."""
    return {
        name: line.replace(b" 1", b"", 1) if name.endswith(DOCUMENT_TERMS) else line
        for name, line in found.items()
    }


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
            by_index = await _found(imap)
            assert _others(by_index) == _others(by_reading)
            assert by_index["TEXT budget"] == b"* SEARCH 1 2 3 5 6 7"
            assert by_index["NOT TEXT udge"] == b"* SEARCH 4"
            assert by_index["BODY confiden"] == b"* SEARCH 1 3"
            assert by_index["SUBJECT budget"] == by_reading["SUBJECT budget"] == b"* SEARCH 2"
            assert by_index["BODY budget is"] == b"* SEARCH 3"
            assert by_reading["TEXT budget"] == b"* SEARCH 2 3 5 6 7"
            assert by_reading["BODY confiden"] == b"* SEARCH 1 3"
            assert by_reading["FROM secret"] == b"* SEARCH 1"

    asyncio.run(run())


def test_a_message_that_surely_has_the_word_is_not_read(store: Store, tmp_path: Path) -> None:
    """What is not certain is: words of other header fields."""
    who = make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for message in MESSAGES:
                await imap.append("INBOX", message)

    asyncio.run(run())
    index(store, who)
    for scope, term, sure, possible in (
        (SearchScope.TEXT, "budget", [1, 2, 3, 5, 7], [1, 2, 3, 5, 6, 7]),
        (SearchScope.BODY, "budget", [1, 3, 7], [1, 2, 3, 5, 7]),
        (SearchScope.SUBJECT, "plan", [1, 3, 7], [1, 3, 7]),
        (SearchScope.SENDER, "budget", [5], [5]),
        (SearchScope.RECIPIENT, "plans", [], [5]),
        (SearchScope.FIELD, "note", [], [6]),
        (SearchScope.TEXT, "budget is", [], [3]),
    ):
        hits = store.read_now(
            lambda conn: find_hits(conn, who.inbox, term, scope)  # noqa: B023
        )
        assert hits is not None
        assert (sorted(hits.sure), sorted(hits.possible)) == (sure, possible), (scope, term)


FILES = [
    make_message(subject="Other", text="nothing\r\n"),
    b"Subject: One\r\nContent-Type: application/pdf; name*=utf-8''r%C3%A9sum%C3%A9.pdf\r\n\r\n%PDF",
    b"""Subject: Two
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: image/png; name="=?utf-8?B?2YHYp9iq2YjYsdipLnBuZw==?="
Content-Description: The receipt
Content-ID: <photo.9@north.test>
Content-Disposition: attachment; filename*0="quarter"; filename*1="ly.png"

--b
Content-Type: text/csv; charset=utf-8; name=table.csv
Content-Disposition: attachment; filename=table.csv
Content-Transfer-Encoding: base64

cGVyY2VudGFnZSw1MA==
--b--
""".replace(b"\n", b"\r\n"),
]
IN_FILES = {
    'TEXT "résumé.pdf"': "2",
    "BODY RÉSUMÉ": "2",
    "BODY sumé.p": "2",
    "SUBJECT résumé": "",
    "TEXT فاتورة": "3",
    "BODY quarterly": "3",
    "BODY percentage,50": "3",
    "TEXT receipt": "3",
    "TEXT photo.9@north.test": "3",
    "TEXT image/png": "3",
    # RFC 9051 section 6.4.4: header fields are no part of what BODY looks through.
    "BODY receipt": "",
    "BODY image/png": "",
    "HEADER Content-Description receipt": "",
}


def test_names_and_texts_of_attachments_are_found(store: Store, tmp_path: Path) -> None:
    """Names are written as RFC 2231 or RFC 2047 has it; read or indexed, the same is found."""
    who = make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for message in FILES:
                await imap.append("INBOX", message)
            await imap.ok("SELECT INBOX")
            for _ in range(2):
                for key, want in IN_FILES.items():
                    words, _, term = key.rpartition(" ")
                    data = term.strip('"').encode()
                    text = b"%b {%d+}\r\n%b" % (words.encode(), len(data), data)
                    (line, _) = await imap.ok(b"SEARCH CHARSET UTF-8 " + text)
                    assert line.removeprefix(b"* SEARCH").decode().strip() == want, key
                await asyncio.to_thread(index, store, who)

    asyncio.run(run())


def test_a_document_is_found_beside_a_text_that_is_not_indexed_whole(
    store: Store, tmp_path: Path
) -> None:
    """A message with too many words is read for each search; its document is not."""
    who = make_reader(store)
    long = b" ".join(b"w%d" % number for number in range(20_001))
    message = ATTACHED.replace(b"See the confidences.", long)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.append("INBOX", message)
            await imap.ok("SELECT INBOX")
            assert (await imap.ok("SEARCH BODY confidential"))[0] == b"* SEARCH"
            await asyncio.to_thread(index, store, who)
            assert store.read_now(lambda conn: find_unindexed(conn, who.inbox)) == [1]
            assert (await imap.ok("SEARCH BODY confidential"))[0] == b"* SEARCH 1"
            assert (await imap.ok("SEARCH TEXT w20000"))[0] == b"* SEARCH 1"

    asyncio.run(run())
