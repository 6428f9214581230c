"""What a page of ``docs/run`` takes for granted before its first command."""

from __future__ import annotations

import gzip
import mailbox
import os
import shutil
import sqlite3
import tempfile
import tomllib
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import dns.query
import dns.tsigkeyring
import dns.update

from kit.command_line import Run, as_json
from kit.mail import make_message
from kit.moving import letter, make_maildir
from kit.name_servers import UpdateKey, free_port, running_named
from kit.odd_imap_server import Odd
from kit.odd_imap_server import serving as serving_imap
from kit.operator_world import World, served
from kit.reports import REPORT, TLS_REPORT
from kit.s3 import moto_server
from kit.store import PostgresServer, make_intake
from zajil.certificates.host_key import make_host_key
from zajil.config.load import load_configuration
from zajil.core.directory import AccountEntry
from zajil.net.system import SystemClock
from zajil.operations.run import open_admin_store
from zajil.reports.dmarc.write_xml import write_report
from zajil.reports.tls.json_format import write_tls_report
from zajil.store.backup.seal import new_key_text
from zajil.store.mail.intake import write_intakes
from zajil.store.people.accounts import list_accounts
from zajil.store.people.certificates import NewCertificate, keep_certificates
from zajil.store.people.directory import look_up
from zajil.store.people.host_keys import HostKeyState, add_host_keys
from zajil.store.reports.alerts import AlertChange, AlertRow, tell_alerts
from zajil.tls.self_signed import make_self_signed

ROOT = Path(__file__).parents[2]
ASKS_ZONE = ("--nameserver", "{nameserver}")
_KEY = UpdateKey.new("zajil")


def backups(world: World, run: Run, stack: ExitStack) -> None:
    """The section of the page is in the configuration."""
    tree = tomllib.loads(world.configuration.read_text("utf-8"))
    places = {
        "target": str(world.home / "backup" / "zajil"),
        "key_file": str(world.home / "backup.key"),
    }
    world.write({**tree, "backup": places})


def bucket(world: World, run: Run, stack: ExitStack) -> None:
    """An S3 server runs, the sections of the page are in the configuration, and a large message
    is in a file."""
    with open_admin_store(load_configuration(world.configuration)) as store:
        address = store.read_now(list_accounts)[0].address
        entry = store.read_now(lambda conn: look_up(conn, address)).entry
        assert isinstance(entry, AccountEntry)
        staged = store.blobs.stage_now([make_message(text="a line of many\r\n" * 20_000)])
        store.write_now(write_intakes, make_intake(staged, local=[entry]))
    key_file = str(world.home / "store.key")
    world.set({"store": {"blobs": "s3://mail/messages", "key_file": key_file}})
    s3_access(world, stack)
    run("store", "new-key")


def backup_made(world: World, run: Run, stack: ExitStack) -> None:
    """There is a backup."""
    world.set({"backup": {"target": str(world.home / "backup")}})
    run("backup", "create")


def s3_access(world: World, stack: ExitStack) -> None:
    """An S3 server runs, and the configuration names it; there is a key file."""
    server = stack.enter_context(moto_server())
    # All servers of moto in a process have the same objects: those of another page are in the way.
    server.empty("s3://mail/messages")
    access = server.options().model_dump(include={"endpoint", "region", "access_key", "secret_key"})
    world.set({"store": {"s3": access}})
    (world.configuration.parent / "store.key").write_text(new_key_text())


def shards(world: World, run: Run, stack: ExitStack) -> None:
    """A shard is configured; SQLite stands for another database."""
    world.set(
        {
            "store": {"shards": {"north": {"url": "sqlite"}}},
            "backup": {"target": str(world.home / "backup")},
        }
    )


def certificate_of_an_authority(world: World, run: Run, stack: ExitStack) -> None:
    """The server has obtained its certificate."""
    name, now_ms = "mail.example.org", SystemClock().now_ms()
    pair = make_self_signed((name,), now_ms)
    key = make_host_key(name, HostKeyState.ACTIVE, now_ms)
    with open_admin_store(load_configuration(world.configuration)) as store:
        store.write_now(add_host_keys, key)
        fresh = NewCertificate(
            name=name,
            key_hash=key.key_hash,
            chain=pair.certificate,
            not_before_ms=now_ms,
            not_after_ms=now_ms + 90 * 86_400_000,
            ask_ms=0,
            renew_ms=now_ms + 60 * 86_400_000,
            at_ms=now_ms,
        )
        store.write_now(keep_certificates, fresh)
    tree = tomllib.loads(world.configuration.read_text("utf-8"))
    del tree["tls"]
    world.write({**tree, "acme": {"directory": "https://ca.test/dir", "agree_terms": True}})


def https(world: World, run: Run, stack: ExitStack) -> None:
    """The server has HTTPS, and DNS leads there."""
    server = stack.enter_context(served(world, 'listen.https=["127.0.0.1:0"]'))
    host, port = server.address("https")
    (world.home / ".curlrc").write_text(
        f'connect-to = "::{host}:{port}"\ncacert = "{world.authority}"\nsilent\nshow-error\nfail\n'
    )


def zone_with_updates(world: World, run: Run, stack: ExitStack) -> None:
    """A name server of the domain that takes updates; it has all records."""
    zones = {
        "example.org": run("dns", "records", "example.org", "--zone")[1],
        "2.0.192.in-addr.arpa": "1 PTR mail.example.org.",
    }
    folder = world.folder / "named"
    folder.mkdir()
    server = stack.enter_context(
        running_named(
            folder,
            zones,
            more=_KEY.statement,
            in_zone=_KEY.in_zone,
        )
    )
    world.fill["NAMED"] = server.address
    options = {"server": server.address, "key": _KEY.name, "secret": _KEY.secret}
    world.set(
        {
            "dns": {"nameservers": [server.address]},
            "dns_provider": {"name": "rfc2136", "options": options},
        }
    )


def lose_a_record(world: World, run: Run, stack: ExitStack) -> None:
    """Somebody removes a record."""
    keys = dns.tsigkeyring.from_text({_KEY.name: _KEY.secret})
    update = dns.update.UpdateMessage("example.org", keyring=keys)
    update.delete("_dmarc")
    host, _, port = world.fill["NAMED"].rpartition(":")
    assert dns.query.tcp(update, host, port=int(port), timeout=60).rcode() == 0


def without_amal(world: World, run: Run, stack: ExitStack) -> None:
    """The first account has another name."""
    assert run("account", "rename", "amal", "first@example.org", "--login", "first")[0] == 0


def metrics(world: World, run: Run, stack: ExitStack) -> None:
    """The server has metrics, and something needs an operator."""
    row = AlertRow("dns", "example.org", 1_700_000_000_000, 0, {"records": "MX example.org"})
    with open_admin_store(load_configuration(world.configuration)) as store:
        store.write_now(tell_alerts, AlertChange(seen={}, kept=(row,)))
    server = stack.enter_context(served(world, 'listen.metrics=["127.0.0.1:0"]'))
    world.fill["127.0.0.1:9464"] = "{}:{}".format(*server.address("metrics"))


def with_the_rules(world: World, run: Run, stack: ExitStack) -> None:
    """The operator has a copy of the rules."""
    shutil.copy(ROOT / "packaging" / "prometheus" / "zajil.rules.yml", world.home)


def served_with_a_change(world: World, run: Run, stack: ExitStack) -> None:
    """The server runs with an older configuration than that in its file."""
    stack.enter_context(served(world))
    world.set({"mail": {"quota": "5GiB"}})


def letters(world: World, run: Run, stack: ExitStack) -> None:
    """Files with messages, and a report of another server."""
    for name, mail_id in (("message.eml", world.ids["queued"]),):
        text = run("message", "export", mail_id)[1]
        (world.home / name).write_bytes(text.encode())
    for folder in ("Maildir", "Maildir/.Archive", "Maildir/.Junk"):
        files = mailbox.Maildir(world.home / folder, create=True)
        for number in range(20):
            subject = f"win money {number}" if "Junk" in folder else f"meeting {number}"
            files.add(make_message(subject=subject, text=f"{subject} today {number * 7}\r\n"))
        files.close()
    spam = mailbox.mbox(world.home / "spam.mbox")
    (world.home / "spam").mkdir()
    for number in range(3):
        letter = make_message(subject="You won", text=f"Claim your prize {number}\r\n")
        spam.add(letter)
        (world.home / "spam" / f"{number}.eml").write_bytes(letter)
    spam.close()
    policy = replace(REPORT.policy, domain="example.org")
    for number, name in enumerate(("old.xml.gz", "report.xml.gz")):
        report = replace(REPORT, report_id=f"r{number}@mx.south.test", policy=policy)
        (world.home / name).write_bytes(gzip.compress(write_report(report)))
    assert run("dmarc", "reports", "import", "old.xml.gz")[0] == 0


def moved_to_postgresql(world: World, run: Run, stack: ExitStack) -> None:
    """The server runs on a database in PostgreSQL; no message is too large for a row."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    url = PostgresServer(folder / "postgres").new_url()
    world.set({"store": {"url": url}, "limits": {"message_size": "256KiB"}})
    assert run("store", "create")[0] == 0
    stack.enter_context(served(world))


def next_node(world: World, run: Run, stack: ExitStack) -> None:
    """One more server has the same configuration, and a data folder of its own."""
    folder = world.folder / f"node{len(_OTHERS) + 2}" / "mail"
    shutil.copytree(world.configuration.parent, folder, ignore=shutil.ignore_patterns("data"))
    (folder / "data").mkdir(mode=0o700)
    other = replace(world, folder=folder.parent)
    other.set({"server": {"data_dir": str(folder / "data")}})
    stack.enter_context(its_stack := ExitStack())
    its_stack.enter_context(served(other))
    world.fill["mx2.example.org"] = (folder / "data" / "node.id").read_text().strip()
    _OTHERS.append(its_stack)
    states = [one["state"] for one in as_json(run, "node", "list")["nodes"]]
    assert states == ["active"] * (len(_OTHERS) + 1)


def without_last_node(world: World, run: Run, stack: ExitStack) -> None:
    """It has stopped."""
    _OTHERS.pop().close()


_OTHERS: list[ExitStack] = []


def lists_of_people(world: World, run: Run, stack: ExitStack) -> None:
    """A spreadsheet, and users of Dovecot."""
    rows = [
        "address;name;quota",
        "huda@example.org;Huda;2G",
        "amal@example.org;;",
        "omar@example.org;;",
    ]
    (world.home / "people.csv").write_text("\n".join(rows), "utf-8")
    hashed = "{SSHA}X0lA1EHFZzPjjFVEq6JRFBpDYJ5zYWx0"
    (world.home / "users").write_text(f"zaynab:{hashed}:5000:5000:Zaynab:/var/mail::\n", "utf-8")


_READPST = """#!/bin/sh
# A stand-in for readpst: the test has no file of Outlook (tests/interop/test_pst.py has).
while [ "$1" != -o ]; do shift; done
mkdir -p "$2/Outlook/Inbox"
echo 'From "a" Sun Sep 13 12:26:40 2020' > "$2/Outlook/Inbox/mbox"
echo 'Subject: x' >> "$2/Outlook/Inbox/mbox"
printf 'BEGIN:VCARD\\nFN:Layla\\nEND:VCARD\\n' > "$2/Outlook/contacts"
"""


def mail_of_others(world: World, run: Run, stack: ExitStack) -> None:
    """A Maildir, mbox files, a file of Outlook, contacts, and two other servers."""
    home = world.home
    make_maildir(
        home / "Maildir",
        {".": {"1.old:2,S": letter(1)}, ".Work": {"2.old:2,": letter(2)}, ".Sent": {}},
    )
    line = b"From layla@far.test Sun Sep 13 12:26:40 2020\n"
    (home / "Mail").mkdir()
    for path, number in ((home / "Inbox", 3), (home / "Mail/Sent", 4), (home / "Mail/Trash", 5)):
        path.write_bytes(line + letter(number))
    (home / "archive.pst").write_bytes(b"!BDN")
    (home / "bin").mkdir()
    (home / "bin/readpst").write_text(_READPST, "utf-8")
    (home / "bin/readpst").chmod(0o755)
    stack.callback(os.environ.__setitem__, "PATH", os.environ["PATH"])
    os.environ["PATH"] = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    (home / "contacts.vcf").write_text("BEGIN:VCARD\nFN:Noor\nEND:VCARD\n", "utf-8")
    for name, messages in (("old", {1: letter(6)}), ("new", dict[int, bytes]())):
        other = stack.enter_context(serving_imap(Odd({"INBOX": messages})))
        place = other.endpoint
        world.fill[f"imap.{name}.example"] = f"{place.host}:{place.port}"
        (home / f"{name}.password").write_text("x\n", "utf-8")


def tls_reports(world: World, run: Run, stack: ExitStack) -> None:
    """A report of another server, and a file with one more."""
    for name in ("old.json.gz", "report.json.gz"):
        policies = tuple(replace(one, domain="example.org") for one in TLS_REPORT.policies)
        report = replace(TLS_REPORT, report_id=name, policies=policies)
        (world.home / name).write_bytes(gzip.compress(write_tls_report(report)))
    assert run("tls", "reports", "import", "old.json.gz")[0] == 0


def older_keys(world: World, run: Run, stack: ExitStack) -> None:
    """Keys of the day that the page names."""
    keys = as_json(run, "dkim", "keys", "example.org")["keys"]
    for key in keys:
        kind = "rsa" if key["algorithm"].startswith("rsa") else "ed"
        world.fill[f"{kind}-20261124"] = key["selector"]


def upgraded_before(world: World, run: Run, stack: ExitStack) -> None:
    """The store remembers an upgrade."""
    with world.database() as database:
        database.execute("UPDATE schema_upgrade SET from_schema = '0045'")
        database.commit()


def upgraded(world: World, run: Run, stack: ExitStack) -> None:
    """A copy of the database of before the upgrade."""
    folder = world.data / "before-upgrade"
    folder.mkdir(exist_ok=True)
    copy = sqlite3.connect(folder / "store-0008-20261128T093012Z.sqlite")
    with world.database() as database:
        database.backup(copy)
    copy.close()


def place_for_another_server(world: World, run: Run, stack: ExitStack) -> None:
    """The folders of the page do not exist; other users can enter where they will be."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    folder.chmod(0o755)
    world.fill.update({"/etc/zajil": f"{folder}/etc", "/var/lib/zajil": f"{folder}/mail"})
    world.fill["127.0.0.1:8025"] = f"127.0.0.1:{free_port()}"
