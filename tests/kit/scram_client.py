"""The client's side of SCRAM-SHA-256, for tests of the server's (RFC 5802, RFC 7677)."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode


class ScramClient:
    """One exchange of somebody who knows a name and a password."""

    def __init__(self, login: str, password: str, nonce: str = "fyko+d2lbbFgONRv9qkxdawL") -> None:
        name = login.replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={nonce}"
        self._password = password
        self._server_signature = b""

    def first(self) -> bytes:
        """Return the first message."""
        return f"n,,{self._bare}".encode()

    def final(self, challenge: bytes) -> bytes:
        """Return the last message, for the server's first."""
        nonce, salt, iterations = (
            field.partition("=")[2] for field in challenge.decode().split(",")
        )
        unproved = f"c=biws,r={nonce}"
        about = f"{self._bare},{challenge.decode()},{unproved}".encode()
        salted = hashlib.pbkdf2_hmac(
            "sha256", self._password.encode(), b64decode(salt), int(iterations)
        )
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), about, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._server_signature = hmac.digest(
            hmac.digest(salted, b"Server Key", "sha256"), about, "sha256"
        )
        return f"{unproved},p={b64encode(proof).decode()}".encode()

    def knows_server(self, final: bytes) -> bool:
        """Whether the server's last message proves that it has the keys."""
        return final == b"v=" + b64encode(self._server_signature)
