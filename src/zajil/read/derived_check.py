"""Compares what was made of messages with what is made of them now, for ``zajil store check``."""

from __future__ import annotations

from collections.abc import Sequence

from zajil.core.ids import BlobId
from zajil.read.indexer import BATCH, read_summaries
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.summaries import NewSummary, WaitingBlob, rewrite_summaries
from zajil.store.repair.contents import ReadBlob, name_blob
from zajil.store.repair.damage import REPAIR, Damage
from zajil.store.repair.derived import (
    find_broken_segments,
    find_indexed,
    find_missing_words,
    find_wrong_summaries,
    load_covered,
    reindex_accounts_of,
)

_SUMMARY = "its summary is not what this version makes of it"
_WORDS = "the index of words does not have it, and says that it has"
_SEGMENT = "it cannot be read"


class DerivedCheck:
    """Looks at messages whose bytes are right; collects what is wrong with their summaries."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._covered = store.read_now(load_covered)
        self._wrong: dict[BlobId, str] = {}
        self._broken: list[int] = []

    def look(self, some: Sequence[ReadBlob]) -> None:
        """Compare the summaries of some messages, and whether their words are in the index."""
        sizes = {one.blob_id: one.size for one in some}
        for start in range(0, len(some), BATCH):
            ids = [one.blob_id for one in some[start : start + BATCH]]
            self._store.read_now(lambda conn: self._look(conn, ids, sizes))  # noqa: B023

    def _look(self, conn: Snapshot, ids: Sequence[BlobId], sizes: dict[BlobId, int]) -> None:
        waiting = [WaitingBlob(one, sizes[one], 0) for one in find_indexed(conn, ids)]
        made = read_summaries(conn, self._store.blobs, waiting, away=[])
        new = [one for one in made if not one.summary.fault]
        self._wrong |= dict.fromkeys(find_wrong_summaries(conn, new), _SUMMARY)
        missing = find_missing_words(conn, new, self._covered)
        if missing:  # segments are merged while the server runs
            self._covered = load_covered(conn)
            missing = find_missing_words(conn, new, self._covered)
        self._wrong |= dict.fromkeys(missing, _WORDS)

    def look_at_index(self) -> None:
        """Read all segments of the index of words."""
        last: int | None = 0
        while last is not None:
            after = last
            broken, last = self._store.read_now(
                lambda conn: find_broken_segments(conn, after, 16)  # noqa: B023
            )
            self._broken += broken

    @property
    def damage(self) -> list[Damage]:
        """What was found so far."""
        found = []
        for blob_id, reason in self._wrong.items():
            name = self._store.read_now(lambda conn: name_blob(conn, blob_id=blob_id))  # noqa: B023
            if name is not None:
                kind = "wrong-words" if reason is _WORDS else "wrong-summary"
                found.append(Damage(kind, name, reason, REPAIR, can_repair=True))
        for segment in self._broken:
            what = f"segment {segment} of the index of words"
            found.append(Damage("wrong-words", what, _SEGMENT, REPAIR, can_repair=True))
        return found

    def repair(self) -> None:
        """Write the summaries and words of these messages anew."""
        if self._broken:
            self._store.write_now(reindex_accounts_of, self._broken)
        ids = list(self._wrong)
        for start in range(0, len(ids), BATCH):
            waiting = [WaitingBlob(one, 0, 0) for one in ids[start : start + BATCH]]
            new: tuple[NewSummary, ...] = self._store.read_now(
                lambda conn: read_summaries(conn, self._store.blobs, waiting, away=[])  # noqa: B023
            )
            self._store.write_now(rewrite_summaries, new)
