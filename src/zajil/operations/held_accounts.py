"""Accounts whose mail is held back because they suddenly wrote to many strangers."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.errors import Refused
from zajil.core.ids import MailId
from zajil.operations.accounts import find_account
from zajil.store.engine.open import Store
from zajil.store.feedback.outbound_hold import ReleaseAccount, release_account
from zajil.store.people.accounts import AccountRow


class NotHeld(Refused):
    """The account is not held: there is nothing to undo."""


@dataclass(frozen=True, slots=True)
class LetGo:
    """An account that is free again."""

    row: AccountRow
    mail_ids: tuple[MailId, ...]
    """What was held back of it."""


def unhold_account(
    store: Store,
    login_or_address: str,
    *,
    who: str,
    now_ms: int,
    trust_ms: int,
    discards: bool,
) -> LetGo:
    """Let an account go, and send what was held back of it, or drop it.

    Args:
        store: where it is.
        login_or_address: whose.
        who: whose deed it is, for the journeys of the mails.
        now_ms: the time.
        trust_ms: so long it is not held again.
        discards: what was held back is dropped; nobody is told.

    Raises:
        NoSuchAccount: nobody has this login or address.
        NotHeld: it is not held.
    """
    row = find_account(store, login_or_address)
    item = ReleaseAccount(row.account_id, who, now_ms, trust_ms, discards)
    mail_ids = store.write_now(release_account, item)
    if mail_ids is None:
        raise NotHeld(f"the account {row.login} is not held")
    return LetGo(row, mail_ids)
