"""mbox files in the forms that programs write, in and out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.moving import AT_MS, crlf, held, letter, make_maildir, move_in, move_out
from kit.store import make_account, open_test_store
from zajil.operations.moving.maildir import MaildirSource
from zajil.operations.moving.mbox import MboxSource
from zajil.operations.moving.mbox_target import MboxTarget
from zajil.operations.moving.model import NoSource, Report, Unreadable
from zajil.store.engine.open import Store

FROM = b"From layla@far.test Sun Sep 13 12:26:40 2020\n"


@pytest.fixture
def amal(tmp_path: Path) -> Iterator[Store]:
    store = open_test_store("sqlite", tmp_path / "data")
    make_account(store, "amal@north.test")
    yield store
    store.close_now()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def bodies(store: Store, mailbox: str = "INBOX") -> list[bytes]:
    return [one[0] for one in held(store).get(mailbox, [])]


def test_mboxrd_with_flags(amal: Store, tmp_path: Path) -> None:
    """Status and X-Status become flags and leave the message; quoted lines are unquoted."""
    body = ">From here\n>>From there\nFrom\n"
    one = letter(1, body=body, more="Status: RO\nX-Status: AF\nX-Keywords: $Forwarded todo\n")
    path = write(tmp_path / "inbox.mbox", FROM + one + b"\n" + FROM + letter(2) + b"\n")
    report = move_in(amal, MboxSource(path))
    assert (report.moved, report.left_out) == (2, [])
    flags = frozenset({"\\Seen", "\\Answered", "\\Flagged", "$Forwarded", "todo"})
    plain = crlf(letter(1, body="From here\n>From there\nFrom\n"))
    assert held(amal)["INBOX"] == [(plain, flags, AT_MS), (crlf(letter(2)), frozenset(), AT_MS)]
    again = move_in(amal, MboxSource(path))
    assert (again.moved, again.known) == (0, 2)


def test_a_compacted_file_brings_only_what_is_new(amal: Store, tmp_path: Path) -> None:
    """Messages have no names: they are known by their bytes, and equal ones are counted."""
    parts = [FROM + letter(n) + b"\n" for n in (1, 2, 2, 3)]
    path = write(tmp_path / "INBOX", b"".join(parts))
    assert move_in(amal, MboxSource(path)).moved == 4
    status = FROM + letter(3, more="Status: RO\n") + b"\n"
    write(path, b"".join([parts[1], parts[2], status, FROM + letter(4) + b"\n"]))
    report = move_in(amal, MboxSource(path))
    assert (report.moved, report.known) == (1, 3)
    assert bodies(amal) == [crlf(letter(n)) for n in (1, 2, 2, 3, 4)]


def test_lines_that_only_look_like_separators(amal: Store, tmp_path: Path) -> None:
    """Eudora and old mail programs quote nothing."""
    body = "\nFrom my point of view\n\nFrom: a header of a quoted mail\nFrom a@b.test to you\n"
    path = write(tmp_path / "INBOX", FROM + letter(1, body=body) + b"\n" + FROM + letter(2))
    assert move_in(amal, MboxSource(path)).moved == 2
    assert bodies(amal) == [crlf(letter(1, body=body)), crlf(letter(2))]


@pytest.mark.parametrize(
    "separator",
    [
        b"From - Sun Sep 13 12:26:40 2020\n",
        b"From ???@??? Sun Sep 13 12:26:40 2020\n",
        b"From 1677778888123456789@xxx Sun Sep 13 12:26:40 +0000 2020\n",
        b"From a@b.test  Sun Sep 13 14:26:40 2020 +0200\n",
        b'From "a b"@c.test Sun Sep 13 12:26 2020\n',
        b"From MAILER-DAEMON Sun, 13 Sep 2020 12:26:40 GMT\n",
        b"From \n",
        b"From a@b.test\n",
    ],
)
def test_forms_of_separators(amal: Store, tmp_path: Path, separator: bytes) -> None:
    path = write(tmp_path / "INBOX", b"".join(separator + letter(n) + b"\n" for n in (1, 2, 3)))
    assert move_in(amal, MboxSource(path)).moved == 3
    times = {one[2] for one in held(amal)["INBOX"]}
    assert times <= {AT_MS, AT_MS - 40_000}
    assert bodies(amal) == [crlf(letter(n)) for n in (1, 2, 3)]


def test_crlf_and_a_file_that_was_cut(amal: Store, tmp_path: Path) -> None:
    whole = crlf(b"\n" + FROM + letter(1) + b"\n" + FROM + letter(2))
    path = write(tmp_path / "INBOX", b"\xef\xbb\xbf" + whole[:-5])
    assert move_in(amal, MboxSource(path)).moved == 2
    assert bodies(amal) == [crlf(letter(1)), crlf(letter(2))[:-5]]


def test_content_length(amal: Store, tmp_path: Path) -> None:
    """mboxcl2 quotes nothing; mboxcl quotes."""

    def counted(number: int, body: str) -> bytes:
        return letter(number, body=body, more=f"Content-Length: {len(body) + 1}\n")

    inner = FROM.decode() + letter(7).decode()
    one, two = counted(1, f"a\n\n{inner}"), counted(2, ">From b")
    path = write(tmp_path / "INBOX", FROM + one + b"\n" + FROM + two + b"\n")
    assert move_in(amal, MboxSource(path)).moved == 2
    assert bodies(amal) == [crlf(one), crlf(two.replace(b">From", b"From"))]


def test_content_length_hides_no_message(amal: Store, tmp_path: Path) -> None:
    """Attack: a message says that it is as long as itself and the next ones."""
    rest = FROM + letter(2) + b"\n" + FROM + letter(3) + b"\n"
    evil = letter(1, more=f"Content-Length: {len(rest) + 24}\n")
    path = write(tmp_path / "INBOX", FROM + letter(0) + b"\n" + FROM + evil + b"\n" + rest)
    assert move_in(amal, MboxSource(path)).moved == 4


def test_thunderbird(amal: Store, tmp_path: Path) -> None:
    """Folders in .sbd, flags in X-Mozilla-Status; what was deleted and not compacted stays away."""
    mark = b"From - Sun Sep 13 12:26:40 2020\nX-Mozilla-Status: %s\nX-Mozilla-Status2: 00000000\n"
    root = tmp_path / "Local Folders"
    tagged = mark % b"1007" + b"X-Mozilla-Keys: $label2  \n"
    write(root / "Inbox", tagged + letter(1) + b"\n" + mark % b"0009" + letter(2) + b"\n")
    write(root / "Inbox.msf", b"// <!-- <mdb:mork")
    write(root / "Inbox.sbd/Offers", mark % b"0000" + letter(3) + b"\n")
    write(root / "Inbox.sbd/Offers.sbd/Old", mark % b"0001" + letter(4) + b"\n")
    write(root / "filters.dat", b"x")
    write(root / "Trash", b"")
    report = move_in(amal, MboxSource(root))
    found = held(amal)
    assert found.keys() == {"INBOX", "INBOX/Offers", "INBOX/Offers/Old"}
    flags = frozenset({"\\Seen", "\\Answered", "\\Flagged", "$Forwarded", "$label2"})
    assert found["INBOX"] == [(crlf(letter(1)), flags, AT_MS)]
    assert [one.why for one in report.left_out] == ["messages that were deleted in Thunderbird: 1"]


def test_a_sender_cannot_make_a_message_vanish(amal: Store, tmp_path: Path) -> None:
    """Attack: fields of mail programs in a message that was received."""
    evil = letter(1, more="X-Mozilla-Status: 0009\nX-IMAP: 1 2\n")
    path = write(tmp_path / "INBOX", FROM + evil + b"\n" + FROM + evil.replace(b"ter 1", b"ter 2"))
    assert move_in(amal, MboxSource(path)).moved == 2


def test_data_of_uw_imap_is_no_message(amal: Store, tmp_path: Path) -> None:
    data = (
        b"From MAILER-DAEMON Sun Sep 13 12:26:40 2020\nFrom: Mail System Internal Data <M@host>\n"
        b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1600000000 0000000009"
        b"\nStatus: RO\n\nThis text is part of the internal format of your mail folder.\n\n"
    )
    path = write(tmp_path / "INBOX", data + FROM + letter(1) + b"\n")
    assert move_in(amal, MboxSource(path)).moved == 1


def test_takeout_of_gmail(amal: Store, tmp_path: Path) -> None:
    """One file has everything: labels say which mailbox, whether it was read, and labels here."""
    rows = [
        ("Inbox,Important,Unread", "INBOX", set()),
        ("Inbox,Opened,Starred,Bills", "INBOX", {"\\Seen", "\\Flagged", "Bills"}),
        ("Sent,Opened", "Sent", {"\\Seen"}),
        ("Archived,Opened,Category promotions", "Archive", {"\\Seen"}),
        ("=?UTF-8?Q?=D8=B9=D9=85=D9=84/=D8=B9=D8=B1=D9=88=D8=B6,Opened,Bills?=", "عمل/عروض", {}),
        ("Spam", "Junk", {"\\Seen"}),
        ("Trash,Inbox,Unread", "Trash", set()),
        ("Draft", "Drafts", {"\\Seen"}),
    ]
    content = b"".join(
        FROM.replace(b"layla@far.test", b"%d@xxx" % number)
        + f"X-GM-THRID: {number}\nX-Gmail-Labels: {labels}\n".encode()
        + letter(number)
        + b"\n"
        for number, (labels, _, _) in enumerate(rows)
    )
    path = write(tmp_path / "Mail/All mail Including Spam and Trash.mbox", content)
    report = move_in(amal, MboxSource(path))
    assert (report.moved, report.left_out) == (8, [])
    found = held(amal)
    for number, (_, mailbox, flags) in enumerate(rows):
        (one,) = [one for one in found[mailbox] if one[0] == crlf(letter(number))]
        if flags != {}:
            assert one[1] == flags
    assert {one for message in found["عمل/عروض"] for one in message[1]} == {"\\Seen", "Bills"}


def test_apple_mail_and_what_is_no_mbox(amal: Store, tmp_path: Path) -> None:
    write(tmp_path / "a/Work.mbox/mbox", FROM + letter(1))
    write(tmp_path / "a/Work.mbox/table_of_contents", b"x")
    write(tmp_path / "a/Old.mbox/Messages/1.emlx", b"120\nFrom: x")
    write(tmp_path / "a/outlook.pst", b"!BDN")
    write(tmp_path / "a/notes.txt", b"From here on")
    (tmp_path / "a/link").symlink_to("/etc/passwd")
    report = move_in(amal, MboxSource(tmp_path / "a"))
    assert bodies(amal, "Work") == [crlf(letter(1))]
    assert {one.what: one.why.partition(";")[0] for one in report.left_out} == {
        "Old.mbox/Messages/1.emlx": "a message of Apple Mail",
        "outlook.pst": "a file of Outlook",
        "link": "a symbolic link is not followed",
        "notes.txt": "not an mbox file",
    }


def test_no_mbox(tmp_path: Path) -> None:
    with pytest.raises(NoSource):
        MboxSource(tmp_path / "gone")


def test_out_and_in_again(amal: Store, tmp_path: Path) -> None:
    """What was written is read as it was; a second run writes the same files."""
    make_account(amal, "basim@north.test")
    odd = letter(2, body="From x\n>From y\n\nFrom a@b Sun Sep 13 12:26:40 2020\nA: b\n")
    root = make_maildir(
        tmp_path / "m",
        {
            ".": {"1.h:2,FRS": letter(1), "2.h:2,PDT": odd},
            ".Own": {"3.h:2,": letter(3, more="Status: R\n")},
            ".Work.Offers": {"4.h:2,": letter(4, more="X-Mozilla-Status: 0009\n")},
            ".Work": {"5.h:2,": b"Subject: no end of line\n\nx" + b"y" * 9000},
        },
    )  # fmt: skip
    move_in(amal, MaildirSource(root))
    for _ in range(2):
        report = move_out(amal, MboxTarget(tmp_path / "out"))
        assert (report.moved, report.left_out) == (5, [])
    assert sorted(path.name for path in (tmp_path / "out/Work").iterdir()) == ["Offers.mbox"]
    assert not list((tmp_path / "out").rglob("*.part"))
    move_in(amal, MboxSource(tmp_path / "out"), "basim")
    ours, theirs = held(amal, "amal"), held(amal, "basim")
    last = ours["Work"].pop()
    assert theirs["Work"].pop() == (last[0] + b"\r\n", *last[1:])
    assert theirs == ours


def test_a_file_that_becomes_shorter(amal: Store, tmp_path: Path) -> None:
    """A mail program writes it anew while it is read: what is behind the new end is not awaited."""
    parts = [FROM + letter(n, body="x\n" * 100_000) + b"\n" for n in (1, 2, 3)]
    path = write(tmp_path / "INBOX", b"".join(parts))
    source = MboxSource(path)
    (box,) = source.mailboxes(Report())
    entries = source.entries(box, Report())
    next(entries)
    os.truncate(path, len(parts[0]) + 20_000)
    with pytest.raises(Unreadable, match="shorter"):
        list(entries)
    source.close()
