"""An account goes to another shard while mail arrives and a mail program is connected."""

from __future__ import annotations

import imaplib
import smtplib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kit.certificates import TestAuthority
from kit.installation import Installation
from kit.reloaded import trusting_anybody
from kit.sharded import PASSWORD, Sharded, make_sharded
from kit.store import PostgresServer
from zajil.config.load import load_configuration
from zajil.operations import shard_move
from zajil.operations.run import open_admin_store, open_runner
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.shards.moves import MoveStep, list_moves

pytestmark = pytest.mark.timeout(240)

WHO = "carl@y.test"


@pytest.fixture(scope="module")
def sharded(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer
) -> Iterator[Sharded]:
    with postgres.lent_url() as main_url, postgres.lent_url() as north_url:
        folder = tmp_path_factory.mktemp("sharded") / "mail"
        made = make_sharded(folder, main_url=main_url, north_url=north_url)
        made.add("carl@y.test")
        made.add("dora@y.test")
        yield made


@pytest.fixture(scope="module")
def server(sharded: Sharded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    pair = TestAuthority(tmp_path_factory.mktemp("authority")).issue("mail.y.test")
    with sharded.served(pair, "check.sender.enabled=false", "check.peer.enabled=false") as ours:
        yield ours


def test_one_account_moves_at_a_time(sharded: Sharded) -> None:
    configuration = load_configuration(sharded.configuration)
    with open_admin_store(configuration) as store, store.working_alone("account move"):
        status, _, told = sharded.try_to("account", "move", WHO, "--to", "north")
    assert status == 1
    assert "another `zajil account move` is running" in told


def connect(server: Installation) -> imaplib.IMAP4_SSL:
    return imaplib.IMAP4_SSL(*server.address("imaps"), ssl_context=trusting_anybody(), timeout=60)


def imap(server: Installation, who: str) -> imaplib.IMAP4_SSL:
    client = connect(server)
    for _ in range(50):
        try:
            client.login(who, PASSWORD)
            break
        except imaplib.IMAP4.error as error:  # a worker has not heard yet
            assert "UNAVAILABLE" in str(error), error  # noqa: PT017
            time.sleep(0.1)
    client.select("INBOX")
    return client


def is_logged_out(client: imaplib.IMAP4_SSL) -> bool:
    """Whether the server ends a session soon."""
    try:
        for _ in range(50):
            client.noop()
            time.sleep(0.1)
    except (imaplib.IMAP4.error, OSError):
        client.shutdown()
        return True
    return False


class Sender(threading.Thread):
    """Sends numbered mails one after the other, each until it is accepted once."""

    def __init__(self, server: Installation, name: str) -> None:
        super().__init__()
        self.server, self.mark = server, name
        self.accepted: list[str] = []
        self.deferred = 0
        self.refused: list[int] = []
        self.said = (0, b"")
        """The last reply."""
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            subject = f"{self.mark}-{len(self.accepted)}"
            status = self._send(subject)
            if status == 250:
                self.accepted.append(subject)
            elif 400 <= status < 500:
                self.deferred += 1
                time.sleep(0.02)
            else:
                self.refused.append(status)
                return

    def _send(self, subject: str) -> int:
        with smtplib.SMTP(*self.server.address("smtp"), timeout=60) as peer:
            peer.ehlo("mx.far.test")
            peer.mail("x@far.test")
            self.said = peer.rcpt(WHO)
            if self.said[0] == 250:
                text = f"From: x@far.test\r\nSubject: {subject}\r\n\r\nHello\r\n"
                self.said = peer.data(text)
            return self.said[0]


@contextmanager
def sending(server: Installation) -> Iterator[list[Sender]]:
    senders = [Sender(server, name) for name in ("one", "two")]
    for sender in senders:
        sender.start()
    try:
        yield senders
    finally:
        for sender in senders:
            sender.stop.set()
            sender.join()


def subjects(client: imaplib.IMAP4_SSL) -> dict[str, str]:
    """Return UID by subject; each subject must be there once."""
    found: dict[str, str] = {}
    data = client.uid("FETCH", "1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    for part in data:
        if isinstance(part, tuple):
            uid = part[0].split(b"UID ")[1].split()[0].decode()
            subject = part[1].decode().removeprefix("Subject: ").strip()
            assert subject not in found, subject
            found[subject] = uid
    return found


def test_an_account_is_moved_while_mail_arrives(server: Installation, sharded: Sharded) -> None:
    client = imap(server, WHO)
    with sending(server) as senders:
        before, validity = use(client, senders[0])
        assert "moved carl@y.test from main to north" in (
            sharded.run("account", "move", WHO, "--to", "north")
        )
        assert is_logged_out(client)
        await_more(senders, 10)
    assert [sender.refused for sender in senders] == [[], []]
    accepted = {subject for sender in senders for subject in sender.accepted}
    with imap(server, WHO) as client:
        after = subjects(client)
        # One message was deleted before the move.
        assert len(accepted - after.keys()) == 1
        assert after.keys() <= accepted
        assert {name: after[name] for name in before} == before
        assert client.status("INBOX", "(UIDVALIDITY MAILBOXID)")[1] == validity
        assert client.uid("SEARCH", "FLAGGED")[1] == [b"2"]
        assert client.status("Kept", "(MESSAGES)")[1] == [b'"Kept" (MESSAGES 3)']
    for shard in ("main", "north"):
        assert sharded.read("--shard", shard, "store", "check")["ok"]
    states = {one["name"]: one for one in sharded.read("shard", "list")["shards"]}
    assert states["north"]["single"] == 1


def use(client: imaplib.IMAP4_SSL, sender: Sender) -> tuple[dict[str, str], object]:
    """Change some messages; give UIDs by subject, and what the INBOX is."""
    while len(sender.accepted) < 20:
        time.sleep(0.05)
    client.noop()
    client.create("Kept")
    client.uid("COPY", "1:3", "Kept")
    client.uid("STORE", "2", "+FLAGS", r"(\Flagged)")
    client.uid("STORE", "3", "+FLAGS", r"(\Deleted)")
    client.expunge()
    before = subjects(client)
    return before, client.status("INBOX", "(UIDVALIDITY MAILBOXID)")[1]


def await_more(senders: list[Sender], count: int) -> None:
    """Wait until each has sent more mails than now."""
    reached = [len(sender.accepted) for sender in senders]
    for _ in range(600):
        pairs = zip(senders, reached, strict=True)
        if all(len(one.accepted) >= many + count for one, many in pairs):
            return
        time.sleep(0.05)
    raise AssertionError([sender.said for sender in senders])


def test_a_moved_account_keeps_its_login_name_and_the_keys_of_its_domain(
    server: Installation,
) -> None:
    """After the test above."""
    with smtplib.SMTP_SSL(
        *server.address("submissions"), context=trusting_anybody(), timeout=60
    ) as submission:
        submission.login("carl", PASSWORD)
        text = f"From: {WHO}\r\nSubject: signed\r\n\r\nHello\r\n"
        assert submission.sendmail(WHO, ["anna@north.test"], text) == {}
    with imap(server, "anna@north.test") as client:
        for _ in range(200):
            client.noop()
            if found := client.search(None, "SUBJECT", "signed")[1][0].split():
                break
            time.sleep(0.1)
        data = client.fetch(found[0], "(BODY.PEEK[HEADER])")[1][0]
    assert isinstance(data, tuple)
    assert b"d=y.test;" in data[1].replace(b"\r\n ", b" ")


@pytest.mark.parametrize("step", ["_copy_rows", "_reach", "emptied", "write"])
def test_an_interrupted_move_goes_on(
    server: Installation, sharded: Sharded, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is killed at some step; the next one does the rest."""
    monkeypatch.setattr(shard_move, "HEARD_SECONDS", 0.0)
    who = f"{step.strip('_').replace('_', '-')}@y.test"
    sharded.add(who)
    with imap(server, who) as client:
        client.append("INBOX", "", None, b"Subject: one\r\n\r\nText\r\n")

    def fail(*_arguments: object) -> None:
        raise StoreUnavailable("the network is away")

    if step == "emptied":  # the old shard has committed, and the catalogue does not know it
        reach = shard_move._Mover._reach

        def fail_late(self: shard_move._Mover, reached: MoveStep) -> None:
            if reached is MoveStep.EMPTIED:
                fail()
            reach(self, reached)

        monkeypatch.setattr(shard_move._Mover, "_reach", fail_late)
    elif step == "write":
        monkeypatch.setattr(shard_move, "_switch", fail)
    else:
        monkeypatch.setattr(shard_move._Mover, step, fail)
    status, _, told = sharded.try_to("account", "move", who, "--to", "north")
    assert (status, "the network is away" in told) == (1, True)
    monkeypatch.undo()
    monkeypatch.setattr(shard_move, "HEARD_SECONDS", 0.0)
    if step == "emptied":
        status, _, told = sharded.try_to("account", "move", who, "--undo")
        assert (status, "nothing to undo" in told) == (1, True)
    sharded.run("account", "move", who, "--to", "north")
    with imap(server, who) as client:
        assert client.search(None, "ALL")[1] == [b"1"]


def test_a_move_is_undone(
    server: Installation, sharded: Sharded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise StoreUnavailable("the network is away")

    monkeypatch.setattr(shard_move._Mover, "_copy_rows", fail)
    assert sharded.try_to("account", "move", "dora@y.test", "--to", "north")[0] == 1
    strange = connect(server)
    with strange, pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
        strange.login("dora@y.test", PASSWORD)
    assert "stays in the shard main" in sharded.run("account", "move", "dora@y.test", "--undo")
    with imap(server, "dora@y.test"):
        pass
    status, _, told = sharded.try_to("account", "move", "dora@y.test", "--undo")
    assert (status, "nothing to undo" in told) == (1, True)


def test_an_account_is_renamed_while_its_move_waits(
    server: Installation, sharded: Sharded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its old login would be told to try again later for ever."""

    def fail(*_arguments: object) -> None:
        raise StoreUnavailable("the network is away")

    sharded.add("fadi@y.test")
    monkeypatch.setattr(shard_move, "HEARD_SECONDS", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(shard_move._Mover, "_copy_rows", fail)
        assert sharded.try_to("account", "move", "fadi@y.test", "--to", "north")[0] == 1
    sharded.run("account", "rename", "fadi@y.test", "fadia@y.test", "--login", "fadia")
    sharded.run("account", "move", "fadia@y.test", "--to", "north")
    with open_runner(load_configuration(sharded.configuration)) as runner:
        moves = {one.address_key: one.login for one in runner.read(list_moves)}
    assert moves["fadia@y.test"] == "fadia"
    assert "fadi@y.test" not in moves
    with imap(server, "fadia"):
        pass


def test_rights_that_would_be_lost_are_named(sharded: Sharded) -> None:
    sharded.add("emil@y.test")
    sharded.run("account", "delegate", "emil@y.test", "--to", "b")
    sharded.run("alias", "add", "sales@y.test", "emil@y.test")
    status, _, told = sharded.try_to("account", "move", "emil@y.test", "--to", "north")
    assert status == 1
    assert "b may send as emil@y.test" in told
    assert "the alias sales@y.test" in told
    moved = sharded.read("account", "move", "emil@y.test", "--to", "north", "--drop-rights")
    assert len(moved["lost"]) == 2
    with open_runner(load_configuration(sharded.configuration)) as runner:
        assert "emil@y.test" in {one.address_key for one in runner.read(list_moves)}
    status, _, told = sharded.try_to("account", "move", "emil@y.test", "--to", "main")
    assert (status, "a moment ago" in told) == (1, True)
    status, _, told = sharded.try_to("domain", "remove", "y.test")
    assert (status, "are in other shards:" in told) == (1, True)
