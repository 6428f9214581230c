"""Compare a store that lost power with what its clients were promised before."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.power_clients import STAGES, Notes
from kit.store import small_store_options
from zajil.net.system import SystemClock
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store, open_store
from zajil.store.mail.flags import FLAG_BITS
from zajil.store.repair.check import find_damage
from zajil.store.schema import mailbox, message

_SUBJECT = re.compile(rb"^Subject: (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that is still there."""

    mailbox: str
    uid: int
    is_flagged: bool
    raw: bytes

    @property
    def token(self) -> str:
        """Return its subject."""
        found = _SUBJECT.search(self.raw)
        return found[1].decode() if found else ""


def find_faults(data_dir: Path, notes: Notes, at: float) -> list[str]:
    """Open a store as a server does, and return what its clients would complain about.

    Args:
        data_dir: after a power failure.
        notes: what they were told.
        at: when the power failed: what they were told later does not count.
    """
    options = small_store_options("sqlite")
    try:
        store = open_store(options, data_dir, clock=SystemClock(), random=os.urandom, worker=0)
    except StoreUnavailable as error:
        return [f"the store does not open: {error}"]
    try:
        damage = find_damage(store, is_served=False, progress=lambda done, total: None)
        # The file of a large message is on disk before its row.
        faults = [str(one) for one in damage if one.kind != "orphan"]
        if faults:
            return faults  # the answers of other queries would mean nothing
        boxes, kept = store.read_now(lambda conn: _read(store, conn))
    finally:
        store.close_now()
    return [
        *_lost_mails(kept, notes, at),
        *_lost_changes(kept, notes, at),
        *_reused_uids(boxes, kept, notes, at),
    ]


def _read(store: Store, conn: Connection) -> tuple[dict[str, tuple[int, int, int]], list[Kept]]:
    boxes = {row.id: row for row in conn.execute(sa.select(mailbox))}
    kept = []
    for row in conn.execute(sa.select(message)):
        raw = row.prefix.encode() + store.blobs.read(conn, row.blob_id)
        is_flagged = bool(row.flags & FLAG_BITS["\\Flagged"])
        kept.append(Kept(boxes[row.mailbox_id].name, row.uid, is_flagged, raw))
    return {row.name: (row.uid_validity, row.uid_next, row.modseq) for row in boxes.values()}, kept


def _lost_mails(kept: list[Kept], notes: Notes, at: float) -> list[str]:
    whole: dict[str, bool] = {}
    flagged = set()
    for one in kept:
        token = one.token
        whole[token] = one.raw.endswith(notes.sent[token])
        if one.is_flagged:
            flagged.add(token)
    accepted = [token for token, told in notes.accepted.items() if told <= at]
    faults = [f"{token} had its 250 and is gone" for token in accepted if token not in whole]
    faults += [f"{token} has other bytes" for token, is_whole in whole.items() if not is_whole]
    promised = [token for token, told in notes.flagged.items() if told <= at]
    return faults + [f"{token} lost its flag" for token in promised if token not in flagged]


def _lost_changes(kept: list[Kept], notes: Notes, at: float) -> list[str]:
    stages = {}
    for one in kept:
        if one.mailbox == "Kept":
            stages[one.token] = STAGES.index("moved")
        elif one.mailbox == "Work":
            stages[one.token] = STAGES.index("flagged" if one.is_flagged else "appended")
    faults = []
    for token, begun in notes.begun.items():
        done = sum(told <= at for told in notes.done[token])
        asked = sum(told <= at for told in begun)
        # Before the first stage and after the last one it is nowhere.
        found = {stages[token] + 1} if token in stages else {0, len(STAGES)}
        if found.isdisjoint(range(done, asked + 1)):
            faults.append(f"{token} is at {found}, and its client knows of {done} to {asked}")
    return faults


def _reused_uids(
    boxes: dict[str, tuple[int, int, int]], kept: list[Kept], notes: Notes, at: float
) -> list[str]:
    there = {(one.mailbox, one.uid): one.token for one in kept}
    faults = []
    for seen in notes.seen:
        if seen.at > at:
            continue
        validity, uid_next, modseq = boxes.get(seen.mailbox, (0, 0, 0))
        if validity != seen.uid_validity:
            continue
        token = there.get((seen.mailbox, seen.uid))
        if token is None and seen.uid >= uid_next:
            faults.append(f"UID {seen.uid} of {seen.mailbox} was seen, and will be given again")
        if modseq < seen.modseq:
            faults.append(
                f"MODSEQ {seen.modseq} of {seen.mailbox} was seen, and will be given again"
            )
        if token not in (None, seen.token):
            faults.append(f"UID {seen.uid} of {seen.mailbox} was {seen.token}, is {token}")
    return faults
