"""A store with an account, nodes that serve it, and a server elsewhere; and what clients do."""

from __future__ import annotations

import asyncio
import smtplib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from imaplib import IMAP4_SSL
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher

from kit.certificates import TestAuthority
from kit.name_server import zone_server
from kit.network import SmtpSink, smtp_sink
from kit.nodes import SECONDS, Node, Nodes, node_rows, nodes_on, wait_for
from kit.reloaded import trusting_anybody
from kit.store import make_account, open_test_store
from kit.zone import Zone
from zajil.store.engine.chores import load_chores
from zajil.store.engine.nodes import NodeState
from zajil.store.engine.open import Store
from zajil.store.queue.queue_admin import QueueQuery, list_rows

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

    def holders(self) -> list[str]:
        """Return who does each background task."""
        return [row.holder for row in self.store.read_now(load_chores).values()]

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
