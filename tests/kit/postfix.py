"""A private Postfix from Debian's packages, in a folder of its own, on loopback only."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.foreign import need_program

HOLD = {"smtpd_recipient_restrictions": "check_recipient_access static:HOLD"}
"""Accept and nothing else: its best mode for a benchmark, the queue manager sees no mail."""


def starttls(certificate: Path, key: Path) -> dict[str, str]:
    """Offer STARTTLS, and resume sessions by tickets, as Postfix does by default."""
    return {
        "smtpd_tls_security_level": "may",
        "smtpd_tls_chain_files": f"{key}, {certificate}",
        "smtpd_tls_loglevel": "0",
    }


def relay_to(address: str) -> dict[str, str]:
    """Everything goes on to one next hop, as fast as it takes it."""
    host, _, port = address.rpartition(":")
    return {
        "relayhost": f"[{host}]:{port}",
        "default_destination_concurrency_limit": "50",
        "initial_destination_concurrency": "20",
    }


def maildirs(folder: Path) -> dict[str, str]:
    """Mail for y.test lands in maildirs, by Postfix's own virtual(8)."""
    mail = pwd.getpwnam("mail")
    return {
        "virtual_mailbox_domains": "y.test",
        "virtual_mailbox_maps": "static:b/",
        "virtual_mailbox_base": str(folder),
        "virtual_uid_maps": f"static:{mail.pw_uid}",
        "virtual_gid_maps": f"static:{mail.pw_gid}",
        "virtual_destination_concurrency_limit": "20",
        "virtual_mailbox_limit": "0",
        "virtual_minimum_uid": "1",
    }


@dataclass(frozen=True, slots=True)
class Postfix:
    """One running instance."""

    address: str
    """``127.0.0.1:PORT``."""
    master_pid: int
    version: str


@contextmanager
def running_postfix(folder: Path, port: int, settings: Mapping[str, str]) -> Iterator[Postfix]:
    """Run an instance; ended at the end, its folder stays.

    Args:
        folder: new, and reachable for the users ``postfix`` and ``mail``.
        port: free, on 127.0.0.1.
        settings: of main.cf, beside those of every instance here.
    """
    postfix = need_program("postfix")
    if os.geteuid() != 0:
        pytest.skip("Postfix starts as root only")
    _write(folder, port, settings)
    etc = str(folder / "etc")
    subprocess.run([postfix, "-c", etc, "start"], check=True, capture_output=True)
    try:
        master = int((folder / "spool" / "pid" / "master.pid").read_text())
        version = subprocess.check_output(
            [need_program("postconf"), "-c", etc, "-h", "mail_version"], text=True
        )
        yield Postfix(f"127.0.0.1:{port}", master, version.strip())
    finally:
        subprocess.run([postfix, "-c", etc, "stop"], capture_output=True)


def _write(folder: Path, port: int, settings: Mapping[str, str]) -> None:
    for name in ("etc", "spool", "data", "log", "mail"):
        (folder / name).mkdir(parents=True)
    for path in (folder, folder / "etc", folder / "spool", folder / "log"):
        path.chmod(0o755)
    shutil.chown(folder / "data", "postfix")
    shutil.chown(folder / "mail", "mail", "mail")
    main = {
        "compatibility_level": "3.6",
        "config_directory": str(folder / "etc"),
        "queue_directory": str(folder / "spool"),
        "data_directory": str(folder / "data"),
        "multi_instance_name": "postfix-zajil",
        "multi_instance_enable": "yes",
        "maillog_file": str(folder / "log" / "mail.log"),
        "maillog_file_prefixes": str(folder),
        "myhostname": "mx.y.test",
        "mydestination": "",
        "mynetworks": "127.0.0.0/8",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "alias_maps": "",
        "alias_database": "",
        "smtpd_relay_restrictions": "permit_mynetworks, reject",
        "smtpd_tls_security_level": "none",
        "smtp_tls_security_level": "none",
        **settings,
    }
    lines = [f"{name} = {value}\n" for name, value in main.items()]
    (folder / "etc" / "main.cf").write_text("".join(lines))
    (folder / "etc" / "master.cf").write_text(_MASTER.format(listen=f"127.0.0.1:{port}"))


_MASTER = """\
{listen} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
lmtp      unix  - - n - - lmtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""
