"""SIGHUP reloads a real server, whose sessions go on, and never ends it."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.load import descendants
from kit.reloaded import IMPLICIT_TLS, STARTTLS, install, running
from zajil.app.reload import IN_PLACE
from zajil.config.load import option_groups, own_options

pytestmark = pytest.mark.timeout(180)


def test_a_reload(authority: TestAuthority, tmp_path: Path) -> None:
    """One server for all: certificates, the log, what is broken, what waits, and the end."""
    folder = tmp_path / "mail"
    with running(folder, authority.issue("old.y.test")) as server:
        assert {server.name_of(service) for service in (*IMPLICIT_TLS, *STARTTLS)} == {"old.y.test"}
        idle = socket.create_connection(server.addresses["imap"], 30)
        assert idle.recv(4096).startswith(b"* OK")
        old = [server.connect_tls(service) for service in ("imaps", "submissions")]

        install(folder, authority.issue("new.y.test"))
        before = len(server.lines)
        told = server.reload("configuration problem.*certificate")  # it is for another name
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
        text = text.replace("[queue]", '[queue]\nfirst_retry = "1m"')
        server.configuration.write_text(text, "utf-8")
        assert "generation=2" in server.reload("reloaded.*queue.first_retry")
        text = text.replace("[log]", '[log]\nlevel = "warning"')
        text = text.replace("[server]", '[server]\nuser = "nobody"')
        server.configuration.write_text(text, "utf-8")
        assert "server.user" in server.reload("take effect at the next start")
        assert not [line for line in server.lines if "log.level" in line and "next start" in line]

        # A worker that starts now has the new certificate, and the sessions of others go on.
        victim = descendants([server.process.pid])[-1]
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


@pytest.mark.parametrize("name", IN_PLACE)
def test_each_option_that_is_taken_over_says_so(name: str) -> None:
    group, _, option = name.rpartition(".")
    assert "at a reload" in (own_options(option_groups()[group])[option].description or "")


def test_no_other_option_says_so() -> None:
    said = {
        f"{group}.{name}"
        for group, options in option_groups().items()
        for name, field_ in own_options(options).items()
        if "at a reload" in (field_.description or "")
    }
    assert said == set(IN_PLACE)


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
