"""What the sessions of an IMAP listener use, in each shard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from zajil.core.clock import Clock
from zajil.core.service import Service
from zajil.core.value_class import value_class
from zajil.login.service import LoginService
from zajil.store.engine.open import Store


@value_class(frozen=True, slots=True)
class ImapServices:
    """What every session of a listener uses."""

    store: Store
    login: LoginService
    clock: Clock
    starttls: bool
    """Offered while the connection is in the clear."""
    service: Service
    """``imap`` or ``imaps``: for events and the throttle."""
    others: Mapping[str, ImapServices] = field(default_factory=dict)
    """The same for accounts of other shards, by name of the shard."""
