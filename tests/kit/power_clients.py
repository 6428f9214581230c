"""Clients of one account that note what the server promised them, and when."""

from __future__ import annotations

import base64
import imaplib
import re
import smtplib
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from kit.installation import Installation
from kit.strace import Step

SIZES = (300, 3000, 3000, 20_000, 50_000, 100_000, 400_000)
"""Of mails: in the commit of the event loop, of the thread, and in a file."""
STAGES = ("appended", "flagged", "moved", "expunged")
"""What ``keep_house`` does with each of its messages, one after the other."""
REPLIES = ("write", "writev", "sendto", "sendmsg")
"""System calls by which a server may answer."""
_SECONDS = 60.0
_ANSWERED = re.compile(r'"250 2\.\d\.\d [^"]*queued as (\w+)')
_SUBJECT = re.compile(rb"^Subject: (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Seen:
    """A message that a client saw: its UID may never name another one."""

    at: float
    mailbox: str
    uid_validity: int
    uid: int
    token: str
    modseq: int = 0
    """It may never stand for another change either (RFC 7162 section 3.1)."""


@dataclass(slots=True)
class Notes:
    """What all clients were told; times are seconds since 1970."""

    sent: dict[str, bytes] = field(default_factory=dict)
    """Messages by token."""
    accepted: dict[str, float] = field(default_factory=dict)
    """Tokens of mails with a 250."""
    names: dict[str, str] = field(default_factory=dict)
    """Tokens by the id that the 250 tells."""
    flagged: dict[str, float] = field(default_factory=dict)
    """Tokens of new mails that a reader flagged, with its OK."""
    seen: list[Seen] = field(default_factory=list)
    begun: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By token of ``keep_house``: when each stage was asked for."""
    done: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each stage was answered."""

    def look_at(self, step: Step) -> None:
        """Take the time of a 250 from the server, where it is in plain text."""
        if step.name in REPLIES and step.result is None:
            for name in _ANSWERED.findall(step.arguments):
                token = self.names[name]
                self.accepted[token] = min(self.accepted[token], step.at)


def message(token: str, size: int, random: Random, sender: str = "a@x.test") -> bytes:
    """Return a message that nobody needs to add anything to."""
    body = base64.encodebytes(random.randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    head = (
        f"From: <{sender}>\r\nTo: b@y.test\r\nSubject: {token}\r\n"
        f"Message-ID: <{token}@x.test>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n"
    )
    return head.encode() + body


class Clients:
    """Threads that talk to a server; ``run`` returns when the senders are ready.

    Args:
        server: with ``listen.lmtp``.
        tls: trusts it.
        seed: of sizes and contents.
        mails: of each sender.
        change: also change mail by IMAP; else only look at it. A commit that is only of new mail
            differs from others (``store.engine.writer``).
    """

    def __init__(
        self, server: Installation, tls: ssl.SSLContext, seed: int, mails: int, *, change: bool
    ) -> None:
        self.notes = Notes()
        self._server = server
        self._tls = tls
        self._seed = seed
        self._mails = mails
        self._change = change
        self._stopping = threading.Event()
        self._failed: list[BaseException] = []

    def run(self) -> Notes:
        """Send and read; raise what any of them met."""
        others = (self._submission, self._smtp) if self._change else (self._smtp, self._smtp)
        ways = (self._smtp, self._smtp, self._lmtp, *others)
        senders = [
            self._thread(partial(self._send, f"s{number}", way)) for number, way in enumerate(ways)
        ]
        readers = [self._thread(self._read), self._thread(self._read)]
        if self._change:
            readers.append(self._thread(self._keep_house))
        for thread in senders:
            thread.join()
        self._stopping.set()
        for thread in readers:
            thread.join()
        if self._failed:
            raise self._failed[0]
        return self.notes

    def _thread(self, work: Callable[[], None]) -> threading.Thread:
        def target() -> None:
            try:
                work()
            except BaseException as error:
                self._failed.append(error)
                self._stopping.set()

        thread = threading.Thread(target=target)
        thread.start()
        return thread

    # ---- senders --------------------------------------------------------------------------------

    def _smtp(self) -> smtplib.SMTP:
        return smtplib.SMTP(*self._server.address("smtp"), timeout=_SECONDS)

    def _submission(self) -> smtplib.SMTP:
        client = smtplib.SMTP(*self._server.address("submission"), timeout=_SECONDS)
        client.starttls(context=self._tls)
        client.login(self._server.login, self._server.password)
        return client

    def _lmtp(self) -> smtplib.SMTP:
        path, _ = self._server.address("lmtp")
        return smtplib.LMTP(path.removeprefix("unix:"), timeout=_SECONDS)

    def _send(self, name: str, connect: Callable[[], smtplib.SMTP]) -> None:
        random = Random(f"{self._seed} {name}")
        serial = 0
        while serial < self._mails:
            with connect() as client:
                for _ in range(random.randint(1, 8)):
                    serial += 1
                    self._send_one(client, f"{name}-{serial}", random)

    def _send_one(self, client: smtplib.SMTP, token: str, random: Random) -> None:
        sender = "b@y.test" if client.has_extn("AUTH") else "a@x.test"
        raw = self.notes.sent[token] = message(token, random.choice(SIZES), random, sender)
        client.ehlo_or_helo_if_needed()
        client.mail(sender)
        client.rcpt("b@y.test")
        code, text = client.data(raw)
        if code != 250:
            raise smtplib.SMTPDataError(code, text)
        self.notes.names[text.decode().rpartition(" ")[2]] = token
        self.notes.accepted[token] = time.time()

    # ---- readers --------------------------------------------------------------------------------

    def _imap(self) -> imaplib.IMAP4_SSL:
        address = self._server.address("imaps")
        client = imaplib.IMAP4_SSL(*address, ssl_context=self._tls, timeout=_SECONDS)
        client.login(self._server.login, self._server.password)
        return client

    def _read(self) -> None:
        """Look for new mail without a pause, and flag some of it at once."""
        with self._imap() as client:
            last = 0
            while not self._stopping.is_set():
                # It sees what nobody was told of yet; SELECT would write, and wait for the disk.
                client.select("INBOX", readonly=True)
                validity = int(client.response("UIDVALIDITY")[1][0])
                query = "(MODSEQ BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
                _, parts = client.uid("FETCH", f"{last + 1}:*", query)
                now = time.time()
                for uid, modseq, token in _subjects(parts):
                    if uid <= last:
                        continue
                    last = uid
                    self.notes.seen.append(Seen(now, "INBOX", validity, uid, token, modseq))
                    if self._change and uid % 5 == 0:
                        client.select("INBOX")
                        client.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Flagged)")
                        self.notes.flagged.setdefault(token, time.time())

    def _keep_house(self) -> None:
        """Append, flag, move and expunge messages."""
        random, serial = Random(f"{self._seed} house"), 0
        with self._imap() as client:
            client.create("Work")
            client.create("Kept")
            while not self._stopping.is_set():
                serial += 1
                token = f"h-{serial}"
                raw = self.notes.sent[token] = message(token, random.choice(SIZES), random)

                def stage(*command: str, token: str = token) -> None:
                    self.notes.begun[token].append(time.time())
                    status, data = client.uid(*command)
                    if status != "OK":
                        raise RuntimeError(f"{command}: {data}")
                    self.notes.done[token].append(time.time())

                self.notes.begun[token].append(time.time())
                _, data = client.append("Work", None, None, raw)
                now = time.time()
                self.notes.done[token].append(now)
                validity, uid = map(int, data[0].split(b"]")[0].split()[-2:])
                self.notes.seen.append(Seen(now, "Work", validity, uid, token))
                client.select("Work")
                stage("STORE", str(uid), "+FLAGS.SILENT", r"(\Flagged)")
                stage("MOVE", str(uid), "Kept")
                client.select("Kept")
                client.uid("STORE", "1:*", "+FLAGS.SILENT", r"(\Deleted)")
                stage("EXPUNGE", "1:*")


def _subjects(parts: list[object]) -> list[tuple[int, int, str]]:
    """Return UID, MODSEQ and subject of each message."""
    found = []
    for part in parts:
        if isinstance(part, tuple):
            uid = re.search(rb"UID (\d+)", part[0])
            modseq = re.search(rb"MODSEQ \((\d+)\)", part[0])
            subject = _SUBJECT.search(part[1])
            if uid and modseq and subject:
                found.append((int(uid[1]), int(modseq[1]), subject[1].decode()))
    return found
