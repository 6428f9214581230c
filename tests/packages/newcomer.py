"""Follow a page of ``docs/run`` in a fresh system: newcomer.py ROOT PAGE FOLDER, in a new network.

The system has our package already. DNS, the certificate authority and a server to write to are
those of ``kit.small_internet``. Prints how long each command took, and what another server found.
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.query
import dns.tsigkeyring
import dns.update

from kit.operator_page import commands_of
from kit.small_internet import NAME_SERVER, RESOLVER, SmallInternet, prepare_network, small_internet

OURS, THEIRS = "127.1.0.1", "127.2.0.1"
HOST = "mail.newcomer.test"
_OTHER_ZONE = f"""
@ MX 10 mail.other.test.
@ TXT "v=spf1 mx -all"
_dmarc TXT "v=DMARC1; p=reject"
mail A {THEIRS}
mail TXT "v=spf1 a -all"
"""
_AS_THE_UNIT = ["setpriv", "--reuid=zajil", "--regid=zajil", "--init-groups", "--no-new-privs"]
_AS_THE_UNIT += ["--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service"]
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_ENVIRONMENT |= {"LC_ALL": "C.UTF-8", "HOME": "/root"}


class Trial:
    """One newcomer."""

    def __init__(self, root: Path, internet: SmallInternet) -> None:
        self.root = root
        self.internet = internet
        self.times: list[tuple[str, float]] = []
        self.server: subprocess.Popen[bytes] | None = None

    def follow(self, page: str) -> None:
        """Run each command of a page that is typed into a shell, in its order."""
        for line in (one.text for one in commands_of(page) if not one.is_inline):
            command = self._for_this_system(line)
            began = time.monotonic()
            if command[0] == "apt-get":
                continue  # done before, with a network
            if command[0] == "systemctl":
                self._serve()
            else:
                self._run(command)
            self.times.append((line, time.monotonic() - began))
            if "setup" in command:
                self._publish_address()

    def _for_this_system(self, line: str) -> list[str]:
        """Return a command with the names and addresses of this small Internet."""
        words = shlex.split(line.replace("example.org", "newcomer.test"))
        if words[:2] != ["zajil", "setup"]:
            return [word.replace("echo@example.net", "echo@other.test") for word in words]
        provider = self.internet
        options = f'{{server = "{NAME_SERVER}", key = "{provider.key_name}", '
        options += 'secret = {file = "/etc/tsig"}}'
        settings = ["dns_provider.name=rfc2136", f"dns_provider.options={options}"]
        settings += [f"deliver.source_address={OURS}"]
        settings += ['acme.ca_file="/etc/authority.pem"']
        more = ["--acme-directory", provider.directory]
        overrides = [word for one in settings for word in ("--set", one)]
        return ["zajil", *overrides, *words[1:], *more, "--address", OURS]

    def _run(self, command: list[str]) -> None:
        print(f"$ {shlex.join(command)}", flush=True)
        done = subprocess.run(
            ["chroot", str(self.root), *command],
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            raise SystemExit(f"ended with {done.returncode}")

    def _serve(self) -> None:
        """Start the server as its unit does, and wait until it is ready."""
        read, write = os.pipe()
        log = (self.root / "tmp" / "log").open("wb")
        self.server = subprocess.Popen(
            ["chroot", str(self.root), *_AS_THE_UNIT, "zajil", "serve", "--ready-fd", str(write)],
            env=_ENVIRONMENT,
            pass_fds=(write,),
            stderr=log,
        )
        os.close(write)
        with open(read) as ready:
            if not ready.readline():
                raise SystemExit((self.root / "tmp" / "log").read_text())

    def _publish_address(self) -> None:
        """Add the address of the server, as its owner does at the provider."""
        keys = dns.tsigkeyring.from_text({self.internet.key_name: self.internet.secret})
        update = dns.update.UpdateMessage("newcomer.test", keyring=keys)
        update.replace("mail", 60, "A", OURS)
        answer = dns.query.tcp(update, NAME_SERVER, timeout=10)
        if answer.rcode():
            raise SystemExit(f"the name server refused the update: {answer.rcode()}")

    def open_webmail(self) -> float:
        """Wait for the first page over HTTPS with a certificate of the authority."""
        context = ssl.create_default_context(cafile=str(self.internet.issued_by))
        began = time.monotonic()
        while True:
            try:
                connection = http.client.HTTPSConnection(HOST, context=context, timeout=60)
                connection.sock = context.wrap_socket(_connect(OURS, 443), server_hostname=HOST)
                connection.request("GET", "/login")
                answer = connection.getresponse()
                if answer.status != 200 or b"<form" not in answer.read():
                    raise SystemExit(f"the page of the log-in has status {answer.status}")
                return time.monotonic() - began
            except ssl.SSLError:
                if time.monotonic() - began > 300:
                    raise
                time.sleep(0.5)


def _connect(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=60)


@contextmanager
def other_server(folder: Path) -> Iterator[None]:
    """Serve ``other.test``, with an address that answers."""
    zajil = [sys.executable, "-m", "zajil"]
    settings = [f'dns.nameservers=["{RESOLVER}:53"]', f"deliver.source_address={THEIRS}"]
    settings += ['mail.echo_accounts=["echo@other.test"]', "server.workers=1", "listen.web=[]"]
    overrides = [word for one in settings for word in ("--set", one)]
    setup = [*zajil, *overrides, "setup", "other.test", "--dir", str(folder)]
    subprocess.run([*setup, "--address", THEIRS], check=True, stdout=subprocess.DEVNULL)
    config = ["--config", str(folder / "zajil.toml")]
    add = [*zajil, *config, "account", "add", "echo@other.test"]
    subprocess.run(add, check=True, stdout=subprocess.DEVNULL)
    read, write = os.pipe()
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*zajil, *config, "serve", "--ready-fd", str(write)], pass_fds=(write,), stderr=log
        )
    os.close(write)
    try:
        with open(read) as ready:
            json.loads(ready.readline())
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def main(root: Path, page: str, folder: Path) -> None:
    """Follow the page."""
    prepare_network()
    hosts = {OURS: HOST, THEIRS: "mail.other.test"}
    internet_folder = folder / "internet"
    internet_folder.mkdir()
    with (
        small_internet(
            internet_folder, signed="newcomer.test", hosts=hosts, zones={"other.test": _OTHER_ZONE}
        ) as internet,
        other_server(folder / "other"),
    ):
        (root / "etc/resolv.conf").write_text(f"nameserver {RESOLVER}\n")
        (root / "etc/tsig").write_text(f"{internet.secret}\n")
        (root / "etc/authority.pem").write_bytes(internet.authority_ca.read_bytes())
        for name in ("tsig", "authority.pem"):
            (root / "etc" / name).chmod(0o644)
        trial = Trial(root, internet)
        try:
            trial.follow(page)
            print(f"HTTPS with a valid certificate after {trial.open_webmail():.1f} s more")
        finally:
            print((root / "tmp" / "log").read_text() if (root / "tmp" / "log").exists() else "")
            if trial.server is not None:
                trial.server.send_signal(signal.SIGTERM)
                trial.server.wait(60)
        for line, seconds in trial.times:
            print(f"{seconds:6.1f} s  {line}")
        print(f"{sum(seconds for _, seconds in trial.times):6.1f} s  all")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
