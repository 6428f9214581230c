"""FETCH of whole messages: each has its own bytes, wherever portions and turns end."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from random import Random

import pytest

from kit.imap import imap_place, literals, make_reader
from kit.store import running
from zajil.read.imap.fetch_read import ANSWER
from zajil.store.engine.open import Store

HEAD = b"Subject: one of many\r\n\r\n"


def some_messages(random: Random) -> list[bytes]:
    """Return short and long ones in turns: in the database, in files, at the borders of a turn."""
    sizes = [25, 0, 300, 70_000, 26, ANSWER - 1, ANSWER, ANSWER + 1, 1, 900_000, 5000, 5001]
    sizes += [random.randrange(24, 9000) for _ in range(90)]
    sizes += [ANSWER + 100, 200_000, 200_000, 2]
    # APPEND mends line ends, and refuses NUL.
    return [(HEAD + random.randbytes(size).translate(None, b"\0\r\n"))[:size] for size in sizes]


@pytest.mark.parametrize(
    "items",
    [
        "(BODY.PEEK[])",
        "(UID FLAGS BODY.PEEK[] RFC822.SIZE INTERNALDATE)",
        "(ENVELOPE BODY.PEEK[] BODYSTRUCTURE)",
        "(RFC822.PEEK UID)",
        "(UID BODY[])",
    ],
)
def test_each_message_has_its_own_bytes(store: Store, tmp_path: Path, items: str) -> None:
    make_reader(store)
    messages = some_messages(Random(7))

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as imap,
            place.session() as other,
        ):
            for one in messages:
                await imap.append("INBOX", one)
            there = [one for one in messages if one]  # RFC 3501 has no APPEND of nothing
            await imap.ok("SELECT INBOX")
            numbers = list(range(1, len(there) + 1))
            gone = [3, 40, 41, len(there)]
            for expunged in ([], gone):
                if expunged:
                    await other.ok("SELECT INBOX")
                    await other.ok(f"STORE {','.join(map(str, gone))} +FLAGS (\\Deleted)")
                    await other.ok("EXPUNGE")
                for asked in ("1:*", "2:9,12,30:43,99:*"):
                    *lines, last = await imap.ok(f"FETCH {asked} {items}")
                    found = {_number(line): line for line in lines if b"FETCH" in line}
                    wanted = [n for n in numbers if n not in expunged and _is_in(n, asked)]
                    assert list(found) == wanted
                    for number in wanted:
                        assert there[number - 1] in literals(found[number])
                        _check(found[number], number, there[number - 1], items)
                    assert (b"EXPUNGEISSUED" in last) == bool(expunged)

    asyncio.run(run())


def _number(line: bytes) -> int:
    return int(line.split(b" ", 2)[1])


def _is_in(number: int, asked: str) -> bool:
    for part in asked.split(","):
        first, _, last = part.partition(":")
        end = {"": int(first), "*": number}.get(last) or int(last)
        if int(first) <= number <= end:
            return True
    return False


def _check(line: bytes, number: int, message: bytes, items: str) -> None:
    """Compare what stands beside the message."""
    literal = b"{%d}\r\n%b" % (len(message), message)
    assert line.count(literal) == 1
    beside = line.replace(literal, b"")
    if "UID" in items:
        assert re.search(rb"UID %d\b" % number, beside)
    if "RFC822.SIZE" in items:
        assert b"RFC822.SIZE %d" % len(message) in beside
    if "ENVELOPE" in items:
        assert b"ENVELOPE (" in beside
        assert b"BODYSTRUCTURE (" in beside
    assert beside.endswith(b")")
