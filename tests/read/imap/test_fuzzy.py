"""SEARCH=FUZZY: other forms of words, and how relevant a message is. (RFC 6203)"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from kit.imap import ImapClient, imap_place, make_reader
from kit.mail import make_message
from kit.store import running
from store.test_text_index import index
from zajil.store.engine.open import Store

MESSAGES = [
    make_message(subject="Other", text="We met at the annual meetings.\r\n"),
    make_message(subject="Annual meeting", text="See you there.\r\n"),
    make_message("meeting@south.test", subject="Nothing", text="nothing\r\n"),
    make_message(subject="أخبار", text="زار المعلم مدرسة القرية\r\n"),
    make_message(subject="Meeting, annual", text="An annual meeting, an annual meeting.\r\n"),
]
FOUND = {
    "TEXT meeting": "1 2 3 5",  # FUZZY finds what SEARCH finds
    "TEXT eting": "1 2 3 5",
    'TEXT "annual meeting"': "1 2 5",
    "TEXT meetings": "1 2 3 5",
    'SUBJECT "meeting annual"': "2 5",
    "BODY nowhere": "",
    "FROM meetings": "3",
    "TO meeting": "",
    'TEXT "!!"': "",
    "(TEXT meetings NOT SEEN)": "1 2 5",
    "NOT TEXT meetings": "4",
    "OR SEEN SUBJECT meetings": "2 3 5",
    "LARGER 1": "1 2 3 4 5",
    "HEADER Subject meetings": "2 5",
    "HEADER X-None meetings": "",
    "TEXT المدرسة": "4",
    "TEXT مدرسه": "4",
}


async def ask(imap: ImapClient, command: bytes, key: str) -> bytes:
    """Return the answer to a search for one key; a term that is not ASCII is sent as a literal."""
    words, _, term = key.rpartition(" ")
    if not term.isascii():
        data = term.encode()
        return (await imap.ok(command + b" %b {%d+}\r\n%b" % (words.encode(), len(data), data)))[0]
    return (await imap.ok(command + b" " + key.encode()))[0]


def test_other_forms_of_words(store: Store, tmp_path: Path) -> None:
    """The same is found whether the messages are indexed or not."""
    who = make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for number, message in enumerate(MESSAGES, 1):
                await imap.append("INBOX", message, r"(\Seen)" if number == 3 else "")
            await imap.ok("SELECT INBOX")
            for _ in range(2):
                for key, want in FOUND.items():
                    line = await ask(imap, b"SEARCH CHARSET UTF-8 FUZZY", key)
                    assert line.removeprefix(b"* SEARCH").decode().strip() == want, key
                await asyncio.to_thread(index, store, who)

    asyncio.run(run())


def test_relevancy(store: Store, tmp_path: Path) -> None:
    """From 1 to 100; a message with the text in its subject comes before others."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for message in MESSAGES:
                await imap.append("INBOX", message)
            await imap.ok("SELECT INBOX")
            key = 'FUZZY TEXT "annual meeting"'
            (line, _) = await imap.ok(f"SEARCH RETURN (RELEVANCY ALL) {key}")
            assert line.endswith(b") ALL 1:2,5 RELEVANCY (1 100 100)"), line
            (line, _) = await imap.ok(f"SORT (RELEVANCY) UTF-8 {key}")
            assert line == b"* SORT 2 5 1"
            (line, _) = await imap.ok(f"UID SORT (REVERSE RELEVANCY) UTF-8 {key}")
            assert line == b"* SORT 1 2 5"
            sort = "SORT RETURN (RELEVANCY ALL COUNT) (RELEVANCY)"
            (line, _) = await imap.ok(f"{sort} UTF-8 {key}")
            assert line.endswith(b" ALL 2,5,1 COUNT 3 RELEVANCY (100 100 1)"), line
            (line, _) = await imap.ok(f"SORT RETURN (PARTIAL 1:2 RELEVANCY) (ARRIVAL) UTF-8 {key}")
            assert line.endswith(b" PARTIAL (1:2 1:2) RELEVANCY (1 100)"), line
            (line, _) = await imap.ok("SEARCH RETURN (RELEVANCY) FUZZY TEXT nowhere")
            assert line.endswith(b") RELEVANCY ()"), line
            (line, _) = await imap.ok("SEARCH RETURN (RELEVANCY MIN) FUZZY SEEN NOT FUZZY SEEN")
            assert line.endswith(b") RELEVANCY ()"), line
            (line, _) = await imap.ok("SEARCH RETURN (RELEVANCY MAX) NOT FUZZY SEEN")
            assert line.endswith(b") MAX 5 RELEVANCY (100 100 100 100 100)"), line
            (line, _) = await imap.ok(f"ESEARCH IN (personal) RETURN (RELEVANCY) {key}")
            assert re.search(rb' MAILBOX "INBOX" .* UID RELEVANCY \(1 100 100\)$', line), line
            for bad in (
                "SEARCH RETURN (RELEVANCY) TEXT x",
                "SORT (RELEVANCY) UTF-8 TEXT x",
                "SORT RETURN (RELEVANCY) (DATE) UTF-8 NOT TEXT x",
                "ESEARCH RETURN (RELEVANCY) OR SEEN DRAFT",
                "SEARCH FUZZY",
            ):
                assert b" BAD " in (await imap.command(bad))[-1], bad
            answer = await imap.command("SORT (RELEVANCY) KOI8-R FUZZY TEXT x")
            assert b" NO [BADCHARSET" in answer[-1]

    asyncio.run(run())
