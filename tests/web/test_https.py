"""A real server on its own HTTPS and HTTP ports: names, redirects, bad TLS clients, attacks."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

import httpx
import pytest

from kit.certificates import TestAuthority
from kit.installation import Installation, running_installation
from zajil.config.load import load_configuration
from zajil.config.options import Configuration
from zajil.config.options_public import MtaStsOptions
from zajil.config.options_server import ServerOptions
from zajil.net.system import SystemClock
from zajil.operations.mta_sts import policy_id, policy_text
from zajil.store.engine.open import Store, open_store
from zajil.store.people.certificates import AcmeChallenge, put_challenges

HOST = "mx.y.test"
_SECONDS = 60


class Server:
    """One that serves HTTPS and HTTP, and how a test asks it."""

    def __init__(self, running: Installation, tls: tuple[Path, Path], log: Path) -> None:
        self.running = running
        self.log = log
        self.certificate, self.key = tls
        self.https = running.address("https")
        self.http = running.address("http")
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE

    def open(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """Connect to the HTTPS port."""
        plain = socket.create_connection(self.https, _SECONDS)
        return (context or self.context).wrap_socket(plain, server_hostname=HOST)

    def ask(self, request: bytes) -> bytes:
        """Send bytes over TLS, and return all that comes until the end."""
        with self.open() as sock:
            sock.sendall(request)
            return read_all(sock)

    def ask_plain(self, request: bytes, port: str = "http") -> bytes:
        """Send bytes without TLS, and return all that comes until the end."""
        address = self.https if port == "https" else self.http
        with socket.create_connection(address, _SECONDS) as sock:
            sock.sendall(request)
            return read_all(sock)

    def get(self, path: str, host: str = HOST, method: str = "GET") -> httpx.Response:
        """Ask over HTTPS for a path of a name."""
        with httpx.Client(verify=self.context, timeout=_SECONDS) as client:
            url = f"https://{self.https[0]}:{self.https[1]}{path}"
            return client.request(method, url, headers={"Host": host})


def read_all(sock: socket.socket) -> bytes:
    parts = []
    try:
        while part := sock.recv(65536):
            parts.append(part)
    except (ConnectionResetError, ssl.SSLError):
        parts.append(b"")
    return b"".join(parts)


def head(path: str, host: str = HOST, method: str = "GET", more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: TestAuthority) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("https")
    settings = ['listen.https=["127.0.0.1:0"]', 'listen.http=["127.0.0.1:0"]']
    settings += [f"server.hostname={HOST}", "limits.handshake=3s"]
    tls = authority.issue(HOST)
    log = folder / "log"
    with running_installation(folder / "zajil", tls, *settings, log=log) as ours:
        yield Server(ours, tls, log)


# ---- pages ---------------------------------------------------------------------------------------


def test_pages_come_with_tls_and_say_so(server: Server, authority: TestAuthority) -> None:
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    with server.open(context) as sock:
        sock.sendall(head("/login"))
        page = read_all(sock).decode()
        assert sock.version() in ("TLSv1.3", "TLSv1.2")
    assert page.startswith("HTTP/1.1 200")
    assert re.search(r"strict-transport-security: max-age=15552000\r\n", page, re.I)
    cookies = re.findall(r"(?i)set-cookie: (.*)\r\n", page)
    assert cookies
    assert all(one.endswith("; Secure") for one in cookies)


def test_the_listener_without_tls_has_cookies_that_work_there(server: Server) -> None:
    host, port = server.running.address("web")
    page = httpx.get(f"http://{host}:{port}/login", timeout=_SECONDS)
    assert "strict-transport-security" not in page.headers
    assert "secure" not in page.headers["set-cookie"].lower()


def test_an_account_is_told_the_public_address(server: Server) -> None:
    with httpx.Client(verify=server.context, timeout=_SECONDS) as browser:
        base = f"https://{server.https[0]}:{server.https[1]}"
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', browser.get(f"{base}/login").text)
        assert csrf
        form = {"login": server.running.login, "password": server.running.password}
        answer = browser.post(f"{base}/login", data={**form, "csrf": csrf[1], "next": "/mail"})
        assert answer.status_code == 303
        page = browser.get(f"{base}/account/devices").text
    assert f"https://{HOST}:{server.https[1]}/account/devices" in page


def test_many_requests_use_one_connection(server: Server) -> None:
    with server.open() as sock:
        for _ in range(3):
            sock.sendall(f"GET /nothing HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += sock.recv(65536)
            length = int(re.search(rb"(?i)content-length: (\d+)", answer)[1])  # type: ignore[index]
            body = answer.partition(b"\r\n\r\n")[2]
            while len(body) < length:
                body += sock.recv(65536)
            assert answer.startswith(b"HTTP/1.1 404")


# ---- names ---------------------------------------------------------------------------------------


def test_the_policy_is_served_at_its_name_and_nothing_else_is(server: Server) -> None:
    found = server.get("/.well-known/mta-sts.txt", "mta-sts.y.test")
    expected = b"version: STSv1\r\nmode: testing\r\nmx: mx.y.test\r\nmax_age: 604800\r\n"
    assert (found.status_code, found.content) == (200, expected)
    assert found.headers["content-type"].startswith("text/plain")
    assert found.headers["cache-control"] == "no-store"
    for path in ("/", "/login", "/mail", "/static/base.css", "/.well-known/mta-sts.txt/", "/x"):
        assert server.get(path, "mta-sts.y.test").status_code == 404, path
    assert server.get("/.well-known/mta-sts.txt", "mta-sts.y.test:443").status_code == 200
    assert server.get("/.well-known/mta-sts.txt", "MTA-STS.Y.test").status_code == 200
    assert server.get("/.well-known/mta-sts.txt", "mta-sts.y.test", "POST").status_code == 405
    assert server.get("/.well-known/mta-sts.txt", HOST).status_code == 404
    assert server.get("/.well-known/mta-sts.txt", "mta-sts.other.test").status_code == 404


@pytest.mark.parametrize("name", ["autoconfig.y.test", "autodiscover.y.test"])
def test_names_of_settings_serve_no_pages(server: Server, name: str) -> None:
    assert server.get("/mail/config-v1.1.xml", name).status_code == 200
    for path in ("/", "/login", "/mail", "/journey/x"):
        assert server.get(path, name).status_code == 404


def test_a_policy_has_another_id_if_and_only_if_it_changed() -> None:
    def make(hostname: str = HOST, **options: object) -> Configuration:
        server = ServerOptions(hostname=hostname, data_dir=Path("data"))
        return Configuration(server=server, mta_sts=MtaStsOptions(**options))

    variants = [
        make(),
        make("mx2.y.test"),
        make(mode="enforce"),
        make(mode="none"),
        make(max_age_ms="1d"),
        make(mx=(HOST, "*.backup.test")),
    ]
    assert len({policy_id(one) for one in variants}) == len(variants)
    assert policy_id(make()) == policy_id(make())
    assert all(re.fullmatch("[a-zA-Z0-9]{1,32}", policy_id(one)) for one in variants)
    assert b"mx:" not in policy_text(variants[3])
    assert policy_text(variants[5]).count(b"\r\nmx: ") == 2


# ---- port 80 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [HOST, "y.test", "autoconfig.y.test", "MX.y.test:80"])
def test_port_80_leads_to_https_with_the_same_path(server: Server, name: str) -> None:
    answer = server.ask_plain(head("/mail/x%2fy?a=b&c=%0d%0aX:1", name)).decode()
    assert answer.startswith("HTTP/1.1 301 ")
    found = re.search(r"(?i)\r\nlocation: (.*)\r\n", answer)
    assert found
    url = urlsplit(found[1])
    assert url.hostname == name.lower().partition(":")[0]
    assert url.port == server.https[1]
    assert f"{url.path}?{url.query}" == "/mail/x%2fy?a=b&c=%0d%0aX:1"
    assert "cookie" not in answer.lower()


@pytest.mark.parametrize(
    "request_bytes",
    [
        head("/", "evil.test"),
        head("/", "mx.y.test.evil.test"),
        head("/", "mx.y.test@evil.test"),
        head("/", "evil.test#mx.y.test"),
        head("/", "127.0.0.1"),
        head("/", "[::1]"),
        head("/", ""),
        head("@evil.test/"),
        head("http://evil.test/"),
        head("http://mx.y.test@evil.test/"),
        head("*", method="OPTIONS"),
        head("/", method="POST"),
        head("/", method="TRACE"),
        head("/", more="Host: evil.test\r\n"),
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\nConnection: close\r\n\r\n",
        head("/" + "x" * 9000),
    ],
)
def test_port_80_leads_nowhere_else(server: Server, request_bytes: bytes) -> None:
    """Attack: an open redirect makes an address of ours lead to a site of somebody else."""
    answer = server.ask_plain(request_bytes)
    assert re.match(rb"HTTP/1\.1 4\d\d ", answer), answer
    assert b"location:" not in answer.lower()


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/unknown",
        "/.well-known/acme-challenge/../../etc/passwd",
        "/.well-known/acme-challenge/..%2f..%2fetc%2fpasswd",
        "/.well-known/acme-challenge/%00",
        "/.well-known/acme-challenge/" + "a" * 200,
        "/.well-known/acme-challenge/a/b",
        "/.well-known/acme-challenge/é",
    ],
)
def test_a_challenge_that_nobody_has_is_not_found(server: Server, path: str) -> None:
    answer = server.ask_plain(head(path, "any.test"))
    assert re.match(rb"HTTP/1\.1 40[04] ", answer), answer


def test_a_certificate_authority_gets_the_answer_from_the_store(server: Server) -> None:
    """Any host name does: the authority asks for the name that the certificate is for."""
    configuration = load_configuration(server.running.configuration)
    path = configuration.server.data_dir
    token, answer = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", "token.thumbprint"
    challenge = AcmeChallenge(token, "mta-sts.y.test", answer, 0)
    store = open_store(configuration.store, path, clock=SystemClock(), random=os.urandom)
    asyncio.run(answered(store, challenge))
    for host in ("mta-sts.y.test", HOST, "any.test"):
        found = server.ask_plain(head(f"/.well-known/acme-challenge/{token}", host))
        assert found.startswith(b"HTTP/1.1 200 ")
        assert found.endswith(b"\r\n\r\n" + answer.encode())
    # Nothing of it is served over HTTPS, where pages are.
    assert server.get(f"/.well-known/acme-challenge/{token}").status_code == 404


async def answered(store: Store, challenge: AcmeChallenge) -> None:
    store.start(asyncio.get_running_loop())
    try:
        await store.write(put_challenges, challenge)
    finally:
        await store.close()


def test_outlook_finds_the_redirect_that_it_looks_for(server: Server) -> None:
    path = "/autodiscover/autodiscover.xml"
    answer = server.ask_plain(head(path, "autodiscover.y.test")).decode()
    assert answer.startswith("HTTP/1.1 302 ")
    assert f"https://autodiscover.y.test:{server.https[1]}{path}\r\n" in answer


# ---- bad clients ---------------------------------------------------------------------------------


def test_http_on_the_https_port_is_told_so(server: Server) -> None:
    answer = server.ask_plain(head("/"), "https")
    assert answer.startswith(b"HTTP/1.1 400 ")
    _, _, body = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in answer
    assert b"https://" in body


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"SSH-2.0-x\r\n",
        b"EHLO x\r\n",
        b"\x16\x03\x01\xff\xff" + b"\x00" * 20000,
        b"\x16\x03\x01\x00\x05hello",
        b"\x16" * 40000,
    ],
)
def test_what_is_neither_is_closed(server: Server, data: bytes) -> None:
    answer = server.ask_plain(data, "https")
    assert len(answer) <= 7  # nothing, or an alert
    assert server.get("/login").status_code == 200


def test_a_handshake_that_does_not_end_ends(server: Server) -> None:
    """Attack: connections that never complete the handshake hold the server up (slowloris)."""
    begun = monotonic()
    with (
        socket.create_connection(server.https, _SECONDS) as silent,
        socket.create_connection(server.https, _SECONDS) as slow,
    ):
        slow.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert read_all(silent) == b""
        assert read_all(slow) == b""
    assert monotonic() - begun < 50
    assert server.get("/login").status_code == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_of_tls_are_refused(server: Server, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        context.minimum_version = context.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        server.open(context)


@pytest.mark.parametrize("service", ["https", "imaps", "submissions"])
@pytest.mark.parametrize("name", ["\xff" * 9, "a\0b\0c\0d\0e", "xn--\xe9.fra", "." * 9])
def test_a_host_name_in_the_handshake_ends_nothing_but_its_connection(
    server: Server, service: str, name: str
) -> None:
    """Attack: Python fails where the name is not ASCII, and writes a traceback of its own."""
    out = ssl.MemoryBIO()
    tls = server.context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="host.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = out.read()
    with socket.create_connection(server.running.address(service), _SECONDS) as sock:
        sock.sendall(hello.replace(b"host.test", name.encode("latin-1")))
        assert sock.recv(1) in (b"\x15", b"\x16")  # an alert, or the handshake goes on
    assert b"200 OK" in server.ask(head("/login"))
    assert is_orderly(server.log.read_text("utf-8"))


def is_orderly(log: str) -> bool:
    """Whether each line is one of our format, and none of them an error."""
    return all(re.match(r"20\S+Z (info|warning) ", line) for line in log.splitlines())


def test_renegotiation_is_refused(server: Server) -> None:
    """Attack: a client that renegotiates makes the server compute one handshake after another."""
    where = f"{server.https[0]}:{server.https[1]}"
    client = subprocess.run(
        ["openssl", "s_client", "-connect", where, "-tls1_2"],
        input=b"R\n",
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    assert b"RENEGOTIATING" in client.stdout + client.stderr
    assert b"no renegotiation" in client.stdout + client.stderr


@pytest.mark.parametrize(
    "fields",
    [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "X: a\r\n\x00b: c\r\n",
        "X\x0b: y\r\n",
        "No colon\r\n",
    ],
)
def test_requests_of_two_meanings_are_refused(server: Server, fields: str) -> None:
    """Attack: what a proxy reads as one request, and we as two, smuggles the second one past it."""
    smuggled = "GET /login HTTP/1.1\r\nHost: mx.y.test\r\n\r\n"
    request = f"POST /login HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n{smuggled}"
    answer = server.ask(request.encode("latin-1"))
    assert re.match(rb"HTTP/1\.1 (400|501) ", answer), answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_length_beside_chunks_smuggles_nothing(server: Server) -> None:
    """The length is ignored, and the connection ends (RFC 9112 section 6.3)."""
    body = "0\r\n\r\nGET /login HTTP/1.1\r\nHost: mx.y.test\r\n\r\n"
    fields = f"Content-Length: {len(body)}\r\nTransfer-Encoding: chunked\r\n"
    request = f"POST /nothing HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n{body}"
    first = f"GET /nothing HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    assert server.ask(request.encode()).count(b"HTTP/1.1 ") == 1
    assert server.ask((first + request).encode()).count(b"HTTP/1.1 ") == 2


@pytest.mark.parametrize("host", ["evil.test", "mx.y.test@evil.test", "evil.test/", "x\ty"])
def test_a_forged_host_stands_in_no_answer(server: Server, host: str) -> None:
    for path in ("/", "/login", "/nothing"):
        assert b"evil.test" not in server.ask(head(path, host))


# ---- change of the certificate -------------------------------------------------------------------


def test_a_new_certificate_ends_no_connection(server: Server, authority: TestAuthority) -> None:
    with server.open() as old:
        before = old.getpeercert(binary_form=True)
        certificate, key = authority.issue(HOST, "other.y.test")
        assert certificate == server.certificate  # the same name: the files were replaced
        os.kill(server.running.pid, signal.SIGHUP)
        until = monotonic() + _SECONDS
        while True:
            with server.open() as fresh:
                if fresh.getpeercert(binary_form=True) != before:
                    break
            assert monotonic() < until
            sleep(0.05)
        old.sendall(head("/login"))
        assert read_all(old).startswith(b"HTTP/1.1 200")
        assert key == server.key
