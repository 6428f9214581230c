"""What one client that reads everything costs the others, and how much memory it takes.

``python tests/perf/reading_load.py [--gigabytes 5] [--seconds 10]``

One worker. A mailbox of so many gigabytes is made by COPY of a message of 50 MB and one of 100 KB,
half of its bytes each; copies share their bytes on disk. A client fetches all of it (``BODY[]``),
as fast as it can take it, while another sends NOOP without a pause. Printed are the waits of the
NOOPs and the largest memory of the worker; the client runs in a process of its own. Its log-in does
not count: argon2id takes 64 MiB on purpose.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from multiprocessing.synchronize import Event
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.certificates import TestAuthority
from kit.installation import serving, set_up
from kit.load import descendants
from raw_client import RawImap, insecure_context
from report import machine_lines

_LARGE = 49_000_000
_SMALL = 100_000
_LINE = b"A line of seventy-two characters, as mail has them, and its end is here.\r\n"


def _message(size: int) -> bytes:
    head = b"From: a@x.test\r\nSubject: test\r\nContent-Type: text/plain\r\n\r\n"
    return head + _LINE * ((size - len(head)) // len(_LINE))


def _fill(imap: RawImap, size: int, total: int) -> None:
    """Put copies of one message into INBOX until they have so many bytes."""
    data = _message(size)
    imap.send(b"a APPEND INBOX {%d+}\r\n" % len(data))
    imap.send(data + b"\r\n")
    said = imap.finish(b"a")
    uid = int(said.rpartition(b"APPENDUID ")[2].split()[1].rstrip(b"]"))
    imap.command(b"SELECT INBOX")
    count = 1
    while count * len(data) < total:
        more = min(count, -(-(total - count * len(data)) // len(data)))
        imap.command(b"UID COPY %d:%d INBOX" % (uid, uid + more - 1))
        count += more


def _read_all(port: int, login: str, password: str, is_ready: Event, begin: Event) -> None:
    imap = RawImap(port, insecure_context())
    imap.log_in(login, password)
    imap.command(b"SELECT INBOX")
    is_ready.set()
    begin.wait()
    imap.send(b"zqf FETCH 1:* (BODY.PEEK[])\r\n")
    tail = b""
    while b"zqf OK" not in tail:
        piece = imap.sock.recv(262_144)
        if not piece:
            raise RuntimeError("the server closed the connection")
        tail = tail[-100:] + piece[-100:]


def _peak(pid: int) -> int:
    """Return the largest resident memory of a process so far, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("no VmHWM")


def main() -> int:
    """Fill, read, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--gigabytes", type=float, default=5.0)
    arguments = parser.parse_args()
    total = int(arguments.gigabytes * 1e9)
    with tempfile.TemporaryDirectory(prefix="reading-", dir="/var/tmp") as name:
        folder = Path(name)
        (folder / "tls").mkdir()
        tls = TestAuthority(folder / "tls").issue("mx.y.test")
        with serving(set_up(folder / "zajil"), tls, workers=1) as ours:
            port = ours.address("imaps")[1]
            imap = RawImap(port, insecure_context())
            imap.log_in(ours.login, ours.password)
            _fill(imap, _LARGE, total // 2)
            _fill(imap, _SMALL, total // 2)
            workers = descendants([ours.pid])
            filled = {pid: _peak(pid) for pid in workers}
            spawn = multiprocessing.get_context("spawn")
            is_ready, begin_reading = spawn.Event(), spawn.Event()
            reader = spawn.Process(
                target=_read_all,
                args=(port, ours.login, ours.password, is_ready, begin_reading),
            )
            reader.start()
            if not is_ready.wait(60):
                raise RuntimeError("the reader did not log in")
            for pid in workers:
                Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew (proc(5))
            before = {pid: _peak(pid) for pid in workers}
            began = time.monotonic()
            begin_reading.set()
            waits = []
            while reader.is_alive():
                begin = time.perf_counter()
                imap.command(b"NOOP")
                waits.append(time.perf_counter() - begin)
                time.sleep(0.005)
            seconds = time.monotonic() - began
            reader.join()
            if reader.exitcode:
                raise RuntimeError("the reader failed")
            peaks = [(filled[pid], before[pid], _peak(pid)) for pid in workers]
    waits.sort()
    print("\n".join(machine_lines()))
    print(f"{total / 1e9:.1f} GB in {seconds:.0f} s, {total / 1e6 / seconds:.0f} MB/s")
    at = [waits[len(waits) * share // 1000] * 1000 for share in (500, 990, 999)]
    print(
        f"NOOP: {len(waits)} times, ms at 50 / 99 / 99.9 / 100 %: "
        f"{at[0]:.1f} / {at[1]:.1f} / {at[2]:.1f} / {waits[-1] * 1000:.1f}"
    )
    for filled_kib, before_kib, peak_kib in peaks:
        sizes = [kib // 1024 for kib in (filled_kib, before_kib, peak_kib)]
        print("resident MiB: {} at most while it was filled, {} then, {} at most".format(*sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
