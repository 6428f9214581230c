"""Receive and send messages by SMTP in a few lines, for programs that use Zajil as a library.

``docs/library.md`` shows both. What these functions do not offer (AUTH, DSN, a reply for each
recipient) needs a session of its own for ``smtp_service``, or ``smtp.client`` over ``stream``.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from copy import copy
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path

from zajil.core.address import Address, parse_address
from zajil.core.errors import Refused
from zajil.net.line_protocol import Connection
from zajil.net.listener import bind
from zajil.net.peer import Peer, join_host_port
from zajil.net.smtp_service import SmtpLimits, smtp_service
from zajil.net.stream import Stream, connect
from zajil.smtp.client import ClientConnection
from zajil.smtp.codes import Code, EnhancedStatus
from zajil.smtp.command import (
    Bdat,
    BodyChunk,
    BodyEnd,
    Data,
    Ehlo,
    Event,
    Helo,
    Help,
    Lhlo,
    Mail,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply
from zajil.smtp.reply_reader import BadReply
from zajil.smtp.server import ServerConnection
from zajil.tls.keeper import TlsKeeper

_OK = Reply(Code.OK, (f"{EnhancedStatus.OK} ok",))
_REPLIES: dict[type[Event], Reply] = {
    Data: Reply(Code.START_BODY, ("end with <CR><LF>.<CR><LF>",)),
    Vrfy: Reply(252, ("2.1.5 cannot verify, but will try to deliver",)),
    Help: Reply(214, ("2.0.0 see RFC 5321",)),
    StartTls: Reply(220, ("2.0.0 ready to start TLS",)),
    Quit: Reply(221, ("2.0.0 bye",)),
}


# ---- receiving ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """One message, with its envelope."""

    peer: Peer
    client_name: str
    """Of EHLO or HELO; not verified."""
    tls: str | None
    """Version and cipher; ``None``: the connection is not encrypted."""
    reverse_path: Address | None
    """``None``: the null path of a bounce."""
    recipients: tuple[Address, ...]
    content: bytes
    """Header section and body, lines end with CRLF."""


Handle = Callable[[ReceivedMessage], Awaitable[Reply | None]]
"""Takes a message, and returns only when it is safe: 250 takes responsibility for it (RFC 5321
section 6.1). ``None`` is 250; an exception is 421, and the peer will try again."""
AcceptRecipient = Callable[[Address], Awaitable[Reply | None]]
"""Returns why a recipient is refused, 450 or 550; ``None``: it is accepted."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running server."""

    host: str
    port: int


@asynccontextmanager
async def serve_smtp(
    handle: Handle,
    host: str,
    port: int,
    *,
    hostname: str = "localhost",
    accept_recipient: AcceptRecipient | None = None,
    certificate: tuple[Path, Path] | None = None,
    max_message_size: int = 26_214_400,
    limits: SmtpLimits | None = None,
    drain_seconds: float = 5.0,
) -> AsyncIterator[Receiver]:
    """Serve SMTP until the block ends; then messages in flight may finish for ``drain_seconds``.

    Args:
        handle: called with each message.
        host: address to listen on.
        port: 0: a free one, which is in the ``Receiver``.
        hostname: of this server, for greeting and EHLO.
        certificate: files of certificate and key; with them STARTTLS is offered.
        max_message_size: octets; a message is kept in memory.

    Raises:
        BindFailed: nothing can listen there.
        BadCertificate: it cannot be loaded.
    """
    keeper = None if certificate is None else TlsKeeper([certificate])
    offer = Capabilities(
        hostname=hostname,
        max_message_size=max_message_size,
        starttls=keeper is not None,
        chunking=True,
    )

    def make_session(peer: Peer, engine: ServerConnection, _: Connection) -> _ReceiverSession:
        return _ReceiverSession(handle, accept_recipient, peer)

    service = smtp_service(make_session, offer, tls=keeper, limits=limits)
    sock = bind(join_host_port(host, port))
    address = sock.getsockname()
    await service.serve(sock)
    try:
        yield Receiver(address[0], address[1])
    finally:
        await service.drain(drain_seconds)


class _ReceiverSession:
    """Accepts what ``handle`` accepts."""

    def __init__(self, handle: Handle, accept: AcceptRecipient | None, peer: Peer) -> None:
        self._handle = handle
        self._accept = accept
        self._peer = peer
        self._client_name = ""
        self._tls: str | None = None
        self._reverse_path: Address | None = None
        self._recipients: list[Address] = []
        self._content: list[bytes] = []

    def answer(self, event: Event) -> Reply | Awaitable[Reply] | None:
        """See ``line_protocol.Session``."""
        match event:
            case BodyChunk(data):
                self._content.append(data)
                return None
            case BodyEnd():
                return self._take(event)
            case Bdat(defect=str(defect)):
                return _refusal(defect)
            case Rcpt():
                return self._take_recipient(event.forward_path)
            case Mail():
                self._reset()
                self._reverse_path = event.reverse_path
            case Ehlo() | Helo() | Lhlo():
                self._reset()
                self._client_name = event.client_name
            case Rset():
                self._reset()
        return _REPLIES.get(type(event), _OK)

    def news(self) -> None:
        """See ``line_protocol.Session``."""

    def tls_started(self, version: str, cipher: str) -> None:
        """Forget what was said in the clear (RFC 3207 section 4.2)."""
        self._reset()
        self._client_name, self._tls = "", f"{version} {cipher}"

    def closed(self, reason: str) -> None:
        """Drop an unfinished message."""
        self._reset()

    def _reset(self) -> None:
        self._reverse_path, self._recipients, self._content = None, [], []

    async def _take_recipient(self, recipient: Address) -> Reply:
        refusal = None if self._accept is None else await self._accept(recipient)
        if refusal is None:
            self._recipients.append(recipient)
        return refusal or _OK

    async def _take(self, end: BodyEnd) -> Reply:
        message = ReceivedMessage(
            peer=self._peer,
            client_name=self._client_name,
            tls=self._tls,
            reverse_path=self._reverse_path,
            recipients=tuple(self._recipients),
            content=b"".join(self._content),
        )
        self._reset()
        return _refusal(end.defect) if end.defect else await self._handle(message) or _OK


def _refusal(defect: str) -> Reply:
    if defect == "size":
        return Reply(Code.TOO_BIG, (f"{EnhancedStatus.MESSAGE_TOO_BIG} message too big",))
    return Reply(550, (f"{EnhancedStatus.BAD_CONTENT} {defect} in the message",))


# ---- sending -----------------------------------------------------------------------------------


class SendingRefused(Refused):
    """The server refused the message for all recipients; ``reply`` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


async def send_message(
    host: str,
    port: int,
    sender: str,
    recipients: Sequence[str],
    message: EmailMessage | bytes,
    *,
    client_name: str = "localhost",
    tls: ssl.SSLContext | None = None,
    timeout: float = 60.0,
) -> dict[str, Reply]:
    """Send one message to one server.

    Args:
        host: its name or address; its certificate must show it.
        sender: the reverse path; ``""`` is the null path.
        message: as bytes, its lines end with CRLF. Fields Bcc and Resent-Bcc of an
            ``EmailMessage`` are left out; those of bytes are not.
        client_name: ours, for EHLO.
        tls: require STARTTLS and verify the certificate by this context; ``None``: in the clear.
        timeout: seconds for each step.

    Returns:
        The last reply for each recipient: 250, or why this one was refused.

    Raises:
        SendingRefused: greeting, EHLO, STARTTLS, MAIL or the message was refused, or every
            recipient.
        BadReply: the server does not speak SMTP.
        BareLineEnd, NotOffered, UnsafeText, BadAddress: the message or an address cannot be sent.
        OSError: connection or handshake failed, or a step took too long.
    """
    data = message if isinstance(message, bytes) else _without_bcc(message)
    stream = await connect(host, port, timeout=timeout)
    try:
        client = _Client(stream, ClientConnection(client_name), timeout)
        return await client.send(host, sender, recipients, data, tls)
    finally:
        await stream.close()


def _without_bcc(message: EmailMessage) -> bytes:
    """Return the message as bytes, without the fields that its recipients must not see."""
    shown = copy(message)
    del shown["Bcc"], shown["Resent-Bcc"]
    return shown.as_bytes(policy=policy.SMTP)


class _Client:
    """One connection: commands and their replies, one at a time."""

    def __init__(self, stream: Stream, engine: ClientConnection, timeout: float) -> None:
        self._stream = stream
        self._engine = engine
        self._timeout = timeout

    async def send(
        self,
        host: str,
        sender: str,
        recipients: Sequence[str],
        data: bytes,
        tls: ssl.SSLContext | None,
    ) -> dict[str, Reply]:
        engine = self._engine
        await self._must()
        engine.ehlo()
        await self._must()
        if tls is not None:
            engine.starttls()
            await self._must()
            await self._stream.start_tls(tls, host, self._timeout)
            engine.tls_established()
            engine.ehlo()
            await self._must()
        body = None if data.isascii() else "8BITMIME"
        engine.mail(parse_address(sender) if sender else None, size=len(data), body=body)
        await self._must()
        replies = {}
        for recipient in recipients:
            engine.rcpt(parse_address(recipient))
            replies[recipient] = await self._reply()
        if not any(reply.accepts for reply in replies.values()):
            raise SendingRefused(next(iter(replies.values())))
        engine.data()
        await self._must()
        engine.body(data)
        engine.end_body()
        done = await self._must()
        engine.quit()
        # The message was accepted: a lost reply to QUIT must not make the caller send it again.
        with suppress(OSError, SendingRefused, BadReply):
            await self._reply()
        return {name: done if reply.accepts else reply for name, reply in replies.items()}

    async def _must(self) -> Reply:
        reply = await self._reply()
        if not reply.accepts:
            raise SendingRefused(reply)
        return reply

    async def _reply(self) -> Reply:
        if out := self._engine.data_to_send():
            await self._stream.write(out, self._timeout)
        while (reply := self._engine.next_reply()) is None:
            received = await self._stream.read(self._timeout)
            if not received:
                raise ConnectionResetError("the server closed the connection")
            self._engine.receive_data(received)
        if reply.code == Code.NOT_AVAILABLE:
            raise SendingRefused(reply)
        return reply
