"""LOGIN, server side: obsolete and never standardized, but still used by some mail programs.

Offered over TLS only, like PLAIN. Described in draft-murchison-sasl-login-00.
"""

from __future__ import annotations

from typing import ClassVar

from zajil.sasl.step import (
    MAX_LOGIN_SIZE,
    MAX_PASSWORD_SIZE,
    BadResponse,
    Challenge,
    Credentials,
    Step,
    read_text,
)

# The words that old clients compare byte by byte.
_ASK_LOGIN = Challenge(b"Username:")
_ASK_PASSWORD = Challenge(b"Password:")


class Login:
    """Two challenges: the name, then the password."""

    name: ClassVar[str] = "LOGIN"

    def __init__(self) -> None:
        self._login: str | None = None

    def start(self, initial: bytes | None) -> Step:
        """Ask for the name; some clients send it as the initial response."""
        return self.respond(initial) if initial else _ASK_LOGIN

    def respond(self, data: bytes) -> Step:
        """Read the name, then the password."""
        if self._login is None:
            self._login = read_text(data, MAX_LOGIN_SIZE)
            return BadResponse("bad login name") if self._login is None else _ASK_PASSWORD
        password = read_text(data, MAX_PASSWORD_SIZE)
        return (
            BadResponse("bad password") if password is None else Credentials(self._login, password)
        )
