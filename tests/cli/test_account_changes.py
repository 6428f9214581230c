"""``zajil account``: names, role, forwarding, and what is shown of an account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.command_line import Run, as_json
from kit.store import NOW_MS, make_intake
from zajil.config.load import load_configuration
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId
from zajil.operations.run import open_admin_store
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.people.accounts import find_by_login
from zajil.store.people.directory import look_up
from zajil.store.people.last_logins import LastLogin, record_logins


@pytest.fixture
def store(server: Path) -> Iterator[Store]:
    """The store of the server whose commands are run."""
    with open_admin_store(load_configuration(server)) as opened:
        yield opened


def account(run: Run, login: str) -> dict[str, object]:
    rows = as_json(run, "account", "list")["accounts"]
    return next(row for row in rows if row["login"] == login)


def id_of(store: Store, login: str) -> AccountId:
    row = store.read_now(lambda conn: find_by_login(conn, login))
    assert row is not None
    return row.account_id


def test_size_and_last_log_in_are_shown(run: Run, store: Store) -> None:
    run("account", "add", "amal@north.test")
    admin = store.read_now(lambda conn: look_up(conn, parse_address("admin@north.test"))).entry
    assert isinstance(admin, AccountEntry)
    for _ in range(3):
        item = make_intake(store.blobs.stage((b"x" * 5000,)), local=[admin])
        store.write_now(write_intakes, item)
    seen = LastLogin(admin.account_id, NOW_MS, "imaps", "192.0.2.7")
    store.write_now(record_logins, seen)
    store.write_now(record_logins, LastLogin(admin.account_id, NOW_MS - 1, "web", "192.0.2.8"))
    store.write_now(record_logins, LastLogin(AccountId(999), NOW_MS, "web", "192.0.2.8"))
    last = {"at_ms": NOW_MS, "service": "imaps", "peer": "192.0.2.7"}
    size = 3 * (5000 + len("Delivered-To: admin@north.test\r\n"))
    for shown in (account(run, "admin"), as_json(run, "account", "show", "admin")):
        assert (shown["messages"], shown["size"], shown["last_login"]) == (3, size, last)
    unused = account(run, "amal")
    assert (unused["messages"], unused["size"], unused["last_login"]) == (0, 0, None)
    lines = run("account", "show", "admin")[1].splitlines()
    assert "messages          3, 15 KiB" in lines
    assert any(line.endswith("by imaps from 192.0.2.7") for line in lines)
    titles, first, _ = run("account", "list")[1].splitlines()
    assert titles.split()[-4:] == ["MESSAGES", "SIZE", "LAST", "LOGIN"]
    assert first.endswith("by imaps from 192.0.2.7")
    assert run("account", "remove", "amal", "--yes")[0] == 0


def test_a_role_comes_and_goes(run: Run) -> None:
    run("account", "add", "amal@north.test")
    status, _, err = run("account", "admin", "admin", "off")
    assert (status, "is the only active administrator" in err) == (1, True)
    assert run("account", "admin", "amal", "on")[0] == 0
    assert run("account", "set", "admin@north.test", "--no-admin", "--name", "Amal H.")[0] == 0
    shown = account(run, "admin")
    assert (shown["admin"], shown["name"]) == (False, "Amal H.")
    assert as_json(run, "account", "set", "admin", "--name", "")["name"] == ""
    run("account", "admin", "admin", "on")
    run("account", "suspend", "amal")
    assert run("account", "set", "admin", "--no-admin")[0] == 1  # who is suspended does not count


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["set", "admin"], 2),
        (["set", "nobody", "--admin"], 1),
        (["admin", "admin", "yes"], 2),
        (["admin", "nobody", "on"], 1),
        (["rename", "admin"], 2),
        (["rename", "admin", "--login", "a b"], 2),
        (["rename", "admin", "--login", "chief", "--keep-alias"], 2),
        (["rename", "admin", "@"], 2),
        (["rename", "admin", "*@north.test"], 2),
        (["rename", "admin", "chief@far.test"], 1),
        (["rename", "admin", "postmaster@north.test"], 1),
        (["rename", "nobody", "chief@north.test"], 1),
        (["forward", "admin"], 2),
        (["forward", "admin", "--off", "--to", "x@far.test"], 2),
        (["forward", "admin", "--to", "@"], 2),
        (["forward", "admin", "--to", "*@far.test"], 2),
        (["forward", "nobody", "--to", "x@far.test"], 1),
        (["forward", "admin", "--to", "admin@north.test"], 1),
        (["forward", "admin", "--to", "abuse@north.test"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_changed_stays(run: Run, arguments: list[str], status: int) -> None:
    before = run("account", "list")
    got, out, err = run("account", *arguments)
    assert (got, out, err.count("\n")) == (status, "", 1)
    assert run("account", "list") == before


def test_a_rename_takes_everything_with_it(run: Run) -> None:
    run("domain", "add", "زاجل.test")
    run("account", "add", "amal@north.test")
    run("account", "add", "basim@north.test")
    run("alias", "add", "info@north.test", "Amal@north.test", "amal+info@north.test")
    run("alias", "add", "*@زاجل.test", "amal@north.test")
    run("account", "delegate", "amal@north.test", "--to", "basim")
    run("account", "delegate", "info@north.test", "--to", "basim")
    run("account", "forward", "basim", "--to", "amal+b@north.test")
    renamed = run("account", "rename", "amal", "أمل@زاجل.test", "--login", "amal.h")
    assert renamed == (0, "renamed: أمل@زاجل.test, login amal.h\n", "")
    aliases = {row["address"]: row["targets"] for row in as_json(run, "alias", "list")["aliases"]}
    assert aliases["info@north.test"] == ["أمل@زاجل.test", "أمل+info@زاجل.test"]
    assert aliases["*@زاجل.test"] == ["أمل@زاجل.test"]
    assert "amal@north.test" not in aliases
    basim = as_json(run, "account", "show", "basim")
    assert basim["may_send_as"] == ["info@north.test", "أمل@زاجل.test"]
    assert basim["forward_to"] == ["أمل+b@زاجل.test"]
    assert run("account", "show", "amal")[0] == 1
    assert run("account", "rename", "basim", "--login", "amal.h")[0] == 1
    assert run("account", "add", "amal@north.test")[0] == 0  # both old names are free


def test_the_old_address_may_stay_as_an_alias(run: Run) -> None:
    run("account", "add", "amal@north.test")
    run("account", "add", "basim@north.test")
    run("account", "delegate", "amal@north.test", "--to", "basim")
    run("account", "rename", "amal", "amal.haddad@north.test", "--keep-alias")
    shown = as_json(run, "account", "show", "amal")
    assert (shown["address"], shown["aliases"]) == ("amal.haddad@north.test", ["amal@north.test"])
    delegated = as_json(run, "account", "show", "basim")["may_send_as"]
    assert delegated == ["amal.haddad@north.test", "amal@north.test"]
    run("account", "rename", "amal", "Amal.Haddad@north.test")  # only spelled otherwise
    assert as_json(run, "account", "show", "amal")["address"] == "Amal.Haddad@north.test"


def test_forwarding_is_set_shown_and_ended(run: Run) -> None:
    run("account", "add", "amal@north.test")
    done = run("account", "forward", "amal", "--to", "x@far.test", "--to", "X@far.test")
    assert done == (0, "amal forwards to x@far.test (a copy is kept)\n", "")
    assert "forwards to       x@far.test (a copy is kept)" in run("account", "show", "amal")[1]
    changed = as_json(run, "account", "forward", "amal", "--to", "admin@north.test", "--no-keep")
    assert (changed["forward_to"], changed["keeps_copy"]) == (["admin@north.test"], False)
    assert account(run, "amal")["keeps_copy"] is False
    loop = run("account", "forward", "admin", "--to", "amal+x@north.test")
    assert loop[0] == 1
    assert "loop: admin@north.test -> amal+x@north.test -> admin@north.test" in loop[2]
    assert run("alias", "set", "abuse@north.test", "amal@north.test")[0] == 0
    assert run("account", "forward", "admin", "--to", "abuse@north.test")[0] == 1
    ended = run("account", "forward", "amal", "--off")
    assert ended == (0, "amal does not forward\n", "")
    shown = account(run, "amal")
    assert (shown["forward_to"], shown["keeps_copy"]) == ([], True)


def test_who_forwarded_to_a_removed_account_keeps_its_mail(run: Run) -> None:
    for name in ("amal", "basim"):
        run("account", "add", f"{name}@north.test")
    run("account", "forward", "amal", "--to", "basim@north.test", "--no-keep")
    assert run("account", "remove", "basim", "--yes")[0] == 0
    shown = account(run, "amal")
    assert (shown["forward_to"], shown["keeps_copy"]) == ([], True)
