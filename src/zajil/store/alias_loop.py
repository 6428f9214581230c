"""Whether an alias would lead back to itself, asked in the transaction that changes it.

``route.alias`` stops loops by itself, but what is in one gets no mail, and nobody sees why.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address, parse_address
from zajil.core.directory import catch_all_of, is_always_accepted, without_subaddress
from zajil.store.schema import address

_AT_ONCE = 1000
"""Keys looked up by one statement."""


class AliasLoop(Exception):
    """An alias leads back to itself; the text names every step."""


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
    """Give the keys under which an address may be found, the first that exists decides."""
    names = [target.key]
    if (base := without_subaddress(target)) is not None:
        names.append(base.key)
    if not is_always_accepted(target):
        names.append(catch_all_of(target.domain).key)
    return names


def _load_targets(tx: Connection, keys: Iterable[str]) -> dict[str, tuple[Address, ...]]:
    """Give what each existing address leads to; an account's own leads no further."""
    wanted = list(dict.fromkeys(keys))
    found: dict[str, tuple[Address, ...]] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        rows = tx.execute(
            sa.select(address.c.key, address.c.targets).where(
                address.c.key.in_(wanted[start : start + _AT_ONCE])
            )
        )
        for row in rows:
            texts = json.loads(row.targets) if row.targets is not None else ()
            found[row.key] = tuple(map(parse_address, texts))
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
