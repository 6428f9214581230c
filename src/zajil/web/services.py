"""What the pages need from the rest of the server; ``app`` wires it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from zajil.config.options_users import WebOptions
from zajil.core.address import Address
from zajil.core.clock import Clock, Random
from zajil.core.ids import MailboxId, MailId
from zajil.login.account import Account
from zajil.login.service import LoginService
from zajil.store.engine.open import Store


class HandIn(Protocol):
    """Hands a mail in on behalf of an account: ``submit.hand_in`` with its services."""

    def __call__(
        self,
        account: Account,
        reverse_path: Address | None,
        recipients: Sequence[Address],
        message: bytes,
        *,
        peer: str,
        sent_mailbox: MailboxId | None,
    ) -> Awaitable[MailId]:
        """Return after the commit that holds the mail.

        Raises:
            SubmissionRefused: policy says no; its reply says why. Nothing was accepted.
        """


@dataclass(frozen=True, slots=True)
class WebServices:
    """Everything the pages use; nothing else of the server is reached from here."""

    store: Store
    login: LoginService
    hand_in: HandIn
    clock: Clock
    random: Random
    options: WebOptions
    hostname: str
    """Name of this server, shown at the foot of a page."""
