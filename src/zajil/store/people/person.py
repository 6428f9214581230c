"""What a person is called in the store, now and before: by which traces of the person are found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address, BadAddress, parse_address
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.people.accounts import AccountRow, NoSuchAccount, find_by_login, get_account
from zajil.store.people.aliases import find_alias
from zajil.store.schema import address, audit
from zajil.tracking.audit import AccountRenamed, AuditEvent
from zajil.tracking.codec import decode_events
from zajil.tracking.events import TrackingEvent

E = TypeVar("E", bound=TrackingEvent)


@value_class(frozen=True, slots=True, kw_only=True)
class NamedPerson:
    """Somebody who has an account here, or had one."""

    account_id: AccountId | None
    """``None``: no record of the account is left."""
    row: AccountRow | None
    """``None``: the account was removed."""
    logins: frozenset[str]
    """Login names that no other account has now."""
    addresses: tuple[Address, ...]
    """Addresses that nobody else has now."""

    @property
    def pseudonym(self) -> str:
        """What stands for the person in records that stay."""
        return f"erased-{self.account_id or 'person'}"

    @property
    def keys(self) -> list[str]:
        """``Address.key`` of each address."""
        return sorted({one.key for one in self.addresses})

    @property
    def texts(self) -> list[str]:
        """Each address as it may be written, in lower case."""
        spelled = (text for one in self.addresses for text in (str(one), one.unicode))
        return sorted({text.lower() for text in spelled}, key=len, reverse=True)

    def is_named_in(self, value: object) -> bool:
        """Check whether a value of an event names the person."""
        if isinstance(value, tuple):
            return any(self.is_named_in(one) for one in value)
        if not isinstance(value, str):
            return False
        return value in self.logins or self._pattern().search(value) is not None

    def is_in(self, event: TrackingEvent) -> bool:
        """Check whether an event names the person."""
        return any(self.is_named_in(getattr(event, one.name)) for one in fields(event))

    def taken_out_of(self, event: E) -> E:
        """Return an event with the pseudonym in the place of the person."""
        changed: dict[str, Any] = {}
        for one in fields(event):
            value = getattr(event, one.name)
            hidden = self._hidden(value)
            if hidden != value:
                changed[one.name] = hidden
        if isinstance(event, AuditEvent) and event.actor in self.logins:
            changed["peer"] = ""
        return replace(event, **changed)

    def _hidden(self, value: object) -> Any:
        if isinstance(value, tuple):
            return tuple([self._hidden(one) for one in value])
        if not isinstance(value, str):
            return value
        return (
            self.pseudonym if value in self.logins else self._pattern().sub(self.pseudonym, value)
        )

    def _pattern(self) -> re.Pattern[str]:
        # No part of another address: amal@x in jamal@x, or in amal@x.example.
        names = "|".join(map(re.escape, self.texts)) or "(?!)"
        return re.compile(rf"(?<![\w.+%-])(?:{names})(?![\w-]|\.\w)", re.IGNORECASE)


def find_person(conn: Connection, login_or_address: str) -> NamedPerson:
    """Return the person of an account, also of one that was removed.

    Names that the account had before, and that another account or an alias has now, are not the
    person's.

    Args:
        conn: a snapshot.
        login_or_address: as ``find_by_login`` takes it.

    Raises:
        NoSuchAccount: there is no account, and no record of one.
    """
    row = find_by_login(conn, login_or_address)
    asked = _address(login_or_address)
    account_id = row.account_id if row is not None else _find_removed(conn, login_or_address, asked)
    if row is None and account_id is None and asked is None:
        raise NoSuchAccount(
            f"account {login_or_address} does not exist, and no change of it is recorded; "
            "use its address"
        )
    logins: set[str] = set() if row is None else {row.login}
    addresses: dict[str, Address] = {} if row is None else {row.address.key: row.address}
    if row is None and asked is not None:
        addresses[asked.key] = asked
    if account_id is not None:
        for login, text in _earlier_names(conn, account_id):
            logins.add(login)
            if (one := _address(text)) is not None:
                addresses.setdefault(one.key, one)
    own = None if row is None else row.address
    return NamedPerson(
        account_id=account_id,
        row=row,
        logins=frozenset(one for one in logins if _is_free(find_by_login(conn, one), account_id)),
        addresses=tuple(one for one in addresses.values() if _is_own(conn, one, own, account_id)),
    )


def _is_free(found: AccountRow | None, account_id: AccountId | None) -> bool:
    return found is None or found.account_id == account_id


def _is_own(
    conn: Connection, one: Address, own: Address | None, account_id: AccountId | None
) -> bool:
    """Check that no other account, nor an alias to others, has an address."""
    alias = find_alias(conn, one)
    if alias is not None:
        return own is not None and {target.key for target in alias.targets} == {own.key}
    owner = conn.scalar(sa.select(address.c.account_id).where(address.c.key == one.key))
    return owner is None or owner == account_id


def _find_removed(
    conn: Connection, login_or_address: str, asked: Address | None
) -> AccountId | None:
    """Return the id of the last account of this name that was removed, by the audit trail."""
    names = {login_or_address.strip().lower()} if asked is None else set()
    candidates: sa.ColumnElement[bool] = audit.c.subject.in_(names)
    if asked is not None:
        text = sa.func.lower(audit.c.body)
        candidates = text.contains(str(asked).lower(), autoescape=True)
    search = sa.select(audit.c.account_id, audit.c.body).where(
        candidates, audit.c.account_id.is_not(None)
    )
    for row in conn.execute(search.order_by(audit.c.id.desc())):
        texts = [text for _, text in _names_in(decode_events(row.body))]
        if asked is not None and asked.key not in _keys(texts):
            continue
        if get_account(conn, row.account_id) is None:
            return AccountId(row.account_id)
    return None


def _earlier_names(conn: Connection, account_id: AccountId) -> Iterator[tuple[str, str]]:
    """Yield login names and addresses that an account had, by the audit trail."""
    bodies = sa.select(audit.c.body).where(audit.c.account_id == account_id)
    for body in conn.scalars(bodies):
        yield from _names_in(decode_events(body))


def _names_in(events: list[TrackingEvent]) -> Iterator[tuple[str, str]]:
    for event in events:
        if isinstance(event, AccountRenamed):
            for name in (event.before, event.after):
                login, _, text = name.partition(" ")
                yield login, text.strip("<>")
        elif isinstance(event, AuditEvent) and event.name.startswith("account."):
            named = getattr(event, "address", None)
            if isinstance(named, str):
                yield event.subject, named


def _keys(texts: list[str]) -> set[str]:
    return {one.key for one in map(_address, texts) if one is not None}


def _address(text: str) -> Address | None:
    try:
        return parse_address(text.strip())
    except BadAddress:
        return None
