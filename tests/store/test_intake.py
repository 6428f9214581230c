"""One commit holds everything that accepting a mail means."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from zajil.core.ids import MailboxId
from zajil.store.append import NoSuchMailbox
from zajil.store.intake import LocalCopy, accept
from zajil.store.open import Store
from zajil.store.schema import blob, event, mail, mailbox, message, recipient
from zajil.testing.store import make_account, make_intake


def test_a_local_mail_lies_in_its_mailbox(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    item = make_intake(store.blobs.stage([b"Subject: a\r\n", b"\r\nhello\r\n"]), local=[amal])
    assert store.write_now(accept, item) == item.mail_id
    row = store.read_now(lambda conn: conn.execute(sa.select(message)).one())
    assert (row.mailbox_id, row.uid, row.modseq) == (amal.inbox, 1, 2)
    assert row.prefix == "Delivered-To: amal@north.test\r\n"
    assert row.size == len(row.prefix) + item.size
    body = store.read_now(lambda conn: store.blobs.read(conn, row.blob_id))
    assert body == b"Subject: a\r\n\r\nhello\r\n"
