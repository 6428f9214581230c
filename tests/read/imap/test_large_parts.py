"""FETCH of pieces of large messages: the bytes of the whole, without reading the whole again."""

from __future__ import annotations

import asyncio
import tracemalloc
from base64 import encodebytes
from pathlib import Path
from random import Random

import pytest

from kit.imap import ImapClient, imap_place, literals, make_reader
from kit.store import open_test_store, running
from zajil.imap.body_section import Span
from zajil.message.transfer import decode_transfer
from zajil.read.imap.decoded_part import DecodedPart
from zajil.store.engine.open import Store

BASE64 = b"Content-Transfer-Encoding: base64\r\n"
QUOTED = b"Content-Transfer-Encoding: quoted-printable\r\n"
MEGABYTE = 1 << 20


def made(parts: list[tuple[bytes, bytes]]) -> bytes:
    """A message with such header sections and bodies of its parts."""
    head = b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    bodies = [b"--b\r\n" + fields + b"\r\n" + body + b"\r\n" for fields, body in parts]
    return head + b"".join(bodies) + b"--b--\r\n"


def in_base64(data: bytes) -> bytes:
    return encodebytes(data).replace(b"\n", b"\r\n").strip()


async def fetch(client: ImapClient, item: str) -> bytes:
    """What FETCH of the first message answers to one item."""
    (line, _) = await client.ok(f"FETCH 1 {item}")
    return next(iter(literals(line)), b"")


def check_same(found: bytes, wanted: bytes) -> None:
    """Compare what is too large to be shown."""
    is_same = found == wanted
    assert is_same, f"{len(found)} bytes, not these {len(wanted)}"


def bodies(random: Random) -> list[tuple[str, bytes]]:
    """Encoded bodies of some megabytes, well made and odd."""
    data = random.randbytes(3 * MEGABYTE)
    clean = in_base64(data)
    odd = bytearray(clean)
    for at in random.sample(range(len(odd)), 20_000):
        odd[at] = random.choice(b"!\x00 \r\n-\xff")
    text = "".join(random.choice("abc äöü=.\t ") for _ in range(600_000)).encode()
    quoted = text.replace(b"=", b"=3D").replace(b".", b"=\r\n").replace(b"\xc3", b"=C3\r\n")
    ended = clean[: 2 * MEGABYTE] + b"==" + clean[2 * MEGABYTE :]
    return [
        ("base64", clean),
        ("base64", bytes(odd)),
        ("base64", ended),
        ("base64", b"!" * (2 * MEGABYTE) + clean[:50_000]),
        ("quoted-printable", quoted + quoted),
        ("quoted-printable", b"one line without an end " * 150_000),
        ("8bit", data),
        ("", b"\n" * (2 * MEGABYTE)),
        ("base64", b""),
    ]


@pytest.mark.parametrize("number", range(9))
def test_any_range_is_that_of_the_whole(number: int) -> None:
    """Whichever ranges were read before; and little more than the range is read."""
    random = Random(number)
    encoding, body = bodies(random)[number]
    message = b"before" + body + b"behind"
    whole = decode_transfer(body, encoding)
    part = DecodedPart(Span(6, 6 + len(body)), encoding)
    read: list[int] = []

    def read_at(start: int, end: int) -> bytes:
        assert 6 <= start <= end <= 6 + len(body)
        read.append(end - start)
        return message[start:end]

    ranges = [(random.randrange(len(whole) + 9), random.randrange(1, 90_000)) for _ in range(20)]
    for offset, room in ranges:
        check_same(b"".join(part.pieces(read_at, offset, room)), whole[offset : offset + room])
    check_same(b"".join(part.pieces(read_at)), whole)
    assert part.size == len(whole)
    has_lines = b"\n" in body or encoding != "quoted-printable"
    for offset, room in ranges:
        read.clear()
        check_same(b"".join(part.pieces(read_at, offset, room)), whole[offset : offset + room])
        # One that is all skipped, or whose line never ends, has no place to go on from.
        if has_lines and len(whole) > MEGABYTE:
            assert sum(read) <= 2 * room + MEGABYTE + 3 * 65_536
    assert b"".join(part.pieces(read_at, len(whole) + 1, 5)) == b""


def test_pieces_of_a_large_message(store: Store, tmp_path: Path) -> None:
    make_reader(store)
    random = Random(11)
    data = random.randbytes(4 * MEGABYTE)
    plain = random.randbytes(MEGABYTE).translate(None, b"\0\r\n")
    quoted = b"caf=C3=A9 =\r\nau lait, " * 60_000
    encoded = in_base64(data)
    text = decode_transfer(quoted, "quoted-printable")
    message = made([(b"", plain), (BASE64, encoded), (QUOTED, quoted)])
    wholes = {
        "BODY.PEEK[]": message,
        "BODY.PEEK[TEXT]": message.partition(b"\r\n\r\n")[2],
        "BODY.PEEK[1]": plain,
        "BODY.PEEK[2]": encoded,
        "BINARY.PEEK[1]": plain,
        "BINARY.PEEK[2]": data,
        "BINARY.PEEK[3]": text,
    }

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.append("INBOX", message)
            await client.ok("EXAMINE INBOX")
            for item, whole in wholes.items():
                for _ in range(8):
                    offset, room = random.randrange(len(whole)), random.randrange(2, 400_000)
                    piece = await fetch(client, f"{item}<{offset}.{room}>")
                    check_same(piece, whole[offset : offset + room])
                at, pieces = 0, []
                while at < len(whole):
                    pieces.append(await fetch(client, f"{item}<{at}.500000>"))
                    at += len(pieces[-1])
                check_same(b"".join(pieces), whole)
                check_same(await fetch(client, item), whole)

    asyncio.run(run())


def test_a_piece_takes_little_memory(tmp_path: Path) -> None:
    """Nor does the structure of a large message, which is found by reading it in pieces."""
    store = open_test_store("sqlite", tmp_path / "data")
    make_reader(store)
    data = Random(3).randbytes(15 * MEGABYTE)
    message = made([(b"", b"see the file"), (BASE64, in_base64(data))])

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.append("INBOX", message)
            await client.ok("EXAMINE INBOX")
            await fetch(client, "BODY.PEEK[]<0.9>")
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            assert await fetch(client, "BODY.PEEK[1]<4.3>") == b"the"
            offset = 14 * MEGABYTE
            piece = await fetch(client, f"BINARY.PEEK[2]<{offset}.65536>")
            check_same(piece, data[offset : offset + 65_536])
            (line, _) = await client.ok("FETCH 1 (BODYSTRUCTURE BINARY.SIZE[2])")
            assert b"BINARY.SIZE[2] %d" % len(data) in line
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak - before < 8 * MEGABYTE

    asyncio.run(run())
