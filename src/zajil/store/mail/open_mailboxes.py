"""Mailboxes that a unit of work is about to change: locked, and the rights checked."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId, ModSeq
from zajil.core.mailbox_rights import changeable
from zajil.core.value_class import value_class
from zajil.store.engine.batch import mailbox_topic, touch
from zajil.store.engine.rows import execute_text, mark_of, marks_of, portions
from zajil.store.mail.access import OWNER, require_rights
from zajil.store.mail.append import lock_mailboxes

_FIND = "SELECT id, uid_validity, role, account_id, modseq FROM mailbox WHERE id IN"


@value_class(frozen=True, slots=True)
class OpenMailbox:
    """A mailbox, and what an account may do with it."""

    uid_validity: int
    role: str | None
    owner_id: AccountId
    modseq: ModSeq
    """Before the first change."""
    rights: frozenset[str]

    def settable(self, flags: frozenset[str]) -> frozenset[str]:
        """Return those of the flags that the account may set and clear."""
        return flags if self.rights == OWNER else changeable(flags, self.rights)


def open_mailboxes(
    tx: Connection, wanted: Iterable[tuple[AccountId, MailboxId, str]]
) -> dict[tuple[AccountId, MailboxId], OpenMailbox]:
    """Lock mailboxes and return what is known of them; refuse what an account may not do.

    Args:
        tx: the transaction.
        wanted: account, mailbox, and the rights it needs.
    """
    needs = set(wanted)
    ids = sorted({mailbox_id for _, mailbox_id, _ in needs})
    lock_mailboxes(tx, ids)
    rows = {
        mailbox_id: (uid_validity, role, AccountId(owner_id), ModSeq(modseq))
        for some in portions(ids)
        for mailbox_id, uid_validity, role, owner_id, modseq in execute_text(
            tx, f"{_FIND} {marks_of(tx, some)}", some
        )
    }
    owners = {mailbox_id: owner_id for mailbox_id, (_, _, owner_id, _) in rows.items()}
    held = require_rights(tx, owners, needs)
    return {key: OpenMailbox(*rows[key[1]], rights) for key, rights in held.items()}


def next_modseq(
    tx: Connection, mailbox_id: MailboxId, *, messages: int = 0, size: int = 0
) -> ModSeq:
    """Give a mailbox a new MODSEQ, and touch its topic.

    Args:
        tx: the transaction.
        mailbox_id: a mailbox that is locked.
        messages: how many it has lost.
        size: bytes of these.
    """
    touch(tx, mailbox_topic(mailbox_id))
    mark = mark_of(tx)
    # The names are constants.
    ((modseq,),) = execute_text(
        tx,
        "UPDATE mailbox SET modseq = modseq + 1,"  # noqa: S608
        f" messages = messages - {mark}, size = size - {mark} WHERE id = {mark} RETURNING modseq",
        (messages, size, mailbox_id),
    )
    return ModSeq(modseq)
