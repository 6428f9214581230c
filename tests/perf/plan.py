"""What a load generator sends, rendered once: the steps of a dialogue, and the message."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace

_LINE = b"This line is part of the body of a message for a benchmark of Zajil.\r\n"
_HEAD = """\
From: <{sender}>\r
To: <{recipient}>\r
Date: Mon, 23 Nov 2026 22:00:00 +0000\r
Subject: Benchmark message 1\r
Message-ID: <"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent, and how."""

    mails: int
    sessions: int = 20
    size: int = 5120
    """Bytes of the body; the header section comes on top."""
    per_connection: int = 1
    """Mails on one connection; 0: all that a session sends."""
    tls: str = "none"
    """``none``, ``starttls`` or ``implicit``."""
    resume: bool = False
    """Resume one TLS session, which is fetched before the clock starts."""
    tls_version: str = "1.3"
    pipeline: bool = False
    """MAIL, RCPT and DATA in one packet (RFC 2920)."""
    sender: str = "a@x.test"
    recipient: str = "b@y.test"
    accounts: int = 1
    """Mails go in turn to ``recipient`` and to ``b1@y.test`` to ``bN@y.test``, N one less."""
    auth: str = ""
    """``LOGIN:PASSWORD`` for AUTH PLAIN; empty: none."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of a run."""

    mails: int
    begin: float
    """``time.monotonic()``, the same clock for all processes of the machine."""
    end: float
    """Of the last 250."""
    cpu_us: float
    """Of the generator, for all its mails."""
    connections: int
    resumed: int
    """Connections whose TLS session was resumed."""
    milliseconds: list[float]
    """Waits for a mail at 50 %, 99 % and 100 %: from connect() or MAIL to its 250."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the client sends, and the replies that must come."""

    send: bytes
    expect: tuple[bytes, ...]
    """Codes of the replies that must come."""
    handshake: bool = False
    """Before anything is sent."""
    is_message: bool = False


QUIT = (Step(b"QUIT\r\n", (b"221",)),)


def opening(plan: Plan) -> tuple[Step, ...]:
    """Return what comes before the first mail of a connection."""
    greet = Step(b"EHLO client.x.test\r\n", (b"250",))
    steps = [Step(b"", (b"220",), handshake=plan.tls == "implicit"), greet]
    if plan.tls == "starttls":
        steps += [Step(b"STARTTLS\r\n", (b"220",)), replace(greet, handshake=True)]
    if plan.auth:
        login, _, password = plan.auth.partition(":")
        secret = b64encode(f"\0{login}\0{password}".encode())
        steps.append(Step(b"AUTH PLAIN %s\r\n" % secret, (b"235",)))
    return tuple(steps)


def mails_in_turn(plan: Plan) -> list[tuple[Step, ...]]:
    """Return a mail for each account, as ``mail_steps`` does."""
    others = [replace(plan, recipient=f"b{number}@y.test") for number in range(1, plan.accounts)]
    return [mail_steps(one) for one in (plan, *others)]


def mail_steps(plan: Plan) -> tuple[Step, ...]:
    """Return one mail; the last step is the message behind its Message-ID's first part."""
    envelope = [
        Step(f"MAIL FROM:<{plan.sender}>\r\n".encode(), (b"250",)),
        Step(f"RCPT TO:<{plan.recipient}>\r\n".encode(), (b"250",)),
        Step(b"DATA\r\n", (b"354",)),
    ]
    if plan.pipeline:
        words = b"".join(step.send for step in envelope)
        envelope = [Step(words, (b"250", b"250", b"354"))]
    text = b"@client.x.test>\r\n\r\n" + _body(plan.size)
    return (*envelope, Step(text + b".\r\n", (b"250",), is_message=True))


def message(plan: Plan) -> bytes:
    """Return a message as this generator sends it, without the dot that ends it."""
    return b"%s1.1@client.x.test>\r\n\r\n%s" % (head(plan), _body(plan.size))


def _body(size: int) -> bytes:
    lines = _LINE * (size // len(_LINE))
    return lines + b"\r\n" * ((size - len(lines)) // 2)


def head(plan: Plan) -> bytes:
    """Return the header section up to the serial number in its Message-ID."""
    return _HEAD.format(sender=plan.sender, recipient=plan.recipient).encode()
