"""Accounts: whose mail it is, how they log in, the mailboxes they start with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address, parse_address
from zajil.core.errors import AlreadyExists, NotFound
from zajil.core.ids import AccountId
from zajil.core.login_name import BadLogin, prepare_login
from zajil.core.password import MOVED_AWAY
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, mailbox_topic, touch
from zajil.store.feedback.outbound_hold import delete_strangers_of
from zajil.store.feedback.reputation import delete_reputation_of
from zajil.store.feedback.training import forget_training
from zajil.store.mail.access import delete_rights_of, delete_rights_on
from zajil.store.mail.annotations import delete_annotations_of, delete_annotations_on
from zajil.store.mail.append import lock_mailboxes
from zajil.store.mail.blob_rows import release_blobs
from zajil.store.mail.deleted import delete_deleted_of
from zajil.store.mail.imported import delete_imported_of
from zajil.store.mail.kept_blocks import forget_blocks_of
from zajil.store.mail.mailboxes import FIRST_MAILBOXES
from zajil.store.mail.maildrops import delete_maildrops_of
from zajil.store.mail.subscriptions import add_subscriptions, delete_subscriptions_of
from zajil.store.mail.text_index import delete_index_of
from zajil.store.mail.threads import delete_threads_of
from zajil.store.people.aliases import aliases_to, claim_address, drop_target
from zajil.store.people.app_passwords import delete_app_passwords_of
from zajil.store.people.contacts import delete_contacts_of
from zajil.store.people.delegations import drop_delegations_for, drop_delegations_of
from zajil.store.people.domain_admins import delete_domain_admins_of
from zajil.store.people.forwarding import drop_forwarding_to
from zajil.store.people.identities import delete_identities_of
from zajil.store.people.last_logins import delete_last_logins_of
from zajil.store.people.push_subscriptions import delete_push_of
from zajil.store.people.second_factors import delete_second_factors_of
from zajil.store.people.sessions import delete_web_sessions_of
from zajil.store.people.settings import delete_settings_of
from zajil.store.schema import (
    account,
    address,
    expunged,
    mailbox,
    message,
    send_count,
    shard_place,
)


class NoSuchAccount(NotFound):
    """No account has this login or address."""


@value_class(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One account."""

    account_id: AccountId
    login: str
    """ASCII, lower case: what it types."""
    address: Address
    """Its own address; aliases may point to it beside."""
    display_name: str
    password_hash: str
    """argon2id, in the PHC form (RFC 9106 section 4); ``{SCHEME}...``: of another program, until
    the first log-in."""
    admin: bool
    active: bool
    """False: cannot log in, and its mail is deferred."""
    created_ms: int
    forward_to: tuple[Address, ...] = ()
    """Where its mail goes, too; empty: it is not forwarded."""
    keeps_copy: bool = True
    """Whether what is forwarded stays here as well."""
    quota_size: int | None = None
    """Bytes that it may have; 0: any number; ``None``: as the configuration says."""
    quota_messages: int | None = None


@value_class(frozen=True, slots=True)
class NewAccount:
    """What ``create_account`` takes; the hash is computed before, outside of the transaction."""

    login: str
    """As ``core.login_name.parse_login`` gives it."""
    address: Address
    display_name: str
    password_hash: str
    admin: bool
    created_ms: int


_AT_ONCE = 10_000
"""Blobs named in one statement; SQLite takes 32,766 parameters."""


def create_account(tx: Connection, items: Sequence[NewAccount]) -> list[AccountId]:
    """Make accounts, each with its address and its first mailboxes.

    Unit of work: not idempotent; locks nothing; touches the directory.

    Raises:
        AlreadyExists: the login or the address is taken.
        BadAlias: its address is the ``*@domain`` of a catch-all.
        NoSuchDomain: the address is not in a domain of ours.
    """
    ids: list[AccountId] = []
    for item in items:
        account_id = _insert_account(tx, item)
        claim_address(tx, item.address, account_id=account_id)
        tx.execute(sa.insert(mailbox), _first_mailboxes(account_id, item.created_ms))
        add_subscriptions(tx, account_id, [name for name, _ in FIRST_MAILBOXES])
        ids.append(account_id)
    touch(tx, DIRECTORY)
    return ids


@value_class(frozen=True, slots=True)
class NewPassword:
    """What ``set_password`` takes."""

    account_id: AccountId
    password_hash: str


def set_password(tx: Connection, items: Sequence[NewPassword]) -> list[None]:
    """Change passwords; log-ins of browsers with the old ones end.

    Unit of work: idempotent; touches the directory, so that workers forget what they remember.

    Raises:
        NoSuchAccount: it was removed meanwhile.
    """
    for item in items:
        _change(tx, item.account_id, password_hash=item.password_hash)
    delete_web_sessions_of(tx, [item.account_id for item in items])
    return [None] * len(items)


@value_class(frozen=True, slots=True)
class BetterHash:
    """What ``replace_hash`` takes: two hashes of the same password."""

    account_id: AccountId
    before: str
    after: str


def replace_hash(tx: Connection, items: Sequence[BetterHash]) -> list[bool]:
    """Replace hashes of passwords that stay the same; browsers stay logged in.

    Unit of work: idempotent; touches the directory. ``False``: the hash is another one meanwhile.
    """
    done: list[bool] = []
    for item in items:
        same = (account.c.id == item.account_id) & (account.c.password_hash == item.before)
        changed = tx.execute(sa.update(account).where(same).values(password_hash=item.after))
        done.append(changed.rowcount == 1)
    touch(tx, DIRECTORY)
    return done


@value_class(frozen=True, slots=True)
class NewActive:
    """What ``set_active`` takes."""

    account_id: AccountId
    active: bool


def set_active(tx: Connection, items: Sequence[NewActive]) -> list[None]:
    """Suspend accounts or resume them; a suspended one's browsers are logged out.

    Unit of work: idempotent; touches the directory.

    Raises:
        NoSuchAccount: it was removed meanwhile.
    """
    for item in items:
        _change(tx, item.account_id, active=item.active)
    delete_web_sessions_of(tx, [item.account_id for item in items if not item.active])
    return [None] * len(items)


def delete_account(tx: Connection, account_ids: Sequence[AccountId]) -> list[None]:
    """Remove accounts with their mailboxes and messages, log-ins, addresses and delegations.

    Unit of work: not idempotent; locks the account's mailboxes; touches them and the directory.
    Blobs that nobody else shares go with the messages, and nothing can be taken back. What the
    account sent and still waits in the queue is delivered.

    Raises:
        NoSuchAccount: it was removed meanwhile.
        LastTarget: an alias stands for it alone.
    """
    for account_id in account_ids:
        row = get_account(tx, account_id)
        if row is None:
            raise NoSuchAccount(f"account does not exist: {account_id}")
        tx.execute(sa.delete(address).where(address.c.account_id == account_id))
        drop_target(tx, row.address)
        drop_forwarding_to(tx, row.address)
        drop_delegations_of(tx, account_id)
        drop_delegations_for(tx, row.address)
    delete_rows_of(tx, account_ids)
    return [None] * len(account_ids)


def delete_rows_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Remove accounts with all that is theirs; who names them elsewhere goes on naming them.

    Locks the accounts' mailboxes; touches them and the directory.
    """
    for account_id in account_ids:
        tx.execute(sa.delete(address).where(address.c.account_id == account_id))
        tx.execute(sa.delete(send_count).where(send_count.c.account_id == account_id))
        delete_mailboxes_of(tx, account_id)
        delete_deleted_of(tx, [account_id])
        forget_training(tx, account_id)
        tx.execute(sa.delete(account).where(account.c.id == account_id))
    delete_domain_admins_of(tx, account_ids)
    delete_identities_of(tx, account_ids)
    delete_web_sessions_of(tx, account_ids)
    delete_settings_of(tx, account_ids)
    delete_contacts_of(tx, account_ids)
    delete_second_factors_of(tx, account_ids)
    delete_push_of(tx, account_ids)
    delete_last_logins_of(tx, account_ids)
    delete_app_passwords_of(tx, account_ids)
    delete_subscriptions_of(tx, account_ids)
    delete_rights_of(tx, account_ids)
    delete_annotations_of(tx, account_ids)
    delete_reputation_of(tx, account_ids)
    delete_strangers_of(tx, account_ids)
    delete_threads_of(tx, account_ids)
    delete_maildrops_of(tx, account_ids)
    delete_index_of(tx, account_ids)
    delete_imported_of(tx, account_ids)
    touch(tx, DIRECTORY)


def get_account(conn: Connection, account_id: AccountId) -> AccountRow | None:
    """Return the account of an id; ``None``: there is none."""
    return _account(conn, account.c.id == account_id)


def find_by_login(conn: Connection, login_or_address: str) -> AccountRow | None:
    """Return the account that somebody means who types this; ``None``: nobody's.

    Args:
        conn: a snapshot.
        login_or_address: the login name, or the account's own address, in any case; anything
            else, however odd, is nobody's.
    """
    try:
        login = prepare_login(login_or_address)
    except BadLogin:
        return None
    return find_by_prepared_login(conn, login)


def find_by_prepared_login(conn: Connection, login: str) -> AccountRow | None:
    """Return the account of a name that ``core.login_name.prepare_login`` gave."""
    column = account.c.address_key if "@" in login else account.c.login
    return _account(conn, column == login)


def is_login_taken(conn: Connection, login: str) -> bool:
    """Return whether somebody has a login name, also one who was moved to another shard."""
    here = sa.select(account.c.id).where(account.c.login == login)
    moved = sa.select(shard_place.c.name).where(shard_place.c.name == login)
    return conn.execute(here).first() is not None or conn.execute(moved).first() is not None


def addresses_of(conn: Connection, account_id: AccountId) -> tuple[Address, ...]:
    """Return under what mail comes to the account: its own address, then the aliases that name it.

    It may send as them, and as what is delegated to it (``store.people.delegations``). A catch-all
    is not among them: it gets mail for addresses that nobody has, and gives no right to write as
    them.
    """
    row = get_account(conn, account_id)
    if row is None:
        return ()
    aliases = [alias.address for alias in aliases_to(conn, row.address)]
    return (row.address, *(one for one in aliases if not one.is_catch_all))


def list_accounts(conn: Connection) -> list[AccountRow]:
    """Return all accounts, by login."""
    return [_row(row) for row in conn.execute(sa.select(account).order_by(account.c.login))]


def list_display_names(conn: Connection, limit: int) -> list[str]:
    """Return what people here are called, the first accounts first."""
    named = sa.select(account.c.display_name).where(account.c.display_name != "")
    return list(conn.scalars(named.order_by(account.c.id).limit(limit)))


def _insert_account(tx: Connection, item: NewAccount) -> AccountId:
    taken = AlreadyExists(f"the login {item.login} already exists")
    if is_login_taken(tx, item.login):
        raise taken
    row = {
        "login": item.login,
        "address": str(item.address),
        "address_key": item.address.key,
        "display_name": item.display_name,
        "password_hash": item.password_hash,
        "admin": item.admin,
        "active": True,
        "created_ms": item.created_ms,
    }
    try:
        return AccountId(tx.execute(sa.insert(account).returning(account.c.id), row).scalar_one())
    except sa.exc.IntegrityError:  # another node was quicker
        raise taken from None


def _first_mailboxes(account_id: AccountId, now_ms: int) -> list[dict[str, object]]:
    return [
        {
            "account_id": account_id,
            "name": name,
            "role": role,
            # RFC 9051 section 2.3.1.1: a time in seconds is a good UIDVALIDITY.
            "uid_validity": now_ms // 1000,
            "uid_next": 1,
            "modseq": 1,
        }
        for name, role in FIRST_MAILBOXES
    ]


def delete_mailboxes_of(tx: Connection, account_id: AccountId) -> None:
    """Remove the mailboxes of an account with their messages; locks and touches them."""
    ids = list(tx.scalars(sa.select(mailbox.c.id).where(mailbox.c.account_id == account_id)))
    lock_mailboxes(tx, ids)
    blob_ids = tx.scalars(
        sa.delete(message).where(message.c.mailbox_id.in_(ids)).returning(message.c.blob_id)
    ).all()
    tx.execute(sa.delete(expunged).where(expunged.c.mailbox_id.in_(ids)))
    tx.execute(sa.delete(mailbox).where(mailbox.c.id.in_(ids)))
    delete_rights_on(tx, ids)
    delete_annotations_on(tx, ids)
    forget_blocks_of(tx, ids)
    for start in range(0, len(blob_ids), _AT_ONCE):
        release_blobs(tx, blob_ids[start : start + _AT_ONCE])
    touch(tx, *map(mailbox_topic, ids))


def _change(tx: Connection, account_id: AccountId, **values: object) -> None:
    # What is left of one that was moved to another shard says so by its password, and rests.
    mine = sa.and_(account.c.id == account_id, account.c.password_hash != MOVED_AWAY)
    changed = tx.execute(sa.update(account).where(mine).values(**values))
    if not changed.rowcount:
        raise NoSuchAccount(f"account does not exist in this store: {account_id}")
    touch(tx, DIRECTORY)


def _account(conn: Connection, condition: sa.ColumnElement[bool]) -> AccountRow | None:
    row = conn.execute(sa.select(account).where(condition)).one_or_none()
    return None if row is None else _row(row)


def _row(row: sa.Row[Any]) -> AccountRow:
    return AccountRow(
        account_id=row.id,
        login=row.login,
        address=parse_address(row.address),
        display_name=row.display_name,
        password_hash=row.password_hash,
        admin=row.admin,
        active=row.active,
        created_ms=row.created_ms,
        forward_to=()
        if row.forward_to is None
        else tuple(map(parse_address, json.loads(row.forward_to))),
        keeps_copy=row.forward_to is None or bool(row.keeps_copy),
        quota_size=row.quota_size,
        quota_messages=row.quota_messages,
    )
