"""DKIM keys: create, list, rotate, revoke."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from zajil.config.options_keys import KeyOptions
from zajil.config.options_server import DnsOptions
from zajil.core.actor import Actor
from zajil.core.clock import Clock, Random
from zajil.core.errors import Refused
from zajil.dns.flow import run_flow
from zajil.keys.generate import generate_keys
from zajil.keys.lookup import RecordSeen, look_for_record
from zajil.keys.upkeep import key_events
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.resolver.client import Resolver
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.people.dkim_keys import (
    DkimKeyRow,
    KeysOf,
    KeyState,
    NewDkimKeys,
    activate_dkim_keys,
    add_dkim_keys,
    domains_without_keys,
    get_dkim_key,
    list_dkim_keys,
    revoke_dkim_keys,
)
from zajil.store.people.domains import require_domain
from zajil.tracking.audit import DkimKeysChanged


class KeysAreWaiting(Refused):
    """The domain has new keys already, which wait for their DNS records."""


def generate_first_keys(ascii_name: str, options: KeyOptions, now_ms: int) -> NewDkimKeys | None:
    """Return the keys of a domain that has none; ``None``: mail is not signed.

    They sign at once: until their records are published, receivers treat the mail as unsigned,
    which it would be without them (RFC 6376 section 6.1).
    """
    if not options.sign:
        return None
    bits, state = options.rsa_bits, KeyState.ACTIVE
    return generate_keys(ascii_name, options.algorithms, state, rsa_bits=bits, now_ms=now_ms)


def add_keys(tx: Transaction, new: NewDkimKeys) -> list[DkimKeyRow]:
    """Add new keys of a domain; returns none if its state forbids it (``NewDkimKeys.replaces``).

    Raises:
        NoSuchDomain: it is not a domain of this server.
    """
    if add_dkim_keys(tx, [new]) == [False]:
        return []
    return _record(tx, new.domain, [key.selector for key in new.keys], new.state, new.created_ms)


async def make_missing_keys(
    context: OperationContext, actor: Actor, options: KeyOptions
) -> list[DkimKeyRow]:
    """Create keys for each domain that has none; returns the new keys.

    Raises:
        NotAllowed: the actor is not an administrator.
    """
    require_admin(actor)
    made: list[DkimKeyRow] = []
    for ascii_name in await context.read(domains_without_keys):
        made += await make_first_keys(context, actor, ascii_name, options)
    return made


async def make_first_keys(
    context: OperationContext, actor: Actor, ascii_name: str, options: KeyOptions
) -> list[DkimKeyRow]:
    """Create keys for a domain that has none.

    Returns:
        The new keys; none where the domain has keys already, or mail is not signed.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchDomain: it is not a domain of this server.
    """
    require_admin(actor)
    await context.read(lambda conn: require_domain(conn, ascii_name))
    now_ms = context.clock.now_ms()
    new = await context.compute(lambda: generate_first_keys(ascii_name, options, now_ms))
    return [] if new is None else await _add(context, actor, new)


def show_keys(conn: Snapshot, ascii_name: str | None = None) -> list[DkimKeyRow]:
    """Return the keys of one domain, or of all.

    Raises:
        NoSuchDomain: it is not a domain of this server.
    """
    if ascii_name is not None:
        require_domain(conn, ascii_name)
    return list_dkim_keys(conn, ascii_name)


async def rotate_keys(
    context: OperationContext,
    actor: Actor,
    ascii_name: str,
    options: KeyOptions,
    *,
    at_once: bool,
) -> list[DkimKeyRow]:
    """Create keys that will replace the active ones, or activate those that wait.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        ascii_name: the domain.
        options: algorithms and size.
        at_once: sign with the new keys now; otherwise when their records are in DNS.

    Returns:
        The new keys.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchDomain: it is not a domain of this server.
        KeysAreWaiting: not ``at_once``, and there are new keys already.
    """
    require_admin(actor)
    there = await context.read(lambda conn: show_keys(conn, ascii_name))
    waiting = [row.selector for row in there if row.state is KeyState.PUBLISHED]
    if waiting and not at_once:
        raise KeysAreWaiting(
            f"{ascii_name} already has new keys whose DNS records are missing: {', '.join(waiting)}"
        )
    now_ms = context.clock.now_ms()
    if not waiting:
        state = KeyState.ACTIVE if at_once else KeyState.PUBLISHED
        new = await context.compute(
            lambda: generate_keys(
                ascii_name,
                options.algorithms,
                state,
                rsa_bits=options.rsa_bits,
                now_ms=now_ms,
                there=there,
            )
        )
        return await _add(context, actor, new)
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[list[DkimKeyRow]]:
        (done,) = activate_dkim_keys(tx, [KeysOf(ascii_name, tuple(waiting), now_ms)])
        rows = _record(tx, ascii_name, done, KeyState.ACTIVE, now_ms)
        return rows, [DkimKeysChanged(*by, None, ascii_name, "activate", done)] if done else []

    return await context.change(work)


async def revoke_keys(
    context: OperationContext, actor: Actor, ascii_name: str, selectors: Sequence[str]
) -> list[DkimKeyRow]:
    """Revoke keys and erase their private keys; nothing is signed with them any more.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchDomain: it is not a domain of this server.
        NoSuchKey: the domain has no key of such a selector; nothing was revoked.
    """
    require_admin(actor)
    by, now_ms = context.stamp(actor), context.clock.now_ms()

    def work(tx: Transaction) -> Recorded[list[DkimKeyRow]]:
        require_domain(tx, ascii_name)
        for selector in selectors:
            get_dkim_key(tx, ascii_name, selector)
        (done,) = revoke_dkim_keys(tx, [KeysOf(ascii_name, tuple(selectors), now_ms)])
        _record(tx, ascii_name, done, KeyState.REVOKED, now_ms)
        events = [DkimKeysChanged(*by, None, ascii_name, "revoke", done)] if done else []
        return _rows(tx, ascii_name, selectors), events

    return await context.change(work)


def check_records(
    rows: Sequence[DkimKeyRow], options: DnsOptions, clock: Clock, random: Random
) -> list[RecordSeen]:
    """Look up the DNS record of each key; returns what was found, in the order of the keys."""

    async def ask() -> list[RecordSeen]:
        resolver = Resolver(options, clock, random)
        try:
            flows = [run_flow(look_for_record(row), resolver.resolve) for row in rows]
            return await asyncio.gather(*flows)
        finally:
            await resolver.close()

    return asyncio.run(ask())


async def _add(context: OperationContext, actor: Actor, new: NewDkimKeys) -> list[DkimKeyRow]:
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[list[DkimKeyRow]]:
        rows = add_keys(tx, new)
        selectors = tuple(row.selector for row in rows)
        events = [DkimKeysChanged(*by, None, new.domain, "create", selectors)] if rows else []
        return rows, events

    return await context.change(work)


def _record(
    tx: Transaction, ascii_name: str, selectors: Sequence[str], state: KeyState, now_ms: int
) -> list[DkimKeyRow]:
    """Record the new state of keys, as ``keys.upkeep`` does of those that it changes."""
    rows = _rows(tx, ascii_name, selectors)
    record_events(tx, [EventBatch(None, None, now_ms, key_events(rows, state, now_ms))])
    return rows


def _rows(conn: Snapshot, ascii_name: str, selectors: Sequence[str]) -> list[DkimKeyRow]:
    return [row for row in list_dkim_keys(conn, ascii_name) if row.selector in selectors]
