"""The account of somebody whom an OpenID provider vouches for: found, linked or created.

Laws:
- An account is known by issuer and subject, which never change. The address counts once, at the
  first log-in, and only if the provider has verified it and the operator trusts it for the domain.
- A link is never moved to another person by a log-in.
"""

from __future__ import annotations

from zajil.config.options_sign_on import SignOnOptions
from zajil.core.actor import Interface
from zajil.core.address import Address, BadAddress, parse_address
from zajil.core.errors import Refused
from zajil.core.password import NO_PASSWORD
from zajil.login.sign_on.id_token import SignedOn
from zajil.operations.account_changes import LONGEST_DISPLAY_NAME
from zajil.operations.context import OperationContext, Recorded
from zajil.operations.credentials import choose_login
from zajil.store.engine.writer import Transaction
from zajil.store.people.accounts import (
    AccountRow,
    NewAccount,
    create_account,
    find_by_login,
    get_account,
)
from zajil.store.people.aliases import find_alias
from zajil.store.people.identities import Identity, find_identity, identities_of, put_identity
from zajil.tracking.audit import AccountCreated, AccountLinked, AuditEvent


class NoAccountForPerson(Refused):
    """The provider vouches for somebody who has no account here that may be used."""


async def account_of_person(
    context: OperationContext, options: SignOnOptions, who: SignedOn, peer: str
) -> AccountRow:
    """Return the account of a person; links or creates it at the first log-in.

    Args:
        context: the store and what belongs to it.
        options: ``[sign_on]``.
        who: the person, as the checked ID token says.
        peer: IP address of the browser.

    Raises:
        NoAccountForPerson: there is none, or it is suspended; nothing was changed.
    """
    now_ms = context.clock.now_ms()
    by = (now_ms, who.address or who.subject, Interface.SIGN_ON.value, peer)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        identity = find_identity(tx, who.issuer, who.subject)
        row = None if identity is None else get_account(tx, identity.account_id)
        events: list[AuditEvent] = []
        if row is None:
            row = _first_time(tx, options, who, by, events)
            new = Identity(
                source=who.issuer,
                subject=who.subject,
                account_id=row.account_id,
                created_ms=now_ms,
            )
            put_identity(tx, [new])
            events.append(AccountLinked(*by, row.account_id, row.login, who.issuer))
        if not row.active:
            raise NoAccountForPerson(f"the account {row.login} is suspended")
        return row, events

    return await context.change(work)


def _first_time(
    tx: Transaction,
    options: SignOnOptions,
    who: SignedOn,
    by: tuple[int, str, str, str],
    events: list[AuditEvent],
) -> AccountRow:
    address = _trusted_address(options, who)
    row = find_by_login(tx, address.key)
    if row is not None:
        if any(one.source == who.issuer for one in identities_of(tx, row.account_id)):
            raise NoAccountForPerson(
                f"the account {row.login} is linked with another person of the provider"
            )
        return row
    if not options.create_accounts:
        raise NoAccountForPerson(f"{address.unicode} has no account")
    if find_alias(tx, address) is not None:
        raise NoAccountForPerson(f"{address.unicode} is an alias")
    name = " ".join(who.display_name.split())
    login = choose_login(address.local_part, lambda one: find_by_login(tx, one) is not None)
    new = NewAccount(
        login=login,
        address=address,
        display_name=name[:LONGEST_DISPLAY_NAME] if name.isprintable() else "",
        password_hash=NO_PASSWORD,
        admin=False,
        created_ms=by[0],
    )
    (account_id,) = create_account(tx, [new])
    events.append(AccountCreated(*by, account_id, login, str(address), admin=False))
    made = get_account(tx, account_id)
    if made is None:
        raise RuntimeError("the account was just made")
    return made


def _trusted_address(options: SignOnOptions, who: SignedOn) -> Address:
    if who.address is None:
        raise NoAccountForPerson("the provider has verified no address of this person")
    try:
        address = parse_address(who.address)
    except BadAddress:
        raise NoAccountForPerson("the address that the provider has verified is none") from None
    if address.domain not in (options.domains or ()) or address.is_catch_all:
        raise NoAccountForPerson(f"{address.unicode} is not in sign_on.domains")
    return address
