"""An account at another IMAP server as a source.

Laws:
- The mailboxes there are only looked at (EXAMINE, BODY.PEEK): nothing changes, not even ``\\Seen``.
- After a lost connection the message goes on where it was, and the mailbox too.
- What the server says of sizes and numbers is not believed: what comes counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from zajil.core.value_class import value_class
from zajil.imap.date_time import parse_date_time
from zajil.imap.grammar import BadSyntax, Scanner
from zajil.imap.sequence_set import format_set
from zajil.imap.server_response import Listed, read_fetched, read_number, read_words
from zajil.net.imap_client import ImapClient, LoginRefused, ServerRefused
from zajil.net.imap_connection import CannotConnect, ConnectionLost, MessageBody
from zajil.net.imap_fetch import fetch_bodies, fetch_rest
from zajil.operations.moving.imap_account import ROLES, UNREAL, ForeignSession, ImapAccount, retry
from zajil.operations.moving.model import (
    Moved,
    NoSource,
    Report,
    SourceEntry,
    SourceMailbox,
    Unreadable,
)
from zajil.store.mail.imported import Doubles

T = TypeVar("T")

_TRIES = 3
"""Connections that one message may cost."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@value_class(frozen=True, slots=True, kw_only=True)
class ImapEntry(SourceEntry):
    """A message there."""

    uid: int


class ImapSource:
    """All mailboxes of an account, without those of others."""

    def __init__(self, account: ImapAccount, since_ms: int | None = None) -> None:
        """Log in.

        Args:
            account: whose mail it is.
            since_ms: older messages are not asked for.

        Raises:
            NoSource: the log-in does not work.
        """
        self.identity = account.identity
        self._since_ms = since_ms
        self._examined: tuple[int, str, int] = (0, "", 0)
        """Number of the connection, mailbox, UIDVALIDITY."""
        self._everywhere: set[int] = set()
        """Ids of Gmail of the messages in the mailboxes before."""
        try:
            self._session = ForeignSession(account)
        except (CannotConnect, ConnectionLost, LoginRefused, ServerRefused) as error:
            raise NoSource(str(error)) from None

    def mailboxes(self, report: Report) -> list[SourceMailbox]:
        """Return the mailboxes; ``work`` is the number of messages. That of all messages is last.

        Raises:
            NoSource: the server does not list them.
        """
        try:
            found = retry(self._session, lambda _: self._session.list_all())
            subscribed = retry(self._session, lambda _: self._session.list_subscribed())
            boxes = [self._mailbox(one, subscribed, report) for one in found]
        except (CannotConnect, ConnectionLost, LoginRefused, ServerRefused) as error:
            raise NoSource(str(error)) from None
        real = [box for box in boxes if box is not None]
        return sorted(real, key=lambda box: (box.doubles is Doubles.SOURCE, box.role != "inbox"))

    def entries(self, mailbox: SourceMailbox, report: Report) -> Iterator[ImapEntry]:
        """Yield the messages of a mailbox by their UIDs.

        Raises:
            Unreadable: the server refuses it.
            NoSource: the connection is lost for good.
        """
        uids, validity = self._safely(lambda client: self._list(client, mailbox))
        for uid in uids:
            yield ImapEntry(key=f"{validity}.{uid}", label=f"{mailbox.name}, UID {uid}", uid=uid)

    def read(
        self, mailbox: SourceMailbox, entries: Sequence[ImapEntry]
    ) -> Iterator[tuple[ImapEntry, Moved]]:
        """Yield messages; those that are gone are passed over.

        Raises:
            Unreadable: the mailbox was replaced by another one.
            NoSource: the connection is lost for good.
        """
        facts = self._safely(lambda client: self._facts(client, mailbox, entries))
        left = {one.uid: one for one in entries if one.uid in facts}
        tries = 0
        while left:
            try:
                client = self._client(mailbox)
                session = self._session.number
                for uid, body in fetch_bodies(client, list(left)):
                    entry, tries = left.pop(uid), 0
                    if body is not None:
                        flags, at_ms = facts[uid]
                        pieces = self._pieces(mailbox, entry, body)
                        yield entry, Moved(flags=flags, received_at_ms=at_ms, pieces=pieces)
                    if session != self._session.number:
                        break  # the rest is asked for on the new connection
            except GeneratorExit:
                self._session.lose()  # what was asked for ahead would still come
                raise
            except ConnectionLost as error:
                self._session.lose()
                tries += 1
                if tries == _TRIES:
                    # The first that did not come is the one that breaks it.
                    entry, tries = left.pop(next(iter(left))), 0
                    why = Unreadable(f"the connection broke {_TRIES} times: {error}")
                    pieces = _failing(why)
                    yield entry, Moved(flags=frozenset(), received_at_ms=None, pieces=pieces)

    def close(self) -> None:
        """Log out."""
        self._session.close()

    # ---- inside ---------------------------------------------------------------------------------

    def _mailbox(
        self, one: Listed, subscribed: frozenset[bytes], report: Report
    ) -> SourceMailbox | None:
        levels = self._session.levels(one)
        name = "/".join(levels)
        for attribute, why in UNREAL.items():
            if attribute in one.attributes:
                report.leave_out(name, why)
                return None
        role = next((ROLES[word] for word in sorted(one.attributes) if word in ROLES), None)
        place = one.name.decode("latin-1")
        is_all = bool(one.attributes & {"\\all", "\\allmail"})
        box = SourceMailbox(
            name=name,
            levels=("Archive",) if is_all else levels,
            place=place,
            role="archive" if is_all else "inbox" if name.upper() == "INBOX" else role,
            subscribed=one.name in subscribed or name.upper() == "INBOX",
            doubles=Doubles.SOURCE if is_all else Doubles.MAILBOX,
            work=self._count(one.name),
        )
        return box

    def _count(self, name: bytes) -> int:
        try:
            answers = retry(
                self._session,
                lambda client: client.command(b"STATUS", name, rest=b"(MESSAGES)"),
            )
        except ServerRefused:
            return 0
        for values in answers:
            match values:
                case [bytes() as word, _, [bytes(), count, *_]] if word.upper() == b"STATUS":
                    return read_number(count) or 0
        return 0

    def _safely(self, work: Callable[[ImapClient], T]) -> T:
        try:
            return retry(self._session, work)
        except ServerRefused as error:
            raise Unreadable(str(error)) from None
        except (CannotConnect, ConnectionLost, LoginRefused) as error:
            raise NoSource(str(error)) from None

    def _client(self, mailbox: SourceMailbox) -> ImapClient:
        """Return the client with the mailbox selected.

        Raises:
            Unreadable: it was replaced by another one, or cannot be read any more.
            NoSource: the connection is lost for good.
        """
        return self._safely(lambda client: self._examine(client, mailbox))

    def _examine(self, client: ImapClient, mailbox: SourceMailbox) -> ImapClient:
        number, name, validity = self._examined
        if (number, name) == (self._session.number, mailbox.place):
            return client
        client.command(b"EXAMINE", mailbox.place.encode("latin-1"))
        found = 0
        for data in client.untagged:
            words = data.upper().replace(b"]", b" ").split()
            for word, value in pairwise(words):
                if word == b"[UIDVALIDITY":
                    found = read_number(value) or 0
        if name == mailbox.place and validity != found:
            raise Unreadable("it was replaced by another mailbox meanwhile")
        self._examined = (self._session.number, mailbox.place, found)
        return client

    def _list(self, client: ImapClient, mailbox: SourceMailbox) -> tuple[list[int], int]:
        self._examine(client, mailbox)
        what = b"ALL" if self._since_ms is None else b"SINCE " + _day_before(self._since_ms)
        numbers = {
            read_number(one)
            for values in client.command(b"UID SEARCH " + what)
            if values[:1] == [b"SEARCH"]
            for one in values[1:]
        }
        if "X-GM-EXT-1" in client.capabilities:
            numbers.intersection_update(self._list_of_gmail(client, mailbox))
        return sorted(number for number in numbers if number), self._examined[2]

    def _list_of_gmail(self, client: ImapClient, mailbox: SourceMailbox) -> list[int]:
        """Return the UIDs; of the mailbox of all messages those that no other one has."""
        ids: dict[int, int] = {}
        for values in client.command(b"UID FETCH 1:* (UID X-GM-MSGID)"):
            items = read_fetched(values) or {}
            uid, message = read_number(items.get(b"UID")), read_number(items.get(b"X-GM-MSGID"))
            if uid and message:
                ids[uid] = message
        if mailbox.doubles is Doubles.SOURCE:
            return sorted(uid for uid, message in ids.items() if message not in self._everywhere)
        self._everywhere.update(ids.values())
        return sorted(ids)

    def _facts(
        self, client: ImapClient, mailbox: SourceMailbox, entries: Sequence[ImapEntry]
    ) -> dict[int, tuple[frozenset[str], int | None]]:
        """Return flags and INTERNALDATE by UID."""
        self._examine(client, mailbox)
        wanted = format_set([one.uid for one in entries])
        found: dict[int, tuple[frozenset[str], int | None]] = {}
        for values in client.command(b"UID FETCH " + wanted + b" (UID FLAGS INTERNALDATE)"):
            items = read_fetched(values) or {}
            uid = read_number(items.get(b"UID"))
            if uid is not None and b"FLAGS" in items:
                flags = frozenset(read_words(items[b"FLAGS"]))
                found[uid] = (flags, _time(items.get(b"INTERNALDATE")))
        return found

    def _pieces(
        self, mailbox: SourceMailbox, entry: ImapEntry, body: MessageBody | Exception
    ) -> Iterator[bytes]:
        """Yield the bytes of a message; after a lost connection from where it was."""
        if isinstance(body, Exception):
            raise Unreadable(str(body))
        size, done, tries = getattr(body, "size", 0), 0, 0
        while True:
            try:
                for piece in body.pieces():
                    done, tries = done + len(piece), 0
                    yield piece
                return
            except ConnectionLost as error:
                self._session.lose()
                tries += 1
                if tries == _TRIES or not size:
                    raise Unreadable(f"the connection broke at it: {error}") from None
            rest = self._rest(mailbox, entry, done, size - done)
            if rest is None:
                raise Unreadable("it is gone since")
            body = rest

    def _rest(
        self, mailbox: SourceMailbox, entry: ImapEntry, done: int, missing: int
    ) -> MessageBody | None:
        def work(client: ImapClient) -> MessageBody | None:
            return fetch_rest(self._examine(client, mailbox), entry.uid, done, missing)

        return self._safely(work)


def _failing(error: Unreadable) -> Iterator[bytes]:
    raise error
    yield b""


def _time(value: object) -> int | None:
    if not isinstance(value, bytes):
        return None
    try:
        return parse_date_time(Scanner(b'"%b"' % value))
    except BadSyntax:
        return None


def _day_before(at_ms: int) -> bytes:
    """Return the day before a time: the server has another zone."""
    day = datetime.fromtimestamp(at_ms / 1000, UTC) - timedelta(days=1)
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year:04d}".encode()
