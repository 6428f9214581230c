"""SCRAM-SHA-256, PLAIN and LOGIN, client side (RFC 5802, RFC 7677, RFC 4616).

Laws:
- The caller speaks over TLS with a verified certificate: PLAIN and LOGIN send the password itself.
- After SCRAM the server is believed only if it has proven that it knows the password, too.
- A server cannot make us calculate for long: the number of iterations has a limit.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Collection
from typing import ClassVar, Protocol

from zajil.core.errors import Malformed
from zajil.sasl.login import Login
from zajil.sasl.plain import Plain
from zajil.sasl.scram import ITERATIONS, NONCE_SIZE, Scram

MAX_ITERATIONS = 1_000_000
"""Of SCRAM; they take half a second."""

_GS2_HEADER = "n,,"
# RFC 5802 section 7: server-first-message without "m=", and server-final-message.
_SERVER_FIRST = re.compile(
    rb"r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+),s=(?P<salt>[A-Za-z0-9+/]+={0,2}),i=(?P<count>[0-9]{1,9})"
    rb"(?:,[A-Za-z]=[^\x00,]+)*"
)


class BadChallenge(Malformed):
    """The server's challenge is not what the mechanism asks for, or the server has failed to prove
    that it knows the password."""


class ClientMechanism(Protocol):
    """One exchange; a new object for each."""

    name: ClassVar[str]

    def start(self) -> bytes | None:
        """Return the initial response; ``None``: the server speaks first."""

    def respond(self, challenge: bytes) -> bytes:
        """Answer a challenge.

        Raises:
            BadChallenge: end the exchange.
        """

    @property
    def is_complete(self) -> bool:
        """Whether the server's success may be believed."""


def client_mechanisms(
    offered: Collection[str], login: str, password: str, random: Callable[[int], bytes]
) -> list[ClientMechanism]:
    """Return the exchanges to try, the best first; empty: the server offers none that we have.

    After SCRAM, one that sends the password is tried: some servers offer SCRAM to everybody, and
    have its keys for some accounts only.

    Args:
        offered: names of mechanisms in capitals.
        login: user name.
        password: password.
        random: gives that many bytes nobody can guess.
    """
    found: list[ClientMechanism] = []
    if Scram.name in offered:
        nonce = b64encode(random(NONCE_SIZE)).decode("ascii")
        found.append(ScramClient(login, password, nonce))
    if Plain.name in offered:
        found.append(PlainClient(login, password))
    elif Login.name in offered:
        found.append(LoginClient(login, password))
    return found


class PlainClient:
    """``NUL authcid NUL passwd`` in one message (RFC 4616 section 2)."""

    name: ClassVar[str] = Plain.name
    is_complete = True

    def __init__(self, login: str, password: str) -> None:
        self._message = f"\0{login}\0{password}".encode()

    def start(self) -> bytes | None:
        """Return the one message."""
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        """PLAIN has no challenge."""
        raise BadChallenge("a challenge in PLAIN")


class LoginClient:
    """The name, then the password (draft-murchison-sasl-login-00)."""

    name: ClassVar[str] = Login.name

    def __init__(self, login: str, password: str) -> None:
        self._answers = [login.encode(), password.encode()]

    def start(self) -> bytes | None:
        """Wait for the first challenge: not all servers take an initial response."""
        return None

    def respond(self, challenge: bytes) -> bytes:
        """Answer the first challenge with the name, the second one with the password.

        What they say is ignored: servers use different words.
        """
        if not self._answers:
            raise BadChallenge("a third challenge in LOGIN")
        return self._answers.pop(0)

    @property
    def is_complete(self) -> bool:
        """Whether the password was sent."""
        return not self._answers


class ScramClient:
    """Name and nonce, then the proof, then the proof of the server (RFC 5802 section 3).

    Args:
        login: user name.
        password: normalized with NFKC, most of what SASLprep (RFC 4013) does.
        nonce: our part, printable without a comma; new for each exchange.
    """

    name: ClassVar[str] = Scram.name

    def __init__(self, login: str, password: str, nonce: str) -> None:
        saslname = login.replace("=", "=3D").replace(",", "=2C")
        self._nonce = nonce.encode("ascii")
        self._first_bare = f"n={saslname},r={nonce}".encode()
        self._password = unicodedata.normalize("NFKC", password).encode()
        self._server_proof: bytes | None = None
        self._is_proven = False

    def start(self) -> bytes | None:
        """Return the first message."""
        return _GS2_HEADER.encode("ascii") + self._first_bare

    def respond(self, challenge: bytes) -> bytes:
        """Answer the server's first message, then its last."""
        if self._server_proof is None:
            return self._prove(challenge)
        if self._is_proven or not hmac.compare_digest(challenge, self._server_proof):
            raise BadChallenge("the server did not prove that it knows the password")
        self._is_proven = True
        return b""

    @property
    def is_complete(self) -> bool:
        """Whether the server has proven that it knows the password."""
        return self._is_proven

    def _prove(self, server_first: bytes) -> bytes:
        match = _SERVER_FIRST.fullmatch(server_first)
        if match is None:
            raise BadChallenge("not a first message of SCRAM")
        nonce, count = match["nonce"], int(match["count"])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise BadChallenge("the nonce of the server does not begin with ours")
        if not ITERATIONS <= count <= MAX_ITERATIONS:
            raise BadChallenge(f"SCRAM with {count} iterations")
        try:
            salt = binascii.a2b_base64(match["salt"], strict_mode=True)
        except binascii.Error:
            raise BadChallenge("the salt is not base64") from None
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, count)
        unproved = b"c=%b,r=%b" % (b64encode(_GS2_HEADER.encode("ascii")), nonce)
        about = b",".join((self._first_bare, server_first, unproved))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), about, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self._server_proof = b"v=" + b64encode(hmac.digest(server_key, about, "sha256"))
        return b"%b,p=%b" % (unproved, b64encode(proof))
