"""The selected mailbox as the client knows it. (RFC 3501 section 2.3.1.2, 7.4.1)

Law: a sequence number changes only when the client is told, and it is told of an expunge only at
the end of a command that allows it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import cast

from zajil.core.ids import AccountId, ModSeq, Uid
from zajil.core.mailbox_rights import changeable
from zajil.imap.feature import Feature
from zajil.imap.flag import SYSTEM_FLAGS
from zajil.imap.grammar import bad
from zajil.imap.response import flag_list, untagged, untagged_status
from zajil.imap.sequence_set import SequenceSet, format_set
from zajil.store.mail.mailboxes import Mailbox
from zajil.store.mail.messages import MailboxChanges, MessageFlags

_VANISHED = {Feature.QRESYNC, Feature.UIDONLY}
"""With one of these, UIDs are told in place of sequence numbers."""
_LINES = 1000
"""EXPUNGE responses that are written together."""


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
    enabled: Set[Feature]
    """What the client has enabled by now."""
    saved: array[int] = field(default_factory=lambda: array("I"))
    """UIDs that ``$`` means, ascending; some may be gone. (RFC 5182)"""
    changed: bool = False
    """The store said that something happened since ``modseq``."""
    gone: set[int] = field(default_factory=set)
    """Expunged in the store; the client still counts them."""
    gone_after: ModSeq | None = None
    """The first of these was expunged after this MODSEQ."""
    sent_modseq: int = 0
    """The highest MODSEQ that the client was sent since its last command was answered."""
    vanished: bool = False
    """It was sent VANISHED since then, which tells no MODSEQ."""
    told: dict[int, ModSeq] = field(default_factory=dict)
    """Flags the client knows of since its own command, by the MODSEQ they had."""

    @property
    def account_id(self) -> AccountId:
        """Who has selected it."""
        return self.mailbox.account_id

    @property
    def safe_modseq(self) -> ModSeq:
        """The MODSEQ up to which the client was told of all changes. (RFC 7162 section 6)"""
        return self.modseq if self.gone_after is None else self.gone_after

    @property
    def condstore(self) -> bool:
        """Whether the client is told MODSEQs."""
        return Feature.CONDSTORE in self.enabled

    @property
    def tells_uid(self) -> bool:
        """Whether changes of flags are told with the UID, whatever command they come from.

        RFC 7162 section 3.2.4, RFC 9051 section 7.5.2
        """
        return self.condstore or Feature.IMAP4REV2 in self.enabled

    @property
    def uid_only(self) -> bool:
        """Whether the client is told no sequence numbers. (RFC 9586)"""
        return Feature.UIDONLY in self.enabled

    @property
    def fetch_head(self) -> bytes:
        """The beginning of a FETCH response, with a place for ``shown_number``."""
        return b"* %d UIDFETCH (" if self.uid_only else b"* %d FETCH ("

    def shown_number(self, uid: int) -> int:
        """Return what a message that the client counts is called in a FETCH response."""
        return uid if self.uid_only else self.number_of(uid) or 0

    @property
    def may_mark_seen(self) -> bool:
        """Whether FETCH of a body sets ``\\Seen``. (RFC 4314 section 4)"""
        return not self.read_only and "s" in self.mailbox.rights

    def permanent_flags(self) -> list[str]:
        """Return what PERMANENTFLAGS names: flags that the account may change for good.

        ``\\*``: it may make new keywords.
        """
        if self.read_only:
            return []
        flags = [*SYSTEM_FLAGS, *sorted(self.keywords.values()), "\\*"]
        allowed = changeable(flags, self.mailbox.rights)
        return [flag for flag in flags if flag in allowed]

    def number_of(self, uid: int) -> int | None:
        """Return the sequence number of a message; ``None``: the client does not count it."""
        at = bisect_left(self.uids, uid)
        return at + 1 if at < len(self.uids) and self.uids[at] == uid else None

    def choose(
        self, numbers: SequenceSet, *, uid: bool, star_is_all: bool = False
    ) -> Sequence[Uid]:
        """Return the UIDs a set means, ascending; UIDs that do not exist are passed over.

        ``$`` means messages, with sequence numbers and with UIDs (RFC 5182 section 2.1).

        Args:
            numbers: as the client wrote them.
            uid: they are UIDs, not sequence numbers.
            star_is_all: ``1:*`` is no error in an empty mailbox.

        Raises:
            CommandError: BAD, a sequence number that no message has (RFC 3501 section 9).
        """
        if numbers.saved:
            there = [one for one in self.saved if self.number_of(one) is not None]
            return cast("Sequence[Uid]", array("I", there))
        if uid:
            return cast("Sequence[Uid]", array("I", numbers.select(self.uids)))
        if not numbers.is_within(len(self.uids), star_is_all=star_is_all):
            raise bad("no such message number")
        chosen = array("I")
        for first, last in numbers.spans(len(self.uids)):
            chosen.extend(self.uids[max(first, 1) - 1 : last])
        return cast("Sequence[Uid]", chosen)

    def shown_flags(self, flags: frozenset[str]) -> list[str]:
        """Return flags in the order and the spelling in which this session shows them."""
        shown = [flag for flag in SYSTEM_FLAGS if flag in flags]
        return shown + sorted([self.spell(flag) for flag in flags if not flag.startswith("\\")])

    def knew(self, uid: int, modseq: int) -> bool:
        """Return whether the client knows the flags that a message had with a MODSEQ."""
        return modseq <= self.modseq or self.told.get(uid) == modseq

    def note_told(self, uids: Sequence[int], modseqs: Sequence[int]) -> None:
        """Note that the client is told of flags with these MODSEQs by the answer to its command."""
        if max(modseqs, default=0) > self.modseq:
            pairs = zip(uids, modseqs, strict=True)
            self.told.update([(uid, ModSeq(one)) for uid, one in pairs if one > self.modseq])

    def follow_own(self, modseq: ModSeq | None) -> None:
        """Follow the store past a change of this session, of which the client is told at once.

        Nothing is read for it. If another change came in between, ``take`` follows them all: each
        change raises the MODSEQ of the mailbox by one at least.

        Args:
            modseq: that the change gave to messages; ``None``: it changed none.
        """
        if modseq == self.modseq + 1:
            self.modseq = ModSeq(self.modseq + 1)

    def flag_lines(self) -> list[bytes]:
        """Write FLAGS, all flags the mailbox has, and PERMANENTFLAGS. (RFC 3501 section 7.2.6)"""
        flags = flag_list([*SYSTEM_FLAGS, *sorted(self.keywords.values())])
        lasting = flag_list(self.permanent_flags()).decode("ascii")
        permanent = untagged_status("OK", "flags that last", f"PERMANENTFLAGS {lasting}")
        return [untagged(b"FLAGS", flags), permanent]

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
        places = _places(self.uids, frozenset(changes.expunged))
        self.gone.update([self.uids[place] for place in places])
        if changes.present is not None:
            self.gone.update(set(self.uids).difference(changes.present))
        if self.gone and self.gone_after is None:
            self.gone_after = self.modseq
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
            lines += self.recent_lines()
        self.modseq, self.uid_next = changes.modseq, changes.uid_next
        if not changes.more:
            self.told.clear()
        return lines, tell

    def recent_lines(self) -> list[bytes]:
        """Write the RECENT response, which IMAP4rev2 does not have."""
        if Feature.IMAP4REV2 in self.enabled:
            return []
        return [untagged(b"%d" % len(self.recent), b"RECENT")]

    def is_recent(self, uid: int) -> bool:
        """Return whether this session shows ``\\Recent`` for a message. (RFC 3501 section 2.3.2)

        IMAP4rev2 has no such flag.
        """
        if Feature.IMAP4REV2 in self.enabled:
            return False
        at = bisect_left(self.recent, uid)
        return at < len(self.recent) and self.recent[at] == uid

    def new_keywords(self, flags: Iterable[frozenset[str]]) -> list[bytes]:
        """Return FLAGS and PERMANENTFLAGS if one of these is a keyword they did not name yet."""
        words = {flag for some in set(flags) for flag in some if not flag.startswith("\\")}
        new = {word.lower(): word for word in sorted(words) if word.lower() not in self.keywords}
        self.keywords |= new
        return self.flag_lines() if new else []

    def expunge_lines(self) -> list[bytes]:
        """Forget expunged messages and write their EXPUNGE responses. (RFC 3501 section 7.4.1)

        VANISHED in their place is for clients that enabled it (RFC 7162 section 3.2.10). RECENT
        follows where recent ones leave: clients compare it with the messages (RFC 3501 section
        7.3.2).
        """
        leaving, self.gone, self.gone_after = self.gone, set(), None
        if not leaving:
            return []
        places = _places(self.uids, leaving)
        recent = array("I", [uid for uid in self.recent if uid not in leaving])
        fewer = len(recent) != len(self.recent)
        self.recent = recent
        left, self.uids = self.uids, _without(self.uids, places)
        if not self.enabled.isdisjoint(_VANISHED):
            self.vanished = True
            lines = [untagged(b"VANISHED", format_set([left[place] for place in places]))]
        else:
            # From the end, so that the numbers of those that follow do not move under the client.
            numbers = [place + 1 for place in reversed(places)]
            line = b"* %d EXPUNGE\r\n"
            portions = (numbers[at : at + _LINES] for at in range(0, len(numbers), _LINES))
            lines = [line * len(some) % tuple(some) for some in portions]
        return lines + self.recent_lines() if fewer else lines


def _places(uids: array[int], wanted: Set[int]) -> list[int]:
    """Return where in a column those of the UIDs are that are there, ascending."""
    if len(wanted) > len(uids) // 16:
        return [place for place, uid in enumerate(uids) if uid in wanted]
    found = [(bisect_left(uids, uid), uid) for uid in wanted]
    return sorted([at for at, uid in found if at < len(uids) and uids[at] == uid])


def _without(uids: array[int], places: Sequence[int]) -> array[int]:
    """Return a column without some places, ascending: copied from gap to gap."""
    if places and places[-1] - places[0] == len(places) - 1:
        return uids[: places[0]] + uids[places[-1] + 1 :]
    kept, start = array("I"), 0
    for place in places:
        kept.extend(uids[start:place])
        start = place + 1
    kept.extend(uids[start:])
    return kept
