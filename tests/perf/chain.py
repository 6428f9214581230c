"""Postfix, Rspamd and Dovecot from Debian's packages: what a site would install instead of Zajil.

Postfix receives, Rspamd scans each message before the 250 (milter protocol), Dovecot delivers into
a Maildir (LMTP) and serves IMAP. Each has the configuration of its package, apart from:

- folders, ports on loopback, and the name server of the benchmark;
- the fuzzy hashes of Rspamd, which are asked for at a server in the Internet, are disabled;
- there is no Redis, so Rspamd has no Bayes statistics, greylisting or rate limits;
- Rspamd checks SPF, DKIM and DMARC of clients on loopback, too, as Zajil does; it would leave them
  out. It still asks no DNS lists about these clients; Zajil as installed asks none either.
"""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kit.foreign import find_program, need_program
from kit.postfix import running_postfix, starttls
from name_server import running_name_server
from peers import NotInstalled, Peer, Place, count_by_imap, free_port, running, wait_for

_PACKAGES = {
    "rspamd": "rspamd",
    "dovecot": "dovecot-core",
    "/usr/lib/dovecot/imap": "dovecot-imapd",
    "/usr/lib/dovecot/lmtp": "dovecot-lmtpd",
}
"""The package of each program, beside Postfix."""
_READY_SECONDS = 180.0
"""Rspamd compiles its regular expressions after the start, for about ten seconds of CPU."""
_READY = b"rspamd_re_cache_load_hyperscan: full hyperscan database"
_PASSWORD = "secret"


@contextmanager
def chain(place: Place) -> Iterator[Peer]:
    """Run all three; the mails are counted by IMAP.

    Raises:
        NotInstalled: a package is missing.
        RuntimeError: one of them did not start.
    """
    missing = [package for name, package in _PACKAGES.items() if find_program(name) is None]
    if missing:
        raise NotInstalled(f"the chain needs packages: apt-get install {' '.join(missing)}")
    place.folder.mkdir(mode=0o755)
    with ExitStack() as stack:
        enter = stack.enter_context
        milter, scanner, scanned = enter(_rspamd(place.folder / "rspamd"))
        imap_port = free_port()
        lmtp, deliverer = enter(_dovecot(place.folder / "dovecot", imap_port))
        settings = {
            **starttls(*place.tls),
            "smtpd_milters": f"inet:{milter}",
            "virtual_mailbox_domains": "y.test",
            "virtual_mailbox_maps": "static:all",
            "virtual_transport": f"lmtp:unix:{lmtp}",
        }
        postfix = enter(running_postfix(place.folder / "postfix", free_port(), settings))
        count = enter(count_by_imap(f"127.0.0.1:{imap_port}", "b@y.test", _PASSWORD))
        before = scanned()

        def report() -> str:
            return f"Rspamd scanned {scanned() - before} of {count()} mails in the mailbox"

        yield Peer(
            f"postfix {postfix.version} + rspamd + dovecot",
            postfix.address,
            (postfix.master_pid, scanner, deliverer),
            arrived=count,
            is_reference=True,
            report=report,
        )


@contextmanager
def _rspamd(folder: Path) -> Iterator[tuple[str, int, Callable[[], int]]]:
    """Yield the address of the milter, the process id, and a count of scanned messages."""
    milter, normal, controller = (f"127.0.0.1:{free_port()}" for _ in range(3))
    with running_name_server() as name_server:
        files = {
            "worker-proxy.inc": f'bind_socket = "{milter}";\n'
            f'upstream "local" {{ default = yes; hosts = "{normal}"; }}\n',
            "worker-normal.inc": f'bind_socket = "{normal}";\n',
            "worker-controller.inc": f'bind_socket = "{controller}";\n',
            "options.inc": f'check_local = true;\ndns {{ nameserver = ["{name_server}"]; }}\n',
            "fuzzy_check.conf": "enabled = false;\n",
        }
        override = folder / "etc" / "override.d"
        override.mkdir(parents=True)
        for name, text in files.items():
            (override / name).write_text(text)
        for name in ("db", "log", "run"):
            (folder / name).mkdir()
            shutil.chown(folder / name, "_rspamd", "_rspamd")
        folders = {"DBDIR": "db", "LOGDIR": "log", "RUNDIR": "run", "LOCAL_CONFDIR": "etc"}
        command = [need_program("rspamd"), "-f", "-u", "_rspamd", "-g", "_rspamd"]
        command += ["-c", "/etc/rspamd/rspamd.conf"]
        for variable, name in folders.items():
            command += ["--var", f"{variable}={folder / name}"]
        with running(command, folder / "output") as pid:
            _wait_until_compiled(folder / "log" / "rspamd.log")

            def scanned() -> int:
                with urllib.request.urlopen(f"http://{controller}/stat") as answer:
                    return int(json.load(answer)["scanned"])

            yield milter, pid, scanned


def _wait_until_compiled(log: Path) -> None:
    """Wait until the process that scans uses the compiled expressions.

    Raises:
        RuntimeError: it does not.
    """
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        lines = log.read_bytes().splitlines() if log.exists() else []
        if any(_READY in line and b"(normal)" in line for line in lines):
            return
        time.sleep(0.2)
    raise RuntimeError("rspamd is not ready")


@contextmanager
def _dovecot(folder: Path, imap_port: int) -> Iterator[tuple[Path, int]]:
    """Yield the socket of LMTP and the process id."""
    mail = folder / "mail"
    mail.mkdir(parents=True)
    folder.chmod(0o755)
    shutil.chown(mail, "mail", "mail")
    configuration = folder / "dovecot.conf"
    configuration.write_text(_DOVECOT.format(folder=folder, mail=mail, port=imap_port))
    command = [need_program("dovecot"), "-F", "-c", str(configuration)]
    with running(command, folder / "output") as pid:
        wait_for(imap_port, folder / "output")
        yield folder / "run" / "lmtp", pid


_DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/run
instance_name = dovecot-zajil
listen = 127.0.0.1
protocols = imap lmtp
ssl = no
disable_plaintext_auth = no
log_path = {folder}/log
mail_location = maildir:{mail}/%Ln
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={mail}/%Ln
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
"""
