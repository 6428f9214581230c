"""The servers whose mailboxes ``reading.py`` reads: filled once, started as often as needed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from kit.foreign import need_program
from kit.installation import SetUp, serving, set_up
from made_mailbox import MadeMessage, made_messages
from peers import free_port, running
from zajil.config.load import load_configuration
from zajil.core.ids import AccountId
from zajil.operations.run import open_admin_store
from zajil.read.indexer import reindex
from zajil.store.engine.open import Store
from zajil.store.mail.mailboxes import find_mailbox
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.people.accounts import list_accounts

_COMMIT = 200
_MAIL_USER = "mail"
_LETTERS = {"\\Answered": "R", "\\Flagged": "F", "\\Seen": "S", "$Forwarded": "a"}
"""Flags in the name of a file in a Maildir; the keyword is the first in ``dovecot-keywords``."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs."""

    imaps: int
    """Port of IMAP with TLS from the first byte, on 127.0.0.1."""
    pop3s: int | None
    login: str
    password: str
    pids: tuple[int, ...]
    """Its first processes."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A server with a filled mailbox."""

    name: str
    start: Callable[[], AbstractContextManager[Running]]


# ---- ours ---------------------------------------------------------------------------------------


def set_up_filled(folder: Path, count: int) -> SetUp:
    """Fill an installation, unless its folder is there already, and index it."""
    made_file = folder.with_suffix(".made")
    if made_file.exists():
        return SetUp(*_lines(made_file))
    made = set_up(folder)
    with open_admin_store(load_configuration(made.configuration)) as store:
        _fill(store, count)
        reindex(store, lambda _done, _total: None)
    lines = (str(made.configuration), made.login, made.password)
    made_file.write_text("\n".join(lines))
    return made


def zajil(folder: Path, tls: tuple[Path, Path], count: int) -> Reader:
    """Make a server of ``set_up_filled``."""
    made = set_up_filled(folder, count)
    settings = ['listen.pop3s=["127.0.0.1:0"]'] if _has_pop3() else []

    @contextmanager
    def start() -> Iterator[Running]:
        with serving(made, tls, *settings) as ours:
            pop3s = ours.address("pop3s")[1] if "pop3s" in ours.services else None
            yield Running(ours.address("imaps")[1], pop3s, ours.login, ours.password, (ours.pid,))

    return Reader("zajil", start)


def _lines(made: Path) -> tuple[Path, str, str]:
    configuration, login, password = made.read_text().splitlines()
    return Path(configuration), login, password


def _has_pop3() -> bool:
    return find_spec("zajil.pop3") is not None


def _fill(store: Store, count: int) -> None:
    (account,) = store.read_now(list_accounts)
    box = store.read_now(lambda conn: find_mailbox(conn, AccountId(account.account_id), "INBOX"))
    if box is None:
        raise RuntimeError("the account has no INBOX")
    messages = made_messages(count)
    while some := list(islice(messages, _COMMIT)):
        items = [
            PutMessage(
                box.account_id,
                box.mailbox_id,
                store.blobs.stage([one.data]),
                one.flags,
                one.received_at_ms,
            )
            for one in some
        ]
        store.write_now(lambda tx, given: [len(put_messages(tx, given[0]))], items)


# ---- Dovecot ------------------------------------------------------------------------------------


def dovecot_maildir(folder: Path, tls: tuple[Path, Path], count: int) -> Reader:
    """Fill a Maildir, unless it is there already."""
    mail = folder / "mail"
    if not mail.exists():
        _fill_maildir(mail / "Maildir", count)
        _give_away(folder)
    return Reader("dovecot, Maildir", lambda: _dovecot(folder, tls, f"maildir:{mail}/Maildir"))


def dovecot_mdbox(folder: Path, tls: tuple[Path, Path], count: int) -> Reader:
    """Fill an mdbox from a Maildir, unless it is there already."""
    mail = folder / "mail"
    if not mail.exists():
        _fill_maildir(folder / "source", count)
        mail.mkdir()
        _give_away(folder)
        location = f"mail_location=maildir:{folder}/source"
        with _dovecot(folder, tls, f"mdbox:{mail}/mdbox"):  # it knows the user
            command = [need_program("doveadm"), "-c", str(folder / "dovecot.conf"), "-o", location]
            command += ["backup", "-u", "b@y.test", f"mdbox:{mail}/mdbox"]
            subprocess.run(command, check=True)
        shutil.rmtree(folder / "source")
    return Reader("dovecot, mdbox", lambda: _dovecot(folder, tls, f"mdbox:{mail}/mdbox"))


def _fill_maildir(folder: Path, count: int) -> None:
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "dovecot-keywords").write_text("0 $Forwarded\n")
    for number, one in enumerate(made_messages(count)):
        path = folder / "cur" / _file_name(number, one)
        path.write_bytes(one.data)
        seconds = one.received_at_ms // 1000
        os.utime(path, (seconds, seconds))


def _file_name(number: int, one: MadeMessage) -> str:
    letters = "".join(sorted(_LETTERS[flag] for flag in one.flags))
    size = len(one.data)
    return f"{one.received_at_ms // 1000}.{number:07}.x,S={size},W={size}:2,{letters}"


def _give_away(folder: Path) -> None:
    subprocess.run(["chown", "-R", f"{_MAIL_USER}:{_MAIL_USER}", str(folder)], check=True)
    for above in (folder, *folder.parents):
        if above.stat().st_uid == os.getuid() and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o055)


def _configure(folder: Path, tls: tuple[Path, Path], location: str, ports: tuple[int, int]) -> Path:
    configuration = folder / "dovecot.conf"
    certificate, key = tls
    configuration.write_text(
        _DOVECOT.format(
            folder=folder,
            location=location,
            certificate=certificate,
            key=key,
            imaps=ports[0],
            pop3s=ports[1],
        )
    )
    return configuration


@contextmanager
def _dovecot(folder: Path, tls: tuple[Path, Path], location: str) -> Iterator[Running]:
    ports = free_port(), free_port()
    configuration = _configure(folder, tls, location, ports)
    command = [need_program("dovecot"), "-F", "-c", str(configuration)]
    with running(command, folder / "output") as pid:
        # The greeting comes within TLS: that it accepts connections is enough.
        _wait_to_accept(ports[0])
        yield Running(*ports, "b@y.test", "secret", (pid,))


def _wait_to_accept(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("Dovecot did not start")


_DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/run
instance_name = dovecot-zajil-reading
listen = 127.0.0.1
protocols = imap pop3
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
log_path = {folder}/log
mail_location = {location}
mail_fsync = optimized
namespace inbox {{
  inbox = yes
  separator = /
}}
mail_max_userip_connections = 0
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
default_process_limit = 2000
default_client_limit = 3000
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail
}}
service anvil {{
  client_limit = 6000
}}
service imap-login {{
  service_count = 0
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  service_count = 0
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 2000
}}
"""
