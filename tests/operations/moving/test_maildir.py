"""Maildirs in the forms that programs write, in and out."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from kit.moving import AT_MS, crlf, held, letter, make_maildir, move_in, move_out
from kit.store import make_account
from zajil.core.ids import AccountId, Uid
from zajil.operations.moving.maildir import MaildirSource
from zajil.operations.moving.maildir_target import Layout, MaildirTarget
from zajil.operations.moving.model import NoSource
from zajil.store.engine.open import Store
from zajil.store.mail.flag_changes import FlagChange, FlagMode, change_flags
from zajil.store.mail.mailbox_changes import DeleteMailbox, delete_mailbox
from zajil.store.mail.mailboxes import find_mailbox
from zajil.store.mail.room import NewQuota, set_quota
from zajil.store.mail.subscriptions import list_subscriptions


@pytest.fixture
def amal(store: Store) -> Store:
    make_account(store, "amal@north.test")
    return store


def dovecot(root: Path) -> Path:
    """Return a Maildir++ as Dovecot writes it."""
    make_maildir(
        root,
        {
            ".": {
                "1600000000.M1P2.host,S=210,W=217:2,S": letter(1),
                "1600000001.M1P2.host,S=210,W=217:2,FRSa": letter(2),
                "1600000002.M3P2.host": letter(3),
            },
            ".Work.Offers": {"1600000003.M1P2.host:2,": letter(4)},
            ".&BicGRAYlBjEGMwYnBkQ-": {"1600000004.M1P2.host:2,P": letter(5)},
            ".Sent Messages": {"1600000005.M1P2.host:2,S": letter(6)},
            ".Empty": {},
        },
    )
    (root / "dovecot-keywords").write_text("0 $Label1\n")
    (root / "subscriptions").write_text("V\t2\t\n\nWork\tOffers\nSent Messages\n")
    return root


def test_maildir_of_dovecot(amal: Store, tmp_path: Path) -> None:
    """Flags, keywords, dates and folders come; a second run brings nothing."""
    report = move_in(amal, MaildirSource(dovecot(tmp_path / "m")))
    assert (report.moved, report.known, report.left_out) == (6, 0, [])
    found = held(amal)
    assert found == {
        "INBOX": [
            (crlf(letter(1)), frozenset({"\\Seen"}), AT_MS),
            (crlf(letter(2)), frozenset({"\\Flagged", "\\Answered", "\\Seen", "$Label1"}), AT_MS),
            (crlf(letter(3)), frozenset(), AT_MS),
        ],
        "Work/Offers": [(crlf(letter(4)), frozenset(), AT_MS)],
        "الإرسال": [(crlf(letter(5)), frozenset({"$Forwarded"}), AT_MS)],
        "Sent": [(crlf(letter(6)), frozenset({"\\Seen"}), AT_MS)],
    }
    again = move_in(amal, MaildirSource(tmp_path / "m"))
    assert (again.moved, again.known) == (0, 6)
    assert held(amal) == found


def test_what_was_read_or_filed_since_comes_once(amal: Store, tmp_path: Path) -> None:
    """A file that went from ``new`` to ``cur``, or has other flags, is the same message."""
    root = make_maildir(tmp_path / "m", {".": {"1.host": letter(1), "2.host:2,": letter(2)}})
    move_in(amal, MaildirSource(root))
    (root / "new/1.host").rename(root / "cur/1.host:2,S")
    (root / "cur/2.host:2,").rename(root / "cur/2.host:2,FS")
    (root / "cur/3.host:2,").write_bytes(letter(3))
    report = move_in(amal, MaildirSource(root))
    assert (report.moved, report.known) == (1, 2)
    assert len(held(amal)["INBOX"]) == 3


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        ({"Inbox": {}, "Inbox/A b": {}, "Inbox/A b/c": {}}, {"INBOX", "INBOX/A b", "INBOX/A b/c"}),
        ({"Work": {}, ".Work.directory/Offers": {}}, {"Work", "Work/Offers"}),
        ({"Work": {}, "Work.sbd/Offers": {}, "Work.sbd/Offers.sbd/Old": {}},
         {"Work", "Work/Offers", "Work/Offers/Old"}),
        ({".": {}, "كتب": {}, "caf\udce9": {}}, {"INBOX", "كتب", "café"}),
    ],
)  # fmt: skip
def test_forms_of_folders(
    amal: Store, tmp_path: Path, folders: dict[str, dict[str, bytes]], names: set[str]
) -> None:
    """Folders in folders, KMail, Thunderbird, and names in UTF-8 and in Latin-1."""
    filled = {name: {f"{at}.x:2,S": letter(at)} for at, name in enumerate(folders)}
    move_in(amal, MaildirSource(make_maildir(tmp_path / "m", filled)))
    assert held(amal).keys() == names


def test_nothing_outside_of_the_folder_is_read(amal: Store, tmp_path: Path) -> None:
    """Attack: a user links a folder, a file or a FIFO into the Maildir that root imports."""
    root = make_maildir(tmp_path / "m", {".": {"1.host:2,": letter(1)}})
    secret = make_maildir(tmp_path / "other", {".": {"9.host:2,": letter(9)}})
    (root / ".Stolen").symlink_to(secret)
    (root / "cur/2.host:2,").symlink_to(secret / "cur/9.host:2,")
    os.mkfifo(root / "cur/3.host:2,")
    report = move_in(amal, MaildirSource(root))
    assert held(amal) == {"INBOX": [(crlf(letter(1)), frozenset(), AT_MS)]}
    assert sorted(one.what for one in report.left_out) == [
        ".Stolen", "cur/2.host:2,", "cur/3.host:2,",
    ]  # fmt: skip


def test_odd_names_and_depths(amal: Store, tmp_path: Path) -> None:
    """Every folder finds a place, whatever its name is; too deep ones are named."""
    deep = "/".join(["d"] * 20)
    root = make_maildir(
        tmp_path / "m",
        {
            "Shared/basim/x": {"1.h:2,": letter(1)},
            deep: {"2.h:2,": letter(2)},
            ("n" * 200 + "/") * 2 + "n": {"3.h:2,": letter(3)},
            "a\nb\x1b[31m": {"4.h:2,": letter(4)},
            "..x": {"5.h:2,": letter(5)},
            "R&D &": {"6.h:2,": letter(6)},
        },
    )
    at = os.open(root, os.O_RDONLY)
    for _ in range(500):
        os.mkdir("e", dir_fd=at)
        below = os.open("e", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.mkdir("cur", dir_fd=at)
    os.close(at)
    report = move_in(amal, MaildirSource(root))
    found = held(amal)
    assert {"Shared_/basim/x", "a_b_[31m", "x", "R&D &", "d/" * 15 + "_".join("ddddd")} < {*found}
    assert len(found) == 6
    assert [one.why for one in report.left_out] == ["more than 64 folders deep"]


def test_sieve_scripts_are_named(amal: Store, tmp_path: Path) -> None:
    """There is no Sieve here: the operator must know what is missing."""
    root = make_maildir(tmp_path / "m", {".": {"1.h:2,": letter(1)}})
    (root / "sieve").mkdir()
    script = (
        'require "fileinto";\nif header :is "a" "b" {\n fileinto "x"; }\nelsif true { stop; }\n'
    )
    (root / "sieve/main.sieve").write_text(script)
    report = move_in(amal, MaildirSource(root))
    assert [one.what for one in report.left_out] == ["sieve/main.sieve: a script with rules: 2"]


def test_damaged_files(amal: Store, tmp_path: Path) -> None:
    """An empty file and one that cannot be read are named; NUL and bare line ends are mended."""
    root = make_maildir(
        tmp_path / "m",
        {".": {"1.h:2,": b"", "2.h:2,": b"A: b\r\n\r\nx\0y\rz\n\xff", "3.h:2,": letter(3)}},
    )
    report = move_in(amal, MaildirSource(root))
    assert [one[0] for one in held(amal)["INBOX"]] == [
        b"A: b\r\n\r\nx\x80y\r\nz\r\n\xff",
        crlf(letter(3)),
    ]
    assert [(one.what, one.why) for one in report.left_out] == [("cur/1.h:2,", "it is empty")]


def test_a_quota_stops_the_run_and_the_next_one_goes_on(amal: Store, tmp_path: Path) -> None:
    root = make_maildir(tmp_path / "m", {".": {f"{n:03}.h:2,": letter(n) for n in range(300)}})
    amal.write_now(set_quota, NewQuota(AccountId(1), 0, 250))
    report = move_in(amal, MaildirSource(root))
    assert (report.moved, report.stopped) == (200, "an account has at most 250 messages")
    report = move_in(amal, MaildirSource(root), ignore_quota=True)
    assert (report.moved, report.known, report.stopped) == (100, 200, "")
    assert [one[0] for one in held(amal)["INBOX"]] == [crlf(letter(n)) for n in range(300)]


def test_what_is_chosen(amal: Store, tmp_path: Path) -> None:
    root = dovecot(tmp_path / "m")
    dry = move_in(amal, MaildirSource(root), dry_run=True, exclude=("work*",))
    assert (dry.moved, held(amal)) == (5, {})
    assert move_in(amal, MaildirSource(root), since_ms=AT_MS + 1).moved == 0
    report = move_in(amal, MaildirSource(root), only=("Work", "Sent*", "gone"), prefix=("Old",))
    assert held(amal).keys() == {"Old/Work/Offers", "Old/Sent Messages"}
    assert [one.what for one in report.left_out] == ["gone"]


def test_deleted_messages_come_again_only_if_asked(amal: Store, tmp_path: Path) -> None:
    root = make_maildir(tmp_path / "m", {"A": {"1.h:2,": letter(1)}, ".": {"2.h:2,": letter(2)}})
    move_in(amal, MaildirSource(root))
    amal.write_now(delete_mailbox, DeleteMailbox(AccountId(1), "A"))
    assert move_in(amal, MaildirSource(root)).moved == 0
    report = move_in(amal, MaildirSource(root), again=True)
    assert (report.moved, report.known) == (1, 1)
    assert held(amal).keys() == {"A", "INBOX"}


def test_a_folder_without_mail_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    for path in (tmp_path / "gone", tmp_path / "x"):
        with pytest.raises(NoSource):
            MaildirSource(path)


@pytest.mark.parametrize("layout", list(Layout))
def test_out_and_in_again(amal: Store, tmp_path: Path, layout: Layout) -> None:
    """What was written is read as it was: bytes, flags, keywords, dates, names, subscriptions."""
    make_account(amal, "basim@north.test")
    move_in(amal, MaildirSource(dovecot(tmp_path / "m")))
    report = move_out(amal, MaildirTarget(tmp_path / "out", layout=layout))
    assert (report.moved, report.known, report.left_out) == (6, 0, [])
    again = move_out(amal, MaildirTarget(tmp_path / "out", layout=layout))
    assert (again.moved, again.known) == (0, 6)
    move_in(amal, MaildirSource(tmp_path / "out"), "basim")
    assert held(amal, "basim") == held(amal, "amal")
    names = [
        amal.read_now(partial(list_subscriptions, account_id=AccountId(who))) for who in (1, 2)
    ]
    assert names[0] == names[1]


def test_changed_flags_are_written_to_the_file(amal: Store, tmp_path: Path) -> None:
    root = make_maildir(tmp_path / "m", {".": {"1.h:2,": letter(1)}})
    move_in(amal, MaildirSource(root))
    move_out(amal, MaildirTarget(tmp_path / "out"))
    (first,) = (tmp_path / "out/cur").iterdir()
    assert first.name.endswith(f",S={len(letter(1))},W={len(crlf(letter(1)))}:2,")
    box = amal.read_now(lambda conn: find_mailbox(conn, AccountId(1), "INBOX"))
    assert box is not None
    flags = frozenset({"\\Seen", "todo"})
    change = FlagChange(AccountId(1), box.mailbox_id, (Uid(1),), FlagMode.ADD, flags)
    amal.write_now(change_flags, change)
    move_out(amal, MaildirTarget(tmp_path / "out"))
    (second,) = (tmp_path / "out/cur").iterdir()
    assert second.name == first.name + "Sa"
    assert (tmp_path / "out/dovecot-keywords").read_text() == "0 todo\n"


def test_two_folders_with_one_name(amal: Store, tmp_path: Path) -> None:
    """Messages in them whose files have the same name are two messages."""
    folders = {".Work.Offers": {"1.x:2,": letter(1)}, "Work/Offers": {"1.x:2,": letter(2)}}
    path = make_maildir(tmp_path / "m", {".": {}, **folders})
    assert move_in(amal, MaildirSource(path)).moved == 2
    again = move_in(amal, MaildirSource(path))
    assert (again.moved, again.known) == (0, 2)
    assert len(held(amal)["Work/Offers"]) == 2
