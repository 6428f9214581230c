"""Every reply that policy gives in an SMTP or LMTP session, in one table.

Texts are constant: facts about the peer go to the journey, not back to the peer. The engine's own
replies (syntax, order, the end of a connection) are in ``smtp.refusals``.
"""

from __future__ import annotations

from base64 import b64encode

from zajil.accept.outcome import NotAccepted, RefusalReason
from zajil.core.ids import MailId
from zajil.core.moment import utc_datetime
from zajil.smtp.reply import Reply

OK = Reply(250, ("2.0.0 ok",))
SENDER_OK = Reply(250, ("2.1.0 sender ok",))
RECIPIENT_OK = Reply(250, ("2.1.5 recipient ok",))
CHUNK_OK = Reply(250, ("2.0.0 chunk received",))
GO_AHEAD = Reply(354, ("end with <CR><LF>.<CR><LF>",))
BYE = Reply(221, ("2.0.0 bye",))
CANNOT_VERIFY = Reply(252, ("2.1.5 cannot verify, but will try to deliver",))
HELP = Reply(214, ("2.0.0 see RFC 5321",))
START_TLS = Reply(220, ("2.0.0 ready to start TLS",))
LOGGED_IN = Reply(235, ("2.7.0 authentication succeeded",))

TLS_FIRST = Reply(530, ("5.7.0 must issue a STARTTLS command first",))
LOG_IN_FIRST = Reply(530, ("5.7.0 authentication required",))
WRONG_PASSWORD = Reply(535, ("5.7.8 invalid login or password",))
# RFC 4954 section 6 has 534 for what only another kind of authentication can open.
NEEDS_APP_PASSWORD = Reply(534, ("5.7.9 this account needs an app password",))
LOGIN_LATER = Reply(454, ("4.7.0 temporary authentication failure, try again later",))
TOO_MANY_SESSIONS = Reply(454, ("4.7.0 too many sessions of this account",))
AUTH_CANCELLED = Reply(501, ("5.7.0 authentication cancelled",))
AUTH_MALFORMED = Reply(501, ("5.5.2 malformed SASL response",))
AUTH_UNKNOWN = Reply(504, ("5.5.4 unknown authentication mechanism",))
NO_SUCH_LOGIN = Reply(550, ("5.7.0 unknown login",))

NO_SUCH_RECIPIENT = Reply(550, ("5.1.1 unknown recipient address",))
NO_RELAY = Reply(550, ("5.7.1 relay access denied",))
SUSPENDED = Reply(450, ("4.2.1 mailbox temporarily disabled",))
MAILBOX_FULL = Reply(452, ("4.2.2 mailbox is full, try again later",))
MAILBOX_FULL_FOR_GOOD = Reply(552, ("5.2.2 mailbox is full",))
TOO_MANY_BAD_RECIPIENTS = Reply(421, ("4.7.0 too many invalid recipients, closing connection",))
TOO_MANY_RECIPIENTS = Reply(
    452, ("4.5.3 too many recipients, send the remaining ones in another transaction",)
)
NOT_YOUR_SENDER = Reply(553, ("5.7.1 sender address not allowed for this account",))
NOT_YOUR_FROM = Reply(550, ("5.7.1 From or Sender address not allowed for this account",))
TOO_LARGE = Reply(552, ("5.3.4 message too large",))
BARE_LINE_END = Reply(550, ("5.5.2 bare CR or LF is not allowed, lines must end with CRLF",))
NUL_BYTE = Reply(550, ("5.6.0 message contains a NUL byte",))
LOOP = Reply(554, ("5.4.6 mail loop detected",))
MALFORMED = Reply(550, ("5.6.0 malformed message",))
FOLDED_START = Reply(550, ("5.6.0 header section begins with a folded line",))
NOT_WANTED = Reply(550, ("5.7.1 message rejected by policy",))
NOT_SENT = Reply(554, ("5.7.1 message rejected as spam, contact your postmaster",))
LATER = Reply(451, ("4.7.1 temporarily rejected, try again later",))
DNS_LATER = Reply(451, ("4.4.3 temporary DNS failure for the sender domain, try again later",))

NO_SPACE = Reply(452, ("4.3.1 insufficient system storage, try again later",))
UNAVAILABLE = Reply(451, ("4.3.0 temporary server error, try again later",))


REFUSALS: dict[RefusalReason, Reply] = {
    RefusalReason.TOO_LARGE: TOO_LARGE,
    RefusalReason.BARE_LINE_END: BARE_LINE_END,
    RefusalReason.NUL_BYTE: NUL_BYTE,
    RefusalReason.MALFORMED: MALFORMED,
    RefusalReason.FOLDED_START: FOLDED_START,
    RefusalReason.NOT_YOUR_SENDER: NOT_YOUR_SENDER,
    RefusalReason.NOT_YOUR_FROM: NOT_YOUR_FROM,
    RefusalReason.NO_SUCH_RECIPIENT: NO_SUCH_RECIPIENT,
    RefusalReason.NO_RELAY: NO_RELAY,
    RefusalReason.SUSPENDED: SUSPENDED,
    RefusalReason.MAILBOX_FULL: MAILBOX_FULL,
    RefusalReason.TOO_MANY_RECIPIENTS: TOO_MANY_RECIPIENTS,
    RefusalReason.LOOP: LOOP,
    RefusalReason.UNWANTED: NOT_WANTED,
    RefusalReason.LOOKS_LIKE_ABUSE: NOT_SENT,
    RefusalReason.CHECK_LATER: LATER,
    RefusalReason.DNS_LATER: DNS_LATER,
    RefusalReason.NO_SPACE: NO_SPACE,
    RefusalReason.UNAVAILABLE: UNAVAILABLE,
}
"""The others have a text of their own each time: ``refusal``."""


def refusal(outcome: NotAccepted, *, defers_full: bool = True) -> Reply:
    """Return the reply to a mail, or to a recipient, that is not accepted.

    Args:
        outcome: why.
        defers_full: a full mailbox is a passing fault (``mail.full_mailbox``).
    """
    match outcome.reason:
        case RefusalReason.MAILBOX_FULL if not defers_full:
            return MAILBOX_FULL_FOR_GOOD
        case RefusalReason.SENT_TOO_MUCH:
            return sent_too_much(outcome.until_ms or 0)
        case RefusalReason.CANNOT_TRAVEL:
            return Reply(550, (f"{outcome.status} {outcome.detail}",))
        case RefusalReason.REJECTED_BY_RECIPIENT:
            # Security: the recipient wrote it; a reply is one line of printable ASCII.
            text = " ".join(outcome.detail.encode("ascii", "replace").decode().split())[:_MAX_TEXT]
            shown = "".join(one if one.isprintable() else "?" for one in text)
            return Reply(550, (f"5.7.1 {shown or 'rejected by the recipient'}",))
    return REFUSALS[outcome.reason]


_MAX_TEXT = 400
"""Characters: RFC 5321 section 4.5.3.1.5 limits a reply line to 512 octets."""


def queued(mail_id: MailId) -> Reply:
    """Return the reply for an accepted mail; sent only after its commit returned."""
    return Reply(250, (f"2.0.0 queued as {mail_id}",))


def naming(reply: Reply, mail_id: MailId) -> Reply:
    """Name the mail in a refusal, so that the peer's postmaster can ask ours about it."""
    return Reply(reply.code, tuple([f"{line} ({mail_id})" for line in reply.lines]))


def greeting(hostname: str) -> Reply:
    """Greet anew: a proxy has told for whom it speaks."""
    return Reply(220, (f"{hostname} ESMTP Zajil",))


def sent_too_much(until_ms: int) -> Reply:
    """Return when the account may send again."""
    at = utc_datetime(until_ms)
    return Reply(450, (f"4.7.1 sending limit reached, try again after {at:%Y-%m-%d %H:%M} UTC",))


def challenge(data: bytes) -> Reply:
    """Ask for the next step of an AUTH exchange (RFC 4954 section 4)."""
    return Reply(334, (b64encode(data).decode("ascii"),))
