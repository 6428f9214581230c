"""LDAP servers whose answers never end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

import pytest

from zajil.config.options_directory import DirectoryOptions
from zajil.login.directory.connection import DirectoryUnavailable, connected, search

BOUND = bytes.fromhex("61070a010004000400")
"""A BindResponse. (RFC 4511 section 4.2.2)"""
DONE = bytes.fromhex("65070a010004000400")
"""A SearchResultDone. (RFC 4511 section 4.5.2)"""
PAGED_RESULTS = b"1.2.840.113556.1.4.319"


def ber(tag: int, *parts: bytes) -> bytes:
    """Return an element of BER of at most 127 bytes."""
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content


def number_of(request: bytes) -> bytes:
    """Return the element with the number of a message."""
    at = 2 if request[1] < 0x80 else 2 + (request[1] & 0x7F)
    return request[at : at + 2 + request[at + 1]]


def entry(number: int) -> bytes:
    """Return a SearchResultEntry without attributes. (RFC 4511 section 4.5.2)"""
    return ber(0x64, ber(0x04, b"cn=%d" % number), ber(0x30))


def more_to_come() -> bytes:
    """Return the control that says that there are more pages. (RFC 2696 section 3)"""
    value = ber(0x30, b"\x02\x01\x00", ber(0x04, b"abc"))
    return ber(0xA0, ber(0x30, ber(0x04, PAGED_RESULTS), ber(0x04, value)))


@contextmanager
def directory(answer: Callable[[socket.socket], None]) -> Iterator[DirectoryOptions]:
    listener = socket.create_server(("127.0.0.1", 0))
    options = DirectoryOptions.model_validate(
        {
            "urls": [f"ldap://127.0.0.1:{listener.getsockname()[1]}"],
            "base": "dc=test",
            "domains": ["north.test"],
            "timeout_ms": "200ms",
        }
    )

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(ber(0x30, number_of(connection.recv(65536)), BOUND))
                answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield options
    finally:
        thread.join(60)
        listener.close()


def drip(connection: socket.socket) -> None:
    """Send an entry now and then."""
    asked = number_of(connection.recv(65536))
    for number in count():
        connection.sendall(ber(0x30, asked, entry(number)))
        time.sleep(0.05)


def say_more(connection: socket.socket) -> None:
    """Send pages without entries, each of which says that there is more."""
    while request := connection.recv(65536):
        connection.sendall(ber(0x30, number_of(request), DONE, more_to_come()))


@pytest.mark.parametrize("answer", [drip, say_more])
def test_an_answer_without_end_is_an_error(answer: Callable[[socket.socket], None]) -> None:
    with (
        directory(answer) as options,
        connected(options) as conn,
        pytest.raises(DirectoryUnavailable),
    ):
        list(search(conn, options.base, "(a=b)", ["cn"]))
