"""A copy of ours that had to wait goes into its mailbox: future release, held, success wanted.

The copy is put there by ``store.queue.settlement``, in the commit that settles its row: a crash
before leaves it waiting, a crash after finds it done.
"""

from __future__ import annotations

from zajil.accept.filing import JUNK, choose_mailbox
from zajil.accept.plan import ONE_COPY
from zajil.core.directory import AccountEntry
from zajil.deliver.outgoing_mail import (
    AttemptOutcome,
    Filed,
    Outgoing,
    RecipientResult,
    deferred,
    failed,
)
from zajil.message.final_fields import write_final_fields
from zajil.store.engine.open import Store
from zajil.store.mail.append import Append
from zajil.store.people.directory import find_entry
from zajil.store.queue.queue import LeasedRecipient, copy_holders


async def choose_waiting_mailboxes(
    store: Store, outgoing: Outgoing, now_ms: int
) -> dict[LeasedRecipient, RecipientResult]:
    """Choose a mailbox for each copy; gives the results to be settled.

    Waits for the store. An account that was suspended meanwhile gets its copy: what was accepted
    is not lost. One that is full gets it when there is room, until the mail expires.

    Raises:
        NoSuchBlob: the message is not in the store any more.
        StoreUnavailable: it cannot be read now.
    """
    mail = outgoing.mail
    ids = [claimed.owner_id for claimed in outgoing.recipients]
    await store.read(lambda conn: store.blobs.open(conn, mail.blob_id).close())
    owners = await store.read(
        lambda conn: [None if one is None else find_entry(conn, one, store.caps) for one in ids]
    )
    holders = set((await store.read(lambda conn: copy_holders(conn, mail.mail_id))).values())
    return {
        claimed: _file(claimed, owner, now_ms, has_copy=claimed.position in holders)
        for claimed, owner in zip(outgoing.recipients, owners, strict=True)
    }


def _file(
    claimed: LeasedRecipient, owner: AccountEntry | None, now_ms: int, *, has_copy: bool
) -> RecipientResult:
    if owner is None:
        return failed("5.1.1", "the account no longer exists")
    if claimed.mailbox is None:
        # Filing rejected it when it came, while other recipients took it.
        return failed("5.7.1", claimed.reason or "the recipient rejects it")
    if has_copy and not owner.takes(claimed.size):
        return deferred("4.2.2", "the mailbox is full")
    # The verdict was reached when the mail came; the mailbox that was chosen then tells it.
    filing = choose_mailbox(owner, why_junk="" if claimed.mailbox == JUNK else None)
    (place,) = filing.places
    if not has_copy:
        filed = Filed(owner.address, place.mailbox_name, ONE_COPY, None)
        return RecipientResult(AttemptOutcome.DELIVERED, "2.0.0", "", filed=filed)
    prefix = write_final_fields(claimed.reverse_path, claimed.recipient)
    copy = Append(
        mailbox_id=place.mailbox_id,
        blob_id=claimed.blob_id,
        size=claimed.size + len(prefix.encode()),
        received_at_ms=now_ms,
        mail_id=claimed.mail_id,
        prefix=prefix,
    )
    filed = Filed(owner.address, place.mailbox_name, filing.reason, copy)
    return RecipientResult(AttemptOutcome.DELIVERED, "2.0.0", "", filed=filed)
