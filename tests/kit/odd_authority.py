"""A certificate authority that is obedient (RFC 8555), but for what a test makes it do instead.

It checks neither signatures nor challenges: those of Pebble are real.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from zajil.config.options_acme import AcmeOptions

Fields = dict[str, str]


class Asked(BaseHTTPRequestHandler):
    """One request, and how it is answered."""

    protocol_version = "HTTP/1.1"

    def reply(self, status: int, body: object, fields: Fields | None = None) -> None:
        """Answer with JSON, or with bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/json" if status < 400 else "application/problem+json"
        own = {"Content-Type": kind, "Replay-Nonce": self.authority.nonce()}
        own["Content-Length"] = str(len(data))
        self.send_response(status)
        for name, value in {**own, **(fields or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def problem(self, kind: str, status: int = 400, fields: Fields | None = None) -> None:
        """Refuse (RFC 8555 section 6.7)."""
        body = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": f"this is {kind}"}
        self.reply(status, body, fields)

    @property
    def authority(self) -> OddAuthority:
        """Whose it is."""
        return cast(_Server, self.server).authority

    def do_GET(self) -> None:
        """Answer."""
        self._answer({})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Answer what a client signed."""
        jws = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(
            {part: json.loads(_bytes(jws[part]) or b"{}") for part in ("protected", "payload")}
        )

    def _answer(self, sent: dict[str, Any]) -> None:
        self.sent = sent
        resource = self.path.split("/")[1]
        self.authority.asked.append(resource)
        self.authority.each(resource)
        with suppress(OSError):  # the client has gone
            odd = self.authority.odd.get(resource)
            if odd is not None:
                odd(self)
            else:
                getattr(self.authority, f"answer_{resource}")(self)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    authority: OddAuthority

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients go away here."""


class OddAuthority:
    """One account, one order at a time."""

    def __init__(self) -> None:
        self.odd: dict[str, Callable[[Asked], None]] = {}
        """What is answered instead: the first part of a path, and how."""
        self.each: Callable[[str], None] = lambda resource: None
        """Is told of each request."""
        self.asked: list[str] = []
        self.account_keys: set[str] = set()
        self.is_over = threading.Event()
        """The test has ended: whoever keeps a client waiting waits no longer."""
        self.make_chain: Callable[[x509.CertificateSigningRequest], bytes] = self.issue
        self.url = ""
        self._numbers = count()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = ""
        self._chain: bytes | None = None

    def options(self) -> AcmeOptions:
        """Return ``[acme]`` for it."""
        return AcmeOptions(directory=f"{self.url}/directory", agree_terms=True)

    def nonce(self) -> str:
        """Return a new one."""
        return _text(next(self._numbers).to_bytes(8, "big"))

    def issue(
        self,
        request: x509.CertificateSigningRequest,
        *names: str,
        begin_days: float = -1,
        end_days: float = 90,
        key: ec.EllipticCurvePublicKey | None = None,
    ) -> bytes:
        """Issue a certificate in PEM; give the one that was asked for, if nothing else is said."""
        now = datetime.now(UTC)
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Odd authority")])
        found = x509.SubjectAlternativeName([x509.DNSName(one) for one in names or [self._name]])
        public = key or cast(ec.EllipticCurvePublicKey, request.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=begin_days))
            .not_valid_after(now + timedelta(days=end_days))
            .add_extension(found, critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False
            )
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    # ---- resources, by the first part of their paths ---------------------------------------------

    def answer_directory(self, asked: Asked) -> None:
        """Name the others."""
        names = ("newNonce", "newAccount", "newOrder", "revokeCert", "renewalInfo")
        asked.reply(200, {name: f"{self.url}/{name}" for name in names} | {"meta": {}})

    def answer_newNonce(self, asked: Asked) -> None:
        """Give a nonce."""
        asked.reply(200, b"")

    def answer_newAccount(self, asked: Asked) -> None:
        """Make an account, or find it by its key."""
        key = json.dumps(asked.sent["protected"]["jwk"])
        status = 200 if key in self.account_keys else 201
        self.account_keys.add(key)
        asked.reply(status, {"status": "valid"}, {"Location": f"{self.url}/account"})

    def answer_newOrder(self, asked: Asked) -> None:
        """Begin an order."""
        self._name, self._chain = asked.sent["payload"]["identifiers"][0]["value"], None
        self.answer_order(asked)

    def answer_authorization(self, asked: Asked) -> None:
        """Show the challenge; it is done as soon as one asks again."""
        is_done = "challenge" in self.asked
        token = _text(b"token of thirty-two octets......")
        challenge = {"type": "http-01", "url": f"{self.url}/challenge", "token": token}
        status = "valid" if is_done else "pending"
        body = {"identifier": {"type": "dns", "value": self._name}, "status": status}
        asked.reply(200, body | {"challenges": [challenge | {"status": status}]})

    def answer_challenge(self, asked: Asked) -> None:
        """Take the word of the client for it."""
        body = {"type": "http-01", "url": f"{self.url}/challenge", "status": "processing"}
        token = _text(b"token of thirty-two octets......")
        up = f'<{self.url}/authorization>;rel="up"'
        asked.reply(200, body | {"token": token}, {"Link": up})

    def answer_finalize(self, asked: Asked) -> None:
        """Issue."""
        request = x509.load_der_x509_csr(_bytes(asked.sent["payload"]["csr"]))
        self._chain = self.make_chain(request)
        self.answer_order(asked)

    def answer_order(self, asked: Asked) -> None:
        """Show the order."""
        body: dict[str, object] = {
            "status": "ready" if self._chain is None else "valid",
            "identifiers": [{"type": "dns", "value": self._name}],
            "authorizations": [f"{self.url}/authorization"],
            "finalize": f"{self.url}/finalize",
        }
        if self._chain is not None:
            body["certificate"] = f"{self.url}/certificate"
        asked.reply(200, body, {"Location": f"{self.url}/order"})

    def answer_certificate(self, asked: Asked) -> None:
        """Give the chain."""
        kind = {"Content-Type": "application/pem-certificate-chain"}
        asked.reply(200, self._chain or b"", kind)

    def answer_renewalInfo(self, asked: Asked) -> None:
        """Want a renewal in a month or two."""
        self.want_renewal(asked, 30, 60)

    def want_renewal(
        self, asked: Asked, start_days: float, end_days: float, fields: Fields | None = None
    ) -> None:
        """Answer with a window (RFC 9773 section 4.2), from now on."""
        now = datetime.now(UTC)
        days = {"start": start_days, "end": end_days}
        window = {part: (now + timedelta(days=number)).isoformat() for part, number in days.items()}
        asked.reply(200, {"suggestedWindow": window}, fields)


@contextmanager
def odd_authority() -> Iterator[OddAuthority]:
    """Run it on a free port of 127.0.0.1."""
    authority = OddAuthority()
    server = _Server(("127.0.0.1", 0), Asked)
    server.authority, server.daemon_threads = authority, True
    authority.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield authority
    finally:
        authority.is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
