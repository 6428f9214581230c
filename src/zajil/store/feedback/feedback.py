"""Rows of feedback from moves and changes of flags; what they mean is in ``core.feedback``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.feedback import (
    FeedbackKind,
    kind_in_mailbox,
    kind_of_flags,
    kind_of_move,
    kind_of_undo,
)
from zajil.core.ids import AccountId, BlobId, MailboxId, Uid
from zajil.store.engine.rows import each_among, execute_text, mark_of
from zajil.store.feedback.training import ModelState
from zajil.store.feedback.training_queue import MAX_SAID, Feedback
from zajil.store.mail.flags import FLAG_BITS
from zajil.store.schema import mailbox, message, trained, word_model


def said_by_move(
    tx: Connection,
    account_id: AccountId,
    roles: tuple[str | None, str | None],
    mailbox_id: MailboxId,
    uids: Sequence[int],
    *,
    is_undo: bool = False,
) -> list[Feedback]:
    """Return what a move or a copy says; asks the store only if it says anything.

    Args:
        tx: the transaction of the change.
        account_id: whose mailboxes they are.
        roles: of the mailbox the messages lie in, and of the one they go to (``mailbox.role``).
        mailbox_id: where they lie, still.
        uids: the messages, ascending.
        is_undo: they go back to where they were; what that said is taken back.
    """
    kind = kind_of_undo(*roles) if is_undo else kind_of_move(*roles)
    if kind is None:
        return []
    said: list[Feedback] = []
    # The names are constants.
    query = f"SELECT blob_id, mail_id FROM message WHERE mailbox_id = {mark_of(tx)}"  # noqa: S608
    for which, numbers in each_among(tx, "uid", uids[:MAX_SAID]):
        rows = execute_text(tx, f"{query} AND {which} ORDER BY uid", (mailbox_id, *numbers))
        said += [Feedback(account_id, blob_id, mail_id, kind) for blob_id, mail_id in rows]
    return said


def said_by_flags(
    tx: Connection,
    account_id: AccountId,
    mailbox_id: MailboxId,
    changes: Iterable[tuple[Sequence[Uid], frozenset[str], frozenset[str]]],
) -> list[Feedback]:
    """Return what changes of flags say; asks the store only if they say anything.

    Args:
        tx: the transaction of the change.
        account_id: whose mailbox it is.
        mailbox_id: where the messages lie.
        changes: messages that had the same flags, these flags, and those that they have now.
    """
    kinds: dict[Uid, FeedbackKind] = {}
    for uids, before, after in changes:
        kind = kind_of_flags(before, after)
        if kind is not None:
            kinds |= dict.fromkeys(uids[: MAX_SAID - len(kinds)], kind)
    if not kinds:
        return []
    role = tx.scalar(sa.select(mailbox.c.role).where(mailbox.c.id == mailbox_id))
    said = {uid: kind_in_mailbox(kind, role) for uid, kind in kinds.items()}
    kinds = {uid: kind for uid, kind in said.items() if kind is not None}
    if not kinds:
        return []
    rows = tx.execute(
        sa.select(message.c.uid, message.c.blob_id, message.c.mail_id).where(
            message.c.mailbox_id == mailbox_id, message.c.uid.in_(list(kinds))
        )
    )
    return [Feedback(account_id, row.blob_id, row.mail_id, kinds[row.uid]) for row in rows]


def load_model(conn: Connection, account_id: AccountId) -> ModelState | None:
    """Return how much the model of an account has learned; ``None``: it has none yet."""
    row = conn.execute(
        sa.select(word_model).where(word_model.c.account_id == account_id)
    ).one_or_none()
    return None if row is None else ModelState(account_id, row.version, row.junk, row.ham)


def find_unlearned(conn: Connection, account_id: AccountId, limit: int) -> list[BlobId]:
    """Return mails that an account has read and left in INBOX and has not learned, newest first."""
    is_learned = (
        sa.select(trained.c.blob_id)
        .where(trained.c.account_id == account_id, trained.c.blob_id == message.c.blob_id)
        .exists()
    )
    query = (
        sa.select(message.c.blob_id)
        .join(mailbox, mailbox.c.id == message.c.mailbox_id)
        .where(
            mailbox.c.account_id == account_id,
            mailbox.c.role == "inbox",
            message.c.flags.op("&")(FLAG_BITS["\\Seen"]) != 0,
            ~is_learned,
        )
        .order_by(message.c.uid.desc())
        .limit(limit)
    )
    return list(conn.scalars(query))
