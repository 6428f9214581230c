"""Mail moves in from Dovecot and out to it, and stays what it was."""

from __future__ import annotations

import hashlib
import imaplib
import os
import re
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.dovecot import NAME, PASSWORD, Dovecot, running_dovecot
from kit.foreign import need_program
from kit.installation import running_installation
from kit.moving import AT_MS, Held, crlf, held, letter, move_in, move_out
from kit.odd_messages import odd_messages
from kit.store import make_account, open_test_store
from zajil.net.imap_connection import ImapEndpoint, Security
from zajil.operations.moving.imap_account import ImapAccount
from zajil.operations.moving.imap_source import ImapSource
from zajil.operations.moving.imap_target import ImapTarget
from zajil.operations.moving.maildir import MaildirSource
from zajil.operations.moving.maildir_target import Layout, MaildirTarget
from zajil.operations.moving.model import NoSource
from zajil.store.engine.open import Store
from zajil.tls.context import client_context

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

DATE = '"13-Sep-2020 12:26:40 +0000"'


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with running_dovecot() as server:
        yield server


@pytest.fixture
def amal(tmp_path: Path) -> Iterator[Store]:
    store = open_test_store("sqlite", tmp_path / "data")
    make_account(store, "amal@north.test")
    make_account(store, "basim@north.test")
    yield store
    store.close_now()


def account(server: Dovecot, user: str) -> ImapAccount:
    context = client_context(server.ca_file, verify=True)
    endpoint = ImapEndpoint(
        host=NAME, port=server.port, security=Security.IMPLICIT, context=context, timeout=60
    )
    return ImapAccount(endpoint=endpoint, login=user, password=PASSWORD)


def connect(server: Dovecot, user: str) -> imaplib.IMAP4_SSL:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    client = imaplib.IMAP4_SSL(NAME, server.port, ssl_context=context, timeout=60)
    client.login(user, PASSWORD)
    return client


def fill(server: Dovecot, user: str) -> None:
    """Put odd messages with flags into mailboxes with odd names, by Python's own client."""
    with connect(server, user) as client:
        for message in odd_messages():
            client.append("INBOX", "(\\Seen $Forwarded)", DATE, message)
        for name in ('"Work/Offers"', '"&BicGRAYlBjEGMwYnBkQ-"', '"R&-D (old) \\"x\\""'):
            assert client.create(name)[0] == "OK"
            client.append(name, "(\\Flagged todo)", DATE, crlf(letter(1)))
        client.append("Sent", "(\\Seen)", DATE, crlf(letter(2)))
        client.append("Bin", "(\\Deleted)", DATE, crlf(letter(3)))
        client.append("INBOX", "", DATE, b"Subject: large\r\n\r\n" + b"x" * 78 + b"\r\n" * 500_000)
        client.subscribe('"Work/Offers"')


def test_an_account_of_dovecot(dovecot: Dovecot, amal: Store) -> None:
    """Everything comes, in the mailboxes for its roles; a second run brings nothing."""
    fill(dovecot, "layla")
    report = move_in(amal, ImapSource(account(dovecot, "layla")))
    assert (report.left_out, report.stopped) == ([], "")
    found = held(amal)
    assert found.keys() == {"INBOX", "Work/Offers", "الإرسال", 'R&D (old) "x"', "Sent", "Trash"}
    assert [one[0] for one in found["INBOX"][:-1]] == odd_messages()
    assert {one[1:] for one in found["INBOX"][:-1]} == {
        (frozenset({"\\Seen", "$Forwarded"}), AT_MS)
    }
    assert found["Work/Offers"] == [(crlf(letter(1)), frozenset({"\\Flagged", "todo"}), AT_MS)]
    assert found["Trash"] == [(crlf(letter(3)), frozenset({"\\Deleted"}), AT_MS)]
    assert len(found["INBOX"][-1][0]) > 1_000_000
    with connect(dovecot, "layla") as client:
        client.append("INBOX", "", DATE, crlf(letter(9)))
        client.select("INBOX", readonly=True)
        assert client.search(None, "UNSEEN")[1] != [b""]  # reading there changed nothing
    again = move_in(amal, ImapSource(account(dovecot, "layla")))
    assert (again.moved, again.known) == (1, report.moved)


def test_out_to_dovecot_and_in_again(dovecot: Dovecot, amal: Store) -> None:
    """What Dovecot got, it has as it was; a second run adds nothing."""
    fill(dovecot, "noor")
    move_in(amal, ImapSource(account(dovecot, "noor")))
    report = move_out(amal, ImapTarget(account(dovecot, "salma")))
    assert (report.left_out, report.moved) == ([], sum(map(len, held(amal).values())))
    again = move_out(amal, ImapTarget(account(dovecot, "salma")))
    assert (again.moved, again.known) == (0, report.moved)
    move_in(amal, ImapSource(account(dovecot, "salma")), "basim")
    assert held(amal, "basim") == held(amal, "amal")


def without_order(found: Held) -> Held:
    return {name: sorted(messages, key=repr) for name, messages in found.items()}


@pytest.mark.parametrize("layout", list(Layout))
def test_dovecot_reads_a_maildir_that_was_exported(
    dovecot: Dovecot, amal: Store, layout: Layout, tmp_path: Path
) -> None:
    """A Maildir of ours is put in the place of Dovecot's own."""
    user = f"hind-{layout.name.lower()}"
    fill(dovecot, user)
    move_in(amal, ImapSource(account(dovecot, user)))
    with running_dovecot(layout=":LAYOUT=fs" if layout is Layout.FOLDERS else "") as other:
        home = other.maildir("dalal")
        home.parent.mkdir()
        move_out(amal, MaildirTarget(home, layout=layout))
        other.own(home.parent)
        move_in(amal, ImapSource(account(other, "dalal")), "basim")
    assert without_order(held(amal, "basim")) == without_order(held(amal, "amal"))


def test_the_maildir_of_dovecot(dovecot: Dovecot, amal: Store) -> None:
    """Its files, with flags and keywords, give the same as the server itself."""
    fill(dovecot, "zayn")
    move_in(amal, ImapSource(account(dovecot, "zayn")))
    report = move_in(amal, MaildirSource(dovecot.maildir("zayn")), "basim")
    assert report.left_out == []
    assert without_order(held(amal, "basim")) == without_order(held(amal, "amal"))


def test_names_with_a_prefix(amal: Store) -> None:
    """Courier and old Dovecots: all mailboxes are below INBOX, and dots divide levels."""
    with running_dovecot(prefix="INBOX.", separator=".") as server:
        with connect(server, "layla") as client:
            client.create('"INBOX.Work.Offers"')
            client.append('"INBOX.Work.Offers"', "", DATE, crlf(letter(1)))
        move_in(amal, ImapSource(account(server, "layla")))
        assert held(amal).keys() == {"Work/Offers"}
        move_out(amal, ImapTarget(account(server, "noor")))
        with connect(server, "noor") as client:
            assert client.select('"INBOX.Work.Offers"')[1] == [b"1"]


def test_starttls_and_certificates(dovecot: Dovecot, amal: Store) -> None:
    """A certificate must be valid, or be the one that the operator names; else nothing is said."""
    fill(dovecot, "hala")
    right = account(dovecot, "hala")
    chain = dovecot.certificate.read_bytes().decode("ascii")
    pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(first_of(chain))).hexdigest()
    strange, blind = client_context(None, verify=True), client_context(None, verify=False)
    starttls = replace(right.endpoint, port=dovecot.plain_port, security=Security.STARTTLS)
    for endpoint in (starttls, replace(starttls, context=blind, pin=pin)):
        report = move_in(amal, ImapSource(replace(right, endpoint=endpoint)), only=("Work",))
        assert report.left_out == []
    for endpoint, why in (
        (replace(starttls, context=strange), "is not valid"),
        (replace(right.endpoint, context=strange), "is not valid"),
        (replace(right.endpoint, context=blind, pin="0" * 64), f"another certificate: .*{pin}"),
        (replace(right.endpoint, host="no-such-host.invalid"), "there is no host"),
        (replace(right.endpoint, port=dovecot.plain_port), "TLS with localhost"),
    ):
        with pytest.raises(NoSource, match=why):
            ImapSource(replace(right, endpoint=endpoint, pauses=(0,)))
    with pytest.raises(NoSource, match="refused the log-in"):
        ImapSource(replace(right, password="wrong"))


def first_of(chain: str) -> str:
    return chain[: chain.index("-----END CERTIFICATE-----") + 26]


def pull(folder: Path, port: int, login: str, password: str, ca_file: Path) -> Counter[bytes]:
    """Let mbsync copy an account into a Maildir; return what each message is, with its flags."""
    folder.mkdir()
    configuration = folder / "rc"
    configuration.write_text(
        f"IMAPAccount far\nHost {NAME}\nPort {port}\nUser {login}\nPass {password}\n"
        f"SSLType IMAPS\nCertificateFile {ca_file}\n\nIMAPStore far\nAccount far\n\n"
        f"MaildirStore near\nPath {folder}/mail/\nInbox {folder}/mail/INBOX\n"
        "SubFolders Verbatim\n\nChannel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\n"
        "CopyArrivalDate yes\nSyncState *\n"
    )
    (folder / "mail").mkdir()
    command = [need_program("mbsync"), "-q", "-c", str(configuration), "-a"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: Counter[bytes] = Counter()
    for path in (folder / "mail").rglob("*"):
        if path.is_file() and path.parent.name in ("cur", "new"):
            box = path.parent.parent.relative_to(folder / "mail").as_posix()
            content = re.sub(rb"^X-TUID: .*\n", b"", path.read_bytes(), flags=re.M)
            flags, at = path.name.partition(":2,")[2], int(path.stat().st_mtime)
            found[f"{box} {flags} {at} ".encode() + content] += 1
    return found


def test_mbsync_finds_no_difference(dovecot: Dovecot, tmp_path: Path) -> None:
    """What mbsync reads here is what it read there. The server runs meanwhile, and tells IDLE."""
    fill(dovecot, "warda")
    with connect(dovecot, "warda") as client:
        for name in ("Drafts", "Junk", "Archive", "Trash"):
            client.create(name)
        client.select("Bin")
        client.copy("1", "Trash")
        client.store("1", "+FLAGS", "\\Deleted")
        client.close()
        client.delete("Bin")
        client.delete("Sent")
        client.create("Sent")
        client.append("Sent", "(\\Seen)", DATE, crlf(letter(2)))
    (tmp_path / "tls").mkdir()
    authority = TestAuthority(tmp_path / "tls")
    with running_installation(tmp_path / "zajil", authority.issue(NAME)) as ours:
        port = ours.address("imaps")[1]
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        with imaplib.IMAP4_SSL(NAME, port, ssl_context=context, timeout=60) as client:
            client.login(ours.login, ours.password)
            client.select("INBOX")
            client.send(b"I1 IDLE\r\n")
            assert client.readline().startswith(b"+")
            command = [sys.executable, "-m", "zajil", "--config", str(ours.configuration), "import"]
            command += ["imap", ours.login, f"{NAME}:{dovecot.port}", "--user", "warda"]
            command += ["--ca-file", str(dovecot.ca_file)]
            environment = {**os.environ, "ZAJIL_IMAP_PASSWORD": PASSWORD}
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            while not client.readline().endswith(b"EXISTS\r\n"):
                pass
            client.send(b"DONE\r\n")
            while not client.readline().startswith(b"I1 OK"):
                pass
        there = pull(tmp_path / "there", dovecot.port, "warda", PASSWORD, dovecot.ca_file)
        here = pull(tmp_path / "here", port, ours.login, ours.password, authority.ca_file)
    assert here == there
    assert sum(here.values()) == len(odd_messages()) + 6
