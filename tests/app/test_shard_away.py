"""A shard whose database is away: its mail is deferred, the rest works, and it comes back alone."""

from __future__ import annotations

import imaplib
import os
import signal
import smtplib
from contextlib import suppress
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.installation import Installation
from kit.load import descendants
from kit.name_servers import free_port
from kit.nodes import Nodes, nodes_on
from kit.postgres_servers import Server, one_server, wait_for
from kit.reloaded import trusting_anybody
from kit.sharded import PASSWORD, Sharded, make_sharded
from kit.store import PostgresServer, open_test_store
from zajil.app.shards import make_ready_once, prepare_shards
from zajil.config.load import load_configuration
from zajil.net.system import SystemClock


def schema_of(server: Server) -> str:
    return f"{server.url}?options=-csearch_path%3Dzajil"


def try_recipient(address: tuple[str, int], who: str) -> int:
    """Return the status of RCPT."""
    with smtplib.SMTP(*address, timeout=60) as peer:
        peer.ehlo("mx.far.test")
        peer.mail("x@far.test")
        return peer.rcpt(who)[0]


def send(server: Installation, who: str) -> int:
    """Bring a mail, and return the last status."""
    with smtplib.SMTP(*server.address("smtp"), timeout=60) as peer:
        peer.ehlo("mx.far.test")
        peer.mail("x@far.test")
        status = peer.rcpt(who)[0]
        return status if status != 250 else peer.data("From: x@far.test\r\n\r\nHello\r\n")[0]


def try_log_in(address: tuple[str, int], who: str) -> str:
    """Return what IMAP says of a log-in with the right password."""
    client = imaplib.IMAP4_SSL(*address, ssl_context=trusting_anybody(), timeout=60)
    with client:
        try:
            return str(client.login(who, PASSWORD)[0])
        except imaplib.IMAP4.error as error:
            return str(error)


def submit(server: Installation, to: str) -> None:
    with smtplib.SMTP_SSL(
        *server.address("submissions"), context=trusting_anybody(), timeout=60
    ) as client:
        client.login("b@y.test", PASSWORD)
        text = f"From: b@y.test\r\nTo: {to}\r\nSubject: while it was away\r\n\r\nHello\r\n"
        assert client.sendmail("b@y.test", [to], text) == {}


def count_messages(server: Installation, who: str) -> int:
    with imaplib.IMAP4_SSL(
        *server.address("imaps"), ssl_context=trusting_anybody(), timeout=60
    ) as client:
        with suppress(imaplib.IMAP4.error):  # one of the workers may not be ready yet
            client.login(who, PASSWORD)
        if client.state != "AUTH":
            return -1
        return int(client.select("INBOX")[1][0] or b"0")


def works(server: Installation, who: str) -> bool:
    statuses = {try_recipient(server.address("smtp"), who) for _ in range(4)}
    logins = {try_log_in(server.address("imaps"), who) for _ in range(4)}
    return (statuses, logins) == ({250}, {"OK"})


def is_deferred(server: Installation, who: str) -> bool:
    statuses = {try_recipient(server.address("smtp"), who) for _ in range(4)}
    assert 550 not in statuses
    logins = [try_log_in(server.address("imaps"), who) for _ in range(2)]
    return statuses == {451} and all("UNAVAILABLE" in one for one in logins)


def test_a_database_that_is_away_is_made_ready_later(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with postgres.lent_url() as north_url:
        sharded = make_sharded(tmp_path / "mail", north_url=north_url)
        text = sharded.configuration.read_text("utf-8")
        away = text.replace(north_url, f"postgresql://127.0.0.1:{free_port()}/postgres")
        sharded.configuration.write_text(away, "utf-8")
        clock = SystemClock()
        start = prepare_shards(load_configuration(sharded.configuration), clock, 0)
        assert [one.name for one in start.done] == ["main"]
        assert "north" not in start.ready
        sharded.configuration.write_text(text, "utf-8")
        there = load_configuration(sharded.configuration)
        main = open_test_store("sqlite", there.server.data_dir)
        make_ready_once(there, "north", start.ready, main, clock)
        assert "north" in start.ready
        main.close_now()
        for lock in start.locks:
            lock.release()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_shard_that_is_away_at_the_start_and_later(tmp_path: Path) -> None:
    pair = TestAuthority(tmp_path).issue("mail.y.test")
    with one_server() as main, one_server() as database:
        sharded = make_sharded(
            tmp_path / "mail", main_url=schema_of(main), north_url=schema_of(database)
        )
        database.stop()
        settings = ("check.sender.enabled=false", "check.peer.enabled=false")
        with sharded.served(pair, *settings) as server:
            assert is_deferred(server, "anna@north.test")
            assert works(server, "b@y.test")
            submit(server, "anna@north.test")
            database.start()
            wait_for(lambda: works(server, "anna@north.test"))
            sharded.run("queue", "retry", "--all")
            wait_for(lambda: count_messages(server, "anna@north.test") == 1)
            _lose(server, database, sharded)
            main.kill()
            assert {send(server, "b@y.test") for _ in range(4)} == {451}
            assert works(server, "anna@north.test")
            assert send(server, "anna@north.test") == 250
            main.start()
            wait_for(lambda: works(server, "b@y.test"))


def _lose(server: Installation, database: Server, sharded: Sharded) -> None:
    """The database goes while the server runs, and so does a worker, which is replaced."""
    database.kill()
    assert {send(server, "anna@north.test") for _ in range(4)} == {451}
    for worker in descendants([server.pid])[1:]:
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: works(server, "b@y.test"))
    assert is_deferred(server, "anna@north.test")
    database.start()
    wait_for(lambda: works(server, "anna@north.test"))
    wait_for(lambda: send(server, "anna@north.test") == 250)
    wait_for(lambda: count_messages(server, "anna@north.test") == 2)
    assert sharded.read("--shard", "north", "store", "check")["ok"]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_node_that_was_started_without_shards(
    postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    """Another one uses a shard since: nothing of it is refused here."""
    pair = TestAuthority(tmp_path).issue("mail.y.test")
    with postgres.lent_url() as north_url:
        open_test_store(postgres_url, tmp_path / "watcher", None).close_now()
        with nodes_on(postgres_url, tmp_path / "nodes", pair) as nodes:
            old = nodes.start("old")
            assert try_recipient(old.address("smtp"), "anna@north.test") == 550
            _use_shard(nodes, north_url)
            wait_for(lambda: try_recipient(old.address("smtp"), "anna@north.test") == 451)
            wait_for(lambda: "UNAVAILABLE" in try_log_in(old.address("imaps"), "anna@north.test"))


def _use_shard(nodes: Nodes, north_url: str) -> None:
    file = nodes.configuration("new")
    with file.open("a", encoding="utf-8") as text:
        text.write(f'\n[store.shards]\nnorth = {{ url = "{north_url}" }}\n')
    for command in (
        ("shard", "create", "north"),
        ("--shard", "north", "domain", "add", "north.test"),
        ("account", "add", "anna@north.test"),
    ):
        done = nodes.run("new", *command)
        assert done.returncode == 0, done.stderr
