"""A dialogue with an SMTP session without sockets: engine and session, real store beneath."""

from __future__ import annotations

import os
from base64 import b64encode
from inspect import isawaitable
from typing import Any

from kit.checks import make_checks
from zajil.accept.context import AcceptanceContext
from zajil.app.listeners import acceptance_policy
from zajil.config.options import LimitOptions
from zajil.config.options_users import SubmitOptions
from zajil.core.line_engine import Wait
from zajil.core.service import Service
from zajil.login.service import LoginService
from zajil.net.peer import Peer
from zajil.net.system import SystemClock
from zajil.receive.lmtp_session import LmtpSession
from zajil.receive.patience import SlowAnswers
from zajil.receive.session import SmtpSession
from zajil.smtp.command import BodyChunk
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply, ReplyEach
from zajil.smtp.server import ServerConnection
from zajil.store.engine.open import Store
from zajil.submit.session import SubmitSession

PEER = Peer("192.0.2.1", 4711, "192.0.2.25:25")
HOSTNAME = "mx.south.test"


class NoConnection:
    """Stands where a session has its connection; nothing is called on it."""

    async def flush(self) -> None:
        """There is nothing to wait for."""

    def wake(self) -> None:
        """The next command comes anyway."""


class Talk:
    """One connection; ``say`` gives what was answered."""

    def __init__(self, conn: ServerConnection, session: SmtpSession) -> None:
        self.conn = conn
        self.session = session
        self.conn.data_to_send()

    async def say(self, *lines: str | bytes) -> str:
        """Send lines in one packet; give the last line that was answered."""
        replies = await self.say_all(*lines)
        return replies[-1] if replies else ""

    async def say_all(self, *lines: str | bytes) -> list[str]:
        """Send lines in one packet; give every line that was answered."""
        data = b"".join([line.encode() if isinstance(line, str) else line for line in lines])
        self.conn.receive_data(data if data.endswith(b"\r\n") else data + b"\r\n")
        while not isinstance(event := self.conn.next_event(), Wait):
            if isinstance(event, BodyChunk):
                taken = self.session.take_body(event.data)
                if taken is not None:
                    await taken
                continue
            answer = self.session.answer(event)
            reply = await answer if isawaitable(answer) else answer
            assert reply is not None
            if isinstance(reply, ReplyEach):
                self.conn.reply_each(reply.replies)
            else:
                self.conn.reply(reply)
        return self.conn.data_to_send().decode().splitlines()

    async def send(
        self,
        sender: str,
        recipients: list[str],
        message: str | bytes,
        *,
        parameters: str = " SMTPUTF8",
    ) -> str:
        """Hand a whole mail in; give the answer to its end.

        ``parameters`` of MAIL begin with a space.
        """
        data = message.encode() if isinstance(message, str) else message
        if not data.endswith(b"\r\n"):
            data += b"\r\n"
        await self.say(f"MAIL FROM:<{sender}>{parameters}")
        for recipient in recipients:
            await self.say(f"RCPT TO:<{recipient}>")
        await self.say("DATA")
        return await self.say(data + b".\r\n")

    async def log_in(self, login: str, password: str) -> str:
        """AUTH PLAIN with an initial response."""
        secret = b64encode(f"\0{login}\0{password}".encode()).decode()
        return await self.say(f"AUTH PLAIN {secret}")


NO_LIMITS = SubmitOptions(
    recipients_per_mail=0,
    recipients_per_minute=0,
    recipients_per_day=0,
    strangers_per_hour=0,
    strangers_per_day=0,
)
"""What an account may send in tests that are not about limits."""


def acceptance_context(
    store: Store,
    limits: LimitOptions | None = None,
    service: Service = Service.SMTP,
    submit: SubmitOptions = NO_LIMITS,
    **more: Any,
) -> AcceptanceContext:
    """Make what all mails of a service share; ``more`` are fields of ``AcceptanceContext``."""
    limits = limits or LimitOptions()
    usual = {
        "clock": SystemClock(),
        "random": os.urandom,
        "limits": limits,
        "hostname": HOSTNAME,
        "lifetime_ms": 432_000_000,
        "checks": make_checks(),
        "policy": acceptance_policy(service, limits, submit),
    }
    return AcceptanceContext(store=store, **{**usual, **more})


async def talk_to_receiver(
    store: Store,
    limits: LimitOptions | None = None,
    offer: Capabilities | None = None,
    slow: SlowAnswers | None = None,
    **more: Any,
) -> Talk:
    """Connect to port 25 and say EHLO."""
    context = acceptance_context(store, limits, **more)
    await store.directory.load()
    offer = offer or Capabilities(hostname=HOSTNAME, max_message_size=context.limits.message_size)
    conn = ServerConnection(offer, Reply(220, (HOSTNAME,)), max_errors=100)
    talk = Talk(conn, SmtpSession(context, slow or SlowAnswers(), PEER, conn, NoConnection()))
    await talk.say("EHLO mx.north.test")
    return talk


async def talk_to_lmtp(
    store: Store, limits: LimitOptions | None = None, *, dsn: bool = False, **more: Any
) -> Talk:
    """Connect to the LMTP socket and say LHLO."""
    context = acceptance_context(store, limits, Service.LMTP, **more)
    await store.directory.load()
    offer = Capabilities(
        hostname=HOSTNAME, max_message_size=context.limits.message_size, lmtp=True, dsn=dsn
    )
    conn = ServerConnection(offer, Reply(220, (HOSTNAME,)), max_errors=100)
    talk = Talk(conn, LmtpSession(context, SlowAnswers(), PEER, conn, NoConnection()))
    await talk.say("LHLO front.south.test")
    return talk


async def talk_to_submission(
    store: Store,
    login: LoginService,
    *,
    encrypted: bool = True,
    offer: Capabilities | None = None,
    slow: SlowAnswers | None = None,
    **more: Any,
) -> Talk:
    """Connect to port 587, after STARTTLS if ``encrypted``, and say EHLO."""
    context = acceptance_context(store, service=Service.SUBMISSION, **more)
    await store.directory.load()
    conn = ServerConnection(
        offer
        or Capabilities(
            hostname=HOSTNAME,
            max_message_size=1 << 20,
            starttls=True,
            auth_mechanisms=login.mechanisms,
        ),
        Reply(220, (HOSTNAME,)),
        max_errors=100,
    )
    session = SubmitSession(context, slow or SlowAnswers(), login, PEER, conn, NoConnection())
    talk = Talk(conn, session)
    if encrypted:
        conn.tls_established()
        session.tls_started("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    await talk.say("EHLO laptop.test")
    return talk
