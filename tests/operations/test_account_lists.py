"""Lists of accounts: CSV and passwd-files, refused lines, and runs that change nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.operations import runner
from kit.store import make_account
from zajil.core.actor import Actor, Interface
from zajil.operations.account_csv import BadAccountFile, read_account_csv
from zajil.operations.account_lists import ListedAccount, add_listed_accounts
from zajil.operations.aliases import add_alias
from zajil.operations.context import NotAllowed
from zajil.operations.passwd_file import read_passwd_file
from zajil.store.engine.open import Store
from zajil.store.people.accounts import find_by_login, list_accounts

SHA = "{SHA}9t/X03UCPi8Q6BFniFioIo4rSEI="


def test_columns_of_a_csv_file_may_stand_in_any_order() -> None:
    """Spreadsheets write semicolons where the comma divides decimals, and quote what has them."""
    text = 'Name;ADDRESS;quota\r\n"Amal; S";amal@south.test;2G\r\n\r\n;b@south.test;none\r\n'
    read = read_account_csv(text)
    assert not read.refused
    assert [(one.line, one.display_name, str(one.address), one.quota) for one in read.accounts] == [
        (2, "Amal; S", "amal@south.test", 2 << 30),
        (4, "", "b@south.test", 0),
    ]


def test_wrong_lines_of_a_csv_file_are_named() -> None:
    text = (
        "address,login,quota\nnobody,,\na@south.test,-x,\nb@south.test,,lots\nc@south.test,,,,\n"
        "d@south.test,,999999999999T\n"
    )
    read = read_account_csv(text)
    assert [(one.line, one.who) for one in read.refused] == [
        (2, "nobody"),
        (3, "a@south.test"),
        (4, "b@south.test"),
        (5, "c@south.test"),
        (6, "d@south.test"),
    ]
    assert not read.accounts


@pytest.mark.parametrize(
    "text", ["", "name\nAmal\n", "address,address\n", "address,admin\n", 'a"b']
)
def test_a_csv_file_without_columns_is_refused(text: str) -> None:
    with pytest.raises(BadAccountFile):
        read_account_csv(text)


@given(st.text())
def test_any_text_is_a_list_or_refused(text: str) -> None:
    read_passwd_file(text, "south.test")
    try:
        read_account_csv("address,name\n" + text)
    except BadAccountFile:
        return


def test_the_lines_of_a_passwd_file() -> None:
    lines = [
        "# a comment",
        f"amal@south.test:{SHA}:1000:1000:Amal S,,,:/home/amal::userdb_quota_rule=*:storage=1G x=y",
        f"bilal:{SHA}",
        "c:{PLAIN}secret word:::::",
        "d:$1$0wqduVew$xEHhMRhVDbUQKdLfQQ2Dv/:19000:0:99999:7:::",
        f"e:{SHA}:::::: userdb_quota_rule2=Trash:storage=+1G userdb_quota_rule=*:bytes=500",
        f"f:{SHA}::::::userdb_quota_storage_size=0",
        f"g:{SHA}::::::userdb_quota_rule=*:storage=512",
    ]
    read = read_passwd_file("\n".join(lines), "south.test")
    assert not read.refused
    found = [(str(one.address), one.display_name, one.quota) for one in read.accounts]
    assert found == [
        ("amal@south.test", "Amal S", 1 << 30),
        ("bilal@south.test", "", None),
        ("c@south.test", "", None),
        ("d@south.test", "", None),
        ("e@south.test", "", 500),
        ("f@south.test", "", 0),
        ("g@south.test", "", 512 << 10),
    ]
    assert read.accounts[2].password == "secret word"
    assert read.accounts[3].password_hash == "{CRYPT}$1$0wqduVew$xEHhMRhVDbUQKdLfQQ2Dv/"
    assert SHA not in repr(read)


def test_refused_lines_of_a_passwd_file_are_named_without_their_hash() -> None:
    lines = [
        "root:*:19000:0:99999:7:::",
        "amal:!$6$x:::",
        "b:x:1000:1000::/home/b:/bin/sh",
        "c",
        "d:{NTLM}857e405726585b761c9667e311cad0d2",
        f"e f:{SHA}",
        f"g:{SHA}::::::userdb_quota_rule=*:storage=lots",
    ]
    read = read_passwd_file("\n".join(lines), "south.test")
    assert not read.accounts
    assert [one.line for one in read.refused] == list(range(1, 8))
    assert "locked" in read.refused[0].reason
    assert "shadow" in read.refused[2].reason
    assert "NTLM" in read.refused[4].reason
    assert "857e" not in read.refused[4].reason
    without = read_passwd_file(f"amal:{SHA}", None)
    assert "--domain" in without.refused[0].reason


def test_accounts_are_made_once_and_obstacles_named(store: Store) -> None:
    make_account(store, "old@south.test")
    runner(store).run(add_alias, "info@south.test", ["old@south.test"])
    lines = [f"{name}:{SHA}" for name in ("amal", "old", "info", "amal", "b@elsewhere.test")]
    read = read_passwd_file("\n".join([*lines, "z:{PLAIN}short"]), "south.test")
    dry = runner(store).run(add_listed_accounts, read, dry_run=True)
    assert [str(one.address) for one in dry.added] == ["amal@south.test"]
    assert len(store.read_now(list_accounts)) == 1
    done = runner(store).run(add_listed_accounts, read)
    assert [(one.line, one.login) for one in done.added] == [(1, "amal")]
    assert [one.line for one in done.unchanged] == [2]
    reasons = {one.line: one.reason for one in done.refused}
    assert list(reasons) == [3, 4, 5, 6]
    assert "alias" in reasons[3]
    assert "earlier line" in reasons[4]
    assert "zajil domain add" in reasons[5]
    assert "8" in reasons[6]
    again = runner(store).run(add_listed_accounts, read)
    assert not again.added
    assert [one.line for one in again.unchanged] == [1, 2]
    amal = store.read_now(lambda conn: find_by_login(conn, "amal"))
    assert amal is not None
    assert amal.password_hash == SHA


def test_generated_passwords_are_kept_before_the_accounts_are_made(store: Store) -> None:
    """A program that is killed in between leaves a password too many, not an account without."""
    make_account(store, "old@south.test")
    kept: list[tuple[str, int]] = []

    def keep(made: list[tuple[object, str]]) -> None:
        kept.extend((str(address), len(store.read_now(list_accounts))) for address, _ in made)

    read = read_account_csv("address,password\na@south.test,\nb@south.test,a long password\n")
    done = runner(store).run(add_listed_accounts, read, keep_passwords=keep)
    assert len(done.added) == 2
    assert kept == [("a@south.test", 1)]


def test_only_an_administrator_makes_accounts(store: Store) -> None:
    amal = make_account(store, "amal@south.test")
    actor = Actor("amal", Interface.WEB, account_id=amal.account_id)
    with pytest.raises(NotAllowed):
        runner(store, actor=actor).run(add_listed_accounts, read_passwd_file("", None))


def test_a_login_name_of_somebody_else_is_refused(store: Store) -> None:
    make_account(store, "old@south.test")
    text = "address,login\na@south.test,old\nb@south.test,same\nc@south.test,same\n"
    done = runner(store).run(add_listed_accounts, read_account_csv(text), dry_run=True)
    assert [one.line for one in done.refused] == [2, 4]
    assert [one.login for one in done.added] == ["same"]
    assert isinstance(read_account_csv(text).accounts[0], ListedAccount)


def test_a_line_that_ends_before_the_address() -> None:
    (line,) = read_account_csv("name,address\nAmal\n").refused
    assert (line.line, line.who) == (2, "")
