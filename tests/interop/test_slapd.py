"""A real LDAP server: its people become accounts, and log in with the passwords that it keeps."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ldap3
import pytest

from kit.clock import FakeClock
from kit.login import open_desk
from kit.operations import runner
from kit.slapd import PEOPLE, SERVICE_DN, Slapd, person, serving
from kit.store import NOW_MS, make_account, open_test_store, running
from zajil.core.address import parse_address
from zajil.core.password import IN_DIRECTORY
from zajil.core.service import Service
from zajil.login.account import Origin
from zajil.login.directory.connection import DirectoryUnavailable
from zajil.login.directory.ldap import LdapPasswords, read_people
from zajil.login.exchange import Failure
from zajil.login.session_login import SessionLogin
from zajil.login.tokens import JudgeUnavailable
from zajil.operations.accounts import PasswordElsewhere, change_password, suspend_account
from zajil.operations.directory_sync import (
    SyncOutcome,
    TooManyLost,
    show_directory,
    sync_directory,
)
from zajil.operations.domain_admins import appoint
from zajil.store.engine.open import Store
from zajil.store.people.accounts import AccountRow, find_by_login
from zajil.store.people.aliases import find_alias
from zajil.store.people.domains import DomainRow, create_domain
from zajil.store.people.identities import LDAP, load_directory_state

pytestmark = pytest.mark.interop
NAMES = ("amal", "basim", "huda", "omar", "salma", "zaynab", "yusuf")


@pytest.fixture(scope="module")
def shared() -> Iterator[Slapd]:
    """A directory that nobody changes."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(
            Path(folder), [*map(person, NAMES), person("nobody", mail="nobody@north.test")]
        ) as slapd,
    ):
        yield slapd


@pytest.fixture
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory for one test."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), list(map(person, NAMES))) as server,
    ):
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """One database is enough here: the units have tests of their own."""
    opened = open_test_store("sqlite", tmp_path / "data")
    opened.write_now(create_domain, DomainRow("south.test", NOW_MS))
    yield opened
    opened.close_now()


def sync(store: Store, slapd: Slapd, **others: Any) -> SyncOutcome:
    known = {"dry_run", "adopts", "accepts_losses"}
    how = {name: value for name, value in others.items() if name in known}
    rest = {name: value for name, value in others.items() if name not in known}
    done: SyncOutcome = runner(store).run(sync_directory, slapd.options(**rest), **how)
    return done


def row(store: Store, who: str) -> AccountRow:
    found = store.read_now(lambda conn: find_by_login(conn, who))
    assert found is not None
    return found


def targets(store: Store, alias: str) -> list[str]:
    found = store.read_now(lambda conn: find_alias(conn, parse_address(alias)))
    return [] if found is None else list(map(str, found.targets))


@pytest.mark.parametrize("way", ["ldaps", "starttls", "socket"])
def test_people_are_read_over_each_transport(shared: Slapd, way: str) -> None:
    found = read_people(shared.options(urls=(getattr(shared, way),)))
    assert {str(one.address) for one in found.people} == {f"{name}@south.test" for name in NAMES}
    assert [one.dn for one in found.left_out] == [f"uid=nobody,{PEOPLE}"]


def test_the_second_server_is_asked_if_the_first_is_away(shared: Slapd) -> None:
    options = shared.options(urls=("ldaps://127.0.0.1:1", shared.ldaps))
    assert len(read_people(options).people) == len(NAMES)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: {"ca_file": None}, "CERTIFICATE_VERIFY_FAILED"),
        (lambda one: {"urls": (f"ldaps://127.0.0.1:{one.tls_port}",)}, "not valid for"),
        (lambda one: {"urls": ("ldaps://127.0.0.1:1",)}, "Connection refused"),
        (lambda one: {"ca_file": Path("/nowhere")}, "/nowhere"),
        (lambda one: {"password": "wrong"}, "invalidCredentials"),
        (lambda one: {"base": "dc=nowhere"}, "cannot search dc=nowhere"),
        (lambda one: {"filter": "(&)(x"}, "cannot search"),
        (lambda one: {"admin_group": f"cn=nobody,{PEOPLE}"}, "cannot search"),
    ],
)
def test_a_directory_that_cannot_be_asked_is_an_error(
    shared: Slapd, change: Callable[[Slapd], dict[str, Any]], reason: str
) -> None:
    with pytest.raises(DirectoryUnavailable, match=reason) as raised:
        read_people(shared.options(**change(shared)))
    assert "secret" not in str(raised.value)


def test_a_server_without_tls_gets_no_password(shared: Slapd) -> None:
    """RFC 4513 section 5.1.3: another machine that does not begin TLS is told no name."""
    with socket.create_server(("127.0.0.2", 0)) as mute:
        url = f"ldap://127.0.0.2:{mute.getsockname()[1]}"
        with pytest.raises(DirectoryUnavailable, match="timed out"):
            read_people(shared.options(urls=(url,), timeout_ms=1000))
        peer, _ = mute.accept()
        with peer:
            assert SERVICE_DN.encode() not in peer.recv(4096)


def test_a_limit_of_the_server_is_not_taken_for_fewer_people() -> None:
    """RFC 4511 section 4.5.1.4: sizeLimitExceeded makes the answer one that is not whole."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), list(map(person, NAMES)), more="limits * size.prtotal=3") as slapd,
        pytest.raises(DirectoryUnavailable, match="sizeLimitExceeded"),
    ):
        read_people(slapd.options())


def test_a_password_is_right_or_wrong(shared: Slapd) -> None:
    """RFC 4513 section 5.1.2: the bind with an empty password succeeds, and opens nothing."""
    subjects = {str(one.address): one.subject for one in read_people(shared.options()).people}
    amal = subjects["amal@south.test"]

    async def run() -> None:
        passwords = LdapPasswords(shared.options())
        assert await passwords.check(amal, "password of amal")
        for wrong in ("", "\0", "password of basim", "*", "password of amal\0"):
            assert not await passwords.check(amal, wrong)
        for nobody in ("*", "x)(uid=*", "", "7dec59dc-80d4-1041-947c-059eecfab242"):
            assert not await passwords.check(nobody, "password of amal")
        await passwords.close()
        # Nine at a time, over connections that are opened again.
        right = await asyncio.gather(*(passwords.check(amal, "password of amal") for _ in range(9)))
        assert all(right)
        await passwords.close()

    asyncio.run(run())


def test_accounts_follow_people(slapd: Slapd, store: Store) -> None:
    first = sync(store, slapd)
    assert sorted(first.created) == sorted(f"{name}@south.test" for name in NAMES)
    assert sync(store, slapd).unchanged == len(NAMES)
    amal = row(store, "amal")
    assert (amal.password_hash, amal.display_name, amal.admin) == (IN_DIRECTORY, "Amal", False)
    slapd.change(
        "amal",
        displayName="Amal S",
        labeledURI=["a.s@south.test"],
        employeeNumber="1073741824",
    )
    assert sync(store, slapd).changed == ["amal@south.test"]
    assert (row(store, "amal").display_name, row(store, "amal").quota_size) == ("Amal S", 1 << 30)
    assert targets(store, "a.s@south.test") == ["amal@south.test"]
    slapd.change("amal", labeledURI=[])
    sync(store, slapd)
    assert targets(store, "a.s@south.test") == []


def test_a_renamed_person_keeps_the_account(slapd: Slapd, store: Store) -> None:
    """RFC 4530 section 2.1: entryUUID stays through a change of the name."""
    slapd.change("amal", labeledURI=["amal.haddad@south.test"])
    sync(store, slapd)
    before = row(store, "amal")
    slapd.rename("amal", "amal.haddad")
    slapd.change("amal.haddad", mail="amal.haddad@south.test", labeledURI=[])
    assert sync(store, slapd).changed == ["amal.haddad@south.test"]
    after = row(store, "amal")
    assert (after.account_id, str(after.address)) == (before.account_id, "amal.haddad@south.test")
    assert targets(store, "amal@south.test") == ["amal.haddad@south.test"]
    assert sync(store, slapd).unchanged == len(NAMES)


def test_several_addresses_in_any_order_are_one_account(slapd: Slapd, store: Store) -> None:
    """RFC 4511 section 4.1.7: the values of an attribute have no order."""
    sync(store, slapd)
    both = ["amal@south.test", "a.haddad@south.test"]
    for values in (both, both[::-1]):
        slapd.change("amal", mail=values)
        sync(store, slapd)
        assert str(row(store, "amal").address) == "amal@south.test"
        assert targets(store, "a.haddad@south.test") == ["amal@south.test"]
        assert sync(store, slapd).unchanged == len(NAMES)
    slapd.change("amal", mail="a.haddad@south.test")
    sync(store, slapd)
    assert str(row(store, "amal").address) == "a.haddad@south.test"
    assert targets(store, "amal@south.test") == ["a.haddad@south.test"]


def test_who_is_gone_is_suspended_and_comes_back(slapd: Slapd, store: Store) -> None:
    sync(store, slapd)
    slapd.remove("amal")
    assert sync(store, slapd, dry_run=True).suspended == ["amal@south.test"]
    assert row(store, "amal").active
    assert sync(store, slapd).suspended == ["amal@south.test"]
    assert not row(store, "amal").active
    slapd.add("amal")  # a new person of the same name, for all that the directory says
    problems = sync(store, slapd).problems
    assert "--adopt" in problems[0][1]
    assert sync(store, slapd, adopts=True).changed == ["amal@south.test"]
    assert row(store, "amal").active


def test_who_is_disabled_is_suspended_but_not_resumed_against_an_operator(
    slapd: Slapd, store: Store
) -> None:
    slapd.change("amal", title="left")
    how: dict[str, Any] = {"disabled_filter": "(title=left)"}
    assert len(sync(store, slapd, **how).created) == len(NAMES) - 1
    slapd.change("amal", title=[])
    sync(store, slapd, **how)
    slapd.change("amal", title="left")
    assert sync(store, slapd, **how).suspended == ["amal@south.test"]
    slapd.change("amal", title=[])
    sync(store, slapd, **how)
    assert row(store, "amal").active
    runner(store).run(suspend_account, "amal")
    sync(store, slapd, **how)
    assert not row(store, "amal").active


def test_lost_people_change_nothing(slapd: Slapd, store: Store) -> None:
    sync(store, slapd)
    with pytest.raises(TooManyLost, match="7 of 7 people"):
        sync(store, slapd, filter="(uid=nobody)")
    state = store.read_now(lambda conn: load_directory_state(conn, LDAP))
    assert state is not None
    assert (state.problem, state.done_ms > 0) == ("losses", True)
    assert row(store, "amal").active
    with pytest.raises(DirectoryUnavailable):
        sync(store, slapd, base="dc=nowhere")
    done = sync(store, slapd, filter="(uid=amal)", accepts_losses=True)
    assert len(done.suspended) == len(NAMES) - 1
    shown = store.read_now(show_directory)
    assert [one.login for one, _ in shown.accounts if one.active] == ["amal"]


def test_accounts_that_were_made_here_are_left_alone(slapd: Slapd, store: Store) -> None:
    make_account(store, "amal@south.test")
    make_account(store, "basim@south.test", admin=True)
    make_account(store, "omar@south.test")
    runner(store).run(appoint, "south.test", "omar")
    slapd.change("huda", labeledURI=["basim@south.test"])
    first = sync(store, slapd, dry_run=True)
    assert len(first.problems) == 3
    done = sync(store, slapd)
    reasons = dict(done.problems)
    assert "--adopt" in reasons[f"uid=amal,{PEOPLE}"]
    assert "administrator" in reasons[f"uid=basim,{PEOPLE}"]
    assert "belongs to somebody else" in reasons[f"uid=huda,{PEOPLE}"]
    sync(store, slapd, adopts=True)
    assert row(store, "amal").password_hash == IN_DIRECTORY
    for administrator in ("basim", "omar"):
        assert row(store, administrator).password_hash == "!"


def test_members_of_the_group_are_administrators(slapd: Slapd, store: Store) -> None:
    make_account(store, "root@south.test", admin=True)
    group = f"cn=admins,{PEOPLE}"
    with slapd.editor() as conn:
        conn.add(group, ["groupOfNames"], {"member": [f"uid=Amal, {PEOPLE}"]})
    sync(store, slapd, admin_group=group)
    assert (row(store, "amal").admin, row(store, "basim").admin) == (True, False)
    with slapd.editor() as conn:
        conn.modify(group, {"member": [(ldap3.MODIFY_REPLACE, [f"uid=basim,{PEOPLE}"])]})
    sync(store, slapd, admin_group=group)
    assert (row(store, "amal").admin, row(store, "basim").admin) == (False, True)


def test_people_log_in_with_the_password_of_the_directory(slapd: Slapd, store: Store) -> None:
    sync(store, slapd)
    with pytest.raises(PasswordElsewhere):
        runner(store).run(change_password, "amal", "a new password")

    async def run() -> None:
        async with running(store):
            directory = LdapPasswords(slapd.options(remember_ms=60_000))
            clock = FakeClock()
            desk = open_desk(store, clock=clock, directory=directory)
            for wrong in ("", "*", IN_DIRECTORY, "password of basim"):
                assert (await desk.cost_of("amal", wrong))[0] is False
            assert await desk.cost_of("amal@south.test", "password of amal") == (True, 1)
            # It is believed for a while by this worker, though it was changed.
            slapd.change("amal", userPassword="another password")
            assert await desk.cost_of("amal@south.test", "password of amal") == (True, 0)
            assert (await desk.cost_of("amal", "another password"))[0]
            clock.advance(60_000)
            assert (await desk.cost_of("amal@south.test", "password of amal"))[0] is False
            assert (await desk.cost_of("amal", "another password"))[0]
            await directory.close()
            slapd.stop()
            assert (await desk.cost_of("amal", "another password"))[0]
            clock.advance(60_000)
            with pytest.raises(JudgeUnavailable):
                await desk.cost_of("amal", "another password")
            session = SessionLogin(desk.login, Origin("192.0.2.1", Service.IMAP), lambda: None)
            outcome = await session.check_password("amal", "another password")
            assert outcome is Failure.UNAVAILABLE
            # Those that the directory does not know are not delayed by it.
            assert (await desk.cost_of("nobody", "another password"))[0] is False

    asyncio.run(run())


def test_without_a_directory_nobody_of_it_logs_in(slapd: Slapd, store: Store) -> None:
    sync(store, slapd)

    async def run() -> None:
        async with running(store):
            assert (await open_desk(store).cost_of("amal", "password of amal"))[0] is False

    asyncio.run(run())


@pytest.mark.slow
def test_a_large_directory() -> None:
    """RFC 2696: ten thousand people in pages of 500."""
    many = [person(f"p{number}") for number in range(10_000)]
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), many, more="limits * size=unlimited") as slapd,
    ):
        assert len(read_people(slapd.options()).people) == 10_000
