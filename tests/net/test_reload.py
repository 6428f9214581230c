"""SIGHUP reloads a real server, whose sessions go on, and never ends it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509

from kit.certificates import TestAuthority
from kit.load import descendants
from zajil.app.reload import RELOADABLE
from zajil.config.load import option_groups, own_options

pytestmark = pytest.mark.timeout(180)

_ZAJIL = [sys.executable, "-m", "zajil"]
_WORKERS = 2
_TLS = ("submissions", "imaps")
_STARTTLS = {"smtp": b"STARTTLS\r\n", "submission": b"STARTTLS\r\n", "imap": b"a STARTTLS\r\n"}


@dataclass(slots=True)
class Server:
    """One that runs, and its log as it comes."""

    configuration: Path
    process: subprocess.Popen[str]
    addresses: dict[str, tuple[str, int]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def read_log(self) -> None:
        """Read the log to its end, in a thread."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()

    def wait_for(self, pattern: str, after: int = 0) -> str:
        """Wait for a line of the log."""

        def find() -> str | None:
            return next((one for one in self.lines[after:] if re.search(pattern, one)), None)

        with self._changed:
            self._changed.wait_for(lambda: find() is not None, 60)
            found = find()
        assert found is not None, (pattern, self.lines)
        return found

    def reload(self, answer: str) -> str:
        """Send the signal, and wait for what the log says of it."""
        before = len(self.lines)
        self.process.send_signal(signal.SIGHUP)
        return self.wait_for(answer, before)

    def connect_tls(self, service: str) -> ssl.SSLSocket:
        """Connect to a service with TLS from the first byte."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(self.addresses[service], 30)
        return context.wrap_socket(plain, server_hostname="any.test")

    def name_of(self, service: str) -> str:
        """Give the name in the certificate that a service presents."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(self.addresses[service], 30) as plain:
            if service not in _TLS:
                plain.recv(4096)
                if service != "imap":
                    plain.sendall(b"EHLO client.test\r\n")
                    plain.recv(4096)
                plain.sendall(_STARTTLS[service])
                plain.recv(4096)
            with context.wrap_socket(plain, server_hostname="any.test") as secure:
                content = secure.getpeercert(binary_form=True)
        assert content is not None
        certificate = x509.load_der_x509_certificate(content)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        (name,) = names.value.get_values_for_type(x509.DNSName)
        return name

    def await_name(self, name: str) -> None:
        """Wait until each worker presents a certificate: the kernel chooses among them."""
        for service in (*_TLS, *_STARTTLS):
            in_a_row = 0
            for _ in range(500):
                in_a_row = in_a_row + 1 if self.name_of(service) == name else 0
                if in_a_row == 8:
                    break
            assert in_a_row == 8, service


@contextmanager
def running(folder: Path, pair: tuple[Path, Path]) -> Iterator[Server]:
    """Set up and serve; the certificate lies beside the configuration."""
    subprocess.run([*_ZAJIL, "setup", "y.test", "--dir", str(folder)], check=True, stdout=-3)
    install(folder, pair)
    configuration = folder / "zajil.toml"
    services = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "web")
    text = configuration.read_text("utf-8")
    text = re.sub(r"(?m)^\w+ = \[\"[^\n]*:\d+\"\]\n", "", text)  # what listens where
    text = re.sub(
        r"(?m)^\[listen\]$",
        "[listen]\n" + "".join(f'{name} = ["127.0.0.1:0"]\n' for name in services),
        text,
    )
    text = text.replace("[server]", f"[server]\nworkers = {_WORKERS}", 1)
    configuration.write_text(text, "utf-8")
    read, write = os.pipe()
    command = [*_ZAJIL, "--config", str(configuration), "serve", "--ready-fd", str(write)]
    with subprocess.Popen(command, pass_fds=(write,), stderr=subprocess.PIPE, text=True) as process:
        os.close(write)
        server = Server(configuration, process)
        reader = threading.Thread(target=server.read_log)
        reader.start()
        try:
            with open(read) as ready:
                addresses = json.loads(ready.readline())
            for name in services:
                host, _, port = addresses[name][0].rpartition(":")
                server.addresses[name] = (host, int(port))
            yield server
        finally:
            process.terminate()
            process.wait()
            reader.join()


def install(folder: Path, pair: tuple[Path, Path]) -> None:
    """Put a certificate and its key in place of the old ones."""
    for source, name in zip(pair, ("certificate.pem", "key.pem"), strict=True):
        fresh = folder / "tls" / f"{name}.new"
        fresh.write_bytes(source.read_bytes())
        fresh.replace(folder / "tls" / name)


def test_a_reload(authority: TestAuthority, tmp_path: Path) -> None:
    """One server for all: certificates, the log, what is broken, what waits, and the end."""
    folder = tmp_path / "mail"
    with running(folder, authority.issue("old.y.test")) as server:
        workers = descendants([server.process.pid])[1:]
        assert {server.name_of(service) for service in (*_TLS, *_STARTTLS)} == {"old.y.test"}
        idle = socket.create_connection(server.addresses["imap"], 30)
        assert idle.recv(4096).startswith(b"* OK")
        old = [server.connect_tls(service) for service in ("imaps", "submissions")]

        install(folder, authority.issue("new.y.test"))
        before = len(server.lines)
        told = server.reload("configuration problem")  # it is for another name
        assert "tls.certificate" in server.wait_for(" reloaded ", before)
        assert "the certificate is for new.y.test, not for server.hostname, mail.y.test" in told
        server.await_name("new.y.test")
        for connection in old:  # they go on as they were
            assert connection.recv(4096)
            connection.sendall(b"a NOOP\r\n")
            assert connection.recv(4096)
            connection.close()

        for break_it, reason in _broken(folder, authority):
            mend = break_it()
            assert re.search(reason, server.reload("cannot reload"))
            server.await_name("new.y.test")
            mend()

        text = server.configuration.read_text("utf-8")
        changed = text.replace("[log]", '[log]\nlevel = "warning"').replace(
            "[queue]", '[queue]\nfirst_retry = "1m"'
        )
        server.configuration.write_text(changed, "utf-8")
        assert "queue.first_retry" in server.reload("take effect at the next start")
        assert not [line for line in server.lines if "log.level" in line and "next start" in line]

        # A worker that starts now has the new certificate, and the sessions of others go on.
        victim = workers[0]
        os.kill(victim, signal.SIGKILL)
        server.wait_for("starting another")
        server.await_name("new.y.test")
        for _ in range(20):
            server.process.send_signal(signal.SIGHUP)
        server.await_name("new.y.test")
        assert server.process.poll() is None
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait() == 0
        idle.close()
    told = "".join(server.lines)
    assert "starting" in server.lines[0]
    assert "serving" in told
    assert told.count("worker ended") == 1


def _broken(
    folder: Path, authority: TestAuthority
) -> list[tuple[Callable[[], Callable[[], None]], str]]:
    """What an operator may get wrong, and how the log names it; each gives what mends it."""
    other, _ = authority.issue("other.y.test")

    def spoil(name: str, content: bytes | None) -> Callable[[], Callable[[], None]]:
        def break_it() -> Callable[[], None]:
            path = folder / name
            before = path.read_bytes()
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content)
            return lambda: void(path.write_bytes(before))

        return break_it

    return [
        (spoil("tls/certificate.pem", b"junk"), "not a PEM certificate"),
        (spoil("tls/certificate.pem", other.read_bytes()), "is not the key of"),
        (spoil("tls/key.pem", None), "cannot read .*key.pem"),
        (spoil("zajil.toml", b"[server"), "it is not TOML"),
        (spoil("zajil.toml", b"[server]\nhostnam = 1\n"), "hostnam"),
        (spoil("zajil.toml", None), "cannot be read"),
    ]


def void(value: object) -> None:
    """Give nothing for something."""


@pytest.mark.parametrize("name", RELOADABLE)
def test_each_option_that_is_taken_over_says_so(name: str) -> None:
    group, _, option = name.rpartition(".")
    assert "SIGHUP" in (own_options(option_groups()[group])[option].description or "")


def test_no_other_option_says_so() -> None:
    said = {
        f"{group}.{name}"
        for group, options in option_groups().items()
        for name, field_ in own_options(options).items()
        if "SIGHUP" in (field_.description or "")
    }
    assert said == set(RELOADABLE)


def test_the_service_manager_is_told(tmp_path: Path, authority: TestAuthority) -> None:
    """sd_notify(3): READY=1 when all services answer, STOPPING=1 at the end."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        os.environ["NOTIFY_SOCKET"] = path
        try:
            with running(tmp_path / "mail", authority.issue("mx.y.test")):
                assert manager.recv(100) == b"READY=1"
            assert manager.recv(100) == b"STOPPING=1"
        finally:
            del os.environ["NOTIFY_SOCKET"]
