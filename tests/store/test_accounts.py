"""Domains, accounts, aliases: on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from kit.store import NOW_MS, make_account, make_intake
from zajil.core.address import Address, parse_address
from zajil.core.errors import AlreadyExists
from zajil.core.ids import AccountId
from zajil.core.login_name import BadLogin, parse_login
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.mailboxes import FIRST_MAILBOXES
from zajil.store.people.accounts import (
    AccountRow,
    NewAccount,
    NewActive,
    NewPassword,
    NoSuchAccount,
    addresses_of,
    create_account,
    delete_account,
    find_by_login,
    get_account,
    list_accounts,
    set_active,
    set_password,
)
from zajil.store.people.aliases import (
    AliasRow,
    LastTarget,
    NoSuchAlias,
    create_alias,
    delete_alias,
    list_aliases,
)
from zajil.store.people.domains import (
    DomainInUse,
    DomainRow,
    NoSuchDomain,
    create_domain,
    delete_domain,
    is_domain,
    list_domains,
)
from zajil.store.people.sessions import WebSession, create_web_session, find_web_session
from zajil.store.schema import blob, counter, mailbox, message

NORTH = "north.test"
PIGEON = "xn--mgbkq8e.test"


def web_session(token_hash: str, account_id: AccountId) -> WebSession:
    return WebSession(
        token_hash=token_hash,
        account_id=account_id,
        csrf="csrf",
        created_ms=NOW_MS,
        expires_ms=NOW_MS + 1000,
    )


def new_account(address: str, login: str = "") -> NewAccount:
    who = parse_address(address)
    return NewAccount(login or who.local_part, who, "", "!", admin=False, created_ms=NOW_MS)


def find(store: Store, typed: str) -> AccountRow | None:
    return store.read_now(lambda conn: find_by_login(conn, typed))


def with_domains(store: Store) -> None:
    for name in (NORTH, PIGEON):
        store.write_now(create_domain, DomainRow(name, NOW_MS))


def directory_changes(store: Store) -> int:
    count = sa.select(counter.c.value).where(counter.c.name == "directory")
    return int(store.read_now(lambda conn: conn.scalar(count)) or 0)


def rows(store: Store, table: sa.Table) -> int:
    count = sa.select(sa.func.count()).select_from(table)
    return int(store.read_now(lambda conn: conn.scalar(count)) or 0)


def test_an_account_starts_with_its_mailboxes(store: Store) -> None:
    """RFC 6154 section 2: one mailbox for each role that people expect."""
    with_domains(store)
    account_id = store.write_now(create_account, new_account("amal@north.test"))
    boxes = sa.select(mailbox).where(mailbox.c.account_id == account_id).order_by(mailbox.c.id)
    found = store.read_now(lambda conn: conn.execute(boxes).all())
    assert [(box.name, box.role) for box in found] == list(FIRST_MAILBOXES)
    assert {(box.uid_validity, box.uid_next) for box in found} == {(NOW_MS // 1000, 1)}


def test_a_login_is_the_name_or_the_address_in_any_case(store: Store) -> None:
    with_domains(store)
    account_id = store.write_now(create_account, new_account(f"سلمى@{PIGEON}", "salma"))
    for typed in ("salma", "SALMA", " salma ", "ｓａｌｍａ", "سلمى@زاجل.test", f"سلمى@{PIGEON}"):
        row = find(store, typed)
        assert row is not None, typed
        assert row.account_id == account_id
    for typed in (
        "",
        "@",
        "salma@",
        "nobody",
        "nobody@north.test",
        "sal ma",
        "\x00",
        "'--",
        "سلمى",
    ):
        assert find(store, typed) is None, typed


def test_an_address_and_a_login_are_given_once(store: Store) -> None:
    with_domains(store)
    store.write_now(create_account, new_account("amal@north.test"))
    store.write_now(create_alias, AliasRow(Address("info", NORTH), (Address("amal", NORTH),)))
    for again in (
        new_account("amal@north.test", "other"),
        new_account("AMAL@north.test", "other"),
        new_account("other@north.test", "amal"),
        new_account("info@north.test", "info"),
    ):
        with pytest.raises(AlreadyExists, match="already exists"):
            store.write_now(create_account, again)
    with pytest.raises(AlreadyExists):
        store.write_now(create_alias, AliasRow(Address("Amal", NORTH), (Address("x", NORTH),)))
    with pytest.raises(AlreadyExists):
        store.write_now(create_domain, DomainRow(NORTH, NOW_MS))
    assert len(store.read_now(list_accounts)) == 1
    assert rows(store, mailbox) == len(FIRST_MAILBOXES)


def test_an_address_is_in_a_domain_of_ours(store: Store) -> None:
    with pytest.raises(NoSuchDomain):
        store.write_now(create_account, new_account("amal@elsewhere.test"))
    alias = AliasRow(Address("a", "elsewhere.test"), (Address("b", NORTH),))
    with pytest.raises(NoSuchDomain):
        store.write_now(create_alias, alias)
    assert store.read_now(list_accounts) == []


def test_each_change_is_told_to_running_workers(store: Store) -> None:
    changes = [directory_changes(store)]

    def changed() -> bool:
        changes.append(directory_changes(store))
        return changes[-1] > changes[-2]

    with_domains(store)
    assert changed()
    account_id = store.write_now(create_account, new_account("amal@north.test"))
    assert changed()
    store.write_now(set_password, NewPassword(account_id, "!2"))
    assert changed()
    store.write_now(set_active, NewActive(account_id, active=False))
    assert changed()
    store.write_now(create_alias, AliasRow(Address("x", NORTH), (Address("y", "far.test"),)))
    assert changed()
    store.write_now(delete_alias, Address("x", NORTH))
    assert changed()
    store.write_now(delete_account, account_id)
    assert changed()
    store.write_now(delete_domain, PIGEON)
    assert changed()


def test_a_new_password_ends_the_log_ins_of_browsers(store: Store) -> None:
    with_domains(store)
    account_id = store.write_now(create_account, new_account("amal@north.test"))
    for change, item in (
        (set_password, NewPassword(account_id, "!2")),
        (set_active, NewActive(account_id, active=False)),
    ):
        session = web_session("hash", account_id)
        store.write_now(create_web_session, session)
        store.write_now(change, item)  # type: ignore[arg-type]
        assert store.read_now(lambda conn: find_web_session(conn, "hash", NOW_MS)) is None
    row = store.read_now(lambda conn: get_account(conn, account_id))
    assert row is not None
    assert (row.password_hash, row.active) == ("!2", False)


def test_an_account_sends_as_itself_and_its_aliases(store: Store) -> None:
    with_domains(store)
    account_id = store.write_now(create_account, new_account("Amal.S@north.test", "amal"))
    for alias, target in (
        ("info", "amal.s@north.test"),
        ("Sales", "AMAL.S@north.test"),
        ("other", "not-amal.s@north.test"),
        ("more", "amal.s@north.test.example"),
    ):
        store.write_now(create_alias, AliasRow(Address(alias, NORTH), (parse_address(target),)))
    found = store.read_now(lambda conn: addresses_of(conn, account_id))
    assert [str(one) for one in found] == [
        "Amal.S@north.test",
        "info@north.test",
        "Sales@north.test",
    ]
    assert store.read_now(lambda conn: addresses_of(conn, AccountId(999))) == ()


def test_an_alias_with_odd_characters_finds_its_target(store: Store) -> None:
    with_domains(store)
    odd = parse_address('"a\\"b%_c"@north.test')
    account_id = store.write_now(create_account, NewAccount("odd", odd, "", "!", False, NOW_MS))
    store.write_now(create_alias, AliasRow(Address("info", NORTH), (odd,)))
    found = store.read_now(lambda conn: addresses_of(conn, account_id))
    assert found == (odd, Address("info", NORTH))


def test_a_removed_account_leaves_nothing(store: Store) -> None:
    with_domains(store)
    gone, stays = make_account(store, "amal@north.test"), make_account(store, "basma@north.test")
    shared = store.blobs.stage([b"Subject: both\r\n\r\nx\r\n"])
    own = store.blobs.stage([b"Subject: one\r\n\r\nx\r\n"])
    store.write_now(write_intakes, make_intake(shared, local=[gone, stays]))
    store.write_now(write_intakes, make_intake(own, local=[gone]))
    team = AliasRow(Address("team", NORTH), (gone.address, stays.address))
    store.write_now(create_alias, team)
    session = web_session("hash", gone.account_id)
    store.write_now(create_web_session, session)
    assert rows(store, blob) == 2

    store.write_now(delete_account, gone.account_id)

    assert store.read_now(lambda conn: get_account(conn, gone.account_id)) is None
    assert store.read_now(lambda conn: find_web_session(conn, "hash", NOW_MS)) is None
    assert rows(store, mailbox) == len(FIRST_MAILBOXES)
    assert rows(store, message) == 1
    assert rows(store, blob) == 1, "what nobody shares is gone, what another has stays"
    assert store.read_now(list_aliases) == [AliasRow(team.address, (stays.address,))]
    store.write_now(create_account, new_account("amal@north.test"))


def test_an_account_that_an_alias_needs_stays(store: Store) -> None:
    with_domains(store)
    account_id = store.write_now(create_account, new_account("amal@north.test"))
    store.write_now(create_alias, AliasRow(Address("postmaster", NORTH), (Address("amal", NORTH),)))
    with pytest.raises(LastTarget, match=r"has amal@north\.test as its only target"):
        store.write_now(delete_account, account_id)
    assert store.read_now(lambda conn: get_account(conn, account_id)) is not None


def test_what_is_not_there_cannot_be_changed(store: Store) -> None:
    with_domains(store)
    store.write_now(create_account, new_account("amal@north.test"))
    nobody = AccountId(999)
    with pytest.raises(NoSuchAccount):
        store.write_now(set_password, NewPassword(nobody, "!"))
    with pytest.raises(NoSuchAccount):
        store.write_now(set_active, NewActive(nobody, active=True))
    with pytest.raises(NoSuchAccount):
        store.write_now(delete_account, nobody)
    with pytest.raises(NoSuchDomain):
        store.write_now(delete_domain, "elsewhere.test")
    with pytest.raises(NoSuchAlias):
        store.write_now(delete_alias, Address("nobody", NORTH))
    with pytest.raises(NoSuchAlias):
        store.write_now(delete_alias, Address("amal", NORTH))


def test_a_domain_with_addresses_stays(store: Store) -> None:
    with_domains(store)
    account_id = store.write_now(create_account, new_account("amal@north.test"))
    with pytest.raises(DomainInUse):
        store.write_now(delete_domain, NORTH)
    counts = {row.ascii_name: (row.accounts, row.aliases) for row in store.read_now(list_domains)}
    assert counts == {NORTH: (1, 0), PIGEON: (0, 0)}
    store.write_now(delete_account, account_id)
    store.write_now(delete_domain, NORTH)
    assert not store.read_now(lambda conn: is_domain(conn, NORTH))


@pytest.mark.parametrize(
    ("typed", "login"), [("Amal", "amal"), ("a.b-c_9", "a.b-c_9"), ("ＡＭＡＬ", "amal")]
)
def test_a_login_name_is_folded(typed: str, login: str) -> None:
    """RFC 8265 section 3.3: width and case are mapped before anything is compared."""
    assert parse_login(typed) == login


@pytest.mark.parametrize("typed", ["", " ", "a b", ".a", "-a", "سلمى", "a@b", "a/b", "x" * 64])
def test_what_is_no_login_name(typed: str) -> None:
    with pytest.raises(BadLogin):
        parse_login(typed)


def test_a_catch_all_is_no_sender(store: Store) -> None:
    """Mail for unknown addresses comes to its target, and gives no right to write as them."""
    with_domains(store)
    account_id = store.write_now(create_account, new_account("amal@north.test"))
    amal = Address("amal", NORTH)
    for name in ("*", "info"):
        store.write_now(create_alias, AliasRow(Address(name, NORTH), (amal,)))
    own = store.read_now(lambda conn: addresses_of(conn, account_id))
    assert own == (amal, Address("info", NORTH))
