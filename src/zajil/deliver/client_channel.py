"""A connection to one host, with the protocol engine on it: replies with deadlines.

RFC 5321 section 4.5.3.2: the deadlines are for a whole reply, so a peer that sends a byte a minute
gains nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from zajil.core.errors import InternalError
from zajil.mailauth.tls_session import TlsProblem
from zajil.net.peer import join_host_port
from zajil.net.stream import Stream
from zajil.route.transport import Relay
from zajil.smtp.client import ClientConnection
from zajil.smtp.codes import Code
from zajil.smtp.reply import Reply
from zajil.smtp.reply_reader import BadReply
from zajil.tls.tlsa import Tlsa


@dataclass(frozen=True, slots=True)
class ChannelTarget:
    """Where a connection goes."""

    host: str
    """Name of the host, which its certificate must show."""
    address: str
    port: int
    relay: Relay | None = None
    """What sent us there, if not the MX records."""
    tlsa: tuple[Tlsa, ...] | None = None
    """DANE: its certificate must match one of them; empty: it must encrypt; ``None``: nothing."""

    def __str__(self) -> str:
        """Return address and port: ``192.0.2.1:25``, ``[2001:db8::1]:25``."""
        return join_host_port(self.address, self.port)


class LinkBroken(InternalError):
    """The conversation cannot go on; the text is a sentence for the journey."""


class PeerClosing(LinkBroken):
    """The peer said 421 (RFC 5321 section 3.8)."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class NotOpened(InternalError):
    """No mail can be sent to this target now, or (status 5.x.x) this mail cannot at all."""

    def __init__(self, status: str, sentence: str, reply: Reply | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.reply = reply
        """What the host refused us with; ``None``: it was not reached, or TLS failed."""
        self.dialogue: tuple[str, ...] = ()
        self.tls_problem: TlsProblem | None = None
        """Why TLS is to blame; ``None``: it is not."""


class LogInRefused(NotOpened):
    """The relay did not let us log in. Never permanent: an operator can mend it."""

    def __init__(self, sentence: str) -> None:
        super().__init__("4.7.8", sentence)


class RelayRefused(LinkBroken):
    """The relay takes no mail from this server: it wants a log-in, or encryption."""


class Channel:
    """One open connection; whoever holds it closes it, or gives it to ``Connections``."""

    def __init__(self, target: ChannelTarget, stream: Stream, conn: ClientConnection) -> None:
        self.target = target
        self.stream = stream
        self.conn = conn
        self.tls: str | None = None
        """For the journey: version, cipher, and whether the certificate was verified."""
        self.verified = False
        """Encrypted, with a certificate that is valid for the host's name."""
        self.tls_problem: TlsProblem | None = None
        """Why it is not as secure as it could be."""
        self.replies = 0
        """Replies received so far."""
        self.mails = 0
        """Mails sent so far."""
        self.opened_ms = 0

    async def send(self, seconds: float) -> None:
        """Send what the engine has to say.

        Raises:
            LinkBroken: the peer is gone, does not read, or has answered more than it was asked.
        """
        data = self.conn.data_to_send()
        if not data:
            return
        # Security: an answer that came before its question would be taken for the next one, and
        # every later one for that of another recipient.
        if self.conn.has_pending_input():
            raise LinkBroken("invalid reply: more answers than questions")
        try:
            await self.stream.write(data, seconds)
        except TimeoutError:
            raise LinkBroken(f"the peer did not read data for {seconds:g} seconds") from None
        except OSError as error:
            raise LinkBroken(f"connection lost: {_why(error)}") from None

    async def receive(self, seconds: float) -> Reply:
        """Wait for the oldest reply that is owed.

        Raises:
            PeerClosing: it is 421.
            LinkBroken: none came in time, the connection ended, or it was no reply.
        """
        try:
            reply = self.conn.next_reply() or await self._read_reply(seconds)
        except TimeoutError:
            raise LinkBroken(f"no reply within {seconds:g} seconds") from None
        except BadReply as error:
            raise LinkBroken(f"invalid reply: {error}") from None
        except OSError as error:
            raise LinkBroken(f"connection lost: {_why(error)}") from None
        self.replies += 1
        if reply.code == Code.NOT_AVAILABLE:
            raise PeerClosing(reply)
        return reply

    async def _read_reply(self, seconds: float) -> Reply:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            data = await self.stream.read(seconds)
            if not data:
                raise LinkBroken("the peer closed the connection")
            self.conn.receive_data(data)
            reply = self.conn.next_reply()
            if reply is not None:
                return reply
            seconds = until - loop.time()
            if seconds <= 0:
                raise TimeoutError

    def take_dialogue(self) -> tuple[str, ...]:
        """Return what was said since the last call, a line each."""
        lines = tuple(self.conn.dialogue)
        self.conn.dialogue.clear()
        return lines

    def abort(self) -> None:
        """Close at once, without QUIT."""
        self.stream.abort()

    async def quit(self, seconds: float) -> None:
        """Send QUIT, wait shortly for the reply, and close."""
        try:
            self.conn.quit()
            await self.send(seconds)
            await self.receive(seconds)
        except (LinkBroken, RuntimeError):
            pass  # it is over either way
        finally:
            self.abort()


def _why(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
