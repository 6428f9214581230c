"""How much memory one mail of 50 MB takes: DATA and BDAT on port 25, DATA on submission.

``python tests/perf/large_mail.py [--bytes 50000000] [--s3]``

One worker. Its peak of resident memory (VmHWM of proc(5)) is reset before each mail; what is told
is how far it rose above what was resident before, after some smaller mails had warmed it up. Beside
it: the same without pages of files, which the kernel can take away, as far as looks every two
milliseconds have seen it.
With ``--s3`` the message goes to an S3 server (moto, in this process) instead of a file, and is
encrypted there.
"""

from __future__ import annotations

import argparse
import base64
import os
import smtplib
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.certificates import TestAuthority
from kit.installation import Installation
from kit.load import descendants
from kit.s3 import moto_server
from peers import Place, installation
from zajil.store.blobs.keys import KEY_BYTES

_HEAD = b"From: <b@y.test>\r\nTo: <b@y.test>\r\nSubject: A heavy letter\r\n\r\n"
_LINES = b"A pigeon carries a letter over the hills, and another one home again.\r\n" * 900
_LOOK_SECONDS = 0.002
_QUIET_SECONDS = 5.0
"""For the indexer, which reads what came before."""
_WAYS = ("DATA on port 25", "BDAT on port 25", "DATA on submission")


def send(ours: Installation, way: str, size: int) -> str:
    """Send one mail; give what was answered to its end."""
    service = "submission" if "submission" in way else "smtp"
    with closing(smtplib.SMTP(*ours.address(service), "client.x.test", timeout=60)) as client:
        client.ehlo()
        if service == "submission":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client.starttls(context=context)
            client.login(ours.login, ours.password)
        client.docmd("MAIL FROM:<b@y.test>")
        client.docmd("RCPT TO:<b@y.test>")
        return _send_chunks(client, size) if "BDAT" in way else _send_data(client, size)


def _send_data(client: smtplib.SMTP, size: int) -> str:
    sock = client.sock
    if client.docmd("DATA")[0] != 354 or sock is None:
        return "DATA was refused"
    sock.sendall(_HEAD)
    for _ in range(size // len(_LINES)):
        sock.sendall(_LINES)
    sock.sendall(b".\r\n")
    code, text = client.getreply()
    return f"{code} {text.decode()}"


def _send_chunks(client: smtplib.SMTP, size: int) -> str:
    if not client.has_extn("chunking") or client.sock is None:
        return "CHUNKING is not offered"
    chunk = _LINES * 16
    sent, code, text = 0, 0, b""
    while sent < size:
        data = chunk if sent else _HEAD + chunk
        sent += len(data)
        client.sock.sendall(b"BDAT %d%s\r\n" % (len(data), b"" if sent < size else b" LAST"))
        client.sock.sendall(data)
        code, text = client.getreply()
        if code != 250:
            break
    return f"{code} {text.decode()}"


def resident(pid: int, name: str = "VmRSS") -> int:
    """Give the resident memory of a process, or its peak (``VmHWM``), in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise RuntimeError(f"process {pid} is gone")


def measure(ours: Installation, way: str, size: int) -> None:
    """Send the mail, and print what it took."""
    send(ours, way, 1_000_000)
    time.sleep(_QUIET_SECONDS)
    pids = descendants([ours.pid])
    before = {pid: resident(pid) for pid in pids}
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    with _watching(pids) as highest:
        answer = send(ours, way, size)
    growth = sum(max(0, resident(pid, "VmHWM") - before[pid]) for pid in pids)
    own = sum(most - least for most, least in highest.values())
    print(
        f"| {way} | {size / 1e6:.0f} MB | {growth / 1024:.1f} MiB | {own / 1024:.1f} MiB"
        f" | {answer[:20]} |",
        flush=True,
    )


@contextmanager
def _watching(pids: list[int]) -> Iterator[dict[int, tuple[int, int]]]:
    """Look at the memory that is no page of a file; give the most, and that of the first look."""
    found: dict[int, tuple[int, int]] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            for pid in pids:
                now = resident(pid, "RssAnon")
                most, first = found.get(pid, (now, now))
                found[pid] = max(most, now), first

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


@contextmanager
def _in_s3(folder: Path) -> Iterator[tuple[str, ...]]:
    """Run an S3 server; give options with which large messages are kept there, encrypted."""
    key_file = folder / "store.key"
    key_file.touch(0o600)
    key_file.write_text(base64.b64encode(os.urandom(KEY_BYTES)).decode())
    with moto_server() as s3:
        yield (
            f"store.blobs={s3.new_place()}",
            f"store.key_file={key_file}",
            *(
                f"store.s3.{name}={getattr(s3, name)}"
                for name in ("endpoint", "region", "access_key", "secret_key")
            ),
        )


def main() -> int:
    """Measure every way in; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--bytes", type=int, default=50_000_000)
    parser.add_argument("--dir", type=Path, help="on the disk that is meant; default: temporary")
    parser.add_argument("--s3", action="store_true", help="large messages are kept in S3")
    arguments = parser.parse_args()
    print("| way | size | peak growth | without pages of files | answer |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="zajil-large-", dir=arguments.dir) as name:
        folder = Path(name)
        tls = TestAuthority(folder).issue("mx.y.test")
        with ExitStack() as stack:
            settings = stack.enter_context(_in_s3(folder)) if arguments.s3 else ()
            place = Place(folder / "zajil", tls, settings=settings)
            ours = stack.enter_context(installation(place, workers=1))
            for way in _WAYS:
                measure(ours, way, arguments.bytes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
