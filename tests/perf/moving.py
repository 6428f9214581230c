"""Time and memory of imports and exports: many messages, and one of 50 MB under a limit.

``python tests/perf/moving.py [--messages 100000] [--memory 512]``

Each run is a command of its own, as an operator types it, with the address space limited
(``ulimit -v``) and its peak of resident memory told (``getrusage``).
"""

from __future__ import annotations

import argparse
import imaplib
import os
import resource
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.dovecot import NAME, PASSWORD, running_dovecot
from kit.foreign import find_program

_LINE = b"From layla@far.test Sun Sep 13 12:26:40 2020\n"
_BODY = b"A pigeon carries a letter over the hills, and another one home again.\n" * 30


def message(number: int) -> bytes:
    """Return one of about 2.3 KB, as many letters have."""
    head = (
        f"From: Layla <layla@far.test>\nTo: amal@north.test\nSubject: Letter {number}\n"
        f"Message-ID: <{number}@far.test>\nDate: Sun, 13 Sep 2020 12:26:40 +0000\n\n"
    )
    return head.encode() + _BODY


def make_sources(folder: Path, count: int) -> None:
    """Write a Maildir, an mbox file, and one of each with a message of 50 MB."""
    for name in ("many", "large"):
        for part in ("cur", "new", "tmp"):
            (folder / name / part).mkdir(parents=True)
    with (folder / "many.mbox").open("wb") as file:
        for number in range(count):
            one = message(number)
            (folder / f"many/cur/{1_600_000_000 + number}.x:2,S").write_bytes(one)
            file.write(_LINE + one + b"\n")
    with (folder / "large.mbox").open("wb") as file:
        large = message(0) + b"x" * 76 + (b"\n" + b"0123456789abcde\n" * 50_000) * 65
        (folder / "large/cur/1.x:2,").write_bytes(large)
        file.write(_LINE + large + b"\n")


def import_imap(folder: Path, config: Path, limit: int) -> tuple[float, int]:
    """Import a message of 50 MB from a Dovecot; as ``run``."""
    with running_dovecot() as server:
        context = ssl.create_default_context(cafile=str(server.ca_file))
        with imaplib.IMAP4_SSL(NAME, server.port, ssl_context=context) as client:
            client.login("large", PASSWORD)
            client.append("INBOX", "", "", (folder / "large/cur/1.x:2,").read_bytes())
        os.environ["ZAJIL_IMAP_PASSWORD"] = PASSWORD
        words = ["import", "imap", "admin", f"{NAME}:{server.port}", "--user", "large"]
        return run(config, limit, *words, "--prefix", "imap", "--ca-file", str(server.ca_file))


def run(config: Path, limit: int, *arguments: str) -> tuple[float, int]:
    """Run a command; return seconds and its peak of resident memory in bytes."""

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    command = [sys.executable, "-m", "zajil", "--config", str(config), *arguments]
    begun = time.monotonic()
    process = subprocess.Popen(command, preexec_fn=restrict, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return time.monotonic() - begun, usage.ru_maxrss * 1024


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--memory", type=int, default=512, help="MiB of address space")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_sources(folder, options.messages)
        setup = [sys.executable, "-m", "zajil", "setup", "north.test", "--dir", f"{folder}/mail"]
        subprocess.run(setup, check=True, stdout=subprocess.DEVNULL)
        config, limit = folder / "mail/zajil.toml", options.memory << 20
        print(f"{'':<28}{'seconds':>10}{'messages/s':>12}{'peak MiB':>10}")
        for title, count, *arguments in (
            ("import maildir", options.messages, "import", "maildir", "admin", f"{folder}/many"),
            ("again", options.messages, "import", "maildir", "admin", f"{folder}/many"),
            ("import mbox", options.messages, "import", "mbox", "admin", f"{folder}/many.mbox"),
            ("again", options.messages, "import", "mbox", "admin", f"{folder}/many.mbox"),
            ("export maildir", 2 * options.messages, "export", "maildir", "admin", f"{folder}/o1"),
            ("export mbox", 2 * options.messages, "export", "mbox", "admin", f"{folder}/o2"),
            ("import maildir, 50 MB", 1, "import", "maildir", "admin", f"{folder}/large"),
            ("import mbox, 50 MB", 1, "import", "mbox", "admin", f"{folder}/large.mbox"),
            ("export, 50 MB", 1, "export", "mbox", "admin", f"{folder}/o3", "--mailbox", "large"),
        ):
            seconds, peak = run(config, limit, *arguments)
            rate = f"{count / seconds:,.0f}" if count > 1 else ""
            print(f"{title:<28}{seconds:>10.1f}{rate:>12}{peak / (1 << 20):>10.0f}", flush=True)
        if find_program("dovecot") is not None:
            seconds, peak = import_imap(folder, config, limit)
            print(f"{'import imap, 50 MB':<28}{seconds:>10.1f}{'':>12}{peak / (1 << 20):>10.0f}")


if __name__ == "__main__":
    main()
