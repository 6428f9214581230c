"""The power fails: what was promised is there, and the store opens again.

A server runs under strace while clients send, read and change mail. Its system calls say what the
disk held at each moment (``kit.power_disk``), so one run shows many power failures.
"""

from __future__ import annotations

import imaplib
import shutil
import smtplib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from kit.certificates import TestAuthority
from kit.installation import SetUp, serving, set_up
from kit.power_check import find_faults
from kit.power_clients import REPLIES, Clients, Notes, message
from kit.power_disk import CALLS, Disk, Names, Unsynced
from kit.strace import read_trace, strace_command

_SETTINGS = (
    *("check.sender.enabled=false", "check.peer.enabled=false"),  # there is no DNS
    "store.free_space_reserve=1MiB",
    "alerts.enabled=false",  # the disk is small
)
_SYNC_MS = 3
_SLOW_SYNC_MS = 100
"""Within this time others see what no sync has kept yet."""
_ENOUGH_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class Life:
    """A server that was started, used and stopped."""

    made: SetUp
    authority: TestAuthority
    data: Path
    before: Path
    """A copy of its data folder from before it started."""
    trace: Path
    notes: Notes

    def disk(self, names: Names = Names.IN_ORDER, *, ignore_syncs: bool = False) -> Disk:
        steps = read_trace(self.trace)
        return Disk(self.data, self.before, steps, names, ignore_syncs=ignore_syncs)


@contextmanager
def memory_folder(other: Path) -> Iterator[Path]:
    """Return a new folder in memory, where there is enough, else in another one.

    Syncs take as long as strace makes them take, and the disk of the machine is left in peace.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it has a random name
    has_space = memory.is_dir() and shutil.disk_usage(memory).free > _ENOUGH_BYTES
    with tempfile.TemporaryDirectory(dir=memory if has_space else other) as folder:
        yield Path(folder)


def lead(
    folder: Path, seed: int, mails: int, *, change: bool = True, sync_ms: int = _SYNC_MS
) -> Life:
    """Let clients use a server of two workers, on a disk that takes its time for a sync."""
    made = set_up(folder / "z")
    data, before, trace = folder / "z" / "data", folder / "before", folder / "trace"
    shutil.copytree(data, before)
    authority = TestAuthority(folder)
    certificate = authority.issue("mail.y.test", "127.0.0.1")
    settings = (*_SETTINGS, f'listen.lmtp=["unix:{folder}/lmtp"]')
    slow = f"inject=fsync,fdatasync:delay_enter={sync_ms * 1000}"
    prefix = strace_command(trace, {*CALLS, *REPLIES}, "-e", slow)
    with serving(made, certificate, *settings, prefix=prefix) as server:
        notes = Clients(server, authority.client_context(), seed, mails, change=change).run()
    for step in read_trace(trace):
        notes.look_at(step)
    return Life(made, authority, data, before, trace, notes)


def choose_moments(life: Life, random: Random, count: int) -> list[float]:
    """Choose moments for the power to fail: most at a promise or a sight, some at any time."""
    notes = life.notes
    promises = [*notes.accepted.values(), *notes.flagged.values()]
    promises += [at for stages in notes.done.values() for at in stages]
    promises += [one.at for one in notes.seen]
    begin, end = min(promises) - 1, max(promises) + 3
    moments = random.sample(promises, count * 3 // 4)
    return sorted(moments + [random.uniform(begin, end) for _ in range(count // 4)])


def fail(disk: Disk, target: Path, unsynced: Unsynced, random: Random) -> None:
    """Make the data folder that a server finds after the failure, when the machine boots again."""
    shutil.rmtree(target, ignore_errors=True)
    disk.cut_power(target, unsynced, random)
    if (target / "boot.id").exists():
        (target / "boot.id").write_text("another boot\n")


def fail_often(
    life: Life, folder: Path, disk: Disk, moments: list[float], random: Random
) -> list[str]:
    """Let the power fail at each moment in three ways; return the faults."""
    faults, failed = [], folder / "failed"
    for at in moments:
        disk.run(at)
        for unsynced in Unsynced:
            fail(disk, failed, unsynced, random)
            found = find_faults(failed, life.notes, at)
            faults += [f"{at:.6f}, unsynced {unsynced.name.lower()}: {one}" for one in found]
    return faults


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with memory_folder(tmp_path_factory.mktemp("life")) as folder:
        yield lead(folder, seed=1, mails=12)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with memory_folder(tmp_path) as made:
        yield made


@pytest.mark.timeout(120)
def test_what_was_promised_is_there(life: Life, folder: Path) -> None:
    random = Random(1)
    disk = life.disk()
    assert fail_often(life, folder, disk, choose_moments(life, random, 16), random) == []
    disk.run()
    assert fail_often(life, folder, disk, [], random) == []
    real = {
        str(path.relative_to(life.data)): path.read_bytes()
        for path in life.data.rglob("*")
        if path.is_file() and "run" not in path.parts
    }
    assert disk.live() == real, "the disk of the test does not see all that is written"


@pytest.mark.slow
def test_a_disk_that_ignores_syncs_loses_mail(life: Life, folder: Path) -> None:
    random = Random(1)
    moments = choose_moments(life, random, 4)
    faults = fail_often(life, folder, life.disk(ignore_syncs=True), moments, random)
    assert any("had its 250 and is gone" in one for one in faults)


def test_a_server_starts_again(life: Life, folder: Path) -> None:
    random = Random(2)
    disk, at = life.disk(), sorted(life.notes.accepted.values())[30]
    disk.run(at)
    fail(disk, folder / "failed", Unsynced.RANDOM, random)
    certificate = life.authority.issue("mail.y.test", "127.0.0.1")
    tls = life.authority.client_context()
    accepted = {token for token, told in life.notes.accepted.items() if told <= at}
    seen = max((one.uid for one in life.notes.seen if one.at <= at), default=0)
    settings = (*_SETTINGS, f"server.data_dir={folder}/failed")
    with serving(life.made, certificate, *settings) as server:
        with smtplib.SMTP(*server.address("smtp")) as client:
            client.sendmail("a@x.test", ["b@y.test"], message("later", 300, random))
        with imaplib.IMAP4_SSL(*server.address("imaps"), ssl_context=tls) as reader:
            reader.login(server.login, server.password)
            reader.select("INBOX")
            _, parts = reader.fetch("1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    found = [part for part in parts if isinstance(part, tuple)]
    tokens = [part[1].split()[1].decode() for part in found]
    assert accepted <= set(tokens)
    assert tokens[-1] == "later"
    assert int(found[-1][0].split()[2]) > seen


def test_a_sync_ends_between_354_and_250(life: Life) -> None:
    """As strace tells it, whatever is thought of disks."""
    syncs, counted = 0, []
    begun: dict[tuple[int, str], int] = {}
    for step in read_trace(life.trace):
        if step.name in ("fsync", "fdatasync") and "store.sqlite-wal>" in step.arguments:
            syncs += step.result == 0
        elif step.name in REPLIES and step.result is None:
            connection = (step.thread, step.arguments.partition(",")[0])
            if '"354 ' in step.arguments:
                begun[connection] = syncs
            elif "queued as" in step.arguments:
                counted.append(syncs - begun[connection])
    assert len(counted) >= 30
    assert min(counted) >= 1


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10, 20))
def test_many_power_failures(seed: int, folder: Path) -> None:
    random, is_slow = Random(seed), seed % 2 == 0
    sync_ms = _SLOW_SYNC_MS if is_slow else _SYNC_MS
    life = lead(folder, seed, mails=20 if is_slow else 60, change=not is_slow, sync_ms=sync_ms)
    for names in Names:
        moments = choose_moments(life, random, 40)
        assert fail_often(life, folder, life.disk(names), moments, random) == []
