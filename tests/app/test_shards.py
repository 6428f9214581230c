"""A server with two stores: sessions of every protocol, and mail between the two."""

from __future__ import annotations

import imaplib
import re
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path
from poplib import POP3_SSL

import httpx
import pytest

from kit.certificates import TestAuthority
from kit.installation import Installation
from kit.reloaded import trusting_anybody
from kit.sharded import PASSWORD, Sharded, make_sharded
from kit.store import PostgresServer, open_test_store
from zajil.app.shards import prepare_shards
from zajil.config.load import parse_configuration
from zajil.net.system import SystemClock
from zajil.store.engine.nodes import list_nodes

pytestmark = pytest.mark.timeout(180)

OURS = ("b@y.test", "anna@north.test")


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Sharded:
    return make_sharded(tmp_path_factory.mktemp("sharded") / "mail")


@pytest.fixture(scope="module")
def server(sharded: Sharded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    pair = TestAuthority(tmp_path_factory.mktemp("authority")).issue("mail.y.test")
    settings = ("check.sender.enabled=false", 'listen.metrics=["127.0.0.1:0"]')
    with sharded.served(pair, *settings) as ours:
        yield ours


def imap(server: Installation, who: str) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL(*server.address("imaps"), ssl_context=trusting_anybody(), timeout=60)
    client.login(who, PASSWORD)
    client.select("INBOX")
    return client


def await_mail(server: Installation, who: str, subject: str) -> bytes:
    """Return the one message with a subject in an INBOX, when it has come."""
    client = imap(server, who)
    try:
        for _ in range(300):
            client.noop()
            found = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            if found:
                assert len(found) == 1
                data = client.fetch(found[0], "(BODY.PEEK[])")[1][0]
                assert isinstance(data, tuple)
                return data[1]
            time.sleep(0.1)
        raise AssertionError(f"{subject} did not come")
    finally:
        client.logout()


def submit(server: Installation, who: str, recipients: list[str], subject: str) -> None:
    with smtplib.SMTP_SSL(
        *server.address("submissions"), context=trusting_anybody(), timeout=60
    ) as client:
        client.login(who, PASSWORD)
        text = f"From: {who}\r\nTo: {', '.join(recipients)}\r\nSubject: {subject}\r\n\r\nHello\r\n"
        assert client.sendmail(who, recipients, text) == {}


@pytest.mark.parametrize("who", OURS)
def test_every_protocol_finds_the_shard_of_a_name(server: Installation, who: str) -> None:
    client = imap(server, who)
    assert client.append("Drafts", "", None, b"Subject: mine\r\n\r\nText\r\n")[0] == "OK"
    client.logout()
    pop = POP3_SSL(*server.address("pop3s"), context=trusting_anybody(), timeout=60)
    pop.user(who)
    assert pop.pass_(PASSWORD).startswith(b"+OK")
    pop.quit()
    wrong = imaplib.IMAP4_SSL(*server.address("imaps"), ssl_context=trusting_anybody(), timeout=60)
    with wrong, pytest.raises(imaplib.IMAP4.error):
        wrong.login(who, "another password")


@pytest.mark.parametrize("who", OURS)
def test_the_pages_find_the_shard_of_a_name(server: Installation, who: str) -> None:
    host, port = server.address("web")
    with httpx.Client(base_url=f"http://{host}:{port}", timeout=60) as browser:
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', browser.get("/login").text)
        assert token
        form = {"csrf": token[1], "login": who, "password": PASSWORD, "next": "/mail"}
        page = browser.post("/login", data=form, follow_redirects=True)
        assert page.status_code == 200
        assert page.url.path.startswith("/mail")
        assert who in browser.get("/account/security").text
        # Who is logged in to one shard can go to the other.
        other = next(one for one in OURS if one != who)
        browser.cookies.delete("zajil")
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', browser.get("/login").text)
        assert token
        browser.post(
            "/login", data={**form, "csrf": token[1], "login": other}, follow_redirects=True
        )
        assert other in browser.get("/account/security").text


@pytest.mark.parametrize(("sender", "recipient"), [OURS, OURS[::-1]])
def test_mail_between_shards(server: Installation, sender: str, recipient: str) -> None:
    subject = f"from {sender}"
    submit(server, sender, [recipient, sender], subject)
    assert b"Hello" in await_mail(server, sender, subject)
    message = await_mail(server, recipient, subject)
    domain = sender.partition("@")[2]
    assert f"d={domain};".encode() in message
    assert b"with LMTP" in message


def test_a_bounce_crosses_shards(server: Installation, sharded: Sharded) -> None:
    submit(server, "anna@north.test", ["nobody@y.test"], "nobody there")
    bounce = await_mail(server, "anna@north.test", "Not delivered: nobody there")
    assert b"unknown recipient address" in bounce


def test_mail_from_outside_is_for_one_shard_at_a_time(server: Installation) -> None:
    with smtplib.SMTP(*server.address("smtp"), timeout=60) as peer:
        peer.ehlo("mx.far.test")
        for first, second in (OURS, OURS[::-1]):
            assert peer.mail("x@far.test")[0] == 250
            assert peer.rcpt(first)[0] == 250
            status, text = peer.rcpt(second)
            assert (status, text.startswith(b"4.5.3 too many recipients")) == (452, True)
            assert peer.rcpt("y@far.test")[0] == 550
            data = f"From: x@far.test\r\nSubject: for {first}\r\n\r\nHello\r\n"
            assert peer.data(data)[0] == 250
    for who in OURS:
        assert b"Hello" in await_mail(server, who, f"for {who}")


def test_aliases_that_lead_to_each_other_across_shards_end(
    server: Installation, sharded: Sharded
) -> None:
    """No shard sees the loop when they are made; the mail is returned."""
    sharded.run("alias", "add", "round@y.test", "round@north.test")
    sharded.run("alias", "add", "round@north.test", "round@y.test")
    submit(server, "b@y.test", ["round@north.test"], "round and round")
    bounce = await_mail(server, "b@y.test", "Not delivered: round and round")
    assert b"Status: 5.4.6" in bounce


def test_metrics_name_the_shard(server: Installation) -> None:
    host, port = server.address("metrics")
    told = httpx.get(f"http://{host}:{port}/metrics", timeout=60).text
    for metric in ("up", "accounts"):
        assert f'\nzajil_shard_{metric}{{shard="north"}} 1.0\n' in told
    assert '\nzajil_shard_queue_recipients{shard="north",state="waiting"} ' in told
    assert "\nzajil_accounts 1.0\n" in told


def test_rights_stay_within_a_shard(server: Installation, sharded: Sharded) -> None:
    """An account of another shard is nobody here, whoever asks."""
    for command in (
        ("account", "delegate", "b@y.test", "--to", "anna@north.test"),
        ("domain", "admin", "add", "y.test", "anna@north.test"),
    ):
        assert sharded.try_to(*command)[0] == 1
    client = imap(server, "b@y.test")
    assert client.setacl("INBOX", "anna@north.test", "lr")[0] == "NO"
    client.logout()


def test_the_postmaster_of_a_domain_is_an_administrator_of_the_main_shard(
    server: Installation,
) -> None:
    submit(server, "anna@north.test", ["postmaster@north.test"], "to the postmaster")
    assert b"Hello" in await_mail(server, "b@y.test", "to the postmaster")


def test_each_shard_does_its_own_chores(server: Installation, sharded: Sharded) -> None:
    shown = sharded.read("--shard", "north", "store", "check")
    assert shown["ok"], shown
    assert sharded.read("store", "check")["ok"]


def test_the_pages_of_a_shard_add_domains_to_it(server: Installation, sharded: Sharded) -> None:
    secret = sharded.configuration.parent / "password"
    who = "root@north.test"
    sharded.run("account", "add", who, "--admin", "--password-file", str(secret))

    def domains() -> list[str]:
        shards = sharded.read("shard", "list")["shards"]
        return next(one["domains"] for one in shards if one["name"] == "north")

    host, port = server.address("web")
    with httpx.Client(base_url=f"http://{host}:{port}", timeout=60) as browser:
        csrf = find_csrf(browser.get("/login").text)
        form = {"csrf": csrf, "login": who, "password": PASSWORD, "next": "/admin/domains"}
        page = browser.post("/login", data=form, follow_redirects=True)
        csrf = find_csrf(page.text)
        for name, status in (("west.test", 200), ("y.test", 409)):
            added = {"csrf": csrf, "domain": name}
            page = browser.post("/admin/domains", data=added, follow_redirects=True)
            assert page.status_code == status
        assert "This address or name is already in use." in page.text
        assert domains() == ["north.test", "west.test"]
        with smtplib.SMTP(*server.address("smtp"), timeout=60) as peer:
            peer.ehlo("mx.far.test")
            peer.mail("x@far.test")
            for _ in range(300):  # the workers hear of it
                status, _ = peer.rcpt("postmaster@west.test")
                if status == 250:
                    break
                time.sleep(0.1)
            assert status == 250
        removed = {"csrf": csrf, "action": "remove", "value": "west.test"}
        page = browser.post("/admin/domains/west.test", data=removed, follow_redirects=True)
        assert page.status_code == 200
        assert domains() == ["north.test"]


def find_csrf(page: str) -> str:
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert token
    return token[1]


def test_a_shard_that_the_server_does_not_know_yet(server: Installation, sharded: Sharded) -> None:
    """It was created after the start: nothing for it is refused for good."""
    with sharded.configuration.open("a", encoding="utf-8") as file:
        file.write('south = { url = "sqlite" }\n')
    sharded.run("shard", "create", "south")
    sharded.run("--shard", "south", "domain", "add", "south.test")
    with smtplib.SMTP(*server.address("smtp"), timeout=60) as peer:
        peer.ehlo("mx.far.test")
        peer.mail("x@far.test")
        for _ in range(300):
            status, _ = peer.rcpt("x@south.test")
            if status != 550:
                break
            time.sleep(0.1)
        assert status == 451
        assert peer.rcpt("anna@north.test")[0] == 250
    submit(server, "b@y.test", ["x@south.test"], "waits")
    for _ in range(300):
        waiting = sharded.read("queue", "list", "--recipient", "x@south.test")
        if "the shard south is not available" in str(waiting):
            break
        time.sleep(0.1)
    assert "the shard south is not available" in str(waiting)
    host, port = server.address("web")
    with httpx.Client(base_url=f"http://{host}:{port}", timeout=60) as browser:
        csrf = find_csrf(browser.get("/login").text)
        form = {"csrf": csrf, "login": "x@south.test", "password": PASSWORD, "next": "/mail"}
        assert browser.post("/login", data=form, follow_redirects=True).status_code == 503


def test_a_second_node_gets_its_folder_of_a_shard(
    postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    with postgres.lent_url() as north_url:
        first = make_sharded(tmp_path / "one", main_url=postgres_url, north_url=north_url)
        text = first.configuration.read_text("utf-8")
        (tmp_path / "two").mkdir(mode=0o700)
        configuration = parse_configuration(
            text, first.configuration, [f"server.data_dir={tmp_path / 'two'}"]
        )
        locks = prepare_shards(configuration, SystemClock(), 0).locks
        assert (tmp_path / "two/shards/north").stat().st_mode & 0o777 == 0o700
        # Each shard knows the node by another id.
        ids = set[str]()
        for url in (postgres_url, north_url):
            store = open_test_store(url, tmp_path / "watcher", None)
            ids |= {row.node_id for row in store.read_now(list_nodes)}
            store.close_now()
        folders = (tmp_path / "two", tmp_path / "two/shards/north")
        assert ids == {(folder / "node.id").read_text().strip() for folder in folders}
        for lock in locks:
            lock.release()
