"""`zajil account export` as an operator meets it: everything about a person, and nobody else's."""

from __future__ import annotations

import json
import mailbox
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kit.backups import fill_store
from kit.command_line import Run
from kit.store import open_test_store
from zajil.operations.export_account import TABLE_FILES
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.people.accounts import find_by_login
from zajil.store.people.personal_rows import HIDDEN, tables_of
from zajil.store.people.personal_tables import TABLES
from zajil.store.schema import mailbox as mailbox_table
from zajil.store.schema import metadata

SECRETS = ("hash-of-a-password", "secret-of-totp", "hash-of-a-code")


@pytest.fixture
def filled(server: Path, run: Run) -> Path:
    """Give amal mail, a deleted message, contacts, settings and secrets."""
    store = open_test_store("sqlite", server.parent / "data")
    fill_store(store, messages=6, large=0)
    row = store.read_now(lambda conn: find_by_login(conn, "amal"))
    assert row is not None
    owner = row.account_id
    inbox = sa.select(mailbox_table.c.id).where(
        mailbox_table.c.account_id == owner, mailbox_table.c.role == "inbox"
    )
    inbox_id = store.read_now(lambda conn: conn.execute(inbox).scalar_one())
    gone = ExpungeMessages(owner, inbox_id, (1, 2), deleted_only=False)  # type: ignore[arg-type]
    store.write_now(expunge_messages, gone)
    rows: dict[str, dict[str, Any]] = {
        "account_setting": {"name": "language", "value": "ar"},
        "last_login": {"at_ms": 1_700_000_000_000, "service": "imaps", "peer": "192.0.2.1"},
        "totp": {"secret": "secret-of-totp", "last_step": 1, "created_ms": 1},
        "recovery_code": {"code_hash": "hash-of-a-code"},
        "word": {"word": "قرض", "junk": 1, "ham": 2, "shared_junk": 1, "shared_ham": 0},
        "written_to": {
            "address_key": "x@far.test",
            "address": "x@far.test",
            "name": "X",
            "words": " x",
            "times": 2,
            "last_ms": 1,
        },
        "contact": {
            "uid": "u",
            "name": "Salma",
            "sort_key": "salma",
            "emails": '["salma@far.test"]',
            **dict.fromkeys(("phones", "groups"), "[]"),
            **dict.fromkeys(("organisation", "note", "words", "photo_type"), ""),
        },
        "app_password": {
            "name": "phone",
            "scope": "imap",
            "label": "abc",
            "password_hash": "hash-of-a-password",
            "created_ms": 1,
        },
    }

    def fill(tx: Any, items: Any) -> list[None]:
        for name, values in rows.items():
            tx.execute(sa.insert(metadata.tables[name]), {"account_id": owner, **values})
        return [None] * len(items)

    store.write_now(fill, None)
    store.close_now()
    assert run("alias", "add", "info@north.test", "amal@north.test")[0] == 0
    assert run("account", "set", "amal", "--name", "أمل")[0] == 0
    return server


def number_in(path: Path) -> int:
    """Return the number of messages in an mbox file."""
    with closing(mailbox.mbox(path)) as file:
        return len(file)


def test_everything_about_a_person_is_written(run: Run, filled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    status, out, err = run("account", "export", "amal", str(folder))
    assert (status, err) == (0, "")
    assert "messages: 4; deleted messages: 2; contacts: 1" in out
    assert {path.name for path in folder.iterdir()} == {
        "README.txt",
        "mail",
        "deleted",
        "contacts.vcf",
        "journeys.json",
        "sessions.json",
        "audit.json",
        *TABLE_FILES,
    }
    assert number_in(folder / "mail" / "INBOX.mbox") == 4
    assert number_in(folder / "deleted" / "INBOX.mbox") == 2
    assert "FN:Salma" in (folder / "contacts.vcf").read_text()
    account = json.loads((folder / "account.json").read_text())
    assert account["account"][0]["display_name"] == "أمل"
    assert {one["address"] for one in account["address"]} == {"amal@north.test", "info@north.test"}
    logins = json.loads((folder / "logins.json").read_text())
    assert logins["last_login"][0]["at"] == "2023-11-14T22:13:20+00:00"
    journeys = json.loads((folder / "journeys.json").read_text())
    assert len(journeys) == 6
    text = "".join(path.read_text() for path in folder.glob("*.json"))
    assert not any(secret in text for secret in SECRETS)
    assert "badr@north.test" not in text  # who else got the same mail
    assert "x@far.test" in text
    audit = json.loads((folder / "audit.json").read_text())
    assert {one["event"] for one in audit} >= {"account.profile", "alias.changed"}
    readme = (folder / "README.txt").read_text()
    for name in ("amal@north.test", *(path.name for path in folder.iterdir() if path.is_file())):
        assert name == "README.txt" or readme.count(name) == 2, name
    assert "All data of amal was exported." in run("audit")[1]


def test_only_its_owner_can_read_an_export(run: Run, filled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert run("account", "export", "amal", str(folder))[0] == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.json")} == {0o600}


def test_a_folder_in_use_is_refused_and_an_interrupted_export_goes_on(
    run: Run, filled: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "other").touch()
    status, _, err = run("account", "export", "amal", str(folder))
    assert (status, "is not empty" in err) == (1, True)
    (folder / ".unfinished").touch()
    assert run("account", "export", "amal", str(folder))[0] == 0
    assert not (folder / ".unfinished").exists()
    assert run("account", "export", "amal", str(folder))[0] == 1
    assert run("account", "export", "nobody", str(tmp_path / "nobody"))[0] == 1
    assert not (tmp_path / "nobody").exists()


def test_each_table_is_in_the_file_that_is_named_and_hides_its_secrets() -> None:
    written = {table.name for name in TABLE_FILES for table in tables_of(name)}
    others = {"contacts.vcf", "mail", "deleted", "journeys.json", "sessions.json", "audit.json"}
    for name, treatment in TABLES.items():
        if treatment.export.endswith(".json") and treatment.export not in others:
            assert name in written, name
    kept = {
        f"{table.name}.{column.name}"
        for name in TABLE_FILES
        for table in tables_of(name)
        for column in table.c
        if column.name not in HIDDEN
        and any(part in column.name for part in ("hash", "secret", "key", "token", "password"))
    }
    # Lookup forms of addresses and of correspondents, no secrets
    assert kept == {
        "account.address_key",
        "address.key",
        "delegation.address_key",
        "written_to.address_key",
        "contact.sort_key",
        "imported.key",
        "reputation.key",
    } - {"contact.sort_key"}


def test_an_erasure_names_the_backups_that_contain_the_account(
    run: Run, filled: Path, tmp_path: Path
) -> None:
    text = filled.read_text()
    target = tmp_path / "target"
    filled.write_text(text.replace('# target = "/backup/zajil"', f'target = "{target}"'))
    assert run("backup", "create")[0] == 0
    (snapshot,) = json.loads(run("backup", "list", "--json")[1])["snapshots"]
    status, _, err = run("account", "erase", "amal")
    assert (status, "only target" in err) == (1, True)
    assert run("alias", "remove", "info@north.test")[0] == 0
    status, _, err = run("account", "erase", "amal")
    assert (status, "confirm with --yes" in err) == (2, True)
    status, out, err = run("account", "erase", "amal", "--yes")
    assert (status, err) == (0, "")
    assert snapshot["snapshot"] in out
    assert "2 mails that wait in the queue" in out
    assert run("account", "show", "amal")[0] == 1
    assert run("account", "erase", "amal@north.test", "--yes")[0] == 0  # the queue is not empty
    assert run("account", "erase", "nobody@north.test", "--yes")[0] == 1
    assert run("store", "check")[0] == 0
