"""COMPRESS=DEFLATE and UNAUTHENTICATE over real sockets. (RFC 4978, RFC 8437)"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from kit.imap import ImapClient, ImapPlace, imap_place, literals, make_reader
from kit.store import running
from zajil.net.deflate import PORTION
from zajil.store.engine.open import Store

Talk = Callable[[ImapPlace, ImapClient], Awaitable[None]]


class Compressed:
    """Both directions of a client, compressed: in place of its reader and its writer."""

    def __init__(self, client: ImapClient) -> None:
        self._reader, self._writer = client.reader, client.writer
        self._compress = zlib.compressobj(9, zlib.DEFLATED, -15)
        self._decompress = zlib.decompressobj(-15)
        self._data = b""
        self.received = 0
        """Octets that came over the wire."""
        self.close, self.wait_closed = client.writer.close, client.writer.wait_closed
        client.reader = cast("asyncio.StreamReader", self)
        client.writer = cast("asyncio.StreamWriter", self)

    def write(self, data: bytes) -> None:
        self.write_raw(self.pack(data))

    def pack(self, data: bytes) -> bytes:
        return self._compress.compress(data) + self._compress.flush(zlib.Z_SYNC_FLUSH)

    def write_raw(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    async def readline(self) -> bytes:
        while b"\n" not in self._data and await self._more():
            pass
        line, end, self._data = self._data.partition(b"\n")
        return line + end

    async def readexactly(self, size: int) -> bytes:
        while len(self._data) < size and await self._more():
            pass
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    async def read(self, _: int) -> bytes:
        while await self._more():
            pass
        return self._data

    async def _more(self) -> bool:
        data = await self._reader.read(65536)
        self.received += len(data)
        self._data += self._decompress.decompress(data)
        return bool(data)


async def compress(client: ImapClient) -> Compressed:
    await client.ok("COMPRESS DEFLATE")
    return Compressed(client)


def talk(store: Store, tmp_path: Path, script: Talk) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await script(place, imap)

    asyncio.run(run())


def test_a_compressed_session_is_like_any_other(store: Store, tmp_path: Path) -> None:
    message = b"Subject: long\r\n\r\n" + b"the same line again\r\n" * 20_000

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        assert b" COMPRESS=DEFLATE" in (await imap.ok("CAPABILITY"))[0]
        assert b" NO [CANNOT] " in (await imap.command("COMPRESS LZW"))[-1]
        wire = await compress(imap)
        assert b"COMPRESS" not in (await imap.ok("CAPABILITY"))[0]
        lines = await imap.command("COMPRESS DEFLATE")
        assert b" NO [COMPRESSIONACTIVE] " in lines[-1]
        await imap.append("INBOX", message)
        await imap.ok("SELECT INBOX")
        (line, *_) = await imap.ok("FETCH 1 BODY.PEEK[]")
        assert list(literals(line)) == [message]
        assert wire.received < len(message) // 20
        # A literal that waits, IDLE, and a notice from another session.
        await imap.send(b"a APPEND INBOX {1}\r\n")
        assert (await imap.read_response()).startswith(b"+ ")
        await imap.send(b"x\r\nb IDLE\r\n")
        await imap.read_until(b"a")
        while not (await imap.read_response()).startswith(b"+ "):
            pass
        async with place.session() as other:
            await other.append("INBOX", b"y")
        assert await imap.read_response() == b"* 3 EXISTS"
        assert (await imap.read_response()).endswith(b" RECENT")
        await imap.send(b"DONE\r\n")
        await imap.read_until(b"b")
        lines = await imap.ok("LOGOUT")
        assert lines[0].startswith(b"* BYE ")
        assert await imap.is_closed()

    talk(store, tmp_path, script)


def test_many_commands_in_one_packet_are_answered_in_order(store: Store, tmp_path: Path) -> None:
    """More than a portion of decompressed commands, many of which wait for the store."""

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        wire = await compress(imap)
        tags = [b"%064d" % n for n in range(1000)]
        some = b"s STATUS INBOX (MESSAGES)\r\n"
        said = b"".join([b"%b CAPABILITY\r\n%b" % (tag, some * tag.endswith(b"0")) for tag in tags])
        assert len(said) > PORTION
        packed = wire.pack(said)
        assert len(packed) < len(said) // 10
        wire.write_raw(packed)
        for tag in tags:
            await imap.read_until(tag)
            if tag.endswith(b"0"):
                lines = await imap.read_until(b"s")
                assert lines[0] == b'* STATUS "INBOX" (MESSAGES 0)'

    talk(store, tmp_path, script)


def test_a_bomb_is_an_ordinary_line_that_is_too_long(store: Store, tmp_path: Path) -> None:
    """A hundred megabytes in a hundred kilobytes: the limits of a command hold, and others work."""

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        async with place.session() as other:
            wire = await compress(other)
            bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
            data = b"".join([bomb.compress(b"x" * (1 << 20)) for _ in range(100)])
            wire.write_raw(data + bomb.flush())
            await imap.ok("NOOP")
            assert (await other.read_response()).startswith(b"* BYE line is too long")
            assert await other.is_closed()

    talk(store, tmp_path, script)


def test_what_is_not_compressed_ends_the_session(store: Store, tmp_path: Path) -> None:
    async def script(place: ImapPlace, imap: ImapClient) -> None:
        wire = await compress(imap)
        wire.write_raw(b"\xff" * 100)
        assert await imap.is_closed()

    talk(store, tmp_path, script)


def test_a_session_without_its_user_is_as_new(store: Store, tmp_path: Path) -> None:
    """RFC 8437 section 3: nothing of the first user is left for the next."""
    make_reader(store, "sami@north.test")

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await compress(imap)
        await imap.append("INBOX", b"x")
        await imap.ok("ENABLE UTF8=ACCEPT")
        await imap.ok("SELECT INBOX")
        line = (await imap.ok("UNAUTHENTICATE"))[-1]
        assert b"AUTH=PLAIN" in line
        assert b"UNAUTHENTICATE" not in line
        assert b" BAD " in (await imap.command("FETCH 1 UID"))[-1]
        await imap.log_in("sami")
        assert b'"INBOX" (MESSAGES 0)' in (await imap.ok("STATUS INBOX (MESSAGES)"))[0]
        assert b" BAD " in (await imap.command("FETCH 1 UID"))[-1]
        await imap.ok("CREATE &Jjo-")
        assert b'"&Jjo-"' in (await imap.ok('LIST "" &Jjo-'))[0]

    talk(store, tmp_path, script)


def test_the_largest_message_is_announced(store: Store, tmp_path: Path) -> None:
    """RFC 7889 section 3, RFC 7889 section 4."""

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        words = (await imap.ok("CAPABILITY"))[0].split()
        (limit,) = [word.partition(b"=")[2] for word in words if word.startswith(b"APPENDLIMIT")]
        (line, *_) = await imap.ok("STATUS INBOX (APPENDLIMIT UIDNEXT)")
        assert line == b'* STATUS "INBOX" (APPENDLIMIT %b UIDNEXT 1)' % limit
        await imap.send(b"a APPEND INBOX {%d}\r\n" % (int(limit) + 1))
        assert (await imap.read_response()).startswith(b"a NO [TOOBIG] ")
        await imap.send(b"b APPEND INBOX {%b}\r\n" % limit)
        assert (await imap.read_response()).startswith(b"+ ")

    talk(store, tmp_path, script)
