"""Domains that sign, and the DNS that others find their keys in."""

from __future__ import annotations

from kit.clock import FakeClock
from kit.dkim import NOW_S
from kit.operations import runner
from kit.zone import Zone
from zajil.config.options_keys import KeyOptions
from zajil.keys.keyring import Keyring
from zajil.keys.record import record_value
from zajil.keys.sign import Signer
from zajil.mailauth.dkim_key import key_name
from zajil.operations.dkim_keys import make_first_keys
from zajil.store.engine.open import Store
from zajil.store.people.dkim_keys import list_dkim_keys


def make_signer(store: Store, *domains: str) -> Signer:
    """Create the first keys of domains; return a signer that uses them at ``dkim.NOW_S``."""
    for domain in domains:
        runner(store, NOW_S * 1000).run(make_first_keys, domain, KeyOptions())
    return Signer(Keyring(store), FakeClock(NOW_S * 1000))


def published_keys(store: Store) -> Zone:
    """Return a zone with the record of every key as it is now."""
    rows = store.read_now(list_dkim_keys)
    return {key_name(row.domain, row.selector): {"TXT": [record_value(row)]} for row in rows}
