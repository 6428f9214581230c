"""Reply codes (RFC 5321 section 4.2.3) and enhanced status codes (RFC 3463) by name."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Code(IntEnum):
    """Reply codes; the first digit says what the peer may do next (RFC 5321 section 4.2.1)."""

    HELP = 214
    GREETING = 220
    CLOSING = 221
    AUTHENTICATED = 235
    OK = 250
    CANNOT_VERIFY = 252
    AUTH_CHALLENGE = 334
    START_BODY = 354
    NOT_AVAILABLE = 421
    """The connection is closed after it (RFC 5321 section 3.8)."""
    MAILBOX_BUSY = 450
    LOCAL_ERROR = 451
    INSUFFICIENT_STORAGE = 452
    TEMPORARY_AUTH_FAILURE = 454
    """Also the answer to STARTTLS when there is no TLS just now (RFC 3207 section 4)."""
    UNKNOWN_COMMAND = 500
    BAD_ARGUMENT = 501
    NOT_IMPLEMENTED = 502
    BAD_SEQUENCE = 503
    PARAMETER_NOT_IMPLEMENTED = 504
    AUTH_REQUIRED = 530
    """RFC 4954 section 6."""
    BAD_CREDENTIALS = 535
    ENCRYPTION_REQUIRED = 538
    """RFC 4954 section 6."""
    MAILBOX_UNAVAILABLE = 550
    TOO_BIG = 552
    BAD_MAILBOX_NAME = 553
    FAILED = 554
    UNKNOWN_PARAMETER = 555


class Status(StrEnum):
    """Enhanced status codes: class, subject, detail (RFC 3463 section 2)."""

    OK = "2.0.0"
    SENDER_OK = "2.1.0"
    RECIPIENT_OK = "2.1.5"
    CANNOT_VERIFY = "2.5.0"
    AUTHENTICATED = "2.7.0"
    LOCAL_FAULT = "4.3.0"
    STORE_FULL = "4.3.1"
    SHUTTING_DOWN = "4.3.2"
    IDLE = "4.4.2"
    TOO_MANY_RECIPIENTS = "4.5.3"
    TOO_MUCH = "4.7.0"
    NO_SUCH_MAILBOX = "5.1.1"
    BAD_RECIPIENT_SYNTAX = "5.1.3"
    BAD_SENDER_SYNTAX = "5.1.7"
    MESSAGE_TOO_BIG = "5.3.4"
    """RFC 1870 section 6.1."""
    BAD_COMMAND = "5.5.1"
    BAD_SYNTAX = "5.5.2"
    BAD_ARGUMENT = "5.5.4"
    AUTH_LINE_TOO_LONG = "5.5.6"
    """RFC 4954 section 6."""
    BAD_CONTENT = "5.6.0"
    UTF8_ADDRESS = "5.6.7"
    """RFC 6531 section 3.5."""
    REFUSED = "5.7.0"
    NOT_AUTHORIZED = "5.7.1"
    BAD_CREDENTIALS = "5.7.8"
    ENCRYPTION_REQUIRED = "5.7.11"
