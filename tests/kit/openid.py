"""An OpenID provider by the server side of Authlib and Flask; it can be made to lie."""

from __future__ import annotations

import hmac
import json
import os
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import AuthorizationCodeMixin, UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, jsonify, redirect, request
from joserfc import jwk, jwt
from werkzeug.serving import WSGIRequestHandler, make_server

CLIENT_ID, CLIENT_SECRET = "zajil", "secret of: the client+%"


class Client(ClientMixin):  # type: ignore[misc]
    """The one client that it knows."""

    def __init__(self, redirect_uri: str) -> None:
        self._redirect_uri = redirect_uri

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return self._redirect_uri

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self._redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    """A code that was given out."""

    code: str
    redirect_uri: str
    scope: str
    nonce: str
    user: dict[str, Any]
    code_challenge: str
    code_challenge_method: str
    at: float = field(default_factory=time.time)

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(self.at)

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass
class Provider:
    """A provider that runs."""

    issuer: str
    redirect_uri: str
    now_ms: int
    user: dict[str, Any] = field(default_factory=dict)
    """Claims of whoever logs in next; empty: the log-in is refused."""
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    key: Any = field(default_factory=lambda: jwk.RSAKey.generate_key(2048, {"kid": "k1"}))
    metadata: dict[str, Any] = field(default_factory=dict)
    """What its configuration says instead."""
    forge: Callable[[dict[str, Any]], str] | None = None
    """Makes another ID token of the claims of the right one."""
    asked: list[str] = field(default_factory=list)
    """Paths that were asked for."""

    def rotate(self, kid: str = "k2") -> None:
        """Sign with a new key from now on."""
        self.key = jwk.RSAKey.generate_key(2048, {"kid": kid})

    def sign(self, claims: dict[str, Any], key: Any = None, **header: Any) -> str:
        """Return a token of these claims."""
        chosen = key or self.key
        named = {"alg": "RS256", "kid": chosen.kid, **header}
        return jwt.encode(named, claims, chosen, algorithms=[named["alg"]])

    def configuration(self) -> dict[str, Any]:
        """Return its configuration."""
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/logout",
            **self.metadata,
        }
        return {name: value for name, value in found.items() if value is not None}


def _grant(provider: Provider) -> type[AuthorizationCodeGrant]:
    class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")

        def save_authorization_code(self, code: str, request: Any) -> None:
            data = request.payload.data
            provider.codes[code] = Code(
                code,
                request.payload.redirect_uri,
                request.payload.scope,
                data.get("nonce", ""),
                request.user,
                data.get("code_challenge", ""),
                data.get("code_challenge_method", ""),
            )

        def query_authorization_code(self, code: str, client: Any) -> Code | None:
            return provider.codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            del provider.codes[authorization_code.code]

        def authenticate_user(self, authorization_code: Code) -> dict[str, Any]:
            return authorization_code.user

    return Grant


def _open_id(provider: Provider) -> OpenIDCode:
    class OpenId(OpenIDCode):  # type: ignore[misc]
        def exists_nonce(self, nonce: str, request: Any) -> bool:
            return any(code.nonce == nonce for code in provider.codes.values())

        def resolve_client_private_key(self, client: Any) -> Any:
            return provider.key

        def get_client_algorithm(self, client: Any) -> str:
            return "RS256"

        def get_client_claims(self, client: Any) -> dict[str, Any]:
            now = provider.now_ms // 1000
            return {"iss": provider.issuer, "exp": now + 3600, "iat": now}

        def get_encode_header(self, client: Any) -> dict[str, Any]:
            return {"alg": "RS256", "kid": provider.key.kid}

        def generate_user_info(self, user: dict[str, Any], scope: str) -> UserInfo:
            return UserInfo(**user)

        def encode_id_token(self, token: Any, request: Any) -> str:
            right: str = super().encode_id_token(token, request)
            if provider.forge is None:
                return right
            return provider.forge(dict(jwt.decode(right, provider.key).claims))

    return OpenId(require_nonce=True)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Keep the output of the test as it is."""


def _make_app(provider: Provider) -> Flask:
    app = Flask("provider")
    client = Client(provider.redirect_uri)

    def save_token(token: dict[str, Any], request: Any) -> None:
        provider.tokens[token["access_token"]] = request.user

    server = AuthorizationServer(
        app,
        query_client=lambda client_id: client if client_id == CLIENT_ID else None,
        save_token=save_token,
    )
    server.register_grant(_grant(provider), [_open_id(provider), CodeChallenge(required=True)])

    @app.before_request
    def note() -> None:
        provider.asked.append(request.path)

    @app.get("/authorize")
    def authorize() -> Any:
        user = provider.user or None
        grant = server.get_consent_grant(end_user=user)
        return server.create_authorization_response(grant_user=user, grant=grant)

    @app.post("/token")
    def token() -> Any:
        return server.create_token_response()

    @app.get("/userinfo")
    def user_info() -> Any:
        secret = request.headers["Authorization"].removeprefix("Bearer ")
        return jsonify(provider.tokens[secret])

    @app.get("/keys")
    def keys() -> Any:
        return jsonify({"keys": [provider.key.as_dict(private=False)]})

    @app.get("/logout")
    def logout() -> Any:
        return redirect(request.args["post_logout_redirect_uri"])

    @app.get("/.well-known/openid-configuration")
    def configuration() -> Any:
        return jsonify(provider.configuration())

    return app


@contextmanager
def openid_provider(redirect_uri: str, now_ms: int) -> Iterator[Provider]:
    """Run a provider in a thread.

    Args:
        redirect_uri: that its client is registered with.
        now_ms: its time.
    """
    # Authlib demands TLS where nothing leaves the machine, too.
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    provider = Provider("", redirect_uri, now_ms)
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=_Quiet)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    server.app = _make_app(provider)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join(60)
        server.server_close()


def as_none(claims: dict[str, Any]) -> str:
    """Return claims in a token with the algorithm ``none``. (RFC 8725 section 2.1)"""
    return f"{_encode({'alg': 'none'})}.{_encode(claims)}."


def as_hmac(claims: dict[str, Any], secret: bytes, kid: str) -> str:
    """Return claims signed with a secret that the client or everybody knows."""
    text = f"{_encode({'alg': 'HS256', 'kid': kid})}.{_encode(claims)}"
    return f"{text}.{_bare(hmac.digest(secret, text.encode(), 'sha256'))}"


def _encode(value: dict[str, Any]) -> str:
    return _bare(json.dumps(value).encode())


def _bare(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
