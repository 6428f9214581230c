"""Reply codes (RFC 5321 section 4.2.3) and enhanced status codes (RFC 3463) by name.

Those that the engines and the queue speak of; what policy answers stands in ``receive.replies``.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Code(IntEnum):
    """Reply codes; the first digit says what the peer may do next (RFC 5321 section 4.2.1)."""

    GREETING = 220
    AUTHENTICATED = 235
    OK = 250
    AUTH_CHALLENGE = 334
    START_BODY = 354
    NOT_AVAILABLE = 421
    """The connection is closed after it (RFC 5321 section 3.8)."""
    LOCAL_ERROR = 451
    TOO_MANY_RECIPIENTS = 452
    """RFC 5321 section 4.5.3.1.10."""
    UNKNOWN_COMMAND = 500
    BAD_ARGUMENT = 501
    NOT_IMPLEMENTED = 502
    BAD_SEQUENCE = 503
    PARAMETER_NOT_IMPLEMENTED = 504
    AUTH_REQUIRED = 530
    """RFC 4954 section 6, also for STARTTLS (RFC 3207 section 4)."""
    AUTH_TOO_WEAK = 534
    AUTH_FAILED = 535
    ENCRYPTION_REQUIRED = 538
    """RFC 4954 section 6."""
    TOO_BIG = 552
    BAD_MAILBOX_NAME = 553
    UNKNOWN_PARAMETER = 555


class EnhancedStatus(StrEnum):
    """Enhanced status codes: class, subject, detail (RFC 3463 section 2)."""

    OK = "2.0.0"
    LOCAL_FAULT = "4.3.0"
    SHUTTING_DOWN = "4.3.2"
    IDLE = "4.4.2"
    TOO_MANY_RECIPIENTS = "4.5.3"
    TOO_MUCH = "4.7.0"
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
    ENCRYPTION_REQUIRED = "5.7.11"
    REQUIRETLS_NEEDED = "5.7.30"
