"""Creates the domain and its accounts in the store of a server before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from zajil.config.options import Configuration
from zajil.core.address import Address
from zajil.lab.domains import ECHO_LOGIN, DomainPlan
from zajil.net.system import SystemClock, system_random
from zajil.operations.credentials import hash_password
from zajil.operations.dkim_keys import make_missing_keys
from zajil.operations.domains import add_domain
from zajil.operations.run import open_runner
from zajil.operations.store import make_store
from zajil.operations.upgrade import bring_up_to_date
from zajil.store.engine.errors import StoreExists
from zajil.store.engine.open import Store
from zajil.store.people.accounts import NewAccount, create_account, list_accounts
from zajil.store.people.domains import is_domain


def make_people(
    configuration: Configuration, plan: DomainPlan, passwords: Mapping[str, str]
) -> None:
    """Make what is missing; what an earlier start made, or a person changed, stays as it is.

    Args:
        configuration: of the domain's server.
        plan: who lives there.
        passwords: by log-in name.

    Raises:
        StoreUnavailable: the store cannot be reached.
    """
    clock = SystemClock()
    now_ms = clock.now_ms()
    with suppress(StoreExists):
        make_store(configuration)
    bring_up_to_date(configuration, clock)  # a lab that an older version made
    hashes: dict[str, str] = {}
    with open_runner(configuration) as runner:
        store = runner.store
        if not store.read_now(lambda conn: is_domain(conn, plan.ascii_domain)):
            postmaster = plan.accounts[0].address
            runner.run(add_domain, plan.ascii_domain, postmaster, configuration.keys)
        runner.run(make_missing_keys, configuration.keys)  # a lab of a version without keys
        there = {row.login for row in store.read_now(list_accounts)}
        for who in plan.accounts:
            if who.login in there:
                continue
            password = passwords[who.login]
            # The added accounts share a password: a thousand hashes would take minutes.
            if password not in hashes:
                hashes[password] = hash_password(password)
            new = NewAccount(
                login=who.login,
                address=who.address,
                display_name=who.display_name,
                password_hash=hashes[password],
                admin=who.admin,
                created_ms=now_ms,
            )
            store.write_now(create_account, new)
        if ECHO_LOGIN not in there:
            _add_echo(store, plan, now_ms)


def _add_echo(store: Store, plan: DomainPlan, now_ms: int) -> None:
    """Make the account that answers tests; nobody knows its password."""
    new = NewAccount(
        login=ECHO_LOGIN,
        address=Address(ECHO_LOGIN, plan.ascii_domain),
        display_name="Echo",
        password_hash=hash_password(system_random(16).hex()),
        admin=False,
        created_ms=now_ms,
    )
    store.write_now(create_account, new)
