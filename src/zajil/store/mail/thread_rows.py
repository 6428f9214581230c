"""What THREAD needs of each message of a mailbox, from the summaries."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from zajil.core.ids import MailboxId
from zajil.core.value_class import value_class
from zajil.store.engine.rows import execute_text, mark_of
from zajil.store.mail.summaries import VERSION


@value_class(frozen=True, slots=True)
class ThreadRow:
    """What THREAD needs of a message."""

    message_id: str
    references: tuple[str, ...]
    """Of References, or of In-Reply-To where there are none."""
    subject: str
    base_subject: str


def find_thread_rows(
    conn: Connection, mailbox_id: MailboxId, first: int, last: int
) -> dict[int, ThreadRow]:
    """Return what THREAD needs of the messages from one UID to another that have a summary."""
    mark = mark_of(conn)
    # The names are constants.
    query = (
        "SELECT message.uid, summary.message_id, summary.reference_ids, summary.subject,"  # noqa: S608
        " summary.base_subject FROM message JOIN summary ON summary.blob_id = message.blob_id"
        f" AND summary.version = {VERSION} AND summary.fault = ''"
        f" WHERE message.mailbox_id = {mark} AND message.uid BETWEEN {mark} AND {mark}"
    )
    found: dict[int, ThreadRow] = {}
    for uid, own, references, subject, base in execute_text(conn, query, (mailbox_id, first, last)):
        found[uid] = ThreadRow(own, tuple(_parents(references)), subject, base)
    return found


def _parents(reference_ids: str) -> list[str]:
    """Return what stands in References, or in In-Reply-To where that is all there is."""
    referred, _, replied = reference_ids.partition("\n")
    return referred.split() or replied.split()[:1]
