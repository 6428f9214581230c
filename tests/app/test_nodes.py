"""Nodes on one store: one is killed, suspended or drained; others go on, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import smtplib
from pathlib import Path

import pytest

from kit.fault_proxy import fault_proxy
from kit.network import Deed, SinkSession
from kit.node_world import (
    has_ended,
    imap,
    is_refused,
    readiness,
    receive,
    subjects,
    submit,
    world,
)
from kit.nodes import SECONDS, DidNotStart, node_rows
from kit.postgres_servers import one_server
from zajil.smtp.command import BodyEnd, Command
from zajil.smtp.reply import Reply
from zajil.store.engine.nodes import NodeState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


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
            await ours.until(
                lambda: all(one.startswith(second.node_id) for one in ours.holders()),
                "the other node has all background tasks",
            )
            assert len(ours.holders()) >= 19
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


def test_a_node_whose_connections_the_network_forgot(tmp_path: Path) -> None:
    """Others took over, and a thread waits for an answer that never comes: its worker is cut, and
    the next one joins.
    """

    async def run() -> None:
        settings = ("store.timeout=1h", "server.shutdown_grace=1h")
        async with (
            fault_proxy("127.0.0.1", database.port) as proxy,
            world(database.url, tmp_path, *settings) as ours,
        ):
            url = database.url.replace(f":{database.port}/", f":{proxy.port}/")
            (one, _) = await asyncio.gather(
                asyncio.to_thread(ours.nodes.start, "one", f"store.url={json.dumps(url)}"),
                asyncio.to_thread(ours.nodes.start, "two"),
            )
            proxy.partition()
            lost = asyncio.create_task(asyncio.to_thread(receive, one, "lost"))
            await ours.until(lambda: ours.state(one) is NodeState.GONE, "it is gone")
            proxy.forget()
            proxy.heal()
            await ours.until(lambda: ours.state(one) is NodeState.ACTIVE, "it joins again")
            await ours.until(lambda: "and is cut" in one.log.read_text(), "its worker is cut")
            with pytest.raises((OSError, smtplib.SMTPException)):
                await lost
            await asyncio.to_thread(receive, one, "after")
            assert await asyncio.to_thread(subjects, one) == ["Subject: after"]

    with one_server() as database:
        asyncio.run(run())


def test_two_copies_of_a_data_folder_start_together(postgres_url: str, tmp_path: Path) -> None:
    """One of them ends and says why; started again, it has an id of its own."""

    async def run() -> None:
        async with world(postgres_url, tmp_path) as ours:
            names = ("one", "two")
            for name in names:
                file = ours.nodes.configuration(name).parent / "data" / "node.id"
                file.write_text("0123456789abcdef\n")
                file.chmod(0o600)
            starts = [asyncio.to_thread(ours.nodes.start, name) for name in names]
            await asyncio.gather(*starts, return_exceptions=True)
            logs = {name: ours.nodes.folder / f"{name}.log" for name in names}

            def ended() -> list[str]:
                said = "start it again, and it gets its own id"
                return [one for one, log in logs.items() if said in log.read_text()]

            (name,) = await ours.until(ended, "one of them ends")
            again = await asyncio.to_thread(ours.nodes.start, name)
            states = {key: row.state for key, row in node_rows(ours.store).items()}
            assert states == {
                again.node_id: NodeState.ACTIVE,
                "0123456789abcdef": NodeState.ACTIVE,
            }

    asyncio.run(run())


def test_a_second_node_needs_files_that_it_can_read(postgres_url: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with world(postgres_url, tmp_path) as ours:
            await ours.start("one")
            with pytest.raises(DidNotStart, match=r"store\.blobs .*`zajil store move-blobs`"):
                await asyncio.to_thread(ours.nodes.start, "two", "limits.message_size=1MiB")

    asyncio.run(run())
