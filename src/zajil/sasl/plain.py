"""PLAIN, server side (RFC 4616). Offered over TLS only: the password is sent in clear text."""

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


class Plain:
    """``[authzid] NUL authcid NUL passwd`` in one message (RFC 4616 section 2)."""

    name: ClassVar[str] = "PLAIN"

    def start(self, initial: bytes | None) -> Step:
        """Read the initial response, or ask for it with an empty challenge."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """Read the one message of the exchange."""
        fields = data.split(b"\0")
        if len(fields) != 3:
            return BadResponse("PLAIN has three fields")
        login = read_text(fields[1], MAX_LOGIN_SIZE)
        password = read_text(fields[2], MAX_PASSWORD_SIZE)
        authorization_id = read_text(fields[0], MAX_LOGIN_SIZE) if fields[0] else ""
        if login is None or password is None or authorization_id is None:
            return BadResponse("a field of PLAIN is empty, too long, or not UTF-8")
        return Credentials(login, password, authorization_id)
