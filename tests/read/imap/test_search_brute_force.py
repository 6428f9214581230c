"""SEARCH and SORT find what a slow reading of each message finds, indexed or not."""

from __future__ import annotations

import asyncio
import base64
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest

from kit.imap import ImapClient, imap_place, make_reader
from kit.plain_search import Keys, PlainMessage, sort_plainly
from kit.store import running
from store.test_text_index import index
from zajil.store.engine.open import Store
from zajil.store.mail.text_lookup import find_unindexed

KEYS = 80
"""Of each run."""
WORDS = (
    *("budget", "Confidential", "report-2026", "invoices", "Straße", "naïve", "Café", "cafe"),
    *("السَّلام", "أخبار", "مدرسة", "المدرسة", "الى", "إلى", "١٢٣", "中文邮件", "日本語", "메일"),
    *("x" * 50 + "needle", "e=mc²", "a_b", "amal", "Sami"),
)
FLAGS = ("\\seen", "\\flagged", "\\deleted", "\\draft", "\\answered", "$junk", "work")
ZONES = ("+0000", "-0500", "+1300", "+0530")
_FACTS = re.compile(
    rb'\* (\d+) FETCH \(UID (\d+) MODSEQ \((\d+)\) EMAILID \(([^)]+)\) SAVEDATE "([^"]+)" '
    rb"FLAGS \(([^)]*)\)(?: THREADID \(([^)]+)\))?\)"
)


def make_messages(chance: Random, count: int) -> list[PlainMessage]:
    """Make messages of many kinds, from few words."""
    made = []
    for number in range(count):
        zone = timezone(timedelta(hours=chance.choice((-5, 0, 9))))
        hour = chance.choice((0, 12, 23))
        received = datetime(2026, 3, chance.randint(1, 9), hour, 30, tzinfo=zone)
        flags = {flag for flag in FLAGS if chance.random() < 0.3}
        made.append(PlainMessage(_message(chance, number), received, flags))
    return made


def _some(chance: Random) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, 5)))


def _encoded(text: str) -> str:
    return f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


def _message(chance: Random, number: int) -> bytes:
    lines = [
        f"Subject: {_encoded(_some(chance))}",
        f"From: {_encoded(chance.choice(WORDS))} <{chance.choice(('amal', 'sami'))}@north.test>",
        f"To: budget{number % 3}@south.test, Sami <x@y.test>",
    ]
    if chance.random() < 0.4:
        lines.append("Cc: amal@south.test")
    if chance.random() < 0.4:
        lines.append(f"X-Note: {chance.choice(('budget', 'report-2026'))}\r\n folded a_b")
    if chance.random() < 0.8:
        hour, zone = chance.choice((0, 23)), chance.choice(ZONES)
        lines.append(f"Date: {chance.randint(1, 9)} Mar 2026 {hour:02}:59:00 {zone}")
    if chance.random() < 0.3:
        lines.append(f"Message-ID: <budget.{number}@north.test>")
    return "\r\n".join([*lines, *_body(chance)]).encode()


def _body(chance: Random) -> list[str]:
    text = _some(chance)
    base64_text = base64.encodebytes(text.encode()).decode().replace("\n", "\r\n")
    plain = ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64"]
    match chance.randrange(8):
        case 0:
            return ["", ""]
        case 1:
            return ["Content-Type: text/plain; charset=utf-8", "", text, ""]
        case 2:
            return [*plain, "", base64_text]
        case 3:
            html = f"<p title='hidden'>{text}</p><p>{_some(chance)}</p>"
            return ["Content-Type: text/html; charset=utf-8", "", html, ""]
        case 4:
            inner = [f"Subject: {_encoded(_some(chance))}", "", "inner amal", ""]
            second = ["Content-Type: message/rfc822", "", *inner]
        case 5:
            second = ["Content-Type: application/octet-stream; name=Sami", "", "no needle", ""]
        case _:
            second = [*_named(chance), "", "no needle", ""]
    head = ["MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", ""]
    return [*head, "--b", *plain, "", base64_text, "--b", *second, "--b--", ""]


def _named(chance: Random) -> list[str]:
    """Make the fields of a file whose name is written as RFC 2231 or RFC 2047 has it."""
    name = chance.choice(WORDS)
    quoted = quote(name)
    written = [
        f" filename*=utf-8''{quoted}",
        f" filename*0*=utf-8'ar'{quoted[:-1]};\r\n filename*1*={quoted[-1]}",
        f' filename="{_encoded(name)}"',
    ]
    # An escape is not divided.
    if quoted[-3:-2] == "%" or quoted[-2:-1] == "%":
        del written[1]
    return [
        "Content-Type: image/png; name=cafe.png",
        f"Content-Description: {chance.choice(('budget', 'amal'))}",
        "Content-Disposition: attachment;",
        chance.choice(written),
    ]


async def _append(imap: ImapClient, messages: list[PlainMessage]) -> None:
    for one in messages:
        moment = one.received.strftime("%d-%b-%Y %H:%M:%S %z")
        await imap.append("INBOX", one.data, f'({" ".join(one.flags)}) "{moment}"')


async def _learn(imap: ImapClient, messages: list[PlainMessage], *, threads: bool) -> None:
    """Ask for what only the server knows."""
    more = " THREADID" if threads else ""
    lines = await imap.ok(f"FETCH 1:* (UID MODSEQ EMAILID SAVEDATE FLAGS{more})")
    assert len(lines) == len(messages) + 1
    for one, line in zip(messages, lines, strict=False):
        found = _FACTS.fullmatch(line)
        assert found is not None, line
        one.number, one.uid, one.modseq = int(found[1]), int(found[2]), int(found[3])
        one.email_id, one.thread_id = found[4].decode(), (found[7] or b"").decode()
        one.saved = datetime.strptime(found[5].decode(), "%d-%b-%Y %H:%M:%S %z").date()
        assert {flag.lower() for flag in found[6].decode().split()} - {"\\recent"} == one.flags


@pytest.mark.parametrize("indexing", [False, True])
def test_any_key(store: Store, tmp_path: Path, indexing: bool) -> None:
    """Before a search for threads and days of Date all messages are indexed."""
    who = make_reader(store)
    chance = Random(indexing)
    messages = make_messages(chance, 45)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await _append(imap, messages[:30])
            await asyncio.to_thread(index, store, who)
            await _append(imap, messages[30:])  # these are not indexed
            await imap.ok("SELECT INBOX (CONDSTORE)")
            await imap.ok("UID STORE 3,9,31 +FLAGS.SILENT (\\Deleted)")
            await imap.ok("UID EXPUNGE 3,9,31")
            for place_ in (30, 8, 2):
                del messages[place_]
            await imap.ok("STORE 5:12 +FLAGS.SILENT (Work)")
            for one in messages[4:12]:
                one.flags.add("work")
            await _learn(imap, messages, threads=indexing)
            keys = Keys(chance, messages, WORDS, datetime.now(UTC), indexing)
            for _ in range(KEYS):
                text, holds = keys.make()
                wanted = [one for one in messages if holds(one)]
                by_uid = chance.random() < 0.5
                saves = chance.random() < 0.2
                returns = b"RETURN (SAVE ALL) " if saves else b""
                command = b"UID SEARCH " if by_uid else b"SEARCH "
                (line, _) = await imap.ok(command + returns + b"CHARSET UTF-8 " + text)
                numbers = [one.uid if by_uid else one.number for one in wanted]
                assert _numbers(line) == numbers, text.decode()
                if saves:
                    keys.saved = {one.uid for one in wanted}
            for _ in range(15):
                criteria, ordered = sort_plainly(chance, messages, indexing=indexing)
                (line, _) = await imap.ok(f"UID SORT {criteria} UTF-8 ALL")
                assert [int(word) for word in line.split()[2:]] == [one.uid for one in ordered]
            unindexed = await store.read(lambda conn: find_unindexed(conn, who.inbox), None)
            assert bool(unindexed) is not indexing

    asyncio.run(run())


def _numbers(line: bytes) -> list[int]:
    """Return the numbers of a SEARCH response, or of ALL in an ESEARCH response."""
    line = re.sub(rb" \(?MODSEQ \d+\)?$", b"", line)
    if not line.startswith(b"* ESEARCH"):
        return [int(word) for word in line.removeprefix(b"* SEARCH").split()]
    found = re.search(rb" ALL (\S+)", line)
    if found is None:
        return []
    numbers: list[int] = []
    for item in found[1].split(b","):
        first, _, last = item.partition(b":")
        numbers += range(int(first), int(last or first) + 1)
    return numbers
