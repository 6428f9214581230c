"""A server that is reloaded: a process of its own, whose configuration and log tests look at."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

from kit.installation import SetUp, set_up
from kit.load import descendants

_ZAJIL = [sys.executable, "-m", "zajil"]
_WORKERS = 2
_SERVICES = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "web")
IMPLICIT_TLS = ("submissions", "imaps")
STARTTLS = {"smtp": b"STARTTLS\r\n", "submission": b"STARTTLS\r\n", "imap": b"a STARTTLS\r\n"}


@dataclass(slots=True)
class Server:
    """One that runs, and its log as it comes."""

    configuration: Path
    process: subprocess.Popen[str]
    addresses: dict[str, tuple[str, int]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    login: str = ""
    password: str = ""
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

    def set(self, **options: object) -> None:
        """Change options in the file, which loses its comments: ``queue__lease="5m"``."""
        tree = tomllib.loads(self.configuration.read_text("utf-8"))
        for name, value in options.items():
            *tables, option = name.split("__")
            table = tree
            for one in tables:
                table = table.setdefault(one, {})
            table[option] = value
        self.configuration.write_text("\n".join(_toml(tree, "")) + "\n", "utf-8")

    def workers(self) -> list[int]:
        """Return the processes of all generations."""
        return descendants([self.process.pid])[1:]

    def connect_tls(self, service: str) -> ssl.SSLSocket:
        """Connect to a service with TLS from the first byte."""
        context = trusting_anybody()
        plain = socket.create_connection(self.addresses[service], 30)
        return context.wrap_socket(plain, server_hostname="any.test")

    def name_of(self, service: str) -> str:
        """Give the name in the certificate that a service presents."""
        context = trusting_anybody()
        with socket.create_connection(self.addresses[service], 30) as plain:
            if service not in IMPLICIT_TLS:
                plain.recv(4096)
                if service != "imap":
                    plain.sendall(b"EHLO client.test\r\n")
                    plain.recv(4096)
                plain.sendall(STARTTLS[service])
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
        for service in (*IMPLICIT_TLS, *STARTTLS):
            in_a_row = 0
            for _ in range(500):
                in_a_row = in_a_row + 1 if self.name_of(service) == name else 0
                if in_a_row == 8:
                    break
            assert in_a_row == 8, service


@contextmanager
def running(folder: Path, pair: tuple[Path, Path], *, store_url: str = "") -> Iterator[Server]:
    """Set up and serve; the certificate lies beside the configuration.

    Args:
        folder: new.
        pair: certificate and key.
        store_url: of an empty database of PostgreSQL; default: SQLite.
    """
    made = set_up_on(folder, store_url) if store_url else set_up(folder)
    install(folder, pair)
    configuration = folder / "zajil.toml"
    text = configuration.read_text("utf-8")
    text = re.sub(r"(?m)^\w+ = \[\"[^\n]*:\d+\"\]\n", "", text)  # what listens where
    text = re.sub(
        r"(?m)^\[listen\]$",
        "[listen]\n" + "".join(f'{name} = ["127.0.0.1:0"]\n' for name in _SERVICES),
        text,
    )
    text = text.replace("[server]", f"[server]\nworkers = {_WORKERS}", 1)
    configuration.write_text(text, "utf-8")
    with serving(configuration) as server:
        server.login, server.password = made.login, made.password
        yield server


def set_up_on(folder: Path, store_url: str) -> SetUp:
    """Set up on an empty database of PostgreSQL, as ``set_up`` does."""
    command = ["setup", "y.test", "--dir", str(folder), "--admin", "b@y.test", "--json"]
    command += ["--database", store_url]
    done = subprocess.run([*_ZAJIL, *command], check=True, stdout=subprocess.PIPE)
    account = json.loads(done.stdout)["account"]
    return SetUp(folder / "zajil.toml", account["login"], account["password"])


@contextmanager
def serving(configuration: Path) -> Iterator[Server]:
    """Serve until the block ends."""
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
            for name in _SERVICES:
                if addresses[name]:
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


@functools.cache
def trusting_anybody() -> ssl.SSLContext:
    """Return the context of a client that checks nothing; it reads no authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def _toml(tree: dict[str, Any], name: str) -> Iterator[str]:
    """Write a table and those in it; JSON is TOML for what options are made of."""
    if name:
        yield f"[{name}]"
    for key, value in tree.items():
        if not isinstance(value, dict):
            yield f"{json.dumps(key)} = {json.dumps(value)}"
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _toml(value, f"{name}.{json.dumps(key)}".lstrip("."))
