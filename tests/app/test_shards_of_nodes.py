"""Two nodes with two shards: mail into both, a node that is killed, an account that is moved."""

from __future__ import annotations

import imaplib
import json
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from kit.certificates import TestAuthority
from kit.nodes import SECONDS, Node, Nodes, nodes_on, wait_for
from kit.reloaded import trusting_anybody
from kit.store import PostgresServer, open_test_store
from zajil.store.engine.chores import load_chores
from zajil.store.engine.nodes import NodeState, list_nodes
from zajil.store.engine.open import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PASSWORD = "a long password"
OURS = ("bilal@y.test", "anna@north.test")


class World:
    """Two nodes, and their stores as somebody from outside sees them."""

    def __init__(self, nodes: Nodes, stores: dict[str, Store]) -> None:
        self.nodes = nodes
        self.stores = stores

    def run(self, *arguments: str) -> str:
        done = self.nodes.run("one", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def states(self, shard: str) -> list[NodeState]:
        return sorted(row.state for row in self.stores[shard].read_now(list_nodes))

    def await_states(self, states: list[NodeState]) -> None:
        """Wait until the nodes are so in both shards."""
        wait_for(lambda: all(self.states(one) == states for one in self.stores), str(states))

    def holders(self, shard: str) -> set[str]:
        rows = self.stores[shard].read_now(load_chores).values()
        return {row.holder.partition("/")[0] for row in rows}


@contextmanager
def world(postgres: PostgresServer, main_url: str, folder: Path) -> Iterator[World]:
    """Two shards, each with one account; nodes are started by the test."""
    pair = TestAuthority(folder).issue("mail.y.test")
    settings = ("check.sender.enabled=false", "check.peer.enabled=false", "alerts.enabled=false")
    with postgres.lent_url() as north_url:
        main = open_test_store(main_url, folder / "watcher", None)
        with nodes_on(main_url, folder / "nodes", pair, *settings) as nodes:
            for name in ("one", "two"):
                with nodes.configuration(name).open("a", encoding="utf-8") as file:
                    file.write(f'\n[store.shards]\nnorth = {{ url = "{north_url}" }}\n')
            made = World(nodes, {"main": main})
            secret = folder / "password"
            secret.write_text(PASSWORD)
            made.run("shard", "create", "north")
            made.run("domain", "add", "y.test")
            made.run("--shard", "north", "domain", "add", "north.test")
            for who in OURS:
                made.run("account", "add", who, "--password-file", str(secret))
            made.stores["north"] = open_test_store(north_url, folder / "watcher-north", None)
            try:
                yield made
            finally:
                for store in made.stores.values():
                    store.close_now()


def send(node: Node, to: str, subject: str) -> None:
    """Bring a mail as another server does, until it is accepted."""

    def try_once() -> bool:
        with smtplib.SMTP(*node.address("smtp"), timeout=SECONDS) as peer:
            text = f"From: a@far.test\r\nSubject: {subject}\r\n\r\nhi\r\n"
            peer.ehlo("far.test")
            peer.mail("a@far.test")
            status = peer.rcpt(to)[0]
            if status == 250:
                status = peer.data(text)[0]
            assert status < 500, (subject, status)
            return status == 250

    wait_for(try_once, f"{subject} is accepted")


def subjects(node: Node, who: str) -> list[str]:
    """Return those of the messages in INBOX, in order."""
    with imaplib.IMAP4_SSL(
        *node.address("imaps"), ssl_context=trusting_anybody(), timeout=SECONDS
    ) as client:
        with suppress(imaplib.IMAP4.error):
            client.login(who, PASSWORD)
        if client.state != "AUTH":
            return []
        client.select("INBOX")
        found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        parts: list[Any] = [one[1] for one in found if isinstance(one, tuple)]
        return sorted(one.decode().removeprefix("Subject: ").strip() for one in parts)


def test_two_nodes_with_two_shards(
    postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    with world(postgres, postgres_url, tmp_path) as ours:
        one, two = ours.nodes.start("one"), ours.nodes.start("two")
        for who in OURS:
            send(one, who, "first")
            send(two, who, "second")
            for node in (one, two):
                assert subjects(node, who) == ["first", "second"]
        ours.await_states([NodeState.ACTIVE, NodeState.ACTIVE])

        one.kill()
        ours.await_states([NodeState.ACTIVE, NodeState.GONE])
        wait_for(lambda: all(len(ours.holders(one)) == 1 for one in ours.stores), "all tasks")
        for who in OURS:
            send(two, who, "third")
            assert subjects(two, who) == ["first", "second", "third"]

        one = ours.nodes.start("one")
        for who in OURS:
            assert subjects(one, who) == ["first", "second", "third"]
        _move(ours, one, two)


def _move(ours: World, one: Node, two: Node) -> None:
    """Both nodes hear of it: each brings mail to the new shard, and neither refuses any."""
    moved = json.loads(ours.run("account", "move", OURS[0], "--to", "north", "--json"))
    assert (moved["to"], moved["messages"]) == ("north", 3)
    send(one, OURS[0], "fourth")
    send(two, OURS[0], "fifth")
    expected = sorted(["first", "second", "third", "fourth", "fifth"])
    wait_for(lambda: all(subjects(node, OURS[0]) == expected for node in (one, two)), "it is there")
    for shard in ("main", "north"):
        assert json.loads(ours.run("--shard", shard, "store", "check", "--json"))["ok"]
