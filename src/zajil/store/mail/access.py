"""Who may do what with a mailbox: its owner everything, others what the owner allowed. (RFC 4314)

Law: no query and no unit of work gives an account a mailbox without a right. By name it is found
through ``locate``, by id through ``rights_on``; both are asked in the snapshot or the transaction
that uses the mailbox.

An account sees its own mailboxes by their names, and those of others as
``Shared/<login of the owner>/<name>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import NotFound, Refused
from zajil.core.ids import AccountId, MailboxId
from zajil.core.login_name import BadLogin, parse_login, prepare_login
from zajil.core.mailbox_rights import ALL_RIGHTS
from zajil.core.value_class import value_class
from zajil.imap.mailbox_name import SEPARATOR, SHARED, is_shared_name
from zajil.store.engine.batch import names_topic, touch
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.schema import account, mailbox, mailbox_right

ANYONE = AccountId(0)
"""Stands for every account in the table of rights. (RFC 4314 section 2)"""

OWNER = frozenset(ALL_RIGHTS)
"""What an owner may do; it cannot be taken away."""

_AT_ONCE = 1000


class NoRight(Refused):
    """The account knows of the mailbox, and may not do this with it."""


class NoSuchIdentifier(NotFound):
    """Rights are for login names and ``anyone``."""


@value_class(frozen=True, slots=True)
class NamePlace:
    """What a name means to the account that uses it."""

    owner_id: AccountId
    name: str
    """As the owner has it."""
    prefix: str
    """What the account sees in front of it: ``""``, or ``Shared/<login>/``."""


def locate(conn: Connection, account_id: AccountId, name: str) -> NamePlace | None:
    """Return whose mailbox a name means; ``None``: no mailbox can have the name.

    It says nothing about a mailbox or a right.
    """
    if not is_shared_name(name):
        return NamePlace(account_id, name, "")
    _, login, rest = [*name.split(SEPARATOR, 2), "", ""][:3]
    if not rest:
        return None
    try:
        login = parse_login(login)
    except BadLogin:
        return None
    owner = conn.scalar(_OWNER, {"login_": login})
    if owner is None or owner == account_id:
        return None
    return NamePlace(AccountId(owner), rest, f"{SHARED}{SEPARATOR}{login}{SEPARATOR}")


def rights_on(
    conn: Connection, account_id: AccountId, mailbox_ids: Sequence[MailboxId]
) -> dict[MailboxId, frozenset[str]]:
    """Return what an account may do with mailboxes of others; none without a right is in it."""
    found: dict[MailboxId, frozenset[str]] = {}
    for start in range(0, len(mailbox_ids), _AT_ONCE):
        some = mailbox_ids[start : start + _AT_ONCE]
        for row in conn.execute(_RIGHTS, {"ids_": some, "account_": account_id}):
            known = found.get(row.mailbox_id, frozenset())
            found[row.mailbox_id] = known | frozenset(row.rights)
    return found


def shared_ids(conn: Connection, account_id: AccountId) -> dict[MailboxId, frozenset[str]]:
    """Return all mailboxes of others that an account has a right on."""
    found: dict[MailboxId, frozenset[str]] = {}
    for row in conn.execute(_SHARED_WITH, {"account_": account_id}):
        found[row.mailbox_id] = found.get(row.mailbox_id, frozenset()) | frozenset(row.rights)
    return found


def has_right(conn: Connection, account_id: AccountId, name: str, right: str) -> bool:
    """Check whether there is a mailbox of this name with this right of the account on it."""
    place = locate(conn, account_id, name)
    if place is None:
        return False
    by_name = (mailbox.c.account_id == place.owner_id, mailbox.c.name == place.name)
    found = conn.scalar(sa.select(mailbox.c.id).where(*by_name))
    if found is None:
        return False
    return place.owner_id == account_id or right in rights_on(conn, account_id, [found]).get(
        found, frozenset()
    )


# ---- access control lists -----------------------------------------------------------------------


@value_class(frozen=True, slots=True)
class Entry:
    """One line of an access control list."""

    identifier: str
    """Login name, or ``anyone``."""
    rights: frozenset[str]


def list_entries(conn: Connection, mailbox_id: MailboxId) -> list[Entry]:
    """Return who has rights on a mailbox beside its owner, by identifier."""
    rows = conn.execute(_ENTRIES, {"mailbox_": mailbox_id})
    entries = [Entry(row.login or "anyone", frozenset(row.rights)) for row in rows]
    return sorted(entries, key=lambda entry: entry.identifier)


def find_owner(conn: Connection, account_id: AccountId) -> str:
    """Return the identifier of an account: its login name."""
    return str(conn.execute(_LOGIN, {"account_": account_id}).scalar_one())


def find_identifier(conn: Connection, identifier: str) -> AccountId:
    """Return the account that an identifier names; ``ANYONE`` for ``anyone``.

    Raises:
        NoSuchIdentifier: no account has this login name.
    """
    if identifier == "anyone":
        return ANYONE
    try:
        login = prepare_login(identifier)
    except BadLogin:
        raise NoSuchIdentifier("no account has this login name") from None
    column = account.c.address_key if "@" in login else account.c.login
    found = conn.scalar(sa.select(account.c.id).where(column == login))
    if found is None:
        raise NoSuchIdentifier("no account has this login name")
    return AccountId(found)


def touch_names(tx: Connection, mailbox_id: MailboxId, *account_ids: AccountId) -> None:
    """Wake these accounts, and all that have a right on a mailbox: its name has changed."""
    rows = sa.select(mailbox_right.c.account_id).where(mailbox_right.c.mailbox_id == mailbox_id)
    touch(tx, *[names_topic(AccountId(one)) for one in (*account_ids, *tx.scalars(rows))])


def inherit_rights(tx: Connection, mailbox_id: MailboxId, parent_id: MailboxId) -> None:
    """Give a new mailbox the rights of the one above it. (RFC 4314 section 4, CREATE)"""
    of_parent = sa.select(
        sa.literal(mailbox_id, mailbox.c.id.type),
        mailbox_right.c.account_id,
        mailbox_right.c.rights,
    ).where(mailbox_right.c.mailbox_id == parent_id)
    columns = ["mailbox_id", "account_id", "rights"]
    tx.execute(sa.insert(mailbox_right).from_select(columns, of_parent))


def delete_rights_on(tx: Connection, mailbox_ids: Sequence[MailboxId]) -> None:
    """Forget the rights on mailboxes that are removed."""
    for start in range(0, len(mailbox_ids), _AT_ONCE):
        some = mailbox_ids[start : start + _AT_ONCE]
        tx.execute(sa.delete(mailbox_right).where(mailbox_right.c.mailbox_id.in_(some)))


def delete_rights_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Forget the rights of accounts that are removed."""
    tx.execute(sa.delete(mailbox_right).where(mailbox_right.c.account_id.in_(account_ids)))


# ---- checks -------------------------------------------------------------------------------------


def require_rights(
    tx: Connection,
    owners: Mapping[MailboxId, AccountId],
    wanted: Iterable[tuple[AccountId, MailboxId, str]],
) -> dict[tuple[AccountId, MailboxId], frozenset[str]]:
    """Return what accounts may do with mailboxes; refuse what they may not.

    Args:
        tx: the transaction that uses the mailboxes.
        owners: of those mailboxes that are there.
        wanted: account, mailbox, and the rights that it needs on it.

    Raises:
        NoSuchMailbox: it is gone, or the account may not do this with it.
    """
    held: dict[tuple[AccountId, MailboxId], frozenset[str]] = {}
    for account_id, mailbox_id, needed in wanted:
        key = account_id, mailbox_id
        if key not in held:
            if owners.get(mailbox_id) == account_id:
                held[key] = OWNER
            elif mailbox_id in owners:
                rights = rights_on(tx, account_id, [mailbox_id])
                held[key] = rights.get(mailbox_id, frozenset())
            else:
                held[key] = frozenset()
        # Security: an id is never enough; the account must own the mailbox or have the right.
        if not held[key] or not held[key].issuperset(needed):
            raise NoSuchMailbox(mailbox_id)
    return held


def readable() -> sa.ColumnElement[bool]:
    """Return the condition that the account ``account_`` may read a row of table ``mailbox``."""
    granted = sa.select(mailbox_right.c.rights).where(
        mailbox_right.c.mailbox_id == mailbox.c.id, _WHO, mailbox_right.c.rights.contains("r")
    )
    return sa.or_(mailbox.c.account_id == sa.bindparam("account_"), granted.exists())


_OWNER = sa.select(account.c.id).where(account.c.login == sa.bindparam("login_"))
_LOGIN = sa.select(account.c.login).where(account.c.id == sa.bindparam("account_"))
_WHO = sa.or_(
    mailbox_right.c.account_id == sa.bindparam("account_"),
    mailbox_right.c.account_id == sa.literal(0),  # ANYONE
)
_RIGHTS = sa.select(mailbox_right.c.mailbox_id, mailbox_right.c.rights).where(
    mailbox_right.c.mailbox_id.in_(sa.bindparam("ids_", expanding=True)), _WHO
)
_SHARED_WITH = (
    sa.select(mailbox_right.c.mailbox_id, mailbox_right.c.rights)
    .join(mailbox, mailbox.c.id == mailbox_right.c.mailbox_id)
    .where(_WHO, mailbox.c.account_id != sa.bindparam("account_"))
)
_ENTRIES = (
    sa.select(account.c.login, mailbox_right.c.rights)
    .select_from(mailbox_right.outerjoin(account, account.c.id == mailbox_right.c.account_id))
    .where(mailbox_right.c.mailbox_id == sa.bindparam("mailbox_"))
)
