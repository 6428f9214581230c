"""The result of one step of a SASL exchange, on the server side (RFC 4422 section 3)."""

from __future__ import annotations

from typing import ClassVar, Protocol

from zajil.core.value_class import value_class

MAX_LOGIN_SIZE = 320
"""Octets of a login name: an address has 64 + 1 + 255 (RFC 5321 section 4.5.3.1)."""
MAX_PASSWORD_SIZE = 1024
"""Octets of a password; hashing must not be fed more. RFC 4616 section 2 has no limit."""


@value_class(frozen=True, slots=True)
class Challenge:
    """Ask the client for more: 334 in SMTP, ``+`` in IMAP, base64-encoded by the protocol."""

    data: bytes


@value_class(frozen=True, slots=True)
class Credentials:
    """What the client claims to be; nothing has been checked."""

    login: str
    password: str
    authorization_id: str = ""
    """As whom it wants to act; ``""``: as itself (RFC 4422 section 3.4.1)."""

    def __repr__(self) -> str:
        """Leave out the secret: this may reach a log."""
        return f"Credentials(login={self.login!r})"


@value_class(frozen=True, slots=True)
class Token:
    """An OAuth 2 access token (RFC 6750 section 2.1); nothing has been checked."""

    token: str
    authorization_id: str = ""
    """Whose account it wants; ``""``: that of the token."""
    error: bytes = b""
    """The last challenge, if the token is refused; what the client answers does not matter."""

    def __repr__(self) -> str:
        """Leave out the secret: this may reach a log."""
        return f"Token(authorization_id={self.authorization_id!r})"


@value_class(frozen=True, slots=True)
class KeysWanted:
    """SCRAM needs the keys of a name: look them up, then call ``Scram.take_keys``."""

    login: str
    authorization_id: str = ""


@value_class(frozen=True, slots=True)
class Proven:
    """The client knows the password behind one of the keys, and may be told that we do."""

    key: int
    """Place of the key among those that ``take_keys`` got."""
    final: bytes
    """Our own proof: a last challenge, answered with nothing (RFC 5802 section 7)."""


@value_class(frozen=True, slots=True)
class Denied:
    """The exchange has failed: over, without a last challenge."""

    reason: str
    """The mechanism's word for it."""
    wrong: bool = True
    """It was about a name or secret; false: the client broke the rules of the mechanism."""


@value_class(frozen=True, slots=True)
class BadResponse:
    """The client's answer is not what the mechanism asks for; the exchange has failed."""

    reason: str


Step = Challenge | Credentials | Token | KeysWanted | Proven | Denied | BadResponse


class Mechanism(Protocol):
    """One exchange; a new object for each."""

    name: ClassVar[str]

    def start(self, initial: bytes | None) -> Step:
        """Begin, with the initial response if the client sent one."""

    def respond(self, data: bytes) -> Step:
        """Take the client's answer to the last challenge."""


def read_text(data: bytes, limit: int) -> str | None:
    """Return a name or password as text; ``None``: empty, too long, not UTF-8, or with a NUL."""
    if not 0 < len(data) <= limit or b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
