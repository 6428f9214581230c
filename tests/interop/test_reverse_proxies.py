"""nginx, HAProxy and Caddy before a real server, with the configuration of docs/run/https.md."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from kit.certificates import TestAuthority
from kit.foreign import need_program
from kit.installation import Installation, running_installation

pytestmark = pytest.mark.interop

_PAGE = Path(__file__).parents[2] / "docs" / "run" / "https.md"
_SECONDS = 60
_BROWSER = "127.0.0.9"
"""Address of the browser; the proxy has 127.0.0.1."""
HOST = "mail.example.org"


@dataclass(frozen=True, slots=True)
class Proxied:
    """A server behind a proxy."""

    running: Installation
    port: int
    """Of HTTPS at the proxy."""
    authority: TestAuthority
    log: Path

    def ask(self, path: str, host: str = HOST, **options: object) -> httpx.Response:
        """Ask the proxy as a browser with an address of its own."""
        context = ssl.create_default_context(cafile=str(self.authority.ca_file))
        transport = httpx.HTTPTransport(verify=context, local_address=_BROWSER)
        headers = {"Host": host, **options.pop("headers", {})}  # type: ignore[dict-item]
        method = str(options.pop("method", "GET"))
        with httpx.Client(transport=transport, timeout=_SECONDS) as client:
            return client.request(
                method,
                f"https://127.0.0.1:{self.port}{path}",
                headers=headers,
                extensions={"sni_hostname": host},
                **options,  # type: ignore[arg-type]
            )


def block(language: str) -> str:
    """Return the configuration that the page shows."""
    found = re.search(rf"```{language}\n(.*?)```", _PAGE.read_text("utf-8"), re.S)
    assert found
    return found[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def command_of(proxy: str, folder: Path, port: int, to: str, tls: tuple[Path, Path]) -> list[str]:
    """Write the configuration with ports and files of the test; return how the proxy is started."""
    text = block(proxy).replace("127.0.0.1:8080", to)
    both = folder / "both.pem"
    both.write_bytes(tls[0].read_bytes() + tls[1].read_bytes())
    file = folder / "configuration"
    if proxy == "nginx":
        text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        text = text.replace("/etc/ssl/mail.example.org.pem", str(tls[0]))
        text = text.replace("/etc/ssl/mail.example.org.key", str(tls[1]))
        folders = "".join(
            f"{name}_temp_path {folder}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""
        head = f"{user} daemon off; pid {folder}/pid; error_log {folder}/errors;"
        file.write_text(f"{head} events {{}} http {{ access_log off; {folders} {text} }}")
        return ["nginx", "-p", str(folder), "-e", f"{folder}/errors", "-c", str(file)]
    if proxy == "haproxy":
        text = text.replace("bind :443", f"bind 127.0.0.1:{port}")
        file.write_text(text.replace("/etc/ssl/mail.example.org.pem", str(both)))
        return ["haproxy", "-db", "-f", str(file)]
    names, brace, rest = text.partition(" {")
    names = ", ".join(f"{name}:{port}" for name in names.split(", "))
    options = "{\nadmin off\nauto_https disable_redirects\n}\n"
    certificate = f"\n    tls {tls[0]} {tls[1]}"
    file.write_text(f"{options}{names}{brace}{certificate}{rest}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)]


@pytest.fixture(scope="module", params=["nginx", "haproxy", "caddy"])
def proxied(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    program = need_program(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    authority = TestAuthority(folder)
    names = [HOST, *(f"{one}.example.org" for one in ("mta-sts", "autoconfig", "autodiscover"))]
    tls, log, port = authority.issue(*names), folder / "log", free_port()
    settings = ['web.trusted_proxies=["127.0.0.1"]', f"web.url=https://{HOST}/"]
    settings += [f"server.hostname={HOST}", "log.level=info"]
    with running_installation(folder / "zajil", tls, *settings, log=log) as running:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "zajil",
                "--config",
                str(running.configuration),
                "domain",
                "add",
                "example.org",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        host, to = running.address("web")
        _, *arguments = command_of(request.param, folder, port, f"{host}:{to}", tls)
        environment = {**os.environ, "XDG_DATA_HOME": str(folder), "HOME": str(folder)}
        with (folder / "proxy.log").open("wb") as output:
            proxy = subprocess.Popen(
                [program, *arguments], stdout=output, stderr=output, env=environment
            )
        try:
            until = monotonic() + _SECONDS
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert proxy.poll() is None, (folder / "proxy.log").read_text()
                    assert monotonic() < until
                    sleep(0.1)
            yield Proxied(running, port, authority, log)
        finally:
            proxy.terminate()
            proxy.wait(_SECONDS)


def test_pages_pass_a_proxy(proxied: Proxied) -> None:
    page = proxied.ask("/login")
    assert page.status_code == 200
    assert page.headers["strict-transport-security"].startswith("max-age=")
    assert "; Secure" in page.headers["set-cookie"]


def test_names_of_a_domain_pass_a_proxy(proxied: Proxied) -> None:
    policy = proxied.ask("/.well-known/mta-sts.txt", "mta-sts.example.org")
    assert policy.text.startswith("version: STSv1\r\n")
    assert proxied.ask("/login", "mta-sts.example.org").status_code == 404
    path = "/mail/config-v1.1.xml"
    assert proxied.ask(path, "autoconfig.example.org").status_code == 200
    path = "/Autodiscover/Autodiscover.xml"
    answer = proxied.ask(path, "autodiscover.example.org", method="POST", content=b"<x/>")
    assert "<ErrorCode>600</ErrorCode>" in answer.text


def test_nobody_forges_what_the_proxy_says(proxied: Proxied) -> None:
    """Attack: a browser that names another address escapes limits, one that names a host finds
    pages that are not for it."""
    forged = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Host": "mta-sts.example.org",
        "X-Forwarded-Proto": "http",
    }
    page = proxied.ask("/login", headers=forged)
    assert page.status_code == 200
    assert "; Secure" in page.headers["set-cookie"]
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
    assert csrf
    form = {"login": "nobody", "password": "wrong", "csrf": csrf[1]}
    cookies = {"Cookie": page.headers["set-cookie"].partition(";")[0]}
    answer = proxied.ask("/login", method="POST", data=form, headers={**forged, **cookies})
    assert answer.status_code != 303
    until = monotonic() + _SECONDS
    while "nobody" not in proxied.log.read_text():
        assert monotonic() < until
        sleep(0.05)
    (line,) = [one for one in proxied.log.read_text().splitlines() if "nobody" in one]
    assert _BROWSER in line
    assert "203.0.113.9" not in line


def test_a_large_form_passes_a_proxy(proxied: Proxied) -> None:
    """It is refused by us, not by the proxy, whose page people would not understand."""
    page = proxied.ask("/login", method="POST", data={"login": "x" * 100_000})
    assert page.status_code == 413
    assert "<html" in page.text
