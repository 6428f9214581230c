"""Waiting for a message as a mail program does: IDLE, not sleep (RFC 2177)."""

from __future__ import annotations

import time
from imaplib import IMAP4


class DidNotArrive(AssertionError):
    """The message was not in the mailbox in time."""


def wait_for_message(
    client: IMAP4, *criteria: str, mailbox: str = "INBOX", seconds: float = 60.0
) -> bytes:
    """Wait until a message is found; give its bytes.

    Args:
        client: logged in.
        criteria: as SEARCH takes them: ``"SUBJECT", '"word"'``.
        mailbox: where to look.
        seconds: how long to wait.

    Raises:
        DidNotArrive: after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    client.select(mailbox, readonly=True)
    client.response("EXISTS")
    while True:
        _, (numbers,) = client.search(None, *criteria)
        if numbers:
            return fetch_message(client, numbers.split()[0].decode())
        # The answer to SEARCH may end with the news of a message that it did not search yet.
        if client.response("EXISTS")[1] != [None]:
            continue
        if not idle_until_exists(client, deadline - time.monotonic()):
            raise DidNotArrive(f"no message with {' '.join(criteria)} in {mailbox}")


def fetch_message(client: IMAP4, number: str) -> bytes:
    """Return all bytes of one message; leaves its flags alone."""
    _, parts = client.fetch(number, "(BODY.PEEK[])")
    for part in parts:
        if isinstance(part, tuple):
            return bytes(part[1])
    raise AssertionError(f"message {number} has no bytes: {parts}")


def idle_until_exists(client: IMAP4, seconds: float) -> bool:
    """Stay in IDLE until the server tells of a new message; whether it did in time."""
    if seconds <= 0:
        return False
    client.send(b"idle1 IDLE\r\n")
    # What came since the last command is told before the continuation.
    if not any(b"EXISTS" in line for line in _read_until(client, b"+")):
        before = client.sock.gettimeout()
        client.sock.settimeout(seconds)
        try:
            _read_until(client, b"EXISTS")
        except TimeoutError:
            return False
        finally:
            client.sock.settimeout(before)
    client.send(b"DONE\r\n")
    _read_until(client, b"idle1 OK")
    return True


def _read_until(client: IMAP4, word: bytes) -> list[bytes]:
    """Return the lines up to the first that holds the word, or begins with it if it is ``+``."""
    lines: list[bytes] = []
    while line := client.readline():
        lines.append(line)
        if line.startswith(word) if word == b"+" else word in line:
            return lines
    raise ConnectionError(f"the server closed the connection before {word!r}: {lines}")
