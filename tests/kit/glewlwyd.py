"""Glewlwyd, an OpenID provider in C, with one person and one client."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kit.foreign import need_program
from kit.name_servers import free_port

CLIENT_ID, CLIENT_SECRET = "zajil", "secret of the client"
PASSWORD = "a long password"
_TABLES = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
_MODULES = "/usr/lib/glewlwyd"
_SCOPES = ["openid", "email", "profile"]
_PATIENCE_SECONDS = 60.0
_CONFIGURATION = """
port={port}
bind_address="127.0.0.1"
external_url="http://127.0.0.1:{port}/"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="ERROR"
session_expiration=3600
session_key="session"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
login_api_enabled=true
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{modules}/user"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
hash_algorithm="SHA512"
database={{ type="sqlite3"; path="{folder}/database"; }};
"""


@dataclass(frozen=True, slots=True)
class Glewlwyd:
    """One that runs."""

    base: str
    """URL of its API's root."""

    @property
    def issuer(self) -> str:
        """Return the issuer of its ID tokens."""
        return f"{self.base}/api/oidc"

    def add_person(self, login: str, address: str, *, is_verified: bool) -> None:
        """Create a person with ``PASSWORD``."""
        values = {
            "username": login,
            "password": PASSWORD,
            "name": login.title(),
            "email": address,
            "verified": "1" if is_verified else "0",
            "enabled": True,
            "scope": [*_SCOPES, "g_profile"],
        }
        with self._logged_in("admin", "password") as client:
            _post(client, "/api/user/", values)

    def approve(self, login: str, url: str) -> str:
        """Do what a browser does: log in, agree, and return where it is sent back to.

        Args:
            login: of a person.
            url: that the client sent the browser to.
        """
        with self._logged_in(login, PASSWORD) as client:
            granted = client.put(f"/api/auth/grant/{CLIENT_ID}/", json={"scope": " ".join(_SCOPES)})
            assert granted.status_code == 200
            asked = client.get(url)
            assert "login.html" in asked.headers["location"]  # the page that asks the person
            answer = client.get(f"{url}&g_continue=")
            assert answer.status_code == 302, (answer.status_code, answer.text, url)
            return str(answer.headers["location"])

    @contextmanager
    def _logged_in(self, login: str, password: str) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.base, timeout=_PATIENCE_SECONDS) as client:
            _post(client, "/api/auth", {"username": login, "password": password})
            yield client

    def set_up(self, redirect_uri: str) -> None:
        """Make it an OpenID provider with one client."""
        with self._logged_in("admin", "password") as client:
            plugin = {"module": "oidc", "name": "oidc", "display_name": "OIDC", "order_rank": 0}
            _post(client, "/api/mod/plugin/", {**plugin, "parameters": _parameters(self.issuer)})
            for name in _SCOPES[1:]:
                scope = {"name": name, "display_name": name, "description": name}
                rules = {"password_required": True, "password_max_age": 0}
                _post(client, "/api/scope/", {**scope, **rules, "scheme": {}})
            values = {
                "client_id": CLIENT_ID,
                "name": CLIENT_ID,
                "password": CLIENT_SECRET,
                "confidential": True,
                "enabled": True,
                "redirect_uri": [redirect_uri],
                "authorization_type": ["code"],
                "scope": _SCOPES,
                "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
            }
            _post(client, "/api/client/", values)


def _post(client: httpx.Client, path: str, values: dict[str, Any]) -> None:
    answer = client.post(path, json=values)
    assert answer.status_code == 200, (path, answer.text)


def _parameters(issuer: str) -> dict[str, Any]:
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    verified = {
        "name": "email_verified",
        "user-property": "verified",
        "type": "boolean",
        "boolean-value-true": "1",
        "boolean-value-false": "0",
        "mandatory": True,
    }
    return {
        "iss": issuer,
        "jwt-type": "rsa",
        "jwt-key-size": "256",
        "key": private.decode("ascii"),
        "cert": public.decode("ascii"),
        "access-token-duration": 3600,
        "refresh-token-duration": 3600,
        "refresh-token-rolling": False,
        "code-duration": 600,
        "allow-non-oidc": False,
        "auth-type-code-enabled": True,
        "auth-type-code-revoke-replayed": True,
        "auth-type-token-enabled": False,
        "auth-type-password-enabled": False,
        "auth-type-client-enabled": False,
        "auth-type-implicit-enabled": False,
        "auth-type-refresh-enabled": False,
        "jwks-show": True,
        "pkce-allowed": True,
        "pkce-required": True,
        "pkce-method-plain-allowed": False,
        "subject-type": "public",
        "name-claim": "mandatory",
        "email-claim": "mandatory",
        "claims": [verified],
        "session-management-allowed": True,
        "session-cookie-name": "oidc",
        "session-cookie-expiration": 3600,
    }


@contextmanager
def glewlwyd(folder: Path, redirect_uri: str) -> Iterator[Glewlwyd]:
    """Run one in an empty folder, on a port of its own; its client comes from ``redirect_uri``."""
    program = need_program("glewlwyd")
    if not _TABLES.exists():
        pytest.skip(f"needs {_TABLES} of Debian's package glewlwyd")
    _make_database(folder / "database")
    port = free_port()
    configuration = folder / "configuration"
    configuration.write_text(_CONFIGURATION.format(port=port, folder=folder, modules=_MODULES))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, f"--config-file={configuration}"], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        made = Glewlwyd(f"http://127.0.0.1:{port}")
        _wait(made.base, process, folder / "log")
        made.set_up(redirect_uri)
        yield made
    finally:
        process.terminate()
        process.wait(_PATIENCE_SECONDS)


def _make_database(path: Path) -> None:
    """Create its tables; people get a property that says whether their address is verified."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(_TABLES.read_text())
        ((text,),) = database.execute("SELECT gumi_parameters FROM g_user_module_instance")
        parameters = json.loads(text)
        parameters["data-format"]["verified"] = {"multiple": False, "read": True, "write": True}
        changed = (json.dumps(parameters),)
        database.execute("UPDATE g_user_module_instance SET gumi_parameters = ?", changed)
        database.commit()


def _wait(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{base}/config/", timeout=_PATIENCE_SECONDS).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError(f"it did not start: {log.read_text()}")
