"""Changes of flags: what STORE, the web and FETCH of a body do.

The laws are those of ``store.mail.message_changes``.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import field, replace
from enum import Enum

from sqlalchemy.engine import Connection

from zajil.core.feedback import kind_of_flags
from zajil.core.ids import AccountId, MailboxId, ModSeq, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.rows import each_among, execute_text, mark_of, replaced
from zajil.store.feedback.feedback import said_by_flags
from zajil.store.feedback.training_queue import record_feedback
from zajil.store.mail.flags import (
    MAX_KEYWORDS,
    TooManyKeywords,
    add_flags,
    count_keywords,
    pack_flags,
    remove_flags,
    replace_flags,
    unpack_flags,
)
from zajil.store.mail.message_table import MessageTable, pick
from zajil.store.mail.open_mailboxes import OpenMailbox, next_modseq, open_mailboxes

TEXTS = 16
"""Texts of keywords that one statement changes: it compares each row with them."""


class FlagMode(Enum):
    """What a change does with the flags it names, in whatever case they are spelled."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


@value_class(frozen=True, slots=True)
class KnownFlags:
    """Flags of messages as a mailbox had them at a MODSEQ."""

    table: MessageTable
    modseq: ModSeq
    """The mailbox's; what it has more than the table concerns other messages."""


@value_class(frozen=True, slots=True)
class FlagChange:
    """What ``change_flags`` takes."""

    account_id: AccountId
    mailbox_id: MailboxId
    uids: tuple[Uid, ...]
    mode: FlagMode
    flags: frozenset[str]
    unchanged_since: int | None = None
    """Messages with a larger MODSEQ stay as they are (RFC 7162 section 3.1.3)."""


@value_class(frozen=True, slots=True)
class ChangedFlags:
    """A message that was to be changed, as it is now."""

    uid: Uid
    modseq: ModSeq
    flags: frozenset[str]
    previous: ModSeq = field(compare=False)
    """Its MODSEQ before; the same: it was not changed."""
    refused: bool = False
    """It was changed since ``unchanged_since``."""


@value_class(frozen=True, slots=True)
class FlagsNow:
    """Flags that some messages have after a change."""

    flags: frozenset[str]
    changed: bool
    """The change made them so."""
    refused: bool
    """The messages were changed since ``unchanged_since``."""


@value_class(frozen=True, slots=True, kw_only=True)
class FlagChanges:
    """What became of messages that were to be changed, also of those that stayed as they were.

    In columns with one entry for each message, ascending by UID: there may be thousands, with few
    different flags.
    """

    uids: array[int]
    previous: array[int]
    """Their MODSEQs before."""
    kinds: array[int]
    """Places in ``sets``."""
    sets: tuple[FlagsNow, ...]
    modseq: ModSeq | None
    """Of all that were changed; ``None``: none was."""

    def __len__(self) -> int:
        return len(self.uids)

    def __iter__(self) -> Iterator[ChangedFlags]:
        rows = zip(self.uids, self.modseqs(), self.kinds, self.previous, strict=True)
        for uid, modseq, kind, previous in rows:
            now = self.sets[kind]
            yield ChangedFlags(
                Uid(uid), ModSeq(modseq), now.flags, ModSeq(previous), refused=now.refused
            )

    def modseqs(self) -> array[int]:
        """Return the MODSEQ that each message has now."""
        if self.modseq is None:
            return self.previous
        if all([one.changed for one in self.sets]):
            return array("Q", [self.modseq]) * len(self)
        changed = [self.modseq if one.changed else 0 for one in self.sets]
        pairs = zip(self.kinds, self.previous, strict=True)
        return array("Q", [changed[kind] or previous for kind, previous in pairs])

    def uids_where(self, wanted: Sequence[bool]) -> array[int]:
        """Return the UIDs of messages whose flags are wanted; an entry for each of ``sets``."""
        if all(wanted):
            return self.uids
        if not any(wanted):
            return array("I")
        pairs = zip(self.uids, self.kinds, strict=True)
        return array("I", [uid for uid, kind in pairs if wanted[kind]])


def change_flags(tx: Connection, items: Sequence[FlagChange]) -> list[FlagChanges]:
    """Change flags of messages; those that are gone are passed over.

    Unit of work: idempotent but for the MODSEQ; locks the mailboxes; touches their topics.

    Raises:
        NoSuchMailbox: it is gone, or the account may not do this with it.
        TooManyKeywords: a message would get more than it may have; none was changed.
    """
    return change_known_flags(tx, [(item, None) for item in items])


def change_known_flags(
    tx: Connection, items: Sequence[tuple[FlagChange, KnownFlags | None]]
) -> list[FlagChanges]:
    """Change flags as ``change_flags`` does, of messages that the caller knows.

    What it knows need not be true any more: then they are read.
    """
    boxes = open_mailboxes(tx, [(item.account_id, item.mailbox_id, "") for item, _ in items])
    done: list[FlagChanges] = []
    touched: set[MailboxId] = set()
    for item, known in items:
        box = boxes[item.account_id, item.mailbox_id]
        # Invariant: the MODSEQ of the open mailbox is that of before the first item.
        rows = None if item.mailbox_id in touched else _look_up(item.uids, known, box)
        touched.add(item.mailbox_id)
        done.append(_change_flags(tx, item, box, rows or _find(tx, item.mailbox_id, item.uids)))
    return done


# ---- inside -------------------------------------------------------------------------------------


@value_class(frozen=True, slots=True)
class _Kind:
    """Flags as some rows have them, and what becomes of them."""

    bits: int
    keywords: str
    refused: bool
    flags: frozenset[str]
    """Afterwards."""

    @property
    def before(self) -> frozenset[str]:
        return unpack_flags(self.bits, self.keywords)

    @property
    def changed(self) -> bool:
        return self.flags != self.before


def _change_flags(tx: Connection, item: FlagChange, box: OpenMailbox, rows: _Rows) -> FlagChanges:
    newest = item.unchanged_since
    refused = [newest is not None and modseq > newest for modseq in rows.modseqs]
    # Many messages have the same flags: what becomes of these is decided once.
    found = list(zip(rows.flags, refused, strict=True))
    places = {key: place for place, key in enumerate(dict.fromkeys(found))}
    kinds = [_decide(item, box, *flags, is_refused) for flags, is_refused in places]
    done = FlagChanges(
        uids=rows.uids,
        previous=rows.modseqs,
        kinds=array("I", map(places.__getitem__, found)),
        sets=tuple([FlagsNow(one.flags, one.changed, one.refused) for one in kinds]),
        modseq=None,
    )
    if not any([one.changed for one in kinds]):
        return done
    done = replace(done, modseq=next_modseq(tx, item.mailbox_id))
    _update(tx, item.mailbox_id, done, kinds)
    if box.owner_id == item.account_id:  # what others say teaches the owner nothing
        _record(tx, item, done, kinds)
    return done


@value_class(frozen=True, slots=True)
class _Rows:
    """Messages as they were, in columns, ascending by UID."""

    uids: array[int]
    modseqs: array[int]
    flags: Sequence[tuple[int, str]]
    """Bits and keywords."""


def _look_up(uids: Sequence[Uid], known: KnownFlags | None, box: OpenMailbox) -> _Rows | None:
    """Return what the caller knows of messages; ``None``: something was changed since."""
    if known is None or known.modseq != box.modseq:
        return None
    table = known.table
    places = table.places_of(sorted(set(uids)))
    sets = [(one.bits, one.keywords) for one in table.flag_sets]
    return _Rows(
        pick(table.uids, places),
        pick(table.modseqs, places),
        [sets[kind] for kind in pick(table.kinds, places)],
    )


def _find(tx: Connection, mailbox_id: MailboxId, uids: Sequence[Uid]) -> _Rows:
    """Return those of the messages that are there."""
    rows: list[tuple[int, int, int, str]] = []
    # The names are constants.
    query = f"SELECT uid, modseq, flags, keywords FROM message WHERE mailbox_id = {mark_of(tx)}"  # noqa: S608
    for which, numbers in each_among(tx, "uid", sorted(set(uids))):
        rows += execute_text(tx, f"{query} AND {which} ORDER BY uid", (mailbox_id, *numbers))
    return _Rows(
        array("I", [row[0] for row in rows]),
        array("Q", [row[1] for row in rows]),
        [row[2:] for row in rows],
    )


def _update(
    tx: Connection, mailbox_id: MailboxId, done: FlagChanges, kinds: Sequence[_Kind]
) -> None:
    """Write what became of the messages: many kinds with one statement."""
    mark = mark_of(tx)
    changed = [one for one in kinds if one.changed]
    texts = list(dict.fromkeys(one.keywords for one in changed))
    for start in range(0, len(texts), TEXTS):
        some = frozenset(texts[start : start + TEXTS])
        chosen = [one.changed and one.keywords in some for one in kinds]
        after = [(one, *pack_flags(one.flags)) for one in changed if one.keywords in some]
        # Bits depend on bits, and keywords on keywords.
        bits, of_bits = replaced(tx, "flags", {one.bits: now for one, now, _ in after})
        words, of_words = replaced(tx, "keywords", {one.keywords: now for one, _, now in after})
        # The names are constants.
        change = (
            f"UPDATE message SET flags = {bits}, keywords = {words}, modseq = {mark}"  # noqa: S608
            f" WHERE mailbox_id = {mark}"
        )
        values = (*of_bits, *of_words, done.modseq, mailbox_id)
        for which, numbers in each_among(tx, "uid", done.uids_where(chosen)):
            execute_text(tx, f"{change} AND {which}", (*values, *numbers))


def _record(tx: Connection, item: FlagChange, done: FlagChanges, kinds: Sequence[_Kind]) -> None:
    """Note what the change says of the mails."""
    said: list[tuple[list[Uid], frozenset[str], frozenset[str]] | None] = [
        ([], one.before, one.flags)
        if one.changed and kind_of_flags(one.before, one.flags) is not None
        else None
        for one in kinds
    ]
    if not any(said):
        return
    for uid, kind in zip(done.uids, done.kinds, strict=True):
        of_kind = said[kind]
        if of_kind is not None:
            of_kind[0].append(Uid(uid))
    chosen = [one for one in said if one is not None]
    record_feedback(tx, said_by_flags(tx, item.account_id, item.mailbox_id, chosen))


def _decide(item: FlagChange, box: OpenMailbox, bits: int, keywords: str, refused: bool) -> _Kind:
    flags = unpack_flags(bits, keywords)
    return _Kind(bits, keywords, refused, flags if refused else _apply(item, flags, box))


def _apply(item: FlagChange, flags: frozenset[str], box: OpenMailbox) -> frozenset[str]:
    """Return what becomes of the flags of a message.

    Raises:
        TooManyKeywords: it would have more than it may.
    """
    named = box.settable(item.flags)
    match item.mode:
        case FlagMode.REPLACE:
            kept = flags - box.settable(flags)
            after = replace_flags(flags, named | kept)
        case FlagMode.ADD:
            after = add_flags(flags, named)
        case FlagMode.REMOVE:
            after = remove_flags(flags, named)
    # One that has more already may lose some, and may still be marked as seen.
    count = count_keywords(after) if len(after) > MAX_KEYWORDS else 0
    if count > max(MAX_KEYWORDS, count_keywords(flags)):
        raise TooManyKeywords(f"{count} keywords")
    return after
