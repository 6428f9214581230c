"""Mail moves in from Dovecot and out to it, and stays what it was."""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.dovecot import NAME, PASSWORD, Dovecot, running_dovecot
from kit.moving import AT_MS, Held, crlf, held, letter, move_in, move_out
from kit.odd_messages import odd_messages
from kit.store import make_account, open_test_store
from zajil.net.imap_connection import ImapEndpoint, Security
from zajil.operations.moving.imap_account import ImapAccount
from zajil.operations.moving.imap_source import ImapSource
from zajil.operations.moving.imap_target import ImapTarget
from zajil.operations.moving.maildir import MaildirSource
from zajil.operations.moving.maildir_target import Layout, MaildirTarget
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
