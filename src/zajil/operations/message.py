"""Messages for operators: the bytes as we keep them."""

from __future__ import annotations

from typing import Any

from zajil.core.ids import MailId
from zajil.operations.journey import NoSuchMail
from zajil.store.engine.open import Store
from zajil.store.mail.mail_content import find_mail_blob


def export_message(store: Store, mail_id: MailId) -> bytes:
    """Give a mail as every copy of it has it, with our trace fields.

    What differs per recipient (Return-Path, Delivered-To) is not in it.

    Raises:
        NoSuchMail: the id is unknown, or no copy is left.
    """

    def read(conn: Any) -> bytes:
        blob_id = find_mail_blob(conn, mail_id)
        if blob_id is None:
            raise NoSuchMail(f"no copy of a mail {mail_id} is here")
        return store.blobs.read(conn, blob_id)

    return store.read_now(read)
