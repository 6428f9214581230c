"""Where accounts forward their mail to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import CATCH_ALL, Address, parse_address
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.people.alias_loop import refuse_loop
from zajil.store.people.aliases import BadAlias, renamed, targets_text
from zajil.store.schema import account


@value_class(frozen=True, slots=True)
class Forwarding:
    """What ``set_forwarding`` takes."""

    account_id: AccountId
    targets: tuple[Address, ...]
    """Empty: the account's mail is not forwarded any more."""
    keeps_copy: bool = True


def set_forwarding(tx: Connection, items: Sequence[Forwarding]) -> list[bool]:
    """Forward the mail of accounts, or stop it; gives whether each account is there.

    Unit of work: idempotent; touches the directory.

    Raises:
        BadAlias: a target is not one address.
        AliasLoop: it would lead back to the account.
    """
    found: list[bool] = []
    for item in items:
        for target in item.targets:
            if CATCH_ALL in target.local_part:
                raise BadAlias(f"{target.unicode}: a target is one address, without *")
        changed = tx.execute(
            sa.update(account)
            .where(account.c.id == item.account_id)
            .values(
                forward_to=targets_text(item.targets) if item.targets else None,
                keeps_copy=item.keeps_copy if item.targets else None,
            )
            .returning(account.c.address)
        ).scalar_one_or_none()
        if changed is not None:
            refuse_loop(tx, parse_address(changed))
        found.append(changed is not None)
    touch(tx, DIRECTORY)
    return found


def drop_forwarding_to(tx: Connection, gone: Address) -> None:
    """Forward nothing to an address any more; part of the unit that removes its account.

    Who forwarded to it alone keeps its mail from now on.
    """
    _change(tx, gone, lambda targets: [one for one in targets if one.key != gone.key])


def retarget_forwarding(tx: Connection, old: Address, new: Address) -> None:
    """Forward to another address in the place of one; part of the unit that renames it."""
    _change(tx, old, lambda targets: [renamed(one, old, new) for one in targets])


def _change(
    tx: Connection, about: Address, change: Callable[[Sequence[Address]], list[Address]]
) -> None:
    rows = tx.execute(
        sa.select(account.c.id, account.c.forward_to).where(
            account.c.forward_to.contains(f"@{about.domain}", autoescape=True)
        )
    ).all()
    for row in rows:
        before = list(map(parse_address, json.loads(row.forward_to)))
        after = tuple(change(before))
        if after == tuple(before):
            continue
        values: dict[str, object] = {"forward_to": targets_text(after) if after else None}
        if not after:
            values["keeps_copy"] = None
        tx.execute(sa.update(account).where(account.c.id == row.id).values(values))
