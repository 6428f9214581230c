"""Create an account of a backup again that is gone, with all that belongs to it but its mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.people.accounts import get_account
from zajil.store.people.aliases import (
    AliasChange,
    aliases_to,
    change_targets,
    claim_address,
    create_alias,
    find_alias,
)
from zajil.store.people.domains import is_domain
from zajil.store.people.personal_tables import TABLES, Restore
from zajil.store.restore.mailboxes import RestoreMailboxes, restore_mailboxes
from zajil.store.restore.plan import find_target
from zajil.store.restore.rows import insert_kept, rows_of
from zajil.store.restore.source import AccountSource, Choice, chosen_mailboxes
from zajil.store.schema import (
    account,
    address,
    app_password,
    delegation,
    domain,
    domain_admin,
    mailbox,
    mailbox_right,
    metadata,
    scram_key,
)


@value_class(frozen=True, slots=True)
class RestoredAccount:
    """An account that was created again."""

    account_id: AccountId
    aliases: tuple[Address, ...]
    """That lead to it again."""
    not_restored: tuple[str, ...]
    """Sentences: aliases that somebody else has now."""


def restore_accounts(tx: Connection, items: Sequence[AccountSource]) -> list[RestoredAccount]:
    """Create accounts again: credentials, settings, aliases, contacts, learned words, mailboxes.

    Each gets the id that it had: what is kept of its mail and changes names it. What it taught
    counts for itself, no more for the installation.

    Unit of work: not idempotent; touches the directory.

    Raises:
        AddressTaken: somebody else has the address or the login name.
        NoSuchDomain: its domain was removed.
    """
    touch(tx, DIRECTORY)
    return [_restore(tx, item) for item in items]


def _restore(tx: Connection, source: AccountSource) -> RestoredAccount:
    was = source.account
    if find_target(tx, was) is not None:
        raise LookupError(f"account {was.login} exists")
    account_id = _insert_account(tx, source)
    claim_address(tx, was.address, account_id=account_id, was_moved=True)
    boxes = tuple(chosen_mailboxes(source, Choice()))
    restore_mailboxes(tx, [RestoreMailboxes(source, account_id, boxes, ignores_limit=True)])
    for name, treatment in TABLES.items():
        if treatment.restore is Restore.ROWS:
            table = metadata.tables[name]
            rows = rows_of(source, table, table.c.account_id == source.account_id)
            own = {"account_id": account_id} | dict(treatment.reset)
            insert_kept(tx, table, [_without_id(table, row) | own for row in rows])
    _restore_app_passwords(tx, source, account_id)
    _restore_rights(tx, source, account_id)
    _restore_domains(tx, source, account_id)
    aliases, left = _restore_aliases(tx, source, was.address)
    _restore_delegations(tx, source, account_id, was.address)
    return RestoredAccount(account_id, tuple(aliases), tuple(left))


def _without_id(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without the number that its table gives each row."""
    numbered = table.autoincrement_column
    return {name: value for name, value in row.items() if numbered is None or name != numbered.name}


def _insert_account(tx: Connection, source: AccountSource) -> AccountId:
    (row,) = rows_of(source, account, account.c.id == source.account_id)
    row |= {"quota_told": 0, "deleted_messages": 0, "deleted_size": 0}
    if get_account(tx, source.account_id) is not None or not _was_given(tx, source.account_id):
        # Another account of this store has, or will have, this number.
        del row["id"]
    made = tx.execute(sa.insert(account).values(**row).returning(account.c.id))
    return AccountId(made.scalar_one())


def _was_given(tx: Connection, account_id: AccountId) -> bool:
    """Check whether this store gave an account this number, and will not give it again."""
    if tx.dialect.name == "postgresql":
        last = sa.text("SELECT last_value FROM account_id_seq")
    else:
        last = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'account'")
    return account_id <= int(tx.scalar(last) or 0)


def _restore_app_passwords(tx: Connection, source: AccountSource, account_id: AccountId) -> None:
    mine = app_password.c.account_id == source.account_id
    for row in rows_of(source, app_password, mine):
        old = row.pop("id")
        made = tx.execute(
            sa.insert(app_password)
            .values(**(row | {"account_id": account_id}))
            .returning(app_password.c.id)
        ).scalar_one()
        keys = rows_of(source, scram_key, scram_key.c.app_password_id == old)
        insert_kept(tx, scram_key, [key | {"app_password_id": made} for key in keys])


def _restore_rights(tx: Connection, source: AccountSource, account_id: AccountId) -> None:
    """Restore what it may do with mailboxes of others that are still there."""
    rows = rows_of(source, mailbox_right, mailbox_right.c.account_id == source.account_id)
    ids = [row["mailbox_id"] for row in rows]
    others = sa.select(mailbox.c.id).where(
        mailbox.c.id.in_(ids), mailbox.c.account_id != account_id
    )
    there = set(tx.scalars(others))
    own = [row | {"account_id": account_id} for row in rows if row["mailbox_id"] in there]
    insert_kept(tx, mailbox_right, own)


def _restore_domains(tx: Connection, source: AccountSource, account_id: AccountId) -> None:
    """Restore which domains it administers, of those that are still there."""
    rows = rows_of(source, domain_admin, domain_admin.c.account_id == source.account_id)
    names = [row["domain"] for row in rows]
    there = set(tx.scalars(sa.select(domain.c.ascii_name).where(domain.c.ascii_name.in_(names))))
    own = [row | {"account_id": account_id} for row in rows if row["domain"] in there]
    insert_kept(tx, domain_admin, own)


def _restore_aliases(
    tx: Connection, source: AccountSource, own: Address
) -> tuple[list[Address], list[str]]:
    """Let aliases lead to an account again, where that takes them from nobody."""
    restored: list[Address] = []
    left: list[str] = []
    for was in aliases_to(source.conn, own):
        name = was.address.unicode
        others = tuple(one for one in was.targets if one.key != own.key)
        now = find_alias(tx, was.address)
        taken = sa.select(address.c.key).where(address.c.key == was.address.key)
        if now is not None and own.key in {one.key for one in now.targets}:
            restored.append(was.address)
        elif (
            now is not None
            and others
            and {one.key for one in others} <= {one.key for one in now.targets}
        ):
            change_targets(tx, [AliasChange(was.address, added=(own,))])
            restored.append(was.address)
        elif now is not None:
            targets = ", ".join(one.unicode for one in now.targets)
            left.append(f"the alias {name} leads to {targets} now, and was left as it is")
        elif tx.execute(taken).first() is not None:
            left.append(f"{name} was an alias of it, and is the address of an account now")
        elif not is_domain(tx, was.address.domain):
            left.append(f"{name} was an alias of it, and its domain was removed")
        elif others:
            targets = ", ".join(one.unicode for one in others)
            left.append(f"the alias {name} is gone; it led to {targets} as well: create it anew")
        else:
            create_alias(tx, [replace(was, targets=(own,))])
            restored.append(was.address)
    return restored, left


def _restore_delegations(
    tx: Connection, source: AccountSource, account_id: AccountId, own: Address
) -> None:
    """Restore who may send as its address, and as what it may send."""
    given = delegation.c.address_key == own.key
    held = delegation.c.account_id == source.account_id
    rows = [
        row | ({"account_id": account_id} if row["account_id"] == source.account_id else {})
        for row in rows_of(source, delegation, sa.or_(given, held))
    ]
    people = sa.select(account.c.id).where(account.c.id.in_([row["account_id"] for row in rows]))
    names = sa.select(address.c.key).where(address.c.key.in_([row["address_key"] for row in rows]))
    there, known = set(tx.scalars(people)), set(tx.scalars(names))
    insert_kept(
        tx,
        delegation,
        [row for row in rows if row["account_id"] in there and row["address_key"] in known],
    )
