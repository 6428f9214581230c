"""Messages of another server, many at a time and each piece by piece. (RFC 3501 section 6.4.5)

Laws:
- The next messages are asked for before those asked for have come: the waiting adds up to little.
- A server may answer two commands at the same time: what it sends is known by its UID. From a
  server that writes the UID behind the message, each message is fetched alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

from zajil.imap.sequence_set import format_set
from zajil.imap.server_response import (
    BadServerResponse,
    Value,
    read_fetched,
    read_number,
    read_values,
)
from zajil.net.imap_client import ImapClient, ServerRefused
from zajil.net.imap_connection import BodyLiteral, ConnectionLost, MessageBody, WholeBody

_AT_ONCE = 16
"""Messages of one command."""
_COMMANDS = 2
"""Commands that are under way."""

Fetched = tuple[int, "MessageBody | ServerRefused | None"]
"""A UID and its message; or why it did not come; ``None``: it is gone."""


def fetch_bodies(client: ImapClient, uids: Sequence[int]) -> Iterator[Fetched]:
    """Yield messages in the order in which they come, each UID once.

    Raises:
        ConnectionLost: see there.
    """
    alone: deque[int] = deque()
    if client.tells_uid_first:
        yield from _fetch_together(client, uids, alone)
    else:
        alone.extend(uids)
    for uid in alone:
        yield from _fetch_alone(client, uid)


def fetch_rest(client: ImapClient, uid: int, offset: int, size: int) -> MessageBody | None:
    """Return a message from an offset on; ``None``: it is gone.

    Args:
        client: with the mailbox selected.
        uid: of the message.
        offset: where to go on.
        size: bytes that are missing.

    Raises:
        ServerRefused: NO or BAD.
        ConnectionLost: see there.
    """
    tag = client.start(b"UID FETCH %d (BODY.PEEK[]<%d.%d>)" % (uid, offset, size))
    found = _next_body(client, uid, tag)
    if isinstance(found, ServerRefused):
        raise found
    return _Rest(client, found, tag) if isinstance(found, BodyLiteral) else found


class _Rest:
    """A part of a message, which ends its command when it was read."""

    def __init__(self, client: ImapClient, body: BodyLiteral, tag: bytes) -> None:
        self._client, self._body, self._tag = client, body, tag

    def pieces(self) -> Iterator[bytes]:
        """Yield it."""
        yield from self._body.pieces()
        self._client.end_body(self._body)
        self._client.finish(self._tag)


def _fetch_together(
    client: ImapClient, uids: Sequence[int], alone: deque[int]
) -> Iterator[Fetched]:
    """Yield messages; put into ``alone`` those that must be asked for one by one."""
    waiting = deque([uids[at : at + _AT_ONCE] for at in range(0, len(uids), _AT_ONCE)])
    under_way: dict[bytes, list[int]] = {}
    while waiting or under_way:
        while waiting and len(under_way) < _COMMANDS and client.tells_uid_first:
            some = waiting.popleft()
            tag = client.start(b"UID FETCH %b (UID BODY.PEEK[])" % format_set(some))
            under_way[tag] = list(some)
        if not under_way:
            break
        data = client.read()
        if isinstance(data, BodyLiteral):
            uid = _uid_in(data.before)
            if uid is None:
                client.tells_uid_first = False
            elif _take(under_way, uid):
                yield uid, data
            client.end_body(data)
            continue
        yield from _read_other(client, data, under_way, alone)
    for some in waiting:
        alone.extend(some)


def _read_other(
    client: ImapClient, data: bytes, under_way: dict[bytes, list[int]], alone: deque[int]
) -> Iterator[Fetched]:
    """Read a response that is no body: the end of a command, or a very small message."""
    for tag in list(under_way):
        try:
            is_end = client.is_end(tag, data)
        except ServerRefused as error:
            left = under_way.pop(tag)
            if len(left) == 1:
                yield left[0], error
            alone.extend(left if len(left) > 1 else ())
            return
        if is_end:
            left = under_way.pop(tag)
            if client.tells_uid_first:
                yield from ((uid, None) for uid in left)
            else:
                alone.extend(left)
            return
        if data.startswith(b"*"):
            break
    item = _items(data)
    uid = read_number(item.get(b"UID"))
    if b"BODY[]" in item and uid is not None and _take(under_way, uid):
        yield uid, _whole(item[b"BODY[]"])


def _take(under_way: dict[bytes, list[int]], uid: int) -> bool:
    """Take a UID out of the command that asked for it; return whether one did."""
    for left in under_way.values():
        if uid in left:
            left.remove(uid)
            return True
    return False


def _fetch_alone(client: ImapClient, uid: int) -> Iterator[Fetched]:
    tag = client.start(b"UID FETCH %d (BODY.PEEK[])" % uid)
    found = _next_body(client, uid, tag)
    yield uid, found
    if isinstance(found, BodyLiteral):
        client.end_body(found)
        with suppress(ServerRefused):  # it came all the same
            client.finish(tag)


def _next_body(
    client: ImapClient, uid: int, tag: bytes
) -> BodyLiteral | WholeBody | ServerRefused | None:
    """Read up to the body of the one message that was asked for, or to the end of the command."""
    whole: WholeBody | None = None
    while True:
        data = client.read()
        if isinstance(data, BodyLiteral):
            if (told := _uid_in(data.before)) is not None and told != uid:
                raise ConnectionLost(f"the server sent message {told} instead of {uid}")
            return data
        try:
            if client.is_end(tag, data):
                return whole
        except ServerRefused as error:
            return error
        item = _items(data)
        for name, value in item.items():
            if name.startswith(b"BODY[]") and item.get(b"UID") in (None, b"%d" % uid):
                whole = _whole(value)


def _whole(value: Value) -> WholeBody:
    return WholeBody(value if isinstance(value, bytes) else b"")


def _items(data: bytes) -> dict[bytes, Value]:
    try:
        return read_fetched(read_values(data.partition(b" ")[2])) or {}
    except BadServerResponse:
        return {}


def _uid_in(before: bytes) -> int | None:
    """Return the UID in a FETCH response that was read up to its body."""
    words = before.upper().replace(b"(", b" ").split()
    for name, value in pairwise(words):
        if name == b"UID":
            return read_number(value)
    return None
