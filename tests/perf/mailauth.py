"""What one mail costs its checks: CPU microseconds, beside other programs that do the same.

``python tests/perf/mailauth.py [--rounds 7] [--only WORD]``

Method: in each round every program does every task in turn, so that a busy machine hits all
alike; the median of the rounds counts. CPU is user and system time. Zajil and dkimpy run in this
process, from the bytes of the message to the result; keys come from memory. OpenDKIM runs as
``opendkim -t FILE,FILE,...`` with its keys in a file: many messages, less the time of a run with
one, divided by their difference; so its start does not count, reading the file does.

To add a row: a ``Task`` in ``tasks()``; ``None`` where a program has no such thing.
"""

from __future__ import annotations

import argparse
import base64
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from content_work import content_work, sample, words_work
from kit.dkim import ed25519_key, pem_of, record_of, rsa_key, sign
from kit.foreign import find_program
from sender_work import (
    seal_work,
    sealed_twice,
    sender_work,
    spf_work,
    verify_chain_with_dkimpy,
    verify_chain_work,
)
from zajil.dns.flow import Answer, Outcome
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.mailauth.dkim_key import key_name
from zajil.mailauth.dkim_sign import SigningKey
from zajil.mailauth.dkim_verify import verify_dkim
from zajil.message.fields import read_fields, split_message

dkim: Any
try:
    dkim = import_module("dkim")
except ImportError:
    dkim = None

Work = Callable[[], object]

_ROUND_SECONDS = 0.15
"""Of one program at one task, about."""
_HEADER = (
    b"Received: from a.north.test (a.north.test [192.0.2.1])\r\n\tby mx.south.test with ESMTPS"
    b" id 1;\r\n\tMon, 23 Nov 2026 19:09:22 +0000\r\nFrom: Amal <amal@north.test>\r\n"
    b"To: Noor <noor@south.test>\r\nSubject: A letter\r\nDate: Mon, 23 Nov 2026 19:09:21 +0000\r\n"
    b"Message-ID: <1@north.test>\r\nMIME-Version: 1.0\r\nUser-Agent: pigeon 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
)
_LINE = b"The quick brown fox jumps over the lazy dog, finds the way and comes home.\r\n"


@dataclass(frozen=True, slots=True)
class Task:
    """One row of the table."""

    name: str
    zajil: Work
    dkimpy: Work | None = None
    opendkim: Callable[[Path], float] | None = None
    """Gives microseconds itself; the folder is its own."""


def letter(size: int) -> bytes:
    """Make a message of about this size."""
    return _HEADER + b"\r\n" + _LINE * max(1, (size - len(_HEADER)) // len(_LINE))


def tasks() -> list[Task]:
    """Give all rows."""
    rsa, ed25519 = rsa_key(bits=2048), ed25519_key()
    now_s = int(time.time())
    found = []
    for name, key, size in (
        ("DKIM verify, RSA-2048, 5 KB", rsa, 5 * 1024),
        ("DKIM verify, Ed25519, 5 KB", ed25519, 5 * 1024),
        ("DKIM verify, RSA-2048, 1 MB", rsa, 1 << 20),
    ):
        signed = sign(letter(size), key, now_s=now_s - 1)
        theirs = verify_with_dkimpy(signed, key) if dkim else None
        opendkim = partial(verify_with_opendkim, signed, key)
        found.append(Task(name, verify_with_zajil(signed, key, now_s), theirs, opendkim))
    for name, key in (
        ("DKIM sign, RSA-2048, 5 KB", rsa),
        ("DKIM sign, Ed25519, 5 KB", ed25519),
    ):
        plain = letter(5 * 1024)
        theirs = sign_with_dkimpy(plain, key) if dkim else None
        opendkim = partial(sign_with_opendkim, plain, key)
        found.append(Task(name, partial(sign, plain, key, now_s=now_s), theirs, opendkim))
    plain = letter(5 * 1024)
    chain = sealed_twice(plain, rsa, now_s)
    theirs = verify_chain_with_dkimpy(chain, rsa) if dkim else None
    return [
        *found,
        Task(
            "ARC validate, two sets, RSA-2048, 5 KB", verify_chain_work(chain, rsa, now_s), theirs
        ),
        Task("ARC seal, RSA-2048, 5 KB", seal_work(plain, rsa, now_s)),
        Task("SPF, seven questions", spf_work()),
        Task("who sent it: SPF, two signatures, DMARC, 5 KB", sender_work(plain, now_s)),
        Task("content, plain text, 5 KB", content_work(plain)),
        Task("content, a newsletter in HTML, 3 KB", content_work(sample("ham-en-newsletter"))),
        Task("content, a letter in Arabic, 1 KB", content_work(sample("ham-ar-letter"))),
        Task("words, 5 KB in English", words_work("en", 5 * 1024)),
        Task("words, 5 KB in Arabic", words_work("ar", 5 * 1024)),
    ]


# ---- the programs -------------------------------------------------------------------------------


def verify_with_zajil(message: bytes, key: SigningKey, now_s: int) -> Work:
    """Everything from the bytes to the result."""
    record = record_of(key)

    def work() -> None:
        end, start = split_message(message)
        header = message[:end]
        fields = read_fields(header)
        digests = BodyDigests(body_needs(fields))
        digests.feed(message[start:])
        flow = verify_dkim(header, fields, digests, now_s)
        question = next(flow)
        try:
            flow.send(
                Answer(question=question, outcome=Outcome.FOUND, values=(record,), ttl_seconds=300)
            )
        except StopIteration as stop:
            if stop.value[0].result != "pass":
                raise RuntimeError(stop.value) from None

    return work


def verify_with_dkimpy(message: bytes, key: SigningKey) -> Work:
    """Its one function for it."""
    record = record_of(key).encode()

    def work() -> None:
        if not dkim.verify(message, dnsfunc=lambda name, timeout=5: record):
            raise RuntimeError("dkimpy does not verify it")

    return work


def sign_with_dkimpy(message: bytes, key: SigningKey) -> Work:
    """Its one function for it, with the same canonical form."""
    private = pem_of(key)
    if key.algorithm == "ed25519-sha256":
        private = base64.b64encode(bytes(range(32)))
    names = (key.selector.encode(), key.domain.encode(), private)
    how, algorithm = (b"relaxed", b"relaxed"), key.algorithm.encode()
    return lambda: dkim.sign(message, *names, canonicalize=how, signature_algorithm=algorithm)


def verify_with_opendkim(message: bytes, key: SigningKey, folder: Path) -> float:
    """Many messages in one process."""
    (folder / "keys").write_text(f"{key_name(key.domain, key.selector)} {record_of(key)}\n")
    return run_opendkim(folder, message, Mode="v", TestPublicKeys=str(folder / "keys"))


def sign_with_opendkim(message: bytes, key: SigningKey, folder: Path) -> float:
    """Many messages in one process."""
    (folder / "key.pem").write_bytes(pem_of(key))
    return run_opendkim(
        folder,
        message,
        Mode="s",
        Domain=key.domain,
        Selector=key.selector,
        KeyFile=str(folder / "key.pem"),
        SignatureAlgorithm=key.algorithm,
        Canonicalization="relaxed/relaxed",
    )


def run_opendkim(folder: Path, message: bytes, **settings: str) -> float:
    """Give the microseconds of CPU for one more message."""
    lines = {"Syslog": "no", "RequireSafeKeys": "no", **settings}
    (folder / "conf").write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    (folder / "m").write_bytes(message)
    many = 20 if len(message) > 100_000 else 200
    seconds = [_opendkim_seconds(folder, count) for count in (1, many + 1)]
    return (seconds[1] - seconds[0]) / many * 1e6


def _opendkim_seconds(folder: Path, count: int) -> float:
    command = [str(find_program("opendkim")), "-x", "conf", "-t", ",".join(["m"] * count)]
    before = _children_seconds()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return _children_seconds() - before


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# ---- measuring ----------------------------------------------------------------------------------


def repeats_for(work: Work) -> int:
    """Say how often a piece of work fits into one round; runs it some times, to warm up."""
    for _ in range(3):
        work()
    begun = time.process_time()
    work()
    return max(3, int(_ROUND_SECONDS / max(time.process_time() - begun, 1e-6)))


def microseconds(work: Work, repeats: int) -> float:
    """Give the CPU time of one run."""
    begun = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - begun) / repeats * 1e6


def measure(rows: Sequence[Task], rounds: int) -> dict[str, list[float | None]]:
    """Give the medians of each row: Zajil, dkimpy, OpenDKIM."""
    has_opendkim = find_program("opendkim") is not None
    repeats = {
        (task.name, number): repeats_for(work)
        for task in rows
        for number, work in enumerate((task.zajil, task.dkimpy))
        if work is not None
    }
    times: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for task in rows:
                for number, work in enumerate((task.zajil, task.dkimpy)):
                    if work is not None:
                        name = (task.name, number)
                        times.setdefault(name, []).append(microseconds(work, repeats[name]))
                if task.opendkim is not None and has_opendkim:
                    times.setdefault((task.name, 2), []).append(task.opendkim(Path(folder)))
    return {
        task.name: [
            statistics.median(times[task.name, number]) if (task.name, number) in times else None
            for number in range(3)
        ]
        for task in rows
    }


def print_table(found: dict[str, list[float | None]]) -> None:
    """Print Markdown: microseconds, and how many times ours each other takes."""
    print("| CPU microseconds for one mail | Zajil | dkimpy | ratio | OpenDKIM | ratio |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, (ours, *others) in found.items():
        if ours is None:
            continue
        cells = [name, f"{ours:.0f}"]
        for other in others:
            cells += ["", ""] if other is None else [f"{other:.0f}", f"{other / ours:.1f}"]
        print(f"| {' | '.join(cells)} |")


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="rows with this word in their name")
    arguments = parser.parse_args()
    rows = [task for task in tasks() if arguments.only in task.name]
    print_table(measure(rows, arguments.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
