"""Token introspection against a real HTTP server on this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest

from kit.clock import FakeClock
from kit.store import NOW_MS
from zajil.login.introspection import Introspection, IntrospectionRules
from zajil.login.tokens import JudgeUnavailable

NOW = NOW_MS // 1000
AMAL = {"active": True, "username": "amal", "aud": "mail", "exp": NOW + 60}


def ask(body: bytes, status: int = 200, **rules: Any) -> tuple[str | None, list[Any]]:
    """Judge one token; give the answer, and what the server was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            asked.append((self.path, self.headers["Authorization"], self.rfile.read(size)))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/introspect"
        try:
            return asyncio.run(_judge(IntrospectionRules(url, **rules))), asked
        finally:
            thread.join()


async def _judge(rules: IntrospectionRules) -> str | None:
    introspection = Introspection(rules, True, FakeClock(NOW_MS))
    try:
        return await introspection.judge("a.b+c/d==")
    finally:
        await introspection.close()


def test_the_owner_is_told_and_the_token_stays_out_of_the_address() -> None:
    """RFC 7662 section 2.1: POST, form-encoded, with our own name."""
    owner, asked = ask(
        json.dumps(AMAL).encode(), client_id="zajil", client_secret="secret", audience="mail"
    )
    assert owner == "amal"
    ((path, authorization, body),) = asked
    assert path == "/introspect"
    assert authorization.startswith("Basic ")
    assert parse_qs(body.decode())["token"] == ["a.b+c/d=="]


@pytest.mark.parametrize(
    "change",
    [
        {"active": False},
        {"active": "true"},
        {"active": 1},
        {"exp": NOW},
        {"exp": "later"},
        {"exp": True},
        {"nbf": NOW + 60},
        {"aud": "calendar"},
        {"aud": ["calendar"]},
        {"aud": None},
        {"username": ""},
        {"username": 5},
        {"username": None},
    ],
)
def test_what_opens_nothing(change: dict[str, Any]) -> None:
    """CVE-2021-29157: a token for another audience is nobody's here."""
    assert ask(json.dumps(AMAL | change).encode(), audience="mail")[0] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not JSON", 200),
        (b"[]", 200),
        (b"[" * 50_000, 200),
        (b"\xff", 200),
        (b'"' + b"a" * 70_000 + b'"', 200),
        (b"{}", 500),
        (b"{}", 401),
        (b"", 302),
    ],
)
def test_who_talks_nonsense_is_asked_again_later(body: bytes, status: int) -> None:
    """A redirect is not followed: it would lead us where no operator sent us."""
    with pytest.raises(JudgeUnavailable):
        ask(body, status)


def test_a_server_that_is_away() -> None:
    refused: Callable[[], Any] = lambda: asyncio.run(  # noqa: E731
        _judge(IntrospectionRules("http://127.0.0.1:1/"))
    )
    with pytest.raises(JudgeUnavailable):
        refused()
