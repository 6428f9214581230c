"""FETCH BINARY and BINARY.SIZE: parts without their transfer encoding. (RFC 3516)"""

from __future__ import annotations

import asyncio
import random
from base64 import encodebytes
from pathlib import Path

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import running
from zajil.imap.fetch_item import BodySection, SectionText
from zajil.message.parse import parse_message
from zajil.read.imap.binary_section import decoded_part, write_binary
from zajil.store.engine.open import Store


def part(head: bytes, body: bytes) -> bytes:
    """A part of a multipart with the boundary ``b``."""
    return b"--b\r\n" + head + b"\r\n" + body + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    """A message of parts."""
    head = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    return head + b"".join(parts) + b"--b--\r\n"


BASE64 = b"Content-Transfer-Encoding: base64\r\n"
INNER = b"Subject: inner\r\n" + BASE64 + b"\r\naW5uZXI=\r\n"
MESSAGE = multipart(
    part(BASE64, b"aGVsbG8g\r\nd29ybGQ="),
    part(b"Content-Transfer-Encoding: Quoted-Printable\r\n", b"caf=C3=A9 =\r\nau lait"),
    part(b"", b"plain"),
    part(BASE64 + b"Content-Type: image/png\r\n", encodebytes(b"a\0b\r\nc\0").strip()),
    part(b"Content-Type: message/rfc822\r\n", INNER),
    part(BASE64, b""),
)


async def binary(client: ImapClient, items: str) -> bytes:
    """What FETCH of the first message answers."""
    (line, _) = await client.ok(f"FETCH 1 {items}")
    return line.removeprefix(b"* 1 FETCH (").removesuffix(b")")


def test_parts(store: Store, tmp_path: Path) -> None:
    """Each is decoded; a literal8 is sent only where a NUL is. (RFC 3516 section 4.3)"""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.append("INBOX", MESSAGE)
            await client.ok("EXAMINE INBOX")
            assert await binary(client, "BINARY[1]") == b"BINARY[1] {11}\r\nhello world"
            assert await binary(client, "BINARY.PEEK[2]") == (
                b"BINARY[2] {13}\r\n" + "café au lait".encode()
            )
            assert await binary(client, "(BINARY[3] BINARY.SIZE[3])") == (
                b"BINARY[3] {5}\r\nplain BINARY.SIZE[3] 5"
            )
            assert await binary(client, "BINARY[4]") == b"BINARY[4] ~{7}\r\na\0b\r\nc\0"
            assert await binary(client, "BINARY[4]<0.1>") == b"BINARY[4]<0> {1}\r\na"
            assert await binary(client, "BINARY[4]<1.2>") == b"BINARY[4]<1> ~{2}\r\n\0b"
            assert await binary(client, "BINARY.PEEK[1]<6.3>") == b"BINARY[1]<6> {3}\r\nwor"
            assert await binary(client, "BINARY[1]<6.900>") == b"BINARY[1]<6> {5}\r\nworld"
            assert await binary(client, "BINARY[1]<11.1>") == b'BINARY[1]<11> ""'
            assert await binary(client, "BINARY[5.1]") == b"BINARY[5.1] {5}\r\ninner"
            assert await binary(client, "BINARY[5]") == (
                b"BINARY[5] {%d}\r\n%b" % (len(INNER), INNER)
            ), "an enclosed message has no transfer encoding"
            assert await binary(client, "(BINARY[6] BINARY.SIZE[6])") == (
                b'BINARY[6] "" BINARY.SIZE[6] 0'
            )
            assert await binary(client, "(BINARY[7] BINARY.SIZE[7] BINARY[1.1])") == (
                b"BINARY[7] NIL BINARY.SIZE[7] 0 BINARY[1.1] NIL"
            )
            whole = b"BINARY[] {%d}\r\n%b" % (len(MESSAGE), MESSAGE)
            assert await binary(client, "BINARY[]") == whole
            assert await binary(client, "BINARY.SIZE[]") == b"BINARY.SIZE[] %d" % len(MESSAGE)
            sizes = "(BINARY.SIZE[1] BINARY.SIZE[2] BINARY.SIZE[4] BINARY.SIZE[5.1])"
            assert await binary(client, sizes) == (
                b"BINARY.SIZE[1] 11 BINARY.SIZE[2] 13 BINARY.SIZE[4] 7 BINARY.SIZE[5.1] 5"
            )

    asyncio.run(run())


def test_line_ends_within_base64(store: Store, tmp_path: Path) -> None:
    """They are part of a file, also where its type is text."""
    make_reader(store)
    patch = b"--- a\n+++ b\n\r\n"
    head = BASE64 + b"Content-Type: text/x-patch\r\n"

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.append("INBOX", multipart(part(head, encodebytes(patch).strip())))
            await client.ok("EXAMINE INBOX")
            assert await binary(client, "BINARY[1]") == b"BINARY[1] {14}\r\n" + patch
            assert await binary(client, "BINARY.SIZE[1]") == b"BINARY.SIZE[1] 14"

    asyncio.run(run())


def test_seen(store: Store, tmp_path: Path) -> None:
    """BINARY sets it; BINARY.PEEK and BINARY.SIZE do not. (RFC 3516 section 4.2)"""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.append("INBOX", MESSAGE)
            await client.ok("SELECT INBOX")
            await client.ok("FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])")
            assert b"\\Seen" not in (await client.ok("FETCH 1 FLAGS"))[0]
            assert (await client.ok("FETCH 1 BINARY[3]"))[0] == (
                b"* 1 FETCH (FLAGS (\\Seen \\Recent) BINARY[3] {5}\r\nplain)"
            )

    asyncio.run(run())


def test_unknown_encoding(store: Store, tmp_path: Path) -> None:
    """NO, and all that can be told is told. (RFC 3516 section 4.3)"""
    make_reader(store)
    odd = multipart(part(b"Content-Transfer-Encoding: x-uuencode\r\n", b"begin"), part(b"", b"two"))

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            for message in (odd, MESSAGE, odd + b"." * 300_000):
                await client.append("INBOX", message)
            await client.ok("SELECT INBOX")
            for item in ("BINARY.PEEK[1]", "BINARY.SIZE[1]"):
                lines = await client.command(f"FETCH 1:3 {item}")
                assert len(lines) == 2
                assert lines[0].startswith(b"* 2 FETCH (BINARY")
                assert b" NO [UNKNOWN-CTE] " in lines[-1]
            lines = await client.command("UID FETCH 1,3 (BINARY[1] BINARY[2])")
            assert lines[:-1] == [
                b"* 1 FETCH (FLAGS (\\Seen \\Recent) UID 1 BINARY[2] {3}\r\ntwo)",
                b"* 3 FETCH (FLAGS (\\Seen \\Recent) UID 3 BINARY[2] {3}\r\ntwo)",
            ]
            assert b" NO [UNKNOWN-CTE] " in lines[-1]
            await client.ok("FETCH 1:3 BODY.PEEK[1]")

    asyncio.run(run())


def test_large_part(store: Store, tmp_path: Path) -> None:
    """It is decoded in pieces; each piece of it can be fetched alone."""
    make_reader(store)
    data = random.Random(7).randbytes(1_500_000)
    text = ("Zeile mit Ümlaut, " * 9 + ".\r\n").encode() * 3000
    quoted = text.replace(b"\xc3\x9c", b"=C3=9C")
    head = b"Content-Transfer-Encoding: quoted-printable\r\n"
    message = multipart(
        part(BASE64, encodebytes(data).replace(b"\n", b"\r\n").strip()), part(head, quoted)
    )

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.append("INBOX", message)
            await client.ok("EXAMINE INBOX")
            line = await binary(client, "(BINARY[1] BINARY[2])")
            assert line.startswith(b"BINARY[1] ~{1500000}\r\n")
            _, _, rest = line.partition(b"}\r\n")
            assert rest[: len(data)] == data
            assert rest[len(data) :] == b" BINARY[2] {%d}\r\n%b" % (len(text), text)
            sizes = await binary(client, "(BINARY.SIZE[1] BINARY.SIZE[2])")
            assert sizes == b"BINARY.SIZE[1] 1500000 BINARY.SIZE[2] %d" % len(text)
            for start in (0, 65_535, 700_001, 1_499_990):
                line = await binary(client, f"BINARY[1]<{start}.1000>")
                assert line.endswith(b"}\r\n" + data[start : start + 1000])
            assert (await binary(client, "BINARY[2]<400000.40>")).endswith(text[400_000:400_040])

    asyncio.run(run())


def test_binary_appended(store: Store, tmp_path: Path) -> None:
    """What came in a literal8 goes out in one. (RFC 3516 section 4.4)"""
    make_reader(store)
    head = b"Content-Transfer-Encoding: binary\r\nContent-Type: image/png\r\n\r\n"
    data = b"\x89PNG\0\n\r\r\n\0"

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            message = head + data
            await client.ok(b"APPEND INBOX ~{%d+}\r\n%b" % (len(message), message))
            await client.ok("SELECT INBOX")
            line = await binary(client, "BINARY.PEEK[1]")
            assert line == b"BINARY[1] ~{%d}\r\n%b" % (len(data), data)
            assert b'"BASE64"' in await binary(client, "BODY")

    asyncio.run(run())


def test_turns_are_short() -> None:
    """Others have their turn while the size of a large part is counted, and while it is skipped."""
    encoded = encodebytes(bytes(6_000_000)).replace(b"\n", b"\r\n")
    message = BASE64 + b"\r\n" + encoded
    root = parse_message(message)
    read: list[int] = []

    def read_at(start: int, end: int) -> bytes:
        read.append(end - start)
        return message[start:end]

    for text, partial in (
        (SectionText.BINARY, None),
        (SectionText.BINARY, (5_900_000, 10)),
        (SectionText.BINARY_SIZE, None),
    ):
        section = BodySection((1,), text, (), partial, True, b"x")
        part = decoded_part(root, section, len(message))
        for piece in write_binary(part, section, read_at):
            assert sum(read) <= 1 << 20, "what is read before a piece comes"
            assert len(piece) <= 1 << 16
            read.clear()
