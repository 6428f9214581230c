"""Imports that are killed, and that meet a full disk: nothing twice, nothing missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kit.moving import crlf, held, letter, make_maildir, move_in
from kit.store import make_account, open_test_store
from zajil.operations.moving.maildir import MaildirSource
from zajil.operations.moving.mbox import MboxSource
from zajil.store.engine.open import Store

CHILD = """
import os, signal, sys
from pathlib import Path
from kit.moving import move_in
from kit.store import open_test_store
from zajil.operations.moving import filing
from zajil.operations.moving.maildir import MaildirSource
from zajil.operations.moving.mbox import MboxSource

real, calls, moment, kind = filing.import_messages, 0, sys.argv[3], sys.argv[4]

def unit(tx, items):
    global calls
    calls += 1
    if calls == 2 and moment == "before the commit":
        real(tx, items)
        os.kill(os.getpid(), signal.SIGKILL)
    if calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(tx, items)

filing.import_messages = unit
source = {"maildir": MaildirSource, "mbox": MboxSource}[kind](Path(sys.argv[2]))
move_in(open_test_store("sqlite", Path(sys.argv[1])), source)
"""


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_kill_9(tmp_path: Path, moment: str, kind: str) -> None:
    """The next run brings the rest: each message once, large ones, in files, too."""
    large = b"Subject: large\n\n" + b"0123456789abcde\n" * 20_000
    messages = [letter(n) if n % 150 else large + b"%d\n" % n for n in range(700)]
    if kind == "maildir":
        path = make_maildir(
            tmp_path / "m", {".": {f"{n:04}.h:2,": one for n, one in enumerate(messages)}}
        )
    else:
        path = tmp_path / "INBOX"
        line = b"From a@b.test Sun Sep 13 12:26:40 2020\n"
        path.write_bytes(b"".join(line + one + b"\n" for one in messages))
    store = open_test_store("sqlite", tmp_path / "data")
    make_account(store, "amal@north.test")
    store.close_now()
    command = [sys.executable, "-c", CHILD, str(tmp_path / "data"), str(path), moment, kind]
    assert subprocess.run(command, timeout=60).returncode == -9
    store = open_test_store("sqlite", tmp_path / "data")
    there = len(held(store).get("INBOX", []))
    source = MaildirSource(path) if kind == "maildir" else MboxSource(path)
    report = move_in(store, source)
    assert 0 < there == report.known < 700
    assert report.moved == 700 - there
    assert [one[0] for one in held(store)["INBOX"]] == list(map(crlf, messages))
    store.sweep(age_ms=-1000)
    assert [one[0] for one in held(store)["INBOX"]] == list(map(crlf, messages))
    files = [path for path in (tmp_path / "data/blobs").rglob("*") if path.is_file()]
    assert len(files) == 5  # those of the large messages
    store.close_now()


@contextmanager
def closing_now(store: Store) -> Iterator[Store]:
    try:
        yield store
    finally:
        store.close_now()


@pytest.mark.slow
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """The run says so and ends; with more space, the next one brings the rest."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20M", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this test needs to mount a file system")
    try:
        body = "0123456789abcde\n" * 4000
        files = {f"{n:04}.h:2,": letter(n, body=body * (1 + 9 * (n % 40 == 7))) for n in range(300)}
        root = make_maildir(tmp_path / "m", {".": files})
        with closing_now(open_test_store("sqlite", disk / "data")) as store:
            make_account(store, "amal@north.test")
            report = move_in(store, MaildirSource(root))
            assert "full" in report.stopped or "No space" in report.stopped
            assert 0 < report.moved < 300
            subprocess.run(["mount", "-o", "remount,size=200M", str(disk)], check=True)
            again = move_in(store, MaildirSource(root))
            assert (again.moved, again.known) == (300 - report.moved, report.moved)
            assert [one[0] for one in held(store)["INBOX"]] == list(map(crlf, files.values()))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
