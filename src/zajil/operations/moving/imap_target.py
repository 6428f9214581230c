"""An account at another IMAP server as a target.

What is there already is found by Message-ID with size or time, without one by size and time: a
second run, and one after a lost connection, add what is missing.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TypeVar

from zajil.imap.date_time import format_date_time, parse_date_time
from zajil.imap.grammar import BadSyntax, Scanner
from zajil.imap.server_response import Value, read_fetched, read_number
from zajil.message.fields import find_value, read_fields, split_message
from zajil.net.imap_client import ImapClient, LoginRefused, ServerRefused
from zajil.net.imap_connection import CannotConnect, ConnectionLost
from zajil.operations.moving.imap_account import ROLES, ForeignSession, ImapAccount, retry
from zajil.operations.moving.model import Leaving, NoTarget, OwnMailbox, Report, Unreadable
from zajil.operations.moving.names import role_of

T = TypeVar("T")

_TRIES = 3
_PORTION = 1000
"""Messages that are asked about at a time."""
_FULL = {"OVERQUOTA", "LIMIT"}
_ID_SIZE = 8


class ImapTarget:
    """The mailboxes of an account."""

    def __init__(self, account: ImapAccount) -> None:
        """Log in.

        Raises:
            NoTarget: the log-in does not work.
        """
        self.identity = account.identity
        self._name = b""
        self._there: dict[bytes, list[tuple[int, int]]] = {}
        """Sizes and times (in seconds) of what is in the mailbox, by a digest of Message-ID."""
        self._permanent: frozenset[str] | None = None
        """Flags that the mailbox keeps, lower case; ``None``: also new keywords."""
        self._dropped: set[str] = set()
        self._report = Report()
        self._label = ""
        try:
            self._session = ForeignSession(account)
            self._roles = retry(self._session, lambda _: self._find_roles())
        except (CannotConnect, ConnectionLost, LoginRefused, ServerRefused) as error:
            raise NoTarget(str(error)) from None

    def open(self, mailbox: OwnMailbox, report: Report) -> bool:
        """Make a mailbox where it is missing, and see what is in it."""
        self._report, self._label, self._dropped = report, mailbox.name, set()
        levels = mailbox.name.split("/")
        name = self._roles.get(mailbox.role or "") or self._session.name_on_wire(levels)
        self._name = name
        try:
            self._safely(lambda client: self._make(client, name, subscribe=mailbox.subscribed))
            self._safely(self._look)
        except ServerRefused as error:
            report.leave_out(mailbox.name, f"the server refused the mailbox: {error}")
            return False
        return True

    def put(self, message: Leaving) -> bool:
        """Append a message, unless it is there."""
        head = next(message.pieces(), b"")
        mark = _mark(head)
        for left in reversed(range(_TRIES)):
            if self._take(mark, message.size, message.received_at_ms // 1000):
                return False
            try:
                self._append(self._session.client(), message)
            except ConnectionLost as error:
                # It may be there, or not: look again.
                self._session.lose()
                if not left:
                    raise Unreadable(f"the connection broke at it: {error}") from None
                self._safely(self._look)
            except ServerRefused as error:
                if error.code in _FULL:
                    raise NoTarget(f"the server takes no more: {error}") from None
                raise Unreadable(f"the server refused it: {error}") from None
            except (CannotConnect, LoginRefused) as error:
                raise NoTarget(str(error)) from None
            else:
                return True
        return True

    def finish(self) -> None:
        """Say which keywords the server did not take."""
        if self._dropped:
            what = ", ".join(sorted(self._dropped)[:10])
            self._report.leave_out(
                f"keywords in {self._label}: {what}", "the server keeps no keywords there"
            )

    def close(self) -> None:
        """Log out."""
        self._session.close()

    # ---- inside ---------------------------------------------------------------------------------

    def _find_roles(self) -> dict[str, bytes]:
        """Return the mailbox for each role: by attribute, else by name."""
        listed = self._session.list_all()
        found = {"inbox": b"INBOX"}
        for one in listed:
            role = role_of(self._session.levels(one))
            if role is not None:
                found.setdefault(role, one.name)
        for one in listed:
            for word in one.attributes & ROLES.keys():
                found[ROLES[word]] = one.name
        return found

    def _make(self, client: ImapClient, name: bytes, *, subscribe: bool) -> None:
        try:
            client.command(b"SELECT", name)
        except ServerRefused:
            client.command(b"CREATE", name)
            if subscribe:
                client.command(b"SUBSCRIBE", name)

    def _look(self, client: ImapClient) -> None:
        """Select the mailbox, and see which flags it keeps and which messages it has."""
        client.command(b"SELECT", self._name)
        self._permanent, exists = None, 0
        for data in client.untagged:
            if b"[PERMANENTFLAGS (" in data:
                words = data.partition(b"[PERMANENTFLAGS (")[2].partition(b")")[0].split()
                flags = frozenset(one.decode("utf-8", "replace").lower() for one in words)
                self._permanent = None if "\\*" in flags else flags
            if data.upper().rstrip().endswith(b" EXISTS"):
                exists = read_number(data.partition(b" ")[0]) or 0
        self._there = defaultdict(list)
        for start in range(1, exists + 1, _PORTION):
            end = min(start + _PORTION - 1, exists)
            answers = client.command(
                b"FETCH %d:%d (RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"
                % (start, end)
            )
            for values in answers:
                self._note(read_fetched(values) or {})

    def _note(self, items: Mapping[bytes, Value]) -> None:
        size, at = items.get(b"RFC822.SIZE"), items.get(b"INTERNALDATE")
        head = next((value for name, value in items.items() if name.startswith(b"BODY[")), b"")
        if isinstance(size, bytes) and isinstance(at, bytes) and isinstance(head, bytes):
            try:
                seconds = parse_date_time(Scanner(b'"%b"' % at)) // 1000
            except BadSyntax:
                seconds = 0
            self._there[_mark(head)].append((read_number(size) or 0, seconds))

    def _take(self, mark: bytes, size: int, seconds: int) -> bool:
        """Find a message among those that are there; each is found once."""
        known = self._there.get(mark, [])
        best: int | None = None
        for place, one in enumerate(known):
            if one == (size, seconds):
                best = place
                break
            # Some servers write a message anew, some give it a time of their own.
            if best is None and mark and (one[0] == size or one[1] == seconds):
                best = place
        if best is not None:
            del known[best]
            return True
        return False

    def _append(self, client: ImapClient, message: Leaving) -> None:
        flags = message.flags
        if self._permanent is not None:
            kept = frozenset(one for one in flags if one.lower() in self._permanent)
            self._dropped |= {one for one in flags - kept if not one.startswith("\\")}
            flags = kept
        client.append(
            self._name,
            b"(" + " ".join(sorted(flags)).encode("ascii", "replace") + b")",
            format_date_time(message.received_at_ms),
            message.size,
            message.pieces(),
        )

    def _safely(self, work: Callable[[ImapClient], T]) -> T:
        try:
            return retry(self._session, work)
        except (CannotConnect, ConnectionLost, LoginRefused) as error:
            raise NoTarget(str(error)) from None


def _mark(head: bytes) -> bytes:
    """Return a digest of the Message-ID in a header section; ``b""``: it has none."""
    value = find_value(read_fields(head[: split_message(head)[0]]), b"message-id")
    if value is None or not value.strip():
        return b""
    return hashlib.blake2b(value.strip(), digest_size=_ID_SIZE).digest()
