"""Every operation leaves one event in the audit trail, in the commit of its change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kit.mail import NOON_MS
from kit.operations import BOSS, runner
from kit.store import make_account, make_intake
from zajil.config.options_keys import KeyOptions
from zajil.core.actor import Actor, Interface
from zajil.core.address import parse_address
from zajil.core.app_password import Scope
from zajil.core.directory import AccountEntry
from zajil.core.errors import AlreadyExists
from zajil.operations import (
    account_changes,
    accounts,
    aliases,
    app_passwords,
    delegations,
    mailboxes,
    push,
    second_factors,
    settings,
    undelete,
)
from zajil.operations.audit import audit_to_dict, show_audit
from zajil.operations.context import NotAllowed
from zajil.operations.dkim_keys import make_first_keys, revoke_keys, rotate_keys
from zajil.operations.domains import add_domain, remove_domain
from zajil.operations.queue import QueueAction, act_on_queue
from zajil.operations.train import train_mail
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.mail.right_changes import Grant
from zajil.store.people.accounts import AccountRow, find_by_login
from zajil.store.people.audit import delete_audit
from zajil.store.people.directory import look_up
from zajil.tracking.audit import AUDIT_EVENTS

OPTIONS = KeyOptions(algorithms=("ed25519-sha256",))
BROWSER = push.NewPush(
    "https://push.test/b",
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "BTBZMqHH6r4Tts7J_aSIgg",
)
PASSKEY = second_factors.NewPasskey("aWQ", b"key", 0, "phone")
READ = frozenset("lr")
NO_KEYS = KeyOptions(sign=False)


@pytest.fixture
def south(store: Store) -> Store:
    """A store with the accounts ``amal`` and ``noor`` of south.test."""
    make_account(store, "amal@south.test")
    make_account(store, "noor@south.test")
    return store


def run(store: Store, operation: Any, *args: Any, actor: Actor = BOSS, **kwargs: Any) -> Any:
    return runner(store, NOON_MS, actor).run(operation, *args, **kwargs)


def trail(store: Store, **query: Any) -> list[dict[str, Any]]:
    return [audit_to_dict(one) for one in store.read_now(lambda conn: show_audit(conn, **query))]


def actor_of(store: Store, login: str) -> Actor:
    row = store.read_now(lambda conn: find_by_login(conn, login))
    assert isinstance(row, AccountRow)
    return Actor(login, Interface.WEB, "192.0.2.7", row.account_id)


def with_deleted(store: Store, operation: Any) -> Any:
    """Give amal a message, delete it, and do something about it."""
    answer = store.read_now(lambda conn: look_up(conn, parse_address("amal@south.test")))
    assert isinstance(answer.entry, AccountEntry)
    content = store.blobs.stage([b"Subject: x\r\n\r\n"])
    store.write_now(write_intakes, make_intake(content, local=[answer.entry]))
    owner, inbox = answer.entry.account_id, answer.entry.inbox
    store.write_now(expunge_messages, ExpungeMessages(owner, inbox, deleted_only=False))
    return run(store, operation, "amal", undelete.DeletedChoice())


CHANGES: list[tuple[Callable[[Store], Any], str, str]] = [
    (
        lambda store: run(store, accounts.add_account, parse_address("salma@south.test")),
        "account.created",
        "The account salma (salma@south.test) was created.",
    ),
    (
        lambda store: run(store, accounts.change_password, "amal", None),
        "account.password",
        "The password of amal was changed.",
    ),
    (
        lambda store: run(store, accounts.suspend_account, "amal"),
        "account.suspended",
        "The account amal was suspended.",
    ),
    (
        lambda store: run(store, accounts.resume_account, "amal"),
        "account.resumed",
        "The account amal was resumed.",
    ),
    (
        lambda store: run(store, accounts.remove_account, "amal"),
        "account.removed",
        "The account amal (amal@south.test) was removed with all its mail.",
    ),
    (
        lambda store: run(store, account_changes.rename, "amal", login="hind"),
        "account.renamed",
        "An account was renamed from amal <amal@south.test> to hind <amal@south.test>.",
    ),
    (
        lambda store: run(store, account_changes.change_profile, "amal", admin=True),
        "account.profile",
        "amal is now an administrator, with the display name",
    ),
    (
        lambda store: with_deleted(store, undelete.undelete),
        "messages.undeleted",
        "Deleted messages of amal were restored: 1.",
    ),
    (
        lambda store: with_deleted(store, undelete.purge),
        "messages.purged",
        "Deleted messages of amal were removed for good: 1.",
    ),
    (
        lambda store: run(store, account_changes.limit, "amal", size=5000, messages=0),
        "account.quota",
        "The quota of amal is now: bytes 5000, messages none.",
    ),
    (
        lambda store: run(store, account_changes.forward, "amal", ["x@one.test"], keeps_copy=False),
        "account.forwarding",
        "Mail of amal is forwarded to x@one.test, and no copy is kept.",
    ),
    (
        lambda store: run(store, settings.change_settings, "amal", {"zone": "UTC", "x": "secret"}),
        "account.settings",
        "Settings of amal were changed: x, zone.",
    ),
    (
        lambda store: run(store, second_factors.register_passkey, "amal", PASSKEY),
        "account.second_factor",
        "The passkey “phone” was added to amal.",
    ),
    (
        lambda store: run(store, push.add_browser, "amal", "hash", BROWSER, "en"),
        "account.notifications",
        "A browser of amal is notified of new mail.",
    ),
    (
        lambda store: run(store, delegations.delegate, "noor@south.test", "amal"),
        "delegation.granted",
        "amal may now send as noor@south.test.",
    ),
    (
        lambda store: run(store, mailboxes.share_mailbox, "amal", "inbox", Grant("noor", READ)),
        "mailbox.shared",
        "The mailbox INBOX of amal is shared with noor (rights lr).",
    ),
    (
        lambda store: run(store, app_passwords.create_app_password, "amal", "phone", Scope.ALL),
        "app_password.created",
        "An app password “phone” was created for amal.",
    ),
    (
        lambda store: run(store, aliases.add_alias, "team@south.test", ["amal@south.test"]),
        "alias.changed",
        "The alias team@south.test was created with the targets amal@south.test.",
    ),
    (
        lambda store: run(store, add_domain, "مثال.مصر", None, NO_KEYS),
        "domain.added",
        "was added.",
    ),
    (
        lambda store: run(store, make_first_keys, "south.test", OPTIONS),
        "dkim.changed",
        "DKIM keys of south.test were created: ed-",
    ),
    (
        lambda store: run(store, train_mail, b"Subject: x\r\n\r\nwords\r\n", is_junk=True),
        "training.message",
        "The classifier learned a message as junk.",
    ),
]


@pytest.mark.parametrize(("change", "name", "text"), CHANGES, ids=[name for _, name, _ in CHANGES])
def test_a_change_leaves_one_event(
    south: Store, change: Callable[[Store], Any], name: str, text: str
) -> None:
    change(south)
    (found,) = trail(south)
    assert (found["event"], found["at_ms"]) == (name, NOON_MS)
    assert (found["actor"], found["origin"], found["peer"]) == ("boss", "command line", "")
    assert found["by"] == "boss on the command line"
    assert text in found["text"]


def test_what_undoes_a_change_leaves_an_event_too(south: Store) -> None:
    run(south, delegations.delegate, "noor@south.test", "amal")
    run(south, delegations.revoke_delegation, "noor@south.test", "amal")
    run(south, app_passwords.create_app_password, "amal", "phone", Scope.ALL)
    run(south, app_passwords.delete_app_password, "amal", "phone")
    run(south, aliases.add_alias, "team@south.test", ["amal@south.test"])
    run(south, aliases.add_alias, "team@south.test", ["noor@south.test"])
    run(south, aliases.remove_targets, "team@south.test", ["noor@south.test"])
    run(south, aliases.set_alias, "team@south.test", ["noor@south.test"])
    run(south, aliases.remove_alias, "team@south.test")
    (key,) = run(south, make_first_keys, "south.test", OPTIONS)
    run(south, rotate_keys, "south.test", OPTIONS, at_once=False)
    run(south, rotate_keys, "south.test", OPTIONS, at_once=True)
    run(south, revoke_keys, "south.test", [key.selector])
    run(south, mailboxes.share_mailbox, "amal", "INBOX", Grant("noor", READ))
    run(south, mailboxes.share_mailbox, "amal", "INBOX", Grant("noor", frozenset()))
    run(south, add_domain, "west.test", None, NO_KEYS)
    run(south, remove_domain, "west.test")
    names = [one["event"] for one in reversed(trail(south))]
    assert names == [
        *("delegation.granted", "delegation.revoked"),
        *("app_password.created", "app_password.removed"),
        *["alias.changed"] * 5,
        *["dkim.changed"] * 4,
        *("mailbox.shared", "mailbox.unshared"),
        *("domain.added", "domain.removed"),
    ]
    texts = [one["text"] for one in trail(south, about="team@south.test")]
    assert texts[0] == "The alias team@south.test was removed; its targets were noor@south.test."


def test_a_change_that_fails_leaves_nothing(south: Store) -> None:
    with pytest.raises(AlreadyExists):
        run(south, accounts.add_account, parse_address("amal@south.test"))
    with pytest.raises(AlreadyExists):
        run(south, add_domain, "south.test", None, OPTIONS)
    assert trail(south) == []


def test_the_queue_is_changed_by_one_event_for_many_mails(south: Store) -> None:
    items = [
        make_intake(south.blobs.stage((b"Subject: x\r\n\r\n",)), remote=[f"x{number}@one.test"])
        for number in range(3)
    ]
    for item in items:
        south.write_now(write_intakes, item)
    ids = [item.mail_id for item in items]
    run(south, act_on_queue, QueueAction.HOLD, ids, reason="a test")
    run(south, act_on_queue, QueueAction.HOLD, ["0000"])
    (found,) = trail(south)
    assert (found["action"], found["reason"], found["mail_ids"]) == ("hold", "a test", tuple(ids))
    assert found["text"] == "Mail was held in the queue: 3."


def test_it_is_found_by_account_actor_and_time(south: Store) -> None:
    amal = actor_of(south, "amal")
    run(south, accounts.change_password, "amal", None, actor=amal)
    run(south, account_changes.rename, "amal", login="hind")
    run(south, accounts.suspend_account, "noor")
    by_account = [one["event"] for one in trail(south, about="hind")]
    assert by_account == ["account.renamed", "account.password"]  # under its earlier name, too
    assert [one["event"] for one in trail(south, about="noor@south.test")] == ["account.suspended"]
    (own,) = trail(south, actor="amal")
    assert own["by"] == "amal on the web, from 192.0.2.7"
    assert trail(south, since_ms=NOON_MS + 1) == []
    assert len(trail(south, limit=2)) == 2
    run(south, accounts.remove_account, "hind")
    assert len(trail(south, about="hind")) == 1  # it has no account id any more: its name counts


def test_old_events_are_deleted(south: Store) -> None:
    run(south, accounts.suspend_account, "amal")
    assert south.write_now(delete_audit, NOON_MS) == 0
    assert south.write_now(delete_audit, NOON_MS + 1) == 1
    assert trail(south) == []


def test_an_account_may_change_itself_and_nothing_else(south: Store) -> None:
    amal = actor_of(south, "amal")
    run(south, app_passwords.create_app_password, "amal", "phone", Scope.ALL, actor=amal)
    run(south, account_changes.forward, "amal", [], keeps_copy=True, actor=amal)
    forbidden: list[Callable[[], Any]] = [
        lambda: run(south, accounts.change_password, "noor", None, actor=amal),
        lambda: run(south, accounts.suspend_account, "amal", actor=amal),
        lambda: run(south, account_changes.change_profile, "amal", admin=True, actor=amal),
        lambda: run(south, settings.change_settings, "noor", {"zone": "UTC"}, actor=amal),
        lambda: run(south, app_passwords.create_app_password, "noor", "x", Scope.ALL, actor=amal),
        lambda: run(south, delegations.delegate, "noor@south.test", "amal", actor=amal),
        lambda: run(south, act_on_queue, QueueAction.DELETE, ["0000"], actor=amal),
        lambda: run(south, add_domain, "west.test", None, OPTIONS, actor=amal),
    ]
    for one in forbidden:
        with pytest.raises(NotAllowed):
            one()
    assert len(trail(south)) == 2


def test_every_event_has_a_sentence() -> None:
    """Those with one only, without a value that decides: the others are covered above."""
    seen = {name for _, name, _ in CHANGES}
    undone = {
        "account.sessions",
        "app_password.removed",
        "delegation.revoked",
        "domain.removed",
        "login.released",
        "journey.opened",
        "mailbox.opened",
        "mailbox.unshared",
        "queue.changed",
    }
    assert set(AUDIT_EVENTS) - seen - undone == {
        "account.erased",
        "account.exported",
        "account.linked",
        "account.moved",
        "account.released",
        "account.restored",
        "account.unlinked",
        "certificate.requested",
        "contacts.restored",
        "dmarc.imported",
        "domain.admin_added",
        "domain.admin_removed",
        "messages.exported",
        "messages.imported",
        "messages.restored",
        "node.drained",
        "node.forgotten",
        "shard.created",
        "shard.place",
    }
