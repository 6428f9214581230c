"""What we answer on LMTP: a program in front of us hands in mail for our own mailboxes (RFC 2033).

It is the session of port 25 with the engine in its LMTP way: LHLO, and after the message one reply
for each recipient. All copies of a mail are filed in one commit: 250 when they lie in their
mailboxes, 4yz when none does. Who rejects a message that others take is answered apart (design
D12).
"""

from __future__ import annotations

from zajil.accept.context import ReceiveServices
from zajil.accept.transaction import Transaction
from zajil.net.peer import Peer
from zajil.receive.session import ReceiveSession
from zajil.smtp.command import BodyEnd
from zajil.smtp.reply import Reply, ReplyEach
from zajil.smtp.server import ServerConnection

_NEVER = 1 << 62


class LmtpSession(ReceiveSession):
    """One connection of a program that delivers to us."""

    def __init__(self, services: ReceiveServices, peer: Peer, conn: ServerConnection) -> None:
        super().__init__(services, peer, conn)
        # It passes on what strangers named: their mistakes are not its own, and 421 to one mail
        # would put off all others it has for us.
        self.soft_error_limit = _NEVER
        self.most_bad_recipients = 0

    async def accept(self, transaction: Transaction, end: BodyEnd) -> Reply | ReplyEach:
        """Decide about a whole mail, for each recipient by itself."""
        reply = await super().accept(transaction, end)
        rejected = transaction.rejected
        if not rejected or isinstance(reply, ReplyEach) or not reply.accepts:
            return reply
        return ReplyEach(tuple([rejected.get(key, reply) for key in transaction.named]))
