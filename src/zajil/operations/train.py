"""Train the classifier by hand."""

from __future__ import annotations

from hashlib import sha256

from zajil.check.learned.lessons import ShareRule
from zajil.check.learned.tokens import tokens_of
from zajil.core.actor import Actor
from zajil.core.ids import BlobId
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.store.engine.writer import Transaction
from zajil.store.feedback.training import INSTALLATION, Lesson, learn
from zajil.tracking.audit import ClassifierTrained


async def train_mail(
    context: OperationContext,
    actor: Actor,
    message: bytes,
    *,
    is_junk: bool,
    account: str | None = None,
) -> bool:
    """Train the classifier with one message; returns whether the message was new to it.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        message: all of its bytes.
        is_junk: whether it is junk or wanted mail.
        account: login name or address of the account to train; ``None``: the whole server.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchAccount: there is no such account.
    """
    require_admin(actor)
    # The message is not in the store: a hash of its bytes identifies it, so that it counts once.
    name = BlobId(f"file-{sha256(message).hexdigest()[:32]}")
    by, tokens = context.stamp(actor), tokens_of(message)

    def work(tx: Transaction) -> Recorded[bool]:
        row = None if account is None else find_account(tx, account)
        account_id = INSTALLATION if row is None else row.account_id
        lesson = Lesson(
            account_id=account_id,
            blob_id=name,
            is_junk=is_junk,
            tokens=tokens,
            may_share=ShareRule().permits,
        )
        (is_new,) = learn(tx, [lesson])
        login = "" if row is None else row.login
        event = ClassifierTrained(*by, None if row is None else account_id, login, is_junk)
        return is_new, [event] if is_new else []

    return await context.change(work)
