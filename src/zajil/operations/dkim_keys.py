"""Signing keys from the operator's hand: make, show, rotate, revoke (``zajil dkim``)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from zajil.config.options_keys import KeyOptions
from zajil.config.options_server import DnsOptions
from zajil.core.clock import Clock, Random
from zajil.core.errors import Refused
from zajil.dns.flow import run_flow
from zajil.keys.generate import generate_keys
from zajil.keys.lookup import RecordSeen, look_for_record
from zajil.keys.upkeep import key_events
from zajil.resolver.client import Resolver
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.people.dkim_keys import (
    DkimKeyRow,
    KeysOf,
    KeyState,
    activate_dkim_keys,
    add_dkim_keys,
    domains_without_keys,
    get_dkim_key,
    list_dkim_keys,
    revoke_dkim_keys,
)
from zajil.store.people.domains import require_domain


class KeysAreWaiting(Refused):
    """The domain has new keys already, which wait for their records."""


def make_first_keys(
    store: Store, ascii_name: str, options: KeyOptions, now_ms: int
) -> list[DkimKeyRow]:
    """Give a domain that has no keys its first ones; they sign at once.

    Whoever sees a signature before the record is published takes the mail as unsigned, which it
    would be otherwise (RFC 6376 section 6.1).

    Returns:
        The keys; empty where it has some already, or nothing is to be signed.

    Raises:
        NoSuchDomain: it is not ours.
    """
    if not options.sign:
        return []
    return _add(store, ascii_name, options, now_ms, KeyState.ACTIVE, ())


def make_missing_keys(store: Store, options: KeyOptions, now_ms: int) -> list[DkimKeyRow]:
    """Give each domain without keys its first ones."""
    made: list[DkimKeyRow] = []
    for ascii_name in store.read_now(domains_without_keys):
        made += make_first_keys(store, ascii_name, options, now_ms)
    return made


def show_keys(store: Store, ascii_name: str | None = None) -> list[DkimKeyRow]:
    """Give the keys of one domain, or of all.

    Raises:
        NoSuchDomain: it is not ours.
    """
    if ascii_name is not None:
        store.read_now(lambda conn: require_domain(conn, ascii_name))
    return store.read_now(lambda conn: list_dkim_keys(conn, ascii_name))


def rotate_keys(
    store: Store, ascii_name: str, options: KeyOptions, now_ms: int, *, at_once: bool
) -> list[DkimKeyRow]:
    """Let new keys take over from those that sign.

    Args:
        store: of the server.
        ascii_name: the domain.
        options: algorithms and size.
        now_ms: the time.
        at_once: sign with them now, published or not; else when their records are found.

    Returns:
        The new keys.

    Raises:
        NoSuchDomain: it is not ours.
        KeysAreWaiting: not ``at_once``, and there are new ones already.
    """
    there = show_keys(store, ascii_name)
    waiting = [row for row in there if row.state is KeyState.PUBLISHED]
    if waiting and not at_once:
        names = ", ".join(row.selector for row in waiting)
        raise KeysAreWaiting(
            f"{ascii_name} has new keys already, which wait for their records: {names}"
        )
    if not waiting:
        state = KeyState.ACTIVE if at_once else KeyState.PUBLISHED
        return _add(store, ascii_name, options, now_ms, state, there)
    selectors = tuple([row.selector for row in waiting])
    store.write_now(activate_dkim_keys, KeysOf(ascii_name, selectors, now_ms))
    return _tell(store, ascii_name, selectors, KeyState.ACTIVE, now_ms)


def revoke_keys(
    store: Store, ascii_name: str, selectors: Sequence[str], now_ms: int
) -> list[DkimKeyRow]:
    """Withdraw keys and erase what they sign with; nothing is signed with them any more.

    Raises:
        NoSuchDomain: it is not ours.
        NoSuchKey: the domain has none of such a selector; nothing was revoked.
    """
    store.read_now(lambda conn: require_domain(conn, ascii_name))
    store.read_now(lambda conn: [get_dkim_key(conn, ascii_name, name) for name in selectors])
    item = KeysOf(ascii_name, tuple(selectors), now_ms)
    done: tuple[str, ...] = store.write_now(revoke_dkim_keys, item)
    _tell(store, ascii_name, done, KeyState.REVOKED, now_ms)
    return _rows(store, ascii_name, selectors)


def check_records(
    rows: Sequence[DkimKeyRow], options: DnsOptions, clock: Clock, random: Random
) -> list[RecordSeen]:
    """Ask DNS for the record of each key, in their order."""

    async def ask() -> list[RecordSeen]:
        resolver = Resolver(options, clock, random)
        try:
            flows = [run_flow(look_for_record(row), resolver.resolve) for row in rows]
            return await asyncio.gather(*flows)
        finally:
            await resolver.close()

    return asyncio.run(ask())


def _add(
    store: Store,
    ascii_name: str,
    options: KeyOptions,
    now_ms: int,
    state: KeyState,
    there: Sequence[DkimKeyRow],
) -> list[DkimKeyRow]:
    new = generate_keys(
        ascii_name,
        options.algorithms,
        state,
        rsa_bits=options.rsa_bits,
        now_ms=now_ms,
        there=there,
    )
    if not store.write_now(add_dkim_keys, new):
        return []
    return _tell(store, ascii_name, [key.selector for key in new.keys], state, now_ms)


def _tell(
    store: Store, ascii_name: str, selectors: Sequence[str], state: KeyState, now_ms: int
) -> list[DkimKeyRow]:
    rows = _rows(store, ascii_name, selectors)
    events = key_events(rows, state, now_ms)
    if events:
        store.write_now(record_events, EventBatch(None, None, now_ms, events))
    return rows


def _rows(store: Store, ascii_name: str, selectors: Sequence[str]) -> list[DkimKeyRow]:
    rows = store.read_now(lambda conn: list_dkim_keys(conn, ascii_name))
    return [row for row in rows if row.selector in selectors]
