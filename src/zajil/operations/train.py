"""Teach the classifier by hand."""

from __future__ import annotations

from hashlib import sha256

from zajil.check.learned.tokens import tokens_of
from zajil.core.ids import BlobId
from zajil.store.engine.open import Store
from zajil.store.feedback.training import INSTALLATION, Lesson, learn
from zajil.store.people.accounts import NoSuchAccount, find_by_login


def train_mail(store: Store, message: bytes, *, is_junk: bool, account: str | None) -> bool:
    """Learn one message; give whether it was new.

    Args:
        store: open, of this process.
        message: the whole of it.
        is_junk: what it is.
        account: login or address whose words are taught; ``None``: the installation's.

    Raises:
        NoSuchAccount: there is none of this name.
    """
    account_id = INSTALLATION
    if account is not None:
        row = store.read_now(lambda conn: find_by_login(conn, account))
        if row is None:
            raise NoSuchAccount(f"there is no account {account}")
        account_id = row.account_id
    # No blob of ours: its bytes name it, so that it teaches once.
    name = BlobId(f"file-{sha256(message).hexdigest()[:32]}")
    return store.write_now(
        learn,
        Lesson(account_id=account_id, blob_id=name, is_junk=is_junk, tokens=tokens_of(message)),
    )
