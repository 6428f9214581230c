"""The selected mailbox as the client knows it. (RFC 3501 section 2.3.1.2, 7.4.1)

Law: a sequence number changes only when the client is told, and it is told of an expunge only at
the end of a command that allows it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from zajil.core.ids import AccountId, ModSeq, Uid
from zajil.imap.flag import RECENT, SYSTEM_FLAGS
from zajil.imap.grammar import bad
from zajil.imap.response import flag_list, untagged
from zajil.imap.sequence_set import SequenceSet
from zajil.store.mail.mailboxes import Mailbox
from zajil.store.mail.messages import MailboxChanges, MessageFlags


@dataclass(slots=True, kw_only=True)
class SelectedMailbox:
    """One selected mailbox of one session."""

    mailbox: Mailbox
    read_only: bool
    uids: array[int]
    """What the client counts: the message with sequence number n is at n - 1."""
    modseq: ModSeq
    """How far the store was followed."""
    uid_next: Uid
    keywords: dict[str, str]
    """What FLAGS named last: each keyword in lower case, and how it is spelled here."""
    unsubscribe: Callable[[], None]
    recent: array[int]
    """UIDs of the messages that are ``\\Recent`` in this session, ascending; all in ``uids``."""
    changed: bool = False
    """The store said that something happened since ``modseq``."""
    gone: set[int] = field(default_factory=set)
    """Expunged in the store; the client still counts them."""
    told: dict[int, ModSeq] = field(default_factory=dict)
    """Flags the client knows of since its own command, by the MODSEQ they had."""

    @property
    def account_id(self) -> AccountId:
        """Whose mailbox it is."""
        return self.mailbox.account_id

    def number_of(self, uid: int) -> int | None:
        """Return the sequence number of a message; ``None``: the client does not count it."""
        at = bisect_left(self.uids, uid)
        return at + 1 if at < len(self.uids) and self.uids[at] == uid else None

    def choose(
        self, numbers: SequenceSet, *, uid: bool, star_is_all: bool = False
    ) -> Sequence[Uid]:
        """Return the UIDs a set means, ascending; UIDs that do not exist are passed over.

        Args:
            numbers: as the client wrote them.
            uid: they are UIDs, not sequence numbers.
            star_is_all: ``1:*`` is no error in an empty mailbox.

        Raises:
            CommandError: BAD, a sequence number that no message has (RFC 3501 section 9).
        """
        if uid:
            return cast("Sequence[Uid]", array("I", numbers.select(self.uids)))
        if not numbers.is_within(len(self.uids), star_is_all=star_is_all):
            raise bad("no such message number")
        chosen = array("I")
        for first, last in numbers.spans(len(self.uids)):
            chosen.extend(self.uids[max(first, 1) - 1 : last])
        return cast("Sequence[Uid]", chosen)

    def flags_of(self, uid: int, flags: frozenset[str]) -> bytes:
        """Write the flags of a message as this session sees them."""
        shown = [flag for flag in SYSTEM_FLAGS if flag in flags]
        shown += sorted([self.spell(flag) for flag in flags if not flag.startswith("\\")])
        if self.is_recent(uid):
            shown.append(RECENT)
        return flag_list(shown)

    def flags_line(self) -> bytes:
        """Write the FLAGS response: all flags the mailbox has. (RFC 3501 section 7.2.6)"""
        return untagged(b"FLAGS", flag_list([*SYSTEM_FLAGS, *sorted(self.keywords.values())]))

    def spell(self, flag: str) -> str:
        """Return a flag as this mailbox spells it: keywords ignore case."""
        return self.keywords.get(flag.lower(), flag)

    def take(
        self, changes: MailboxChanges, recent_from: Uid
    ) -> tuple[list[bytes], list[MessageFlags]]:
        """Follow the store.

        Args:
            changes: since ``modseq``.
            recent_from: new messages from this UID on are recent in this session.

        Returns:
            Lines to send before, and the messages whose flags the client has to be told.
        """
        self.gone.update(uid for uid in changes.expunged if self.number_of(uid) is not None)
        before = len(self.uids)
        lines: list[bytes] = []
        tell: list[MessageFlags] = []
        for one in changes.changed:
            if one.uid >= self.uid_next:
                self.uids.append(one.uid)
                if one.uid >= recent_from:
                    self.recent.append(one.uid)
            elif self.told.get(one.uid) != one.modseq:
                tell.append(one)
        lines += self.new_keywords(one.flags for one in changes.changed)
        if len(self.uids) != before:
            lines.append(untagged(b"%d" % len(self.uids), b"EXISTS"))
            lines.append(untagged(b"%d" % len(self.recent), b"RECENT"))
        self.modseq, self.uid_next = changes.modseq, changes.uid_next
        if not changes.more:
            self.told.clear()
        return lines, tell

    def is_recent(self, uid: int) -> bool:
        """Return whether this session shows ``\\Recent`` for a message. (RFC 3501 section 2.3.2)"""
        at = bisect_left(self.recent, uid)
        return at < len(self.recent) and self.recent[at] == uid

    def new_keywords(self, flags: Iterable[frozenset[str]]) -> list[bytes]:
        """Return the FLAGS response if one of these is a keyword it did not name yet."""
        words = {flag for some in flags for flag in some if not flag.startswith("\\")}
        new = {word.lower(): word for word in sorted(words) if word.lower() not in self.keywords}
        self.keywords |= new
        return [self.flags_line()] if new else []

    def expunge_lines(self, only: Sequence[int] | None = None) -> list[bytes]:
        """Forget expunged messages and write their EXPUNGE responses. (RFC 3501 section 7.4.1)

        Args:
            only: these alone; ``None``: all that are gone.
        """
        leaving = self.gone if only is None else self.gone.intersection(only)
        if not leaving:
            return []
        places = sorted([n - 1 for uid in leaving if (n := self.number_of(uid)) is not None])
        self.recent = array("I", [uid for uid in self.recent if uid not in leaving])
        # One pass, however many leave: what is kept is copied from gap to gap.
        kept, start = array("I"), 0
        for place in places:
            kept.extend(self.uids[start:place])
            start = place + 1
        kept.extend(self.uids[start:])
        self.uids = kept
        self.gone -= leaving
        # From the end, so that the numbers of those that follow do not move under the client.
        return [untagged(b"%d" % (place + 1), b"EXPUNGE") for place in reversed(places)]
