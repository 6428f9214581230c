"""Whether an alias or a forwarding would lead back to itself, asked by the unit that changes it.

``route.alias`` stops loops by itself, but what is in one gets no mail, and nobody sees why.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address, parse_address
from zajil.core.directory import catch_all_of, is_always_accepted, without_subaddress
from zajil.core.errors import Refused
from zajil.store.schema import account, address

_AT_ONCE = 1000
"""Keys looked up by one statement."""


class AliasLoop(Refused):
    """An alias or a forwarding leads back to itself; the text names every step."""


def refuse_loop(tx: Connection, start: Address) -> None:
    """Follow an alias level by level; part of the unit that changed it.

    Raises:
        AliasLoop: one of the addresses that it leads to leads back to it.
    """
    came_from: dict[str, tuple[Address, str]] = {}
    """By key of each alias that was reached: the address that led there, and its alias' key."""
    level = [(target, start.key) for target in _load_targets(tx, [start.key]).get(start.key, ())]
    while level:
        known = _load_targets(tx, (key for target, _ in level for key in _names(target)))
        following: list[tuple[Address, str]] = []
        for target, parent in level:
            key = next((name for name in _names(target) if name in known), None)
            if key is None or key in came_from:
                continue
            came_from[key] = (target, parent)
            if key == start.key:
                raise AliasLoop(_describe(start, came_from))
            following += [(further, key) for further in known[key]]
        level = following


def _names(target: Address) -> list[str]:
    """Return the keys under which an address may be found, the first that exists decides."""
    names = [target.key]
    if (base := without_subaddress(target)) is not None:
        names.append(base.key)
    if not is_always_accepted(target):
        names.append(catch_all_of(target.domain).key)
    return names


def _load_targets(tx: Connection, keys: Iterable[str]) -> dict[str, tuple[Address, ...]]:
    """Return what each existing address leads to: an alias' targets, an account's forwarding."""
    wanted = list(dict.fromkeys(keys))
    found: dict[str, tuple[Address, ...]] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        rows = tx.execute(
            sa.select(address.c.key, sa.func.coalesce(address.c.targets, account.c.forward_to))
            .outerjoin(account, account.c.id == address.c.account_id)
            .where(address.c.key.in_(wanted[start : start + _AT_ONCE]))
        )
        for key, targets in rows:
            texts = json.loads(targets) if targets is not None else ()
            found[key] = tuple(map(parse_address, texts))
    return found


def _describe(start: Address, came_from: dict[str, tuple[Address, str]]) -> str:
    steps, key = [], start.key
    while True:
        target, key = came_from[key]
        steps.append(target.unicode)
        if key == start.key:
            break
    path = " -> ".join([start.unicode, *reversed(steps)])
    if steps[0] != start.unicode:
        path += f" (that is {start.unicode})"
    return f"this would be a loop: {path}"
