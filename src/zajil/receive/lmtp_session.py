"""What we answer through LMTP, where it differs from port 25 (RFC 2033)."""

from __future__ import annotations

from zajil.accept.context import AcceptanceContext
from zajil.accept.outcome import Accepted
from zajil.accept.transaction import Transaction
from zajil.net.line_protocol import Connection
from zajil.net.peer import Peer
from zajil.receive import replies
from zajil.receive.patience import SlowAnswers
from zajil.receive.session import SmtpSession, refusal_of
from zajil.smtp.reply import Reply, ReplyEach
from zajil.smtp.server import ServerConnection

_NEVER = 1 << 62


class LmtpSession(SmtpSession):
    """One connection of a program that delivers to our mailboxes.

    After the message there is one reply for each recipient. All copies of a mail are filed in one
    commit: 250 when they are in their mailboxes, 4yz when none is. A recipient that rejects a
    message that others take is answered 550.
    """

    def __init__(
        self,
        context: AcceptanceContext,
        slow: SlowAnswers,
        peer: Peer,
        conn: ServerConnection,
        connection: Connection,
    ) -> None:
        super().__init__(context, slow, peer, conn, connection)
        # It passes on what strangers named: their mistakes are not its own, and 421 to one mail
        # would put off all others it has for us.
        self.patience.soft_error_limit = _NEVER
        self.patience.max_bad_recipients = 0

    def reply_to_message(self, outcome: Accepted, transaction: Transaction) -> Reply | ReplyEach:
        """Return one reply for all recipients, or one for each where some reject the message."""
        reply, rejected = replies.queued(outcome.mail_id), outcome.rejected
        if not rejected:
            return reply
        return ReplyEach(
            tuple(
                [
                    refusal_of(self.context, rejected[key]) if key in rejected else reply
                    for key in transaction.named
                ]
            )
        )
