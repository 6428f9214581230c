"""A Dovecot of one's own: in a folder, on loopback, without root's rights or with them."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kit.certificates import TestAuthority
from kit.foreign import need_program

NAME = "localhost"
PASSWORD = "secret-of-dovecot"
_SECONDS = 30

_CONFIGURATION = """
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/log
protocols = imap
listen = 127.0.0.1
default_login_user = {login_user}
default_internal_user = {internal_user}
default_internal_group = {internal_group}
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
auth_mechanisms = plain login
disable_plaintext_auth = no
mail_location = maildir:{base}/mail/%u/Maildir{layout}
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 0
first_valid_gid = 0
mail_max_userip_connections = 100
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 20
}}
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
  mailbox Sent {{
    special_use = \\Sent
    auto = create
  }}
  mailbox Bin {{
    special_use = \\Trash
    auto = create
  }}
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={base}/mail/%u
}}
"""


@dataclass(frozen=True, slots=True)
class Dovecot:
    """A running server; every name is a user of it."""

    port: int
    """TLS from the first byte."""
    plain_port: int
    """STARTTLS."""
    base: Path
    certificate: Path
    ca_file: Path

    def maildir(self, user: str) -> Path:
        """Return where the mail of a user lies."""
        return self.base / "mail" / user / "Maildir"

    def own(self, folder: Path) -> None:
        """Give a folder with all in it to the user whose the mail is."""
        mail = _users()[0]
        for path in (folder, *folder.rglob("*")):
            os.chown(path, mail.pw_uid, mail.pw_gid)


@contextmanager
def running_dovecot(
    *, prefix: str = "", separator: str = "/", layout: str = ""
) -> Iterator[Dovecot]:
    """Run a Dovecot until the block ends, or skip the test.

    Args:
        prefix: of all names of mailboxes.
        separator: of levels.
        layout: ``:LAYOUT=fs`` and others.
    """
    program = need_program("dovecot")
    # Its sockets have names of at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="dovecot-", dir="/tmp") as name:
        base = Path(name)
        base.chmod(0o755)
        for folder in ("run", "state", "mail", "tls"):
            (base / folder).mkdir()
        authority = TestAuthority(base / "tls")
        certificate = authority.issue(NAME)
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            port, plain_port = one.getsockname()[1], other.getsockname()[1]
        mail, login, internal = _users()
        os.chown(base / "mail", mail.pw_uid, mail.pw_gid)
        text = _CONFIGURATION.format(
            base=base,
            login_user=login.pw_name,
            internal_user=internal.pw_name,
            internal_group=grp.getgrgid(internal.pw_gid).gr_name,
            certificate=certificate[0],
            key=certificate[1],
            layout=layout,
            uid=mail.pw_uid,
            gid=mail.pw_gid,
            port=port,
            plain_port=plain_port,
            separator=separator,
            prefix=prefix,
            password=PASSWORD,
        )
        (base / "dovecot.conf").write_text(text)
        process = subprocess.Popen(
            [program, "-F", "-c", str(base / "dovecot.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(port, process, base / "log")
            yield Dovecot(port, plain_port, base, certificate[0], authority.ca_file)
        finally:
            process.terminate()
            process.wait(_SECONDS)


def _users() -> tuple[pwd.struct_passwd, pwd.struct_passwd, pwd.struct_passwd]:
    """Return whose the mail is, and as whom its processes run: root's must be three others."""
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid())
        return me, me, me
    return pwd.getpwnam("nobody"), pwd.getpwnam("dovenull"), pwd.getpwnam("dovecot")


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    raise RuntimeError(f"dovecot did not start: {log.read_text() if log.exists() else ''}")
