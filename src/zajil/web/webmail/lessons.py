"""What the junk filter learns from a message that its reader moved to Junk or back.

The filter learns in the background, some seconds later (``check.learned.trainer``); this says what
that will be, by the same rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from zajil.check.learned.reputation import lesson_of
from zajil.check.learned.tokens import tokens_of
from zajil.core.feedback import FeedbackKind, kind_of_move
from zajil.core.ids import AccountId, Uid
from zajil.message.fields import read_fields, split_message
from zajil.message.view import MAX_READ
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.feedback.reputation import Did
from zajil.store.feedback.training import find_trained
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.messages import get_messages, open_message
from zajil.web.notices import Taught
from zajil.web.webmail.mailboxes import Box

_WORDS = ("", "subject", "name")
"""Where a token that is a word stands; others say where links lead and what kind of mail it is."""


class FilterLessons:
    """Says what is learned from the mail of accounts."""

    def __init__(self, store: Store, hostname: str, *, learns_words: bool) -> None:
        self._store = store
        self._hostname = hostname
        self._learns_words = learns_words

    async def of_move(
        self, account_id: AccountId, source: Box, target: Box, uids: Sequence[Uid]
    ) -> Taught | None:
        """Return what is learned from messages that were moved; ``None``: nothing.

        Args:
            account_id: who moved them.
            source: where they were.
            target: where they are.
            uids: their UIDs there.
        """
        kind = kind_of_move(source.role, target.role)
        is_shared = source.mailbox.is_shared or target.mailbox.is_shared
        if is_shared or kind not in (FeedbackKind.JUNK, FeedbackKind.NOT_JUNK) or not uids:
            return None
        if len(uids) > 1:
            return Taught(many=True)
        is_junk = kind is FeedbackKind.JUNK
        found = await self._store.read(
            lambda conn: self._look(conn, account_id, target, uids[0], is_junk=is_junk), account_id
        )
        return found if found.words or found.sender else None

    def _look(
        self, conn: Snapshot, account_id: AccountId, box: Box, uid: Uid, *, is_junk: bool
    ) -> Taught:
        found = get_messages(conn, box.mailbox_id, [uid])
        with suppress(NoSuchBlob, IndexError):
            with open_message(conn, self._store.blobs, found[0]) as reader:
                message = reader.read_at(0, MAX_READ)
            fields = read_fields(message[: split_message(message)[0]])
            # The deed makes no difference to whether there is a lesson.
            sender = lesson_of(account_id, fields, self._hostname, Did.JUNKED, 0)
            is_new = find_trained(conn, account_id, found[0].blob_id) is not is_junk
            words = count_words(message) if self._learns_words and is_new else 0
            return Taught(words=words, sender=sender is not None)
        return Taught()


def count_words(message: bytes) -> int:
    """Return how many different words of a message are learned."""
    parts = [token.partition(":") for token in tokens_of(message)]
    return len({one[2] or one[0] for one in parts if (one[0] if one[1] else "") in _WORDS})
