"""Whatever a peer says, in whatever order: a session answers, and keeps its promises.

The engine alone, cut anywhere: ``tests/smtp/test_server.py``. Here its sessions are on top of it,
with a store beneath: of submission, of port 25, of LMTP.
"""

from __future__ import annotations

import asyncio
import random
from base64 import b64encode
from functools import partial

import pytest

from kit.login import HASHER, open_desk
from kit.store import make_account, running
from kit.talk import (
    HOSTNAME,
    Talk,
    talk_to_lmtp,
    talk_to_receiver,
    talk_to_submission,
)
from zajil.core.ids import MailId
from zajil.login.service import LoginService
from zajil.net.system import SystemClock
from zajil.receive.patience import SlowAnswers
from zajil.smtp.extensions import Capabilities
from zajil.smtp.state import SmtpState
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import load_journey

SECRET = b64encode(b"\0amal\0own password").decode()
LOG_IN = f"AUTH PLAIN {SECRET}"
MESSAGE = "From: amal@south.test\r\n\r\nhello\r\n."
IN_ORDER = [
    *("EHLO c.test", LOG_IN, "MAIL FROM:<amal@south.test>", "RCPT TO:<noor@south.test>"),
    *("DATA", MESSAGE, "BDAT 7\r\nA: b\r\n\r", "BDAT 1 LAST\r\n\n"),
]
ODD = [
    *("HELO c.test", "LHLO c.test", "RSET", "NOOP", "VRFY x", "EXPN x", "HELP", "STARTTLS", "QUIT"),
    *("MAIL FROM:<>", "MAIL FROM:<noor@south.test>", "MAIL FROM:<a@b", "MAIL FROM:<\0@b.test>"),
    "MAIL FROM:<amal@south.test> SIZE=10 SMTPUTF8 RET=FULL ENVID=x HOLDFOR=5",
    "MAIL FROM:<سلمى@south.test> SMTPUTF8",
    "RCPT TO:<noor+tag@south.test> NOTIFY=SUCCESS",
    "RCPT TO:<x@west.test> NOTIFY=NEVER ORCPT=utf-8;س@x.test",
    *("RCPT TO:<nobody@south.test>", "RCPT TO:<Postmaster>", "RCPT TO:<سلمى@south.test>"),
    *("", ".", "..", "hello", "*", "=", SECRET, "\ufeff", "\x80"),
    *("BDAT 5\r\nhello", "BDAT 0", "BDAT 0 LAST", "BDAT 9999999999 LAST", "BDAT x"),
    *("AUTH PLAIN", "AUTH LOGIN", "AUTH LOGIN =", "AUTH PLAIN AAAA", "AUTH SCRAM-SHA-256"),
    f"AUTH SCRAM-SHA-256 {b64encode(b'n,,n=amal,r=abc').decode()}",
    *("XCLIENT ADDR=192.0.2.9 LOGIN=amal", "XCLIENT NAME=x.test", "XCLIENT LOGIN=nobody"),
]
DIALOGUES = 150


@pytest.fixture
def store_url() -> str:
    """Which database it is plays no part here."""
    return "sqlite"


def make_dialogue(chance: random.Random) -> list[bytes]:
    """Make packets of lines, often in a good order, and odd ones between."""
    lines: list[str] = []
    while len(lines) < chance.randrange(5, 40):
        lines += IN_ORDER[: chance.randrange(len(IN_ORDER) + 1)] if chance.random() < 0.3 else []
        lines.append(chance.choice(ODD))
    packets = []
    while lines:
        count = chance.choice([1, 1, 2, 5])
        packets.append("".join(f"{line}\r\n" for line in lines[:count]).encode())
        lines = lines[count:]
    return packets


async def hold(talk: Talk, packets: list[bytes]) -> list[str]:
    """Say it all; give every line that was answered."""
    heard: list[str] = []
    for packet in packets:
        heard += await talk.say_all(packet)
        if talk.conn.state is SmtpState.TLS:
            if talk.conn.pending_size():
                break  # the driver hangs up
            talk.conn.tls_established()
            talk.session.tls_started("TLSv1.3", "a cipher")
        if talk.conn.state is SmtpState.CLOSED:
            break
    talk.session.closed("peer closed")
    return heard


async def at_once(seconds: float) -> None:
    """Hold no answer back."""


async def connect(service: str, store: Store, login: LoginService, encrypted: bool) -> Talk:
    """Begin a session with everything on offer."""
    if service == "lmtp":
        return await talk_to_lmtp(store)
    offer = Capabilities(
        hostname=HOSTNAME,
        max_message_size=1 << 16,
        starttls=True,
        chunking=True,
        dsn=True,
        xclient=True,
        auth_mechanisms=login.mechanisms if service == "submission" else (),
        max_hold_seconds=100,
        clock=SystemClock(),
    )
    slow = SlowAnswers(sleep=at_once)
    if service == "smtp":
        return await talk_to_receiver(store, offer=offer, slow=slow)
    return await talk_to_submission(store, login, encrypted=encrypted, offer=offer, slow=slow)


@pytest.mark.parametrize("service", ["submission", "smtp", "lmtp"])
def test_no_dialogue_breaks_a_session_or_a_promise(store: Store, service: str) -> None:
    """Nothing raises, 250 names a mail that is there, and no mail begins without a log-in."""
    make_account(store, "amal@south.test", password_hash=HASHER.hash("own password"))
    make_account(store, "noor@south.test")
    taken: set[str] = set()

    async def run() -> None:
        async with running(store):
            login = open_desk(store).login
            for seed in range(DIALOGUES):
                chance = random.Random(f"{service} {seed}")
                talk = await connect(service, store, login, chance.random() < 0.8)
                packets = make_dialogue(chance)
                heard = await hold(talk, packets)
                taken.update(line.split()[-1] for line in heard if " queued as " in line)
                if service == "submission":
                    vouched = any(b"XCLIENT ADDR" in packet for packet in packets)
                    known = vouched or any(line.startswith("235 ") for line in heard)
                    assert known or not any(line.startswith("250 2.1.") for line in heard), packets
            for mail_id in map(MailId, taken):
                assert await store.read(partial(load_journey, mail_id=mail_id)) is not None

    asyncio.run(run())
    assert len(taken) > 10
