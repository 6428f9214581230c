"""Nodes on one store: one is killed, suspended or drained; others go on, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import smtplib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from imaplib import IMAP4_SSL
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from kit.certificates import TestAuthority
from kit.name_server import zone_server
from kit.network import Deed, SinkSession, SmtpSink, smtp_sink
from kit.nodes import SECONDS, DidNotStart, Node, Nodes, node_rows, nodes_on, wait_for
from kit.reloaded import trusting_anybody
from kit.store import make_account, open_test_store
from kit.zone import Zone
from zajil.smtp.command import BodyEnd, Command
from zajil.smtp.reply import Reply
from zajil.store.engine.nodes import NodeState
from zajil.store.engine.open import Store
from zajil.store.queue.queue_admin import QueueQuery, list_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ZONE: Zone = {"far.test": {"A": ["127.0.0.1"]}}
PASSWORD = "correct horse"
_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@dataclass(slots=True)
class World:
    """A store with the account ``b@y.test``, its nodes, and a server elsewhere."""

    sink: SmtpSink
    nodes: Nodes
    store: Store

    async def start(self, *names: str) -> list[Node]:
        """Start nodes together."""
        starts = [asyncio.to_thread(self.nodes.start, name) for name in names]
        return list(await asyncio.gather(*starts))

    async def until(self, look: Callable[[], Any], what: str) -> Any:
        """Wait for something, while the server elsewhere answers."""
        return await asyncio.to_thread(wait_for, look, what)

    def state(self, node: Node) -> NodeState:
        return node_rows(self.store)[node.node_id].state

    def queue(self) -> dict[str, str | None]:
        """Return who delivers, by recipient."""
        rows = self.store.read_now(lambda conn: list_rows(conn, QueueQuery()))
        return {row.recipient: row.lease_owner for row in rows}


@asynccontextmanager
async def world(url: str, folder: Path, *settings: str) -> AsyncIterator[World]:
    pair = TestAuthority(folder).issue("mail.y.test")
    store = open_test_store(url, folder / "watcher", None)
    make_account(store, "b@y.test", password_hash=_HASH)
    given = ["check.sender.enabled=false", "check.peer.enabled=false", "alerts.enabled=false"]
    given += ["log.level=info", *settings]
    try:
        with zone_server(ZONE) as dns:
            async with smtp_sink() as sink:
                given += [f'dns.nameservers=["{dns}"]', f"deliver.port={sink.port}"]
                with nodes_on(url, folder / "nodes", pair, *given) as nodes:
                    yield World(sink, nodes, store)
    finally:
        store.close_now()


def submit(node: Node, to: str, subject: str) -> None:
    """Send a mail as our user."""
    with smtplib.SMTP_SSL(
        *node.address("submissions"), context=trusting_anybody(), timeout=SECONDS
    ) as client:
        client.login("b@y.test", PASSWORD)
        client.sendmail(
            "b@y.test", [to], f"From: b@y.test\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nhi\r\n"
        )


def receive(node: Node, subject: str) -> None:
    """Send a mail to our user as another server does."""
    with smtplib.SMTP(*node.address("smtp"), timeout=SECONDS) as client:
        text = f"From: a@far.test\r\nTo: b@y.test\r\nSubject: {subject}\r\n\r\nhi\r\n"
        client.sendmail("a@far.test", ["b@y.test"], text)


def imap(node: Node) -> IMAP4_SSL:
    client = IMAP4_SSL(*node.address("imaps"), ssl_context=trusting_anybody(), timeout=SECONDS)
    client.login("b@y.test", PASSWORD)
    client.select("INBOX")
    return client


def has_ended(client: IMAP4_SSL) -> bool:
    try:
        client.noop()
    except (OSError, IMAP4_SSL.abort):
        client.shutdown()
        return True
    return False


def subjects(node: Node) -> list[str]:
    """Return those of the messages in INBOX."""
    client = imap(node)
    try:
        _, found = client.fetch("1:*", "(BODY[HEADER.FIELDS (SUBJECT)])")
        return [one[1].decode().strip() for one in found if isinstance(one, tuple)]
    finally:
        client.logout()


def is_refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


def readiness(node: Node) -> int:
    host, port = node.address("metrics")
    return httpx.get(f"http://{host}:{port}/ready", timeout=SECONDS).status_code


class Silent:
    """A server elsewhere that does not answer the first mails; it keeps their connections."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.held = asyncio.Event()

    def __call__(self, event: Command | BodyEnd, _session: SinkSession) -> Reply | Deed | None:
        if isinstance(event, BodyEnd) and self.left:
            self.left -= 1
            self.held.set()
            return Deed.SILENCE
        return None


def test_a_node_that_is_killed_in_a_delivery(postgres_url: str, tmp_path: Path) -> None:
    """Another one takes over the mail that it was delivering; it may come back."""

    async def run() -> None:
        async with world(postgres_url, tmp_path) as ours:
            one, two = await ours.start("one", "two")
            silent = ours.sink.answer = Silent(1)
            await asyncio.to_thread(submit, one, "x@far.test", "first")
            await asyncio.wait_for(silent.held.wait(), SECONDS)
            (owner,) = ours.queue().values()
            first, second = (one, two) if str(owner).startswith(one.node_id) else (two, one)
            await asyncio.to_thread(first.kill)
            # Its connections ended with it, its lease did not.
            await ours.until(lambda: ours.queue() == {}, "the other node delivers")
            assert len([mail for mail in ours.sink.mails if mail.complete]) == 2
            assert ours.state(first) is NodeState.GONE
            assert "took over the work of a node" in second.log.read_text()
            assert await asyncio.to_thread(ours.nodes.run, "two", "node", "list")
            again = await asyncio.to_thread(ours.nodes.start, first.folder.name)
            assert ours.state(again) is NodeState.ACTIVE
            assert again.node_id == first.node_id
            await asyncio.to_thread(receive, again, "after")
            assert "Subject: after" in await asyncio.to_thread(subjects, second)

    asyncio.run(run())


def test_a_node_that_was_suspended(postgres_url: str, tmp_path: Path) -> None:
    """It wakes up after others took over: it writes nothing, joins again, and serves."""

    async def run() -> None:
        async with world(postgres_url, tmp_path) as ours:
            one, two = await ours.start("one", "two")
            silent = ours.sink.answer = Silent(1)
            await asyncio.to_thread(submit, one, "x@far.test", "first")
            await asyncio.wait_for(silent.held.wait(), SECONDS)
            (owner,) = ours.queue().values()
            first, second = (one, two) if str(owner).startswith(one.node_id) else (two, one)
            epoch = node_rows(ours.store)[first.node_id].epoch
            client = await asyncio.to_thread(imap, first)
            first.signal(signal.SIGSTOP)
            await ours.until(lambda: ours.queue() == {}, "the other node delivers")
            row = node_rows(ours.store)[first.node_id]
            assert (row.state, row.epoch) == (NodeState.GONE, epoch + 1)
            first.signal(signal.SIGCONT)
            await ours.until(lambda: ours.state(first) is NodeState.ACTIVE, "it joins again")
            assert "other nodes took over the work of this node" in first.log.read_text()
            await ours.until(lambda: has_ended(client), "its sessions end")
            await asyncio.to_thread(receive, first, "after")
            assert "Subject: after" in await asyncio.to_thread(subjects, second)
            assert node_rows(ours.store)[first.node_id].epoch == epoch + 1

    asyncio.run(run())


def test_idle_hears_of_mail_that_another_node_accepted(postgres_url: str, tmp_path: Path) -> None:
    """By NOTIFY: the look that finds lost hints is made later than the test waits."""

    async def run() -> None:
        async with world(postgres_url, tmp_path) as ours:
            ours.nodes.environment["PYTHONPATH"] = str(tmp_path / "patch")
            (tmp_path / "patch").mkdir()
            (tmp_path / "patch" / "sitecustomize.py").write_text(_NO_LOOKS)
            one, two = await ours.start("one", "two")

            def idle() -> bytes:
                client = imap(two)
                client.send(b"x IDLE\r\n")
                assert client.readline().startswith(b"+")
                receive(one, "heard")
                line = client.readline()
                client.send(b"DONE\r\n")
                client.shutdown()
                return line

            assert await asyncio.to_thread(idle) == b"* 1 EXISTS\r\n"

    asyncio.run(run())


_NO_LOOKS = """
import zajil.store.engine.changes
zajil.store.engine.changes._LOOK_SECONDS = 3600.0
"""


def test_a_node_is_drained(postgres_url: str, tmp_path: Path) -> None:
    """It refuses connections, ends what it has, and its next start serves again."""

    async def run() -> None:
        async with world(postgres_url, tmp_path, "server.reload_grace=1h") as ours:
            one, two = await ours.start("one", "two")
            client = await asyncio.to_thread(imap, one)
            assert await asyncio.to_thread(readiness, one) == 200
            done = await asyncio.to_thread(ours.nodes.run, "two", "node", "drain", one.node_id)
            assert done.returncode == 0, done.stderr
            drained = one.address("imaps"), one.address("smtp")
            await ours.until(lambda: all(map(is_refused, drained)), "it refuses connections")
            await ours.until(lambda: readiness(one) == 503, "it says that it is not ready")
            assert client.noop()[0] == "OK"  # its sessions go on
            listed = await asyncio.to_thread(ours.nodes.run, "two", "node", "list", "--json")
            states = {row["id"]: row["state"] for row in json.loads(listed.stdout)["nodes"]}
            assert states == {one.node_id: "draining", two.node_id: "active"}
            refused = await asyncio.to_thread(ours.nodes.run, "two", "node", "forget", one.node_id)
            assert refused.returncode == 1
            assert "runs: stop its server first" in refused.stderr
            await asyncio.to_thread(submit, two, "x@far.test", "first")
            await ours.until(lambda: ours.queue() == {}, "the other node delivers")
            client.logout()
            waited = await asyncio.to_thread(
                ours.nodes.run, "one", "node", "drain", "--wait", "--json"
            )
            assert json.loads(waited.stdout)["drained"], waited.stderr
            one.process.terminate()
            await asyncio.to_thread(one.process.wait, SECONDS)
            assert ours.state(one) is NodeState.STOPPED
            (again,) = await ours.start("one")
            assert ours.state(again) is NodeState.ACTIVE
            await asyncio.to_thread(receive, again, "after")
            again.process.terminate()
            await asyncio.to_thread(again.process.wait, SECONDS)
            gone = await asyncio.to_thread(ours.nodes.run, "two", "node", "forget", one.node_id)
            assert gone.returncode == 0, gone.stderr
            assert list(node_rows(ours.store)) == [two.node_id]

    asyncio.run(run())


def test_a_second_node_needs_files_that_it_can_read(postgres_url: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with world(postgres_url, tmp_path) as ours:
            await ours.start("one")
            with pytest.raises(DidNotStart, match=r"store\.blobs .*`zajil store move-blobs`"):
                await asyncio.to_thread(ours.nodes.start, "two", "limits.message_size=1MiB")

    asyncio.run(run())
