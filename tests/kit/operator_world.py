"""The server whose operator follows the pages: set up, served for a while, with mail in all states.

It is made once. Each page gets a copy, so that none depends on what another one has changed.
"""

from __future__ import annotations

import contextlib
import imaplib
import itertools
import json
import os
import shutil
import smtplib
import sqlite3
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.certificates import TestAuthority
from kit.command_line import Run, as_json
from kit.installation import Installation, SetUp, serving
from kit.mail import make_message
from kit.raw_smtp import RawPeer
from zajil.config.options_server import ListenOptions
from zajil.config.toml_text import toml_value

ZAJIL = [sys.executable, "-m", "zajil"]
NAMES = ("mail", "autoconfig", "autodiscover", "mta-sts")
_ADDRESS = "192.0.2.1"
"""Of the server, as the zone file has it until it is replaced."""
_REVERSE = "1.2.0.192.in-addr.arpa"

_HOUR_MS = 3_600_000
Records = dict[str, dict[str, list[str]]]
"""A zone that can be changed: name to type to values."""


@dataclass(frozen=True, slots=True)
class World:
    """A server that is not running, and what its operator can name."""

    folder: Path
    """With ``mail``, the server, and ``home``, where the operator is."""
    nameserver: str
    """``ADDRESS:PORT`` of one that has its domain, and some others."""
    authority: Path
    """Root of its certificate."""
    passwords: dict[str, str]
    """Of the accounts, by login name."""
    ids: dict[str, str]
    """Of mails: ``queued`` (of amal to far.example), ``arrived``, ``forwarded``."""
    fill: dict[str, str] = field(default_factory=dict)
    """Text on the page to text that is meant here, beside that of the table."""

    @property
    def configuration(self) -> Path:
        """The configuration file."""
        return self.folder / "mail" / "zajil.toml"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "mail" / "data"

    @property
    def home(self) -> Path:
        """The home of the operator, where he types."""
        return self.folder / "home"

    def copy(self, folder: Path) -> World:
        """Return a copy in a new folder."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("run"))
        return World(folder, self.nameserver, self.authority, self.passwords, self.ids)

    def set(self, options: Mapping[str, Any]) -> None:
        """Change options in the file, table by table: ``{"log": {"level": "debug"}}``."""
        self.write(merged(tomllib.loads(self.configuration.read_text("utf-8")), options))

    def write(self, options: Mapping[str, Any]) -> None:
        """Write the file anew."""
        write_options(self.configuration, options)

    def database(self) -> contextlib.closing[sqlite3.Connection]:
        """Open the database beside the server's own code."""
        return contextlib.closing(sqlite3.connect(self.data / "store.sqlite"))


def merged(tree: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return two trees of options in one; what ``other`` says wins."""
    result = dict(tree)
    for key, value in other.items():
        both_tables = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both_tables else value
    return result


def write_options(file: Path, tree: Mapping[str, Any]) -> None:
    """Write a configuration file."""
    lines = [f"{toml_key} = {toml_value(value)}" for toml_key, value in tree.items()]
    file.write_text("\n".join(lines) + "\n", "utf-8")


def own_places() -> Iterator[str]:
    """Give places to listen on that no other program uses: an address of loopback for each
    process, and ports below those that the system gives to connections."""
    pid = os.getpid()
    address = f"127.{100 + (pid >> 16) % 100}.{pid >> 8 & 255}.{pid & 255}"
    return (f"{address}:{port}" for port in itertools.count(20_000))


def listening_elsewhere() -> list[str]:
    """Return options of a command for what ``listen_elsewhere`` writes into a file."""
    usual = [name for name, addresses in ListenOptions().model_dump().items() if addresses]
    places = zip([*usual, "http", "https"], own_places(), strict=False)
    return [part for name, place in places for part in ("--set", f'listen.{name}=["{place}"]')]


def listen_elsewhere(file: Path) -> None:
    """Change the addresses of a configuration file: others may use the usual ports of this
    machine, and ``config check`` finds that."""
    tree = tomllib.loads(file.read_text("utf-8"))
    listen = ListenOptions().model_dump() | tree.get("listen", {})
    tree["listen"] = {
        name: [place] if addresses else []
        for (name, addresses), place in zip(listen.items(), own_places(), strict=False)
    }
    write_options(file, tree)


def first_zone() -> Records:
    """Return what DNS says of others; nobody listens on the port of ``mx.far.example``."""
    return {
        "far.example": {"MX": ["10 mx.far.example."]},
        "mx.far.example": {"A": ["127.0.0.1"]},
        "2.0.0.127.zen.spamhaus.org": {"A": ["127.255.255.254"]},
        "dnssec-failed.org": {"A": ["192.0.2.1"]},
    }


def publish(zone: Records, run: Run) -> None:
    """Put all records of the domain into a zone."""
    for record in as_json(run, "dns", "records", "example.org")["records"]:
        name, kind, value = record["name"], record["type"], record["value"]
        if kind == "AAAA":
            continue
        name = _REVERSE if kind == "PTR" else name
        if kind == "CNAME":
            kind = "A"  # what a resolver finds there
        value = _ADDRESS if kind == "A" else value
        value = value.replace('" "', "").strip('"') if kind == "TXT" else value
        zone.setdefault(name, {}).setdefault(kind, []).append(value)


def make_world(folder: Path, nameserver: str) -> World:
    """Set up a server with one account.

    Args:
        folder: new.
        nameserver: ``ADDRESS:PORT`` of one that answers from ``first_zone()``.
    """
    folder.mkdir()
    mail = folder / "mail"
    (folder / "home").mkdir()
    options = [f'dns.nameservers=["{nameserver}"]', "dns.timeout=2s", "submit.strangers_per_hour=3"]
    options += ["deliver.port=1", "limits.login_failures=100", "server.workers=1"]
    overrides = [part for one in options for part in ("--set", one)]
    setup = ["setup", "example.org", "--dir", str(mail), "--admin", "amal@example.org"]
    setup += ["--address", "127.0.0.1", "--json"]
    made = subprocess.run([*ZAJIL, *overrides, *setup], check=True, stdout=subprocess.PIPE)
    account = json.loads(made.stdout)["account"]
    passwords = {account["login"]: account["password"]}
    authority = TestAuthority(folder)
    pair = authority.issue(*(f"{name}.example.org" for name in NAMES))
    for source, name in zip(pair, ("certificate.pem", "key.pem"), strict=True):
        (mail / "tls" / name).write_bytes(source.read_bytes())
    listen_elsewhere(mail / "zajil.toml")
    return World(folder, nameserver, authority.ca_file, passwords, {})


def add_people(world: World, run: Run) -> None:
    """Add accounts and aliases, as the pages name them."""
    for name in ("basim", "salma", "spammer"):
        added = as_json(run, "account", "add", f"{name}@example.org")
        world.passwords[name] = added["password"]
    run("alias", "add", "team@example.org", "basim@example.org", "amal@example.org")
    run("alias", "add", "away@example.org", "z@far.example")


def use(world: World, run: Run) -> None:
    """Send, receive, refuse, delete, fail to log in; then end the server."""
    made = SetUp(world.configuration, "amal", world.passwords["amal"])
    with serving(made, None, workers=1) as server:
        _receive(server)
        _submit(server, world, "amal", "x@far.example", "basim@example.org")
        _submit(server, world, "spammer", "x@far.example")
        _submit(server, world, "salma", *(f"{number}@far.example" for number in range(5)))
        _read(server, world)
        _wait_until_deferred(run)
    for name, between in (
        ("queued", ("--from", "amal@example.org", "--to", "x@far.example")),
        ("arrived", ("--from", "bank.example", "--to", "team@example.org")),
        ("forwarded", ("--from", "bank.example", "--to", "away@example.org")),
    ):
        (found,) = as_json(run, "journey", "find", *between)["mails"]
        world.ids[name] = found["mail_id"]
    with world.database() as database:
        days_ms = 4 * 24 * _HOUR_MS
        change = "UPDATE recipient SET at_ms = at_ms - ? WHERE mail_id = ?"
        database.execute(change, [days_ms, world.ids["queued"]])
        database.commit()


def anybody() -> ssl.SSLContext:
    """Return the TLS context of a client that checks nothing."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _receive(server: Installation) -> None:
    sender = "bank@bank.example"
    with smtplib.SMTP(*server.address("smtp"), local_hostname="mx.bank.example") as client:
        for name in ("amal", "team", "away", "nobody"):
            to = f"{name}@example.org"
            with contextlib.suppress(smtplib.SMTPRecipientsRefused):
                client.sendmail(sender, [to], make_message(sender, to, subject="Statement"))
    with RawPeer(server.address("smtp")) as peer:
        for line in ("EHLO mx.bank.example", f"MAIL FROM:<{sender}>", "RCPT TO:<amal@example.org>"):
            peer.say(line)
        peer.say("DATA")
        peer.send(b"Subject: a bare\nline end\r\n\r\nx\r\n.\r\n")
        assert peer.reply().startswith("550 5.5.2")


def _submit(server: Installation, world: World, who: str, *recipients: str) -> None:
    """Send one message to each."""
    sender = f"{who}@example.org"
    with smtplib.SMTP_SSL(*server.address("submissions"), context=anybody()) as client:
        client.login(who, world.passwords[who])
        for to in recipients:
            client.sendmail(sender, [to], make_message(sender, to, subject="Hello"))


def _read(server: Installation, world: World) -> None:
    with imaplib.IMAP4_SSL(*server.address("imaps"), ssl_context=anybody()) as client:
        with contextlib.suppress(imaplib.IMAP4.error):
            client.login("amal", "a wrong password")
        client.login("amal", world.passwords["amal"])
        client.create("Projects")
        client.select("INBOX")
        client.store("1", "+FLAGS", r"(\Deleted)")
        client.expunge()


def _wait_until_deferred(run: Run) -> None:
    """Wait until each message that is not held was tried once."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        waiting = as_json(run, "queue", "list", "--domain", "far.example")["rows"]
        if all(one["tries"] or one["state"] == "held" for one in waiting):
            return
        time.sleep(0.1)
    raise AssertionError("the queue did not try")


@contextmanager
def served(world: World, *settings: str) -> Iterator[Installation]:
    """Serve a world."""
    made = SetUp(world.configuration, "amal", world.passwords["amal"])
    with serving(made, None, *settings, workers=1) as server:
        yield server
