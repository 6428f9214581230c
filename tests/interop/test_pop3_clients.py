"""fetchmail and mpop fetch a mailbox; what they deliver is what was put there."""

from __future__ import annotations

import imaplib
import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.foreign import need_program
from kit.installation import Installation, running_installation
from kit.odd_messages import odd_messages

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

_SECONDS = 120
_NAME = "localhost"
_NEW = b"Subject: later\r\nMessage-ID: <later@x.test>\r\n\r\nlater\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def place(
    authority: TestAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("server") / "zajil"
    with running_installation(folder, authority.issue(_NAME)) as ours:
        yield ours


@pytest.fixture
def inbox(place: Installation, authority: TestAuthority) -> Iterator[imaplib.IMAP4]:
    """Return a connection by which messages are put into an empty INBOX, and looked at."""
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    port = place.address("imaps")[1]
    with imaplib.IMAP4_SSL(_NAME, port, ssl_context=context, timeout=_SECONDS) as client:
        client.login(place.login, place.password)
        client.select("INBOX")
        client.uid("STORE", "1:*", "+FLAGS.SILENT", "\\Deleted")
        client.expunge()
        yield client


def put(client: imaplib.IMAP4, *messages: bytes) -> None:
    for message in messages:
        assert client.append("INBOX", "", "", message)[0] == "OK"


def count(client: imaplib.IMAP4) -> int:
    """Return how many messages INBOX has."""
    answer = client.select("INBOX", readonly=True)[1][0]
    assert answer is not None
    return int(answer)


def run(command: list[str], home: Path, *, statuses: tuple[int, ...] = (0,)) -> str:
    """Run a program with a home of its own; return what it printed."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_SECONDS,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode in statuses, output
    return output


def unix(messages: list[bytes]) -> list[bytes]:
    """Return messages as they lie in files: LF, and one at the end."""
    texts = [message.replace(b"\r\n", b"\n") for message in messages]
    return sorted(text if text.endswith(b"\n") else text + b"\n" for text in texts)


def delivered(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("tls", ["ssl", "sslproto TLS1.2+"], ids=["implicit TLS", "STLS"])
def test_fetchmail(
    place: Installation,
    authority: TestAuthority,
    inbox: imaplib.IMAP4,
    tmp_path: Path,
    tls: str,
) -> None:
    """It leaves messages on the server, knows them again by UIDL, and deletes them when told."""
    fetchmail = need_program("fetchmail")
    target = tmp_path / "got"
    target.mkdir()
    deliver = tmp_path / "deliver"
    deliver.write_text(f'#!/bin/sh\nexec cat > "{target}/$$"\n')
    deliver.chmod(0o755)
    port = place.address("pop3s" if tls == "ssl" else "pop3")[1]
    rc = tmp_path / "rc"
    rc.write_text(
        f"poll {_NAME} protocol pop3 port {port} uidl\n"
        f'  user "{place.login}" password "{place.password}" {tls}\n'
        f'  sslcertck sslcertfile "{authority.ca_file}" mda "{deliver}"\n'
    )
    rc.chmod(0o600)
    command = [fetchmail, "-f", str(rc), "-i", str(tmp_path / "ids"), "--invisible", "--nodetach"]
    command += ["--pidfile", str(tmp_path / "pid"), "--norewrite", "--nosyslog"]
    put(inbox, *odd_messages())
    run([*command, "--keep"], tmp_path)
    assert delivered(target) == unix(odd_messages())
    nothing = (1,)
    run([*command, "--keep"], tmp_path, statuses=nothing)
    assert delivered(target) == unix(odd_messages())
    put(inbox, _NEW)
    run([*command, "--keep"], tmp_path)
    assert delivered(target) == unix([*odd_messages(), _NEW])
    assert count(inbox) == len(odd_messages()) + 1
    for path in target.iterdir():
        path.unlink()
    run([*command, "--nokeep", "--all"], tmp_path)
    assert delivered(target) == unix([*odd_messages(), _NEW])
    assert count(inbox) == 0


@pytest.mark.parametrize("service", ["pop3s", "pop3"])
def test_mpop(
    place: Installation,
    authority: TestAuthority,
    inbox: imaplib.IMAP4,
    tmp_path: Path,
    service: str,
) -> None:
    """It pipelines, leaves messages on the server, and deletes them when told."""
    mpop = need_program("mpop")
    maildir = tmp_path / "mail"
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
    rc = tmp_path / "rc"
    rc.write_text(
        f"account ours\nhost {_NAME}\nport {place.address(service)[1]}\nuser {place.login}\n"
        f"password {place.password}\ntls on\ntls_starttls {'on' if service == 'pop3' else 'off'}\n"
        f"tls_trust_file {authority.ca_file}\nuidls_file {tmp_path}/ids\nreceived_header off\n"
        f"delivery maildir {maildir}\n"
    )
    rc.chmod(0o600)
    command = [mpop, "-C", str(rc), "ours"]
    put(inbox, *odd_messages())
    run([*command, "--keep=on"], tmp_path)
    assert delivered(maildir / "new") == unix(odd_messages())
    run([*command, "--keep=on"], tmp_path)
    assert delivered(maildir / "new") == unix(odd_messages())
    put(inbox, _NEW)
    run([*command, "--keep=off"], tmp_path)
    assert delivered(maildir / "new") == unix([*odd_messages(), _NEW])
    # What it had before was known by its unique id, and deleted without another download.
    assert count(inbox) == 0
    assert "PIPELINING" in run([mpop, "-C", str(rc), "--serverinfo", "ours"], tmp_path)
