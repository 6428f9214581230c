"""The messages of one session: a list that does not change until QUIT. (RFC 1939 section 5)

What arrives in the session is in the next one. What another session removes keeps its number here,
and RETR says that it is gone.
"""

from __future__ import annotations

import functools
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.store.engine.open import Store
from zajil.store.mail.mailboxes import INBOX, find_mailbox
from zajil.store.mail.maildrops import (
    OpenEnds,
    find_open_ends,
    list_sizes,
    load_maildrop_facts,
    record_open_ends,
)

_LISTED = 10_000
"""Messages of which one query tells the size."""
_EXAMINED = 1000
"""Messages at whose end one query looks; they are not looked at again."""
_LINES = 1000
"""Lines of LIST and UIDL that are sent at a time."""


class Maildrop:
    """Numbers, sizes and marks.

    Memory: 13 bytes for each message.
    """

    def __init__(self, account_id: AccountId, mailbox_id: MailboxId, uid_validity: int) -> None:
        self.account_id = account_id
        self.mailbox_id = mailbox_id
        self.uid_validity = uid_validity
        self._uids = array("I")
        self._sizes = array("Q")
        self._marks = bytearray()
        self.count = 0
        """Messages that are not marked."""
        self.total_size = 0
        """Of these, in octets."""

    def add(self, uid: Uid, size: int) -> None:
        """Add a message, behind all others."""
        self._uids.append(uid)
        self._sizes.append(size)
        self._marks.append(0)
        self.count += 1
        self.total_size += size

    def has(self, number: int) -> bool:
        """Return whether there is a message of this number, marked or not."""
        return 1 <= number <= len(self._uids)

    def is_marked(self, number: int) -> bool:
        """Return whether a message will be deleted at QUIT."""
        return bool(self._marks[number - 1])

    def uid(self, number: int) -> Uid:
        """Return the UID of a message."""
        return Uid(self._uids[number - 1])

    def size(self, number: int) -> int:
        """Return the octets that RETR sends, without stuffed dots."""
        return self._sizes[number - 1]

    def unique_id(self, number: int) -> str:
        """Return what UIDL tells: it never changes, and no other message gets it.

        UIDVALIDITY stands in it, so that a mailbox that was made anew has other ids.
        """
        return f"{self.uid_validity}-{self._uids[number - 1]}"

    def mark(self, number: int) -> None:
        """Mark a message that is not marked yet."""
        self._marks[number - 1] = 1
        self.count -= 1
        self.total_size -= self._sizes[number - 1]

    def add_line_end(self, uid: Uid) -> bool:
        """Count the line end that RETR adds to a message; false: there is no such message."""
        at = bisect_left(self._uids, uid)
        if at == len(self._uids) or self._uids[at] != uid:
            return False
        self._sizes[at] += 2
        self.total_size += 2
        return True

    def uids_after(self, uid: Uid, most: int) -> list[Uid]:
        """Return the next UIDs behind one, ascending."""
        at = bisect_right(self._uids, uid)
        return [Uid(one) for one in self._uids[at : at + most]]

    def unmark_all(self) -> None:
        """Forget all marks."""
        self._marks = bytearray(len(self._uids))
        self.count = len(self._uids)
        self.total_size = sum(self._sizes)

    def marked_uids(self) -> list[Uid]:
        """Return the UIDs of the messages to delete, ascending."""
        return [Uid(uid) for uid, mark in zip(self._uids, self._marks, strict=True) if mark]

    def size_lines(self) -> Iterator[bytes]:
        """Return the lines of LIST, in portions."""
        for numbers in self._portions():
            lines = [f"{n} {self._sizes[n - 1]}\r\n" for n in numbers if not self._marks[n - 1]]
            yield "".join(lines).encode("ascii")

    def id_lines(self) -> Iterator[bytes]:
        """Return the lines of UIDL, in portions."""
        start = f"{self.uid_validity}-"
        for numbers in self._portions():
            lines = [
                f"{n} {start}{self._uids[n - 1]}\r\n" for n in numbers if not self._marks[n - 1]
            ]
            yield "".join(lines).encode("ascii")

    def _portions(self) -> Iterator[range]:
        end = len(self._uids) + 1
        return (range(at, min(at + _LINES, end)) for at in range(1, end, _LINES))


async def open_maildrop(store: Store, account_id: AccountId) -> Maildrop:
    """Read the messages of INBOX as they are now.

    Raises:
        StoreUnavailable: they cannot be read.
    """
    box = await store.read(lambda conn: find_mailbox(conn, account_id, INBOX), account_id)
    if box is None:
        raise RuntimeError("the account has no INBOX")
    drop = Maildrop(account_id, box.mailbox_id, box.uid_validity)
    after = Uid(0)
    while True:
        read = functools.partial(list_sizes, mailbox_id=box.mailbox_id, after=after, most=_LISTED)
        portion = await store.read(read, account_id)
        for uid, size in portion:
            drop.add(uid, size)
        if len(portion) < _LISTED:
            break
        after = portion[-1][0]
    await _find_open_ends(store, drop)
    return drop


async def _find_open_ends(store: Store, drop: Maildrop) -> None:
    """Correct the sizes of messages whose last line has no end; look at those that are new."""
    owner, mailbox_id = drop.account_id, drop.mailbox_id
    facts = await store.read(lambda conn: load_maildrop_facts(conn, owner), owner)
    gone = [uid for uid in sorted(facts.open_ends) if not drop.add_line_end(uid)][:_EXAMINED]
    after = facts.examined_uid
    while new := drop.uids_after(after, _EXAMINED):
        read = functools.partial(
            find_open_ends, blobs=store.blobs, mailbox_id=mailbox_id, after=after, until=new[-1]
        )
        found = await store.read(read, owner)
        for uid in found:
            drop.add_line_end(uid)
        after = new[-1]
        await store.write(record_open_ends, OpenEnds(owner, after, tuple(found), tuple(gone)))
        gone = []
