"""Postfix as our smarthost: Cyrus SASL checks the log-in, with each mechanism that both have."""

from __future__ import annotations

import asyncio
import ctypes.util
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kit.courier import courier
from kit.foreign import need_program
from kit.postfix import maildirs, running_postfix, starttls
from zajil.config.options_smarthost import SmarthostOptions
from zajil.lab.ca import CertificateAuthority, CertificateFiles
from zajil.store.engine.open import Store
from zajil.tls.context import client_context
from zajil.tracking.events import AttemptMade

pytestmark = pytest.mark.interop

HOST = "mx.y.test"
PASSWORD = "a pigeon's password"

# Cyrus SASL keeps passwords in a database of its own, which its library writes.
_SET_PASSWORD = """
import ctypes, sys
library, folder, name, realm, password = sys.argv[1:]
sasl = ctypes.CDLL(library)
sasl.sasl_set_path(1, folder.encode())
assert sasl.sasl_server_init(None, b"smtpd") == 0
conn = ctypes.c_void_p()
made = sasl.sasl_server_new(b"smtp", realm.encode(), realm.encode(), None, None, None, 0,
                            ctypes.byref(conn))
assert made == 0, made
secret = password.encode()
done = sasl.sasl_setpass(conn, name.encode(), secret, len(secret), None, 0, 1)
assert done == 0, done
"""


@dataclass(frozen=True, slots=True)
class Relay:
    """A running Postfix that takes mail after a log-in."""

    port: int
    ca_file: Path
    folder: Path

    def offer(self, mechanisms: str) -> None:
        """Let new sessions have these mechanisms."""
        # Debian's Postfix looks there, whatever cyrus_sasl_config_path says.
        file = self.folder / "postfix" / "etc" / "sasl" / "smtpd.conf"
        file.parent.mkdir(exist_ok=True)
        file.parent.chmod(0o755)
        file.write_text(_configuration(self.folder, mechanisms))
        file.chmod(0o644)


def _configuration(folder: Path, mechanisms: str) -> str:
    return (
        "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
        f"sasldb_path: {folder}/sasl/sasldb2\nmech_list: {mechanisms}\n"
    )


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    need_program("postfix")
    library = ctypes.util.find_library("sasl2")
    if library is None:
        pytest.skip("libsasl2 is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="zajil-postfix-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        sasl = folder / "sasl"
        sasl.mkdir()
        sasl.chmod(0o755)
        # Read by the library when it writes the password.
        (sasl / "smtpd.conf").write_text(_configuration(folder, "PLAIN"))
        subprocess.run(
            [sys.executable, "-c", _SET_PASSWORD, library, str(sasl), "me", HOST, PASSWORD],
            check=True,
        )
        (sasl / "sasldb2").chmod(0o644)
        authority = CertificateAuthority(folder / "ca", datetime.now(UTC))
        files = CertificateFiles(folder / "mx.pem", folder / "mx.key")
        authority.certificate(files, [HOST], [])
        settings = {
            **starttls(files.certificate, files.key),
            **maildirs(folder / "mail"),
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "cyrus",
            "smtpd_sasl_path": "smtpd",
            "smtpd_sasl_local_domain": HOST,
            "smtpd_tls_auth_only": "yes",
            "max_use": "1",  # a process reads the mechanisms once
            "mynetworks": "192.0.2.0/24",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject_unauth_destination",
        }
        try:
            with running_postfix(folder / "postfix", port, settings):
                yield Relay(port, authority.ca_file, folder)
        finally:
            log = folder / "postfix" / "log" / "mail.log"
            print(log.read_text(errors="replace") if log.exists() else "no log")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "LOGIN"])
def test_mail_is_relayed_after_a_log_in(store: Store, relay: Relay, mechanism: str) -> None:
    relay.offer(mechanism)

    async def run() -> None:
        options = SmarthostOptions(host=HOST, port=relay.port, login="me", password=PASSWORD)
        tls = client_context(relay.ca_file, verify=True)
        zone = {HOST: {"A": ["127.0.0.1"]}}
        async with courier(store, zone, tls=tls, smarthost=options) as setup:
            mail_id = await setup.put("a@y.test")
            await setup.deliverer.run_due()
            ((state, reason),) = await setup.states(mail_id)
            assert state == "delivered", reason
            assert reason.startswith("250 2.0.0 Ok: queued as ")
            (attempt,) = await setup.events(mail_id, AttemptMade)
            assert f"C: AUTH {mechanism}" in attempt.dialogue

    asyncio.run(run())


@pytest.mark.parametrize("case", ["wrong password", "no log-in"])
def test_mail_waits_if_the_log_in_is_wrong(store: Store, relay: Relay, case: str) -> None:
    relay.offer("PLAIN LOGIN SCRAM-SHA-256")

    async def run() -> None:
        log_in = {"login": "me", "password": "wrong"} if case == "wrong password" else {}
        options = SmarthostOptions.model_validate({"host": HOST, "port": relay.port, **log_in})
        tls = client_context(relay.ca_file, verify=True)
        zone = {HOST: {"A": ["127.0.0.1"]}}
        async with courier(store, zone, tls=tls, smarthost=options) as setup:
            mail_id = await setup.put("a@far.test")
            await setup.deliverer.run_due()
            ((state, reason),) = await setup.states(mail_id)
            assert state == "waiting", reason
            if case == "wrong password":
                assert reason.startswith(f"{HOST} refused the log-in: 535 5.7.8 ")
            else:
                assert reason == "554 5.7.1 <a@far.test>: Relay access denied"

    asyncio.run(run())
