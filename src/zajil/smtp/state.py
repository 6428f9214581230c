"""Which command may come when: the transition tables of server and client.

Law: everything that changes the state of a connection by a command stands in these tables.
"""

from __future__ import annotations

from enum import IntEnum, auto

from zajil.smtp.command import (
    Auth,
    AuthResponse,
    Bdat,
    BodyEnd,
    Data,
    Ehlo,
    Event,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    Xclient,
)


class SmtpState(IntEnum):  # integers, because they are hashed for each command
    """Where a server connection stands."""

    START = auto()
    """Nobody has said EHLO, or TLS has just begun."""
    READY = auto()
    MAIL = auto()
    """A transaction without recipients."""
    RCPT = auto()
    BODY = auto()
    """After 354: bytes are message, not commands."""
    CHUNK = auto()
    """After BDAT: so many bytes are message, not commands (RFC 3030 section 2)."""
    CHUNKED = auto()
    """Between two chunks of a message."""
    AUTH = auto()
    """After 334: lines are answers of the exchange."""
    TLS = auto()
    """STARTTLS was accepted; nothing may come before the handshake (RFC 3207 section 4)."""
    CLOSED = auto()


IN_BODY = frozenset((SmtpState.BODY, SmtpState.CHUNK))
"""States in which bytes are message."""
IN_TRANSACTION = IN_BODY | {SmtpState.MAIL, SmtpState.RCPT, SmtpState.CHUNKED}

_COMMANDS = (SmtpState.START, SmtpState.READY, SmtpState.MAIL, SmtpState.RCPT, SmtpState.CHUNKED)
"""States in which a line is a command."""

# (state, event) -> state after the event was accepted (a 2yz or 3yz reply).
# No row: "503 5.5.1" (RFC 5321 section 4.1.4).
ACCEPTED: dict[tuple[SmtpState, type[Event]], SmtpState] = {
    **{(state, verb): SmtpState.READY for state in _COMMANDS for verb in (Ehlo, Helo, Lhlo)},
    (SmtpState.READY, Mail): SmtpState.MAIL,
    (SmtpState.MAIL, Rcpt): SmtpState.RCPT,
    (SmtpState.RCPT, Rcpt): SmtpState.RCPT,
    (SmtpState.RCPT, Data): SmtpState.BODY,
    (SmtpState.BODY, BodyEnd): SmtpState.READY,
    # The command leads into the chunk; the event that tells of its end, out of it.
    (SmtpState.RCPT, Bdat): SmtpState.CHUNK,
    (SmtpState.CHUNKED, Bdat): SmtpState.CHUNK,
    (SmtpState.CHUNK, Bdat): SmtpState.CHUNKED,
    (SmtpState.CHUNK, BodyEnd): SmtpState.READY,
    (SmtpState.START, Rset): SmtpState.START,
    (SmtpState.READY, Rset): SmtpState.READY,
    (SmtpState.MAIL, Rset): SmtpState.READY,
    (SmtpState.RCPT, Rset): SmtpState.READY,
    (SmtpState.CHUNKED, Rset): SmtpState.READY,
    # RFC 4954 section 4: not during a mail transaction.
    (SmtpState.READY, Auth): SmtpState.READY,
    (SmtpState.AUTH, AuthResponse): SmtpState.READY,
    (SmtpState.READY, StartTls): SmtpState.TLS,
    # The connection begins anew (Postfix, XCLIENT_README).
    (SmtpState.START, Xclient): SmtpState.START,
    (SmtpState.READY, Xclient): SmtpState.START,
    **{(state, verb): state for state in _COMMANDS for verb in (Noop, Vrfy, Help)},
    **{(state, Quit): SmtpState.CLOSED for state in _COMMANDS},
}

# Over whatever the answer is; every other refused event leaves the state as it was.
REFUSED: dict[tuple[SmtpState, type[Event]], SmtpState] = {
    (SmtpState.BODY, BodyEnd): SmtpState.READY,
    (SmtpState.CHUNK, BodyEnd): SmtpState.READY,
    (SmtpState.CHUNK, Bdat): SmtpState.READY,
    (SmtpState.AUTH, AuthResponse): SmtpState.READY,
}


class ClientState(IntEnum):
    """Where a client connection stands; commands count when they are sent."""

    GREETING = auto()
    """The 220 has not come yet."""
    START = auto()
    READY = auto()
    MAIL = auto()
    DATA = auto()
    """DATA was sent, its 354 has not come yet."""
    BODY = auto()
    TLS = auto()
    """STARTTLS was sent."""
    AUTH = auto()
    """AUTH or a response was sent; only the server's 334 lets another response follow."""
    CLOSED = auto()


_ANY = (ClientState.START, ClientState.READY, ClientState.MAIL)

# (state, verb) -> state once it is sent. No row: a fault of ours, RuntimeError.
# What replies change is in client.py: 354 leads from DATA to BODY, another reply to MAIL.
SENDABLE: dict[tuple[ClientState, str], ClientState] = {
    **{(state, verb): ClientState.READY for state in _ANY for verb in ("EHLO", "HELO", "LHLO")},
    (ClientState.READY, "STARTTLS"): ClientState.TLS,
    (ClientState.READY, "AUTH"): ClientState.AUTH,
    (ClientState.READY, "MAIL"): ClientState.MAIL,
    (ClientState.MAIL, "RCPT"): ClientState.MAIL,
    (ClientState.MAIL, "DATA"): ClientState.DATA,
    (ClientState.BODY, "."): ClientState.READY,
    (ClientState.READY, "RSET"): ClientState.READY,
    (ClientState.MAIL, "RSET"): ClientState.READY,
    **{(state, "QUIT"): ClientState.CLOSED for state in _ANY},
}
