"""Messages of echo accounts: answered and removed in one commit."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from zajil.core.value_class import value_class
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages


@value_class(frozen=True, slots=True)
class AnsweredEcho:
    """What ``answer_echo`` takes."""

    remove: ExpungeMessages
    answer: Intake | None
    """``None``: it is not answered."""


def answer_echo(tx: Connection, items: Sequence[AnsweredEcho]) -> list[None]:
    """Remove messages and write their answers; a message that is gone is not answered.

    Unit of work: idempotent; locks the mailboxes.

    Raises:
        StoreFull, NoSuchMailbox: as ``write_intakes``.
    """
    for item in items:
        (removed,) = expunge_messages(tx, [item.remove])
        if removed and item.answer is not None:
            write_intakes(tx, [item.answer])
    return [None] * len(items)
