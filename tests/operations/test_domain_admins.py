"""An administrator of a domain: every operation, inside of the domain and outside of it."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyotp
import pytest

import zajil.operations
from kit.login import open_desk
from kit.operations import runner
from kit.push import PushBrowser
from kit.store import make_account, make_intake, open_test_store, running
from zajil.core.actor import Actor, Interface
from zajil.core.address import parse_address
from zajil.core.errors import NotFound, ZajilError
from zajil.core.ids import MailId
from zajil.operations.account_changes import NotHeld, change_profile, rename
from zajil.operations.accounts import add_account, change_password, find_account, suspend_account
from zajil.operations.aliases import add_alias
from zajil.operations.authority import require_account_admin
from zajil.operations.context import NotAllowed
from zajil.operations.delegations import delegate
from zajil.operations.domain_admins import appoint, dismiss, show_domain_admins
from zajil.operations.domains import remove_domain
from zajil.operations.queue import QueueAction, act_on_queue
from zajil.operations.second_factors import NoSecondFactor
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.people.accounts import AccountRow, delete_account
from zajil.store.people.app_passwords import NoSuchAppPassword
from zajil.store.people.audit import AuditQuery, find_audit
from zajil.store.queue.queue_admin import QueueQuery, find_queued, list_rows
from zajil.tracking.audit import AccountLinked
from zajil.tracking.audit_sentences import describe_change

Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]


def _args(*values: Any, **named: Any) -> Arguments:
    return values, named


def _all_operations() -> dict[str, Callable[..., Any]]:
    """Every operation, by module and name."""
    found: dict[str, Callable[..., Any]] = {}
    for module in pkgutil.walk_packages(zajil.operations.__path__, "zajil.operations."):
        loaded = importlib.import_module(module.name)
        for name, one in vars(loaded).items():
            is_own = inspect.iscoroutinefunction(one) and one.__module__ == module.name
            if is_own and not name.startswith("_") and "actor" in inspect.signature(one).parameters:
                found[f"{module.name.removeprefix('zajil.operations.')}.{name}"] = one
    return found


OPERATIONS = _all_operations()

ALLOWED: dict[str, Callable[[str], Arguments]] = {
    "account_changes.change_profile": lambda d: _args(f"amal@{d}", display_name="Amal"),
    "account_changes.limit": lambda d: _args(f"amal@{d}", size=1),
    "account_changes.release": lambda d: _args(f"amal@{d}", exempt_ms=1, discards=False),
    "account_changes.rename": lambda d: _args(f"amal@{d}", address=parse_address(f"a.new@{d}")),
    "accounts.add_account": lambda d: _args(parse_address(f"new@{d}")),
    "accounts.change_password": lambda d: _args(f"amal@{d}", "a long password"),
    "accounts.suspend_account": lambda d: _args(f"amal@{d}"),
    "accounts.resume_account": lambda d: _args(f"amal@{d}"),
    "accounts.remove_account": lambda d: _args(f"basim@{d}"),
    "aliases.add_alias": lambda d: _args(f"new@{d}", ["x@far.test"]),
    "aliases.set_alias": lambda d: _args(f"info@{d}", ["x@far.test"]),
    "aliases.remove_targets": lambda d: _args(f"info@{d}", ["y@far.test"]),
    "aliases.remove_alias": lambda d: _args(f"info@{d}"),
    "app_passwords.delete_app_password": lambda d: _args(f"amal@{d}", "phone"),
    "delegations.delegate": lambda d: _args(f"info@{d}", f"amal@{d}"),
    "delegations.revoke_delegation": lambda d: _args(f"basim@{d}", f"amal@{d}"),
    "second_factors.reset_second_factors": lambda d: _args(f"amal@{d}"),
    "web_sessions.end_sessions": lambda d: _args(f"amal@{d}"),
}
"""What such an administrator does, for a domain."""

OWN_THINGS = frozenset({"contacts", "drafts", "messages", "mailboxes", "sending"})
"""Modules whose operations are about the account of the actor, and name no other."""
NAMES_AN_ACCOUNT = frozenset({"mailboxes.share_mailbox"})

_KEYS = PushBrowser().fields("https://push.test/x")
_ANY = SimpleNamespace(
    account="amal", login="amal", selectors=(), urls=(), plan=None, name="key", **_KEYS
)
FILL: dict[str, Any] = {
    "login_or_address": "amal@south.test",
    "address": "amal@south.test",
    "targets": ["x@far.test"],
    "domain": "south.test",
    "ascii_name": "south.test",
    "name": "name",
    "names": ["name"],
    "new_name": "name",
    "values": {},
    "keeps_copy": True,
    "mail_ids": (),
    "network": "192.0.2.0",
    "kind": "dns",
    "subject": "x",
    "content": b"",
    "colour": "",
    "keyword": "label",
    "scope": "all",
    "selectors": (),
    "secret": "A" * 32,
    "credential_id": "id",
    "who": "amal@south.test",
    "browser_id": 1,
    "to": parse_address("x@far.test"),
}
"""What a parameter gets by its name; all others get an object without a meaning."""


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """Two domains with the same people; SQLite is enough for what is refused before it is asked."""
    opened = open_test_store("sqlite", tmp_path / "data")
    make_account(opened, "root@north.test", admin=True)
    for number, domain in enumerate(("south.test", "north.test")):
        for name in ("amal", "basim", "admin"):
            make_account(opened, f"{name}@{domain}", f"{name}{number}")
        boss = runner(opened)
        boss.run(add_alias, f"info@{domain}", ["x@far.test", "y@far.test"])
        boss.run(delegate, f"basim@{domain}", f"amal@{domain}")
    runner(opened).run(appoint, "south.test", "admin0")
    yield opened
    opened.close_now()


def row_of(store: Store, login: str) -> AccountRow:
    return store.read_now(lambda conn: find_account(conn, login))


def actor(store: Store, login: str = "admin0", *domains: str) -> Actor:
    row = store.read_now(lambda conn: find_account(conn, login))
    chosen = frozenset(domains or ("south.test",))
    return Actor(login, Interface.WEB, account_id=row.account_id, domains=chosen)


def test_every_operation_is_named() -> None:
    assert set(ALLOWED) <= set(OPERATIONS)
    assert len(OPERATIONS) > 60


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_inside_is_refused_outside(store: Store, name: str) -> None:
    run = runner(store, actor=actor(store)).run
    values, named = ALLOWED[name]("north.test")
    with pytest.raises(NotAllowed):
        run(OPERATIONS[name], *values, **named)
    values, named = ALLOWED[name]("south.test")
    # There is no such app password, factor or hold: it was looked for.
    absent = (NoSuchAppPassword, NoSecondFactor, NotHeld)
    with suppress(*absent):
        run(OPERATIONS[name], *values, **named)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in OPERATIONS
        if name not in (*ALLOWED, "queue.act_on_queue")
        and (name.partition(".")[0] not in OWN_THINGS or name in NAMES_AN_ACCOUNT)
    ],
)
def test_everything_else_is_refused_inside_too(store: Store, name: str) -> None:
    """Whole-server things, and what only the owner of an account does: nobody's mail is read."""
    operation = OPERATIONS[name]
    parameters = list(inspect.signature(operation).parameters.values())
    named = {
        one.name: FILL.get(one.name, _ANY)
        for one in parameters
        if one.name not in ("context", "actor") and one.default is inspect.Parameter.empty
    }
    if "code" in named:
        named["code"] = pyotp.TOTP(FILL["secret"]).now()  # it is good for a minute only
    run = runner(store, actor=actor(store)).run
    with pytest.raises(NotAllowed):
        run(operation, **named)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS)))
def test_operations_on_own_things_name_no_account(name: str) -> None:
    if name.partition(".")[0] in OWN_THINGS and name not in NAMES_AN_ACCOUNT:
        parameters = set(inspect.signature(OPERATIONS[name]).parameters)
        assert not parameters & {"login_or_address", "who", "account_id"}


def test_the_queue_shows_and_changes_the_mail_of_the_own_accounts(store: Store) -> None:
    """Who submitted it counts; a reverse path may be claimed by anybody."""
    make_account(store, "super@south.test", admin=True)
    sent: dict[str, MailId] = {}
    for login in ("amal0", "amal1", "super", ""):
        row = row_of(store, login or "amal0")
        item = make_intake(
            store.blobs.stage([b"x"]), remote=["x@far.test"], reverse_path="amal@south.test"
        )
        sender = row.account_id if login else None
        sent[login] = store.write_now(write_intakes, replace(item, account_id=sender))
    own = QueueQuery(domains=frozenset({"south.test"}))
    assert [one.mail_id for one in store.read_now(lambda c: list_rows(c, own))] == [sent["amal0"]]
    assert store.read_now(lambda conn: find_queued(conn, own)) == [sent["amal0"]]
    run = runner(store, actor=actor(store)).run
    for login in ("amal1", "super", ""):
        for mails in ([sent[login]], [sent["amal0"], sent[login]]):
            with pytest.raises(NotAllowed):
                run(act_on_queue, QueueAction.DELETE, mails)
    assert run(act_on_queue, QueueAction.HOLD, [sent["amal0"]]) == [sent["amal0"]]
    plain = Actor("amal0", Interface.WEB, account_id=actor(store, "amal0").account_id)
    with pytest.raises(NotAllowed):
        runner(store, actor=plain).run(act_on_queue, QueueAction.DELETE, [sent["amal0"]])


def test_nobody_reaches_an_account_that_may_do_more(store: Store) -> None:
    """A new password for an administrator would be the way to the whole server."""
    make_account(store, "super@south.test", admin=True)
    runner(store).run(appoint, "south.test", "basim0")
    runner(store).run(appoint, "north.test", "basim0")
    runner(store).run(appoint, "south.test", "amal0")
    run = runner(store, actor=actor(store)).run
    for who in ("super@south.test", "basim0"):
        for name in ALLOWED:
            values, named = ALLOWED[name]("south.test")
            if values and isinstance(values[0], str) and values[0].startswith(("amal@", "basim@")):
                at = who if "@" in who else "basim@south.test"
                with pytest.raises(NotAllowed):
                    run(OPERATIONS[name], at, *values[1:], **named)
    run(change_password, "amal0", "a long password")  # one of equal rights


def test_nobody_promotes_or_moves_accounts(store: Store) -> None:
    run = runner(store, actor=actor(store)).run
    for who in ("admin0", "amal0"):
        with pytest.raises(NotAllowed):
            run(change_profile, who, admin=True)
        with pytest.raises(NotAllowed):
            run(appoint, "north.test", who)
        with pytest.raises(NotAllowed):
            run(rename, who, address=parse_address("other@north.test"))
    with pytest.raises(NotAllowed):
        run(rename, "amal1", address=parse_address("other@south.test"))
    with pytest.raises(NotAllowed):
        run(add_account, parse_address("x@south.test"), admin=True)
    with pytest.raises(NotAllowed):
        run(delegate, "root@north.test", "amal0")


def test_an_ordinary_account_is_none(store: Store) -> None:
    plain = Actor("amal0", Interface.WEB, account_id=actor(store, "amal0").account_id)
    with pytest.raises(NotAllowed):
        runner(store, actor=plain).run(suspend_account, "basim0")
    row = store.read_now(lambda conn: find_account(conn, "basim0"))
    with pytest.raises(NotAllowed):
        store.read_now(lambda conn: require_account_admin(conn, plain, row))


def test_a_log_in_knows_its_domains_until_they_are_taken(store: Store) -> None:
    who = actor(store).account_id
    assert who is not None

    async def run() -> None:
        async with running(store):
            login = open_desk(store).login
            account = await login.find(who)
            assert account is not None
            assert account.domains == {"south.test"}

    asyncio.run(run())


def test_the_trail_names_account_and_domain(store: Store) -> None:
    runner(store).run(dismiss, "south.test", "admin0")
    texts = [
        describe_change(one).plain()
        for one in store.read_now(lambda c: find_audit(c, AuditQuery(limit=1)))
    ]
    assert texts == ["The account admin0 no longer administers south.test."]
    linked = AccountLinked(0, "x", "directory", "", 1, "admin0", "ldap")
    assert describe_change(linked).plain() == "The account admin0 was linked with ldap."


def test_the_right_goes_with_account_and_domain(store: Store) -> None:
    boss = runner(store).run
    boss(appoint, "north.test", "admin0")
    assert len(store.read_now(show_domain_admins)) == 2
    with pytest.raises(ZajilError, match="already"):
        boss(appoint, "north.test", "admin0")
    boss(dismiss, "north.test", "admin0")
    with pytest.raises(NotFound):
        boss(dismiss, "north.test", "admin0")
    make_account(store, "x@west.test")
    boss(appoint, "west.test", "admin0")
    store.write_now(delete_account, store.read_now(lambda c: find_account(c, "x")).account_id)
    boss(remove_domain, "west.test")
    assert [one.domain for one in store.read_now(show_domain_admins)] == ["south.test"]
    store.write_now(delete_account, store.read_now(lambda c: find_account(c, "admin0")).account_id)
    assert store.read_now(show_domain_admins) == []
