"""Whatever a message is: FETCH answers each item in the grammar, and its answers agree."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.imap import ImapClient, imap_place, make_reader
from kit.imap_values import Value, read_fetch
from kit.odd_messages import odd_messages
from kit.odd_structures import odd_structures
from kit.store import running
from zajil.store.engine.open import Store

CORPUS = Path(__file__).parents[2] / "corpus" / "odd"
ITEMS = (
    "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE PREVIEW EMAILID THREADID "
    "SAVEDATE RFC822 RFC822.HEADER RFC822.TEXT BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] "
    "BINARY.PEEK[] BINARY.SIZE[] BODY.PEEK[HEADER.FIELDS (Subject To)] "
    "BODY.PEEK[HEADER.FIELDS.NOT (Subject To)] BODY.PEEK[HEADER.FIELDS (X-None)] "
    "BODY.PEEK[999] BODY.PEEK[999.MIME] BODY.PEEK[1.999.HEADER]"
)
KNOWN = (b"7BIT", b"8BIT", b"BINARY", b"BASE64", b"QUOTED-PRINTABLE")
MOST_PARTS = 16


@pytest.mark.parametrize(
    ("store_url", "utf8"),
    [("sqlite", False), ("sqlite", True), ("postgresql", False)],
    ids=["rev1", "utf8", "postgresql"],
    indirect=["store_url"],
)
def test_every_message_can_be_fetched(store: Store, tmp_path: Path, utf8: bool) -> None:
    make_reader(store)
    messages = [*odd_structures(), *odd_messages()]
    messages += [
        path.read_bytes().replace(b"\n", b"\r\n") for path in sorted(CORPUS.iterdir())[::8]
    ]

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            if utf8:
                await imap.ok("ENABLE UTF8=ACCEPT IMAP4rev2")
            for message in messages:
                assert b" OK " in await imap.append("INBOX", message)
            await imap.ok("SELECT INBOX")
            for number in range(1, len(messages) + 1):
                await _check(imap, number, utf8)

    asyncio.run(run())


async def _fetch(imap: ImapClient, number: int, items: str, utf8: bool) -> dict[bytes, Value]:
    (line, _) = await imap.ok(f"FETCH {number} ({items})")
    return read_fetch(line, utf8=utf8)


async def _check(imap: ImapClient, number: int, utf8: bool) -> None:
    found = await _fetch(imap, number, ITEMS, utf8)
    whole, head = _bytes(found[b"BODY[]"]), _bytes(found[b"BODY[HEADER]"])
    text = _bytes(found[b"BODY[TEXT]"])
    assert head + text == whole
    assert (found[b"RFC822"], found[b"RFC822.HEADER"], found[b"RFC822.TEXT"]) == (whole, head, text)
    assert found[b"RFC822.SIZE"] == found[b"BINARY.SIZE[]"] == len(whole)
    assert found[b"BINARY[]"] == whole
    named = _bytes(found[b"BODY[HEADER.FIELDS (Subject To)]"])
    others = _bytes(found[b"BODY[HEADER.FIELDS.NOT (Subject To)]"])
    assert named.endswith(b"\r\n")
    assert others.endswith(b"\r\n")
    if head.endswith(b"\r\n\r\n"):
        assert len(named) + len(others) == len(head) + 2
    assert found[b"BODY[HEADER.FIELDS (X-None)]"] == b"\r\n"
    for absent in (b"BODY[999]", b"BODY[999.MIME]", b"BODY[1.999.HEADER]"):
        assert found[absent] is None
    _check_envelope(found[b"ENVELOPE"])
    parts = list(_parts(found[b"BODYSTRUCTURE"]))
    assert [path for path, _ in parts] == [path for path, _ in _parts(found[b"BODY"])]
    if len(parts) > MOST_PARTS:
        parts = parts[: MOST_PARTS // 2] + parts[-MOST_PARTS // 2 :]
    for path, described in parts:
        await _check_part(imap, number, path, described, utf8)


def _check_envelope(envelope: Value) -> None:
    values = _list(envelope)
    assert len(values) == 10
    assert all(one is None or isinstance(one, bytes) for one in values[:2] + values[8:])
    for listed in values[2:8]:
        if listed is None:
            continue
        assert _list(listed)
        in_group = False
        for address in _list(listed):
            _name, _route, mailbox, host = _list(address)
            if host is None:  # a group begins, or ends
                assert in_group is (mailbox is None)
                in_group = mailbox is not None
        assert not in_group


def _parts(
    structure: Value, path: str = "", *, is_message: bool = True
) -> Iterator[tuple[str, list[Value]]]:
    """Yield each part that is no multipart, with its number. (RFC 3501 section 6.4.5)"""
    waiting: list[tuple[list[Value], str, bool]] = [(_list(structure), path, is_message)]
    while waiting:
        values, number, of_message = waiting.pop()
        prefix = f"{number}." if number else ""
        if isinstance(values[0], list):
            children = []
            for child in values:
                if not isinstance(child, list):
                    break
                children.append(child)
            numbered = [(child, f"{prefix}{at}", False) for at, child in enumerate(children, 1)]
            waiting.extend(reversed(numbered))
            continue
        own = f"{prefix}1" if of_message else number
        yield own, values
        if _is_message(values):
            waiting.append((_list(values[8]), own, True))


def _is_message(values: list[Value]) -> bool:
    return values[0] == b"MESSAGE" and len(values) > 9 and isinstance(values[7], list)


async def _check_part(
    imap: ImapClient, number: int, path: str, described: list[Value], utf8: bool
) -> None:
    """What BODYSTRUCTURE says of a part is true of what BODY gives."""
    items = f"BODY.PEEK[{path}] BODY.PEEK[{path}.MIME]"
    if _is_message(described):
        items += f" BODY.PEEK[{path}.HEADER] BODY.PEEK[{path}.TEXT]"
    found = await _fetch(imap, number, items, utf8)
    name = path.encode()
    body = _bytes(found[b"BODY[%b]" % name])
    mime = _bytes(found[b"BODY[%b.MIME]" % name])
    assert described[6] == len(body)
    if described[0] == b"TEXT":
        assert described[7] == body.count(b"\n")
    if _is_message(described):
        assert described[9] == body.count(b"\n")
        assert (
            _bytes(found[b"BODY[%b.HEADER]" % name]) + _bytes(found[b"BODY[%b.TEXT]" % name])
            == body
        )
    ranges = {0: 7, 2: 4_294_967_295, len(body): 5, len(body) + 9: 5}
    items = " ".join(
        f"BODY.PEEK[{path}{kind}]<{a}.{b}>" for a, b in ranges.items() for kind in ("", ".MIME")
    )
    found = await _fetch(imap, number, items, utf8)
    for start, size in ranges.items():
        assert found[b"BODY[%b]<%d>" % (name, start)] == body[start : start + size]
        assert found[b"BODY[%b.MIME]<%d>" % (name, start)] == mime[start : start + size]
    await _check_binary(imap, number, path, described, body)


async def _check_binary(
    imap: ImapClient, number: int, path: str, described: list[Value], body: bytes
) -> None:
    lines = await imap.command(f"FETCH {number} (BINARY.PEEK[{path}] BINARY.SIZE[{path}])")
    if described[5] not in KNOWN:
        assert b" NO [UNKNOWN-CTE] " in lines[-1]
        return
    assert b" OK " in lines[-1]
    found, name = read_fetch(lines[0], utf8=True), path.encode()
    content = _bytes(found[b"BINARY[%b]" % name])
    assert found[b"BINARY.SIZE[%b]" % name] == len(content)
    if described[5] in KNOWN[:3]:
        assert content == body
    starts = {0, 1, max(0, len(content) - 1), len(content), len(content) + 9}
    items = " ".join([f"BINARY.PEEK[{path}]<{start}.3>" for start in starts])
    (line, _) = await imap.ok(f"FETCH {number} ({items})")
    found = read_fetch(line, utf8=True)
    for start in starts:
        assert found[b"BINARY[%b]<%d>" % (name, start)] == content[start : start + 3]


def _bytes(value: Value) -> bytes:
    assert isinstance(value, bytes)
    return value


def _list(value: Value) -> list[Value]:
    assert isinstance(value, list)
    return value
