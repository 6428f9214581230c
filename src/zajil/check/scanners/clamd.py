"""Ask ClamAV whether a mail has malware: ``INSTREAM`` of clamd(8), by TCP or a Unix socket.

Laws:
- One deadline for all of it; what is late, away or confused is not a sign against a mail.
- The mail goes out in pieces, never whole in memory a second time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

from zajil.config.kinds import UNIX_PREFIX
from zajil.core.value_class import value_class
from zajil.message.source import Source, size_of

PIECE = 65_536
MAX_REPLY = 4096
"""Bytes of an answer; a name of malware has under a hundred."""


@value_class(frozen=True, slots=True)
class Scanned:
    """What a scanner said."""

    malware: str | None = None
    """Its name; ``None``: none found, or not looked at."""
    failure: str | None = None
    """Why it was not looked at; ``None``: it was."""


async def scan(
    address: str, header: bytes, body: bytes | Source, *, deadline: float, max_size: int
) -> Scanned:
    """Let clamd look at a mail; never raises, waits at most ``deadline`` seconds.

    Cancelling closes the connection.

    Args:
        address: ``ADDRESS:PORT``, or ``unix:/PATH``.
        header: with its last line end.
        body: with the empty line before it.
        deadline: in seconds.
        max_size: bytes; a larger mail is not sent (``StreamMaxLength`` of clamd).
    """
    if len(header) + size_of(body) > max_size:
        return Scanned(failure="the message is too large")
    try:
        async with asyncio.timeout(deadline):
            return read_reply(await _exchange(address, header, body))
    except TimeoutError:
        return Scanned(failure="the scanner timed out")
    except OSError as error:
        return Scanned(
            failure=(f"the scanner is not available ({error.strerror or type(error).__name__})")
        )


async def _exchange(address: str, header: bytes, body: bytes | Source) -> bytes:
    if address.startswith(UNIX_PREFIX):
        path = address.removeprefix(UNIX_PREFIX)
        reader, writer = await asyncio.open_unix_connection(path)
    else:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        try:
            writer.write(b"zINSTREAM\0")
            for piece in _pieces(header, body):
                writer.write(len(piece).to_bytes(4, "big"))
                writer.write(piece)
                await writer.drain()
            writer.write(b"\0\0\0\0")
            await writer.drain()
        except ConnectionError:
            pass  # it may have said why before it closed: the stream was too long
        return await reader.read(MAX_REPLY)
    finally:
        writer.transport.abort()


def _pieces(header: bytes, body: bytes | Source) -> Iterator[bytes]:
    if isinstance(body, bytes):
        whole = header + body
        for at in range(0, len(whole), PIECE):
            yield whole[at : at + PIECE]
        return
    yield header
    at = 0
    while piece := body.read_at(at, PIECE):
        at += len(piece)
        yield piece


_FOUND = re.compile(rb"stream: ([^\0\r\n]{1,300}) FOUND")


def read_reply(reply: bytes) -> Scanned:
    """Read the answer of clamd; never raises."""
    if match := _FOUND.search(reply):
        name = match[1].decode("ascii", "replace")
        return Scanned(malware="".join(char for char in name if char.isprintable())[:100])
    if b"stream: OK" in reply:
        return Scanned()
    if b"size limit exceeded" in reply:
        return Scanned(failure="the message exceeds the size limit of the scanner")
    return Scanned(failure="the scanner returned an invalid response")
