"""Changes of flags: what STORE, the web and FETCH of a body do.

The laws are those of ``store.mail.message_changes``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId, ModSeq, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.rows import among, execute_text, mark_of, portions
from zajil.store.feedback.feedback import said_by_flags
from zajil.store.feedback.training import record_feedback
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
from zajil.store.mail.open_mailboxes import OpenMailbox, next_modseq, open_mailboxes


class FlagMode(Enum):
    """What a change does with the flags it names, in whatever case they are spelled."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
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


def change_flags(tx: Connection, items: Sequence[FlagChange]) -> list[tuple[ChangedFlags, ...]]:
    """Change flags of messages; those that are gone are passed over.

    Unit of work: idempotent but for the MODSEQ; locks the mailboxes; touches their topics.

    Returns:
        For each item its messages with their flags now, ascending, also those it left as they were.

    Raises:
        NoSuchMailbox: it is gone, or the account may not do this with it.
        TooManyKeywords: a message would get more than it may have; none was changed.
    """
    boxes = open_mailboxes(tx, [(item.account_id, item.mailbox_id, "") for item in items])
    return [_change_flags(tx, item, boxes[item.account_id, item.mailbox_id]) for item in items]


# ---- inside -------------------------------------------------------------------------------------

_Kind: TypeAlias = tuple[int, str]
"""Flags as a row has them: bits and keywords."""


def _change_flags(tx: Connection, item: FlagChange, box: OpenMailbox) -> tuple[ChangedFlags, ...]:
    rows = _find(tx, item.mailbox_id, item.uids)
    newest = item.unchanged_since
    # Many messages have the same flags: what becomes of these is decided once.
    groups: dict[_Kind, list[Uid]] = defaultdict(list)
    for uid, modseq, bits, keywords in rows:
        if newest is None or modseq <= newest:
            groups[bits, keywords].append(uid)
    after = {kind: _apply(item, unpack_flags(*kind), box) for kind in groups}
    changed = {kind: flags for kind, flags in after.items() if flags != unpack_flags(*kind)}
    new_modseq = None
    if changed:
        new_modseq = next_modseq(tx, item.mailbox_id)
        for kind, flags in changed.items():
            _update(tx, item.mailbox_id, groups[kind], flags, new_modseq)
        if box.owner_id == item.account_id:  # what others say teaches the owner nothing
            said = [(groups[kind], unpack_flags(*kind), now) for kind, now in changed.items()]
            record_feedback(tx, said_by_flags(tx, item.account_id, item.mailbox_id, said))
    results = []
    for uid, modseq, bits, keywords in rows:
        kind = (bits, keywords)
        if newest is not None and modseq > newest:
            results.append(ChangedFlags(uid, modseq, unpack_flags(*kind), modseq, True))
        elif new_modseq is not None and kind in changed:
            results.append(ChangedFlags(uid, new_modseq, changed[kind], modseq))
        else:
            results.append(ChangedFlags(uid, modseq, unpack_flags(*kind), modseq))
    return tuple(results)


def _find(
    tx: Connection, mailbox_id: MailboxId, uids: Sequence[Uid]
) -> list[tuple[Uid, ModSeq, int, str]]:
    """Return UID, MODSEQ and flags of those of the messages that are there, ascending."""
    rows: list[tuple[Uid, ModSeq, int, str]] = []
    # The names are constants.
    query = f"SELECT uid, modseq, flags, keywords FROM message WHERE mailbox_id = {mark_of(tx)}"  # noqa: S608
    for some in portions(sorted(set(uids))):
        which, numbers = among(tx, "uid", some)
        found = execute_text(tx, f"{query} AND {which} ORDER BY uid", (mailbox_id, *numbers))
        rows += [
            (Uid(uid), ModSeq(modseq), bits, keywords) for uid, modseq, bits, keywords in found
        ]
    return rows


def _update(
    tx: Connection,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    flags: frozenset[str],
    modseq: ModSeq,
) -> None:
    mark, values = mark_of(tx), (*pack_flags(flags), modseq)
    # The names are constants.
    change = f"UPDATE message SET flags = {mark}, keywords = {mark}, modseq = {mark}"  # noqa: S608
    for some in portions(uids):
        which, numbers = among(tx, "uid", some)
        text = f"{change} WHERE mailbox_id = {mark} AND {which}"
        execute_text(tx, text, (*values, mailbox_id, *numbers))


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
