"""Exim and OpenSMTPD from Debian's packages, unpacked beside the system instead of into it.

Their packages conflict with Postfix's, and their paths are built in. So each runs in a mount
namespace of its own, with a root folder of its own: its package lies over the system's ``/usr``,
``/etc`` and ``/var`` are new. Nothing of it is left when the process has ended. Needs root.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_ENTER = """
set -e
mount -t overlay overlay -o "lowerdir=$1/usr:/usr" "$2/usr"
mount --rbind /dev "$2/dev"
mount --rbind /proc "$2/proc"
root=$2
shift 2
exec chroot "$root" "$@"
"""
_UNSHARE = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh")
_END_SECONDS = 60.0
_SEND_SECONDS = 60.0
"""A guard against a client that hangs."""

EXIM = """\
primary_hostname = mx.y.test
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
pid_file_path = /run/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
queue_only = true
split_spool_directory = true
smtp_accept_max = 2500
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 1024
host_lookup =
helo_allow_chars = _
rfc1413_query_timeout = 0s
tls_advertise_hosts = *
tls_certificate = /etc/tls/certificate.pem
tls_privatekey = /etc/tls/key.pem
tls_resumption_hosts = *
acl_smtp_rcpt = take
acl_smtp_data = take
begin acl
take:
  accept
"""
EXIM_CLIENT = """\
primary_hostname = client.test
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
keep_environment =
begin routers
there:
  driver = manualroute
  transport = there
  route_list = * {host} byname
  self = send
begin transports
there:
  driver = smtp
  port = {port}
  allow_localhost
  hosts_require_tls = *
  tls_verify_certificates = /etc/tls/ca.pem
  tls_verify_hosts = *
"""
OPENSMTPD = """\
pki mx.y.test cert "/etc/tls/certificate.pem"
pki mx.y.test key "/etc/tls/key.pem"
smtp limit max-mails 1000000
listen on 127.0.0.1 port {port} tls pki mx.y.test hostname mx.y.test
action "out" relay
match from any for any action "out"
"""
_USERS = {"root": 0, "Debian-exim": 901, "opensmtpd": 902, "opensmtpq": 903, "nobody": 65534}


@contextmanager
def exim(package: Path, folder: Path, port: int, tls: tuple[Path, Path]) -> Iterator[int]:
    """Run Exim, which queues and delivers nothing; gives its process id."""
    _make_root(folder, {"exim4/exim4.conf": EXIM.format(port=port)}, tls)
    user = _USERS["Debian-exim"]
    for name in ("var/spool/exim4", "var/log/exim4", "etc/tls/key.pem"):
        os.chown(folder / name, user, user)
    with _running(package, folder, "/usr/lib/exim4/exim4", "-bdf") as pid:
        yield pid


def exim_version(package: Path, folder: Path) -> str | None:
    """Return what Exim calls itself; ``None``: it cannot be run here.

    Args:
        package: unpacked.
        folder: new.
    """
    _make_root(folder, {"exim4/exim4.conf": EXIM_CLIENT.format(host="127.0.0.1", port=25)})
    command = [*_UNSHARE, str(package), str(folder), "/usr/lib/exim4/exim4", "-bV"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SEND_SECONDS)
    except FileNotFoundError:
        return None
    return done.stdout.partition("\n")[0] if done.returncode == 0 else None


def exim_sends(
    package: Path,
    folder: Path,
    to: tuple[str, int],
    ca_file: Path,
    envelope: Sequence[str],
    letter: bytes,
) -> tuple[bool, str]:
    """Have Exim hand one mail to a server, over TLS and in chunks where CHUNKING is offered.

    Args:
        package: unpacked.
        folder: new.
        to: host and port.
        ca_file: whose certificates it believes.
        envelope: the sender, then the recipients.
        letter: with CRLF.

    Returns:
        Whether it was taken, and the dialogue as Exim tells it.
    """
    host, port = to
    _make_root(folder, {"exim4/exim4.conf": EXIM_CLIENT.format(host=host, port=port)})
    shutil.copy(ca_file, folder / "etc/tls/ca.pem")
    for name in ("var/spool/exim4", "var/log/exim4"):
        os.chown(folder / name, *[_USERS["Debian-exim"]] * 2)
    sender, *recipients = envelope
    command = ["/usr/lib/exim4/exim4", "-odf", "-oi", "-v", "-f", sender, *recipients]
    done = subprocess.run(
        [*_UNSHARE, str(package), str(folder), *command],
        input=letter.replace(b"\r\n", b"\n"),
        capture_output=True,
        timeout=_SEND_SECONDS,
    )
    log = folder / "var/log/exim4/mainlog"
    told = log.read_text(errors="replace") if log.exists() else ""
    words = (done.stdout + done.stderr).decode(errors="replace")
    return all(f"=> {one} " in told for one in recipients), words + told


@contextmanager
def opensmtpd(package: Path, folder: Path, port: int, tls: tuple[Path, Path]) -> Iterator[int]:
    """Run OpenSMTPD with its sending side paused; gives its process id."""
    _make_root(folder, {"smtpd.conf": OPENSMTPD.format(port=port), "mailname": "mx.y.test\n"}, tls)
    (folder / "var/spool/smtpd").chmod(0o711)
    with _running(package, folder, "/usr/sbin/smtpd", "-d", "-P", "mta") as pid:
        yield pid


def _make_root(
    folder: Path, files: Mapping[str, str], tls: tuple[Path, Path] | None = None
) -> None:
    for name in ("usr", "dev", "proc", "tmp", "run", "etc/tls", "var/spool/exim4", "var/mail"):
        (folder / name).mkdir(parents=True)
    for name in ("var/log/exim4", "var/spool/smtpd", "var/lib/opensmtpd/empty"):
        (folder / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (folder / name).symlink_to(f"usr/{name}")
    (folder / "var/run").symlink_to("/run")
    (folder / "tmp").chmod(0o1777)
    etc = folder / "etc"
    users = [f"{name}:x:{number}:{number}::/:/bin/false\n" for name, number in _USERS.items()]
    groups = [f"{name}:x:{number}:\n" for name, number in _USERS.items()]
    (etc / "passwd").write_text("".join(users))
    (etc / "group").write_text("".join(groups))
    (etc / "hosts").write_text("127.0.0.1 localhost mx.y.test\n")
    (etc / "nsswitch.conf").write_text("hosts: files\n")
    for name, text in files.items():
        (etc / name).parent.mkdir(exist_ok=True)
        (etc / name).write_text(text)
    if tls is None:
        return
    certificate, key = tls
    shutil.copy(certificate, etc / "tls/certificate.pem")
    shutil.copy(key, etc / "tls/key.pem")
    (etc / "tls/key.pem").chmod(0o600)


@contextmanager
def _running(package: Path, folder: Path, *command: str) -> Iterator[int]:
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [*_UNSHARE, str(package), str(folder), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
