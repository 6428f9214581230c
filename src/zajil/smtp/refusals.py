"""Every reply the server engine gives by itself: wrong syntax, wrong order, not offered, the end.

What a session answers is in ``receive.replies``.
"""

from __future__ import annotations

from zajil.core.errors import Malformed
from zajil.smtp.codes import Code, EnhancedStatus
from zajil.smtp.reply import Reply


class CommandError(Malformed):
    """The peer sent a line that is refused with ``reply``."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.lines[0])
        self.reply = reply


def _refusal(code: Code, status: EnhancedStatus, text: str) -> Reply:
    return Reply(code, (f"{status} {text}",))


NOT_DONE = _refusal(Code.NOT_IMPLEMENTED, EnhancedStatus.BAD_COMMAND, "command not implemented")
NEEDS_SMTPUTF8 = _refusal(
    Code.BAD_MAILBOX_NAME, EnhancedStatus.UTF8_ADDRESS, "a UTF-8 address needs SMTPUTF8"
)
UNKNOWN_PARAMETER = _refusal(
    Code.UNKNOWN_PARAMETER, EnhancedStatus.BAD_ARGUMENT, "unknown parameter"
)
UNKNOWN = _refusal(Code.UNKNOWN_COMMAND, EnhancedStatus.BAD_SYNTAX, "unknown command")
NOT_TEXT = _refusal(
    Code.UNKNOWN_COMMAND, EnhancedStatus.BAD_SYNTAX, "a command is UTF-8 without control characters"
)
NEEDS_NAME = _refusal(Code.BAD_ARGUMENT, EnhancedStatus.BAD_ARGUMENT, "one host name is needed")
NEEDS_ARGUMENT = _refusal(Code.BAD_ARGUMENT, EnhancedStatus.BAD_ARGUMENT, "an argument is needed")
NO_ARGUMENT = _refusal(Code.BAD_ARGUMENT, EnhancedStatus.BAD_ARGUMENT, "no argument is allowed")
BAD_PARAMETER = _refusal(
    Code.BAD_ARGUMENT, EnhancedStatus.BAD_ARGUMENT, "bad or repeated parameter"
)
MAIL_SYNTAX = _refusal(Code.BAD_ARGUMENT, EnhancedStatus.BAD_SYNTAX, "syntax: MAIL FROM:<address>")
RCPT_SYNTAX = _refusal(Code.BAD_ARGUMENT, EnhancedStatus.BAD_SYNTAX, "syntax: RCPT TO:<address>")
AUTH_SYNTAX = _refusal(
    Code.BAD_ARGUMENT, EnhancedStatus.BAD_ARGUMENT, "syntax: AUTH mechanism [initial-response]"
)
BAD_SENDER = _refusal(Code.BAD_ARGUMENT, EnhancedStatus.BAD_SENDER_SYNTAX, "bad sender address")
BAD_RECIPIENT = _refusal(
    Code.BAD_ARGUMENT, EnhancedStatus.BAD_RECIPIENT_SYNTAX, "bad recipient address"
)
BDAT_SYNTAX = _refusal(Code.BAD_ARGUMENT, EnhancedStatus.BAD_ARGUMENT, "syntax: BDAT size [LAST]")
XCLIENT_SYNTAX = _refusal(
    Code.BAD_ARGUMENT, EnhancedStatus.BAD_ARGUMENT, "syntax: XCLIENT attribute=value ..."
)
HELD_TOO_LONG = _refusal(
    Code.BAD_ARGUMENT, EnhancedStatus.BAD_ARGUMENT, "held longer than FUTURERELEASE permits"
)
NOT_BASE64 = _refusal(Code.BAD_ARGUMENT, EnhancedStatus.BAD_SYNTAX, "not base64")

OUT_OF_ORDER = _refusal(Code.BAD_SEQUENCE, EnhancedStatus.BAD_COMMAND, "bad sequence of commands")
TOO_LONG = _refusal(Code.UNKNOWN_COMMAND, EnhancedStatus.BAD_SYNTAX, "line too long")
AUTH_TOO_LONG = _refusal(
    Code.UNKNOWN_COMMAND, EnhancedStatus.AUTH_LINE_TOO_LONG, "AUTH line too long"
)
TOO_BIG = _refusal(Code.TOO_BIG, EnhancedStatus.MESSAGE_TOO_BIG, "message too big")
ALREADY_ENCRYPTED = _refusal(Code.BAD_SEQUENCE, EnhancedStatus.BAD_COMMAND, "TLS already active")
ENCRYPT_FIRST = _refusal(
    Code.ENCRYPTION_REQUIRED,
    EnhancedStatus.ENCRYPTION_REQUIRED,
    "encryption required: STARTTLS first",
)
ALREADY_AUTHENTICATED = _refusal(
    Code.BAD_SEQUENCE, EnhancedStatus.BAD_COMMAND, "already authenticated"
)
UNKNOWN_MECHANISM = _refusal(
    Code.PARAMETER_NOT_IMPLEMENTED, EnhancedStatus.BAD_ARGUMENT, "unknown AUTH mechanism"
)
TOO_MANY_RECIPIENTS = _refusal(
    Code.TOO_MANY_RECIPIENTS, EnhancedStatus.TOO_MANY_RECIPIENTS, "too many recipients"
)
TOO_MANY_MAILS = _refusal(
    Code.NOT_AVAILABLE, EnhancedStatus.TOO_MUCH, "too many mails in one session, please reconnect"
)
TOO_MANY_CONNECTIONS = _refusal(Code.NOT_AVAILABLE, EnhancedStatus.TOO_MUCH, "too many connections")
SHUTTING_DOWN = _refusal(
    Code.NOT_AVAILABLE, EnhancedStatus.SHUTTING_DOWN, "shutting down, try again later"
)
IDLE = _refusal(Code.NOT_AVAILABLE, EnhancedStatus.IDLE, "idle for too long")
EARLY = Reply(554, (f"{EnhancedStatus.BAD_COMMAND} command before the greeting",))
FAULT = _refusal(Code.NOT_AVAILABLE, EnhancedStatus.LOCAL_FAULT, "internal error, try again later")
CREDENTIALS_CHANGED = _refusal(
    Code.NOT_AVAILABLE, EnhancedStatus.TOO_MUCH, "credentials changed, please reconnect"
)
TOO_MANY_COMMANDS = _refusal(Code.NOT_AVAILABLE, EnhancedStatus.TOO_MUCH, "too many commands")
TOO_MANY_ERRORS = _refusal(Code.NOT_AVAILABLE, EnhancedStatus.TOO_MUCH, "too many errors")

EHLO_FIRST = _refusal(Code.BAD_SEQUENCE, EnhancedStatus.BAD_COMMAND, "EHLO first")
MAIL_FIRST = _refusal(Code.BAD_SEQUENCE, EnhancedStatus.BAD_COMMAND, "MAIL first")
NESTED_MAIL = _refusal(Code.BAD_SEQUENCE, EnhancedStatus.BAD_COMMAND, "nested MAIL")
NO_RECIPIENTS = _refusal(Code.BAD_SEQUENCE, EnhancedStatus.BAD_COMMAND, "no valid recipients")
AFTER_BDAT = _refusal(Code.BAD_SEQUENCE, EnhancedStatus.BAD_COMMAND, "only BDAT may follow BDAT")
