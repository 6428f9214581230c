"""Mailboxes of others: what each right allows, and that nothing shows without one. (RFC 4314)

They are in the namespace of other users (RFC 2342). ``c`` and ``d`` are rights of RFC 2086.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store
from zajil.store.people.accounts import delete_account, find_by_login

MAIL = b"Subject: tea\r\n\r\nbody\r\n"

Talk = Callable[[ImapClient, ImapClient], Coroutine[None, None, None]]


def between(store: Store, folder: Path, talk: Talk) -> None:
    """Let ``amal``, who has a mailbox ``Work``, and ``badr`` talk to a server."""
    make_reader(store)
    make_reader(store, "badr@north.test")

    async def run() -> None:
        async with two_sessions(store, folder) as (amal, badr):
            await amal.ok("CREATE Work")
            await amal.append("Work", MAIL)
            await talk(amal, badr)

    asyncio.run(run())


@asynccontextmanager
async def two_sessions(store: Store, folder: Path) -> AsyncIterator[tuple[ImapClient, ImapClient]]:
    async with (
        running(store),
        imap_place(store, folder) as place,
        place.session("amal") as amal,
        place.session("badr") as badr,
    ):
        yield amal, badr


async def last(imap: ImapClient, command: str) -> bytes:
    """Return the tagged response without its tag."""
    return (await imap.command(command))[-1].partition(b" ")[2]


def test_rights_are_kept_as_they_are_given(store: Store, tmp_path: Path) -> None:
    """SETACL replaces, adds and removes; GETACL has ``c`` and ``d`` (RFC 4314 section 2.1.1)."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok("SETACL Work badr lrd")
        assert (await amal.ok("GETACL Work"))[0] == (
            b'* ACL "Work" "amal" lrswipkxteacd "badr" lrted'
        )
        await amal.ok("SETACL Work BADR@north.test +c")
        await amal.ok("SETACL Work badr -te")
        await amal.ok("SETACL Work anyone l")
        assert (await amal.ok("GETACL Work"))[0] == (
            b'* ACL "Work" "amal" lrswipkxteacd "anyone" l "badr" lrkxc'
        )
        assert (await badr.ok("MYRIGHTS Shared/amal/Work"))[0] == (
            b'* MYRIGHTS "Shared/amal/Work" lrkxc'
        )
        assert (await amal.ok("MYRIGHTS Work"))[0] == b'* MYRIGHTS "Work" lrswipkxteacd'
        await amal.ok("DELETEACL Work badr")
        assert (await badr.ok("MYRIGHTS Shared/amal/Work"))[0] == (
            b'* MYRIGHTS "Shared/amal/Work" l'
        )
        assert (await amal.ok("LISTRIGHTS Work badr"))[0] == (
            b'* LISTRIGHTS "Work" "badr" "" l r s w i p k x t e a c d'
        )
        assert (await amal.ok("LISTRIGHTS Work amal"))[0] == (
            b'* LISTRIGHTS "Work" "amal" lrswipkxteacd'
        )
        assert (await last(amal, "SETACL Work badr lQ")).startswith(b"BAD ")
        assert (await last(amal, "SETACL Work badr lq")).startswith(b"BAD ")
        assert (await last(amal, 'SETACL Work "" l')).startswith(b"BAD ")
        assert (await last(amal, "SETACL Work -badr l")).startswith(b"NO [NONEXISTENT]")
        assert (await last(amal, "SETACL Work nobody l")).startswith(b"NO [NONEXISTENT]")
        assert (await last(amal, "SETACL Work amal l")).startswith(b"NO [NOPERM]")
        assert (await last(amal, "DELETEACL Work amal")).startswith(b"NO [NOPERM]")
        assert (await last(badr, "GETACL Shared/amal/Work")).startswith(b"NO [NOPERM]")
        await amal.ok("SETACL Work badr +a")
        await badr.ok("SETACL Shared/amal/Work badr lra")
        assert (await badr.ok("GETACL Shared/amal/Work"))[0] == (
            b'* ACL "Shared/amal/Work" "amal" lrswipkxteacd "anyone" l "badr" lra'
        )

    between(store, tmp_path, talk)


HIDDEN = [
    "SELECT {}",
    "EXAMINE {}",
    "STATUS {} (MESSAGES)",
    "CREATE {}/below",
    "CREATE {}",
    "DELETE {}",
    "RENAME {} Mine",
    "RENAME {} {}2",
    "RENAME Archive {}/below",
    "RENAME INBOX {}/below",
    "SUBSCRIBE {}",
    "UNSUBSCRIBE {}",
    "GETACL {}",
    "SETACL {} badr lr",
    "DELETEACL {} badr",
    "LISTRIGHTS {} badr",
    "MYRIGHTS {}",
    "COPY 1 {}",
    "MOVE 1 {}",
]


@pytest.mark.parametrize("given", ["", "p", "swte"])
def test_nothing_tells_that_a_mailbox_is_there(store: Store, tmp_path: Path, given: str) -> None:
    """Without ``l`` and the right that is needed, answers are those for no mailbox at all."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await badr.append("INBOX", MAIL)
        await badr.ok("SELECT INBOX")
        if given:
            await amal.ok(f"SETACL Work badr {given}")
        for command in HIDDEN:
            names = ("Shared/amal/Work", "Shared/amal/None", "Shared/none/Work")
            answers = {await last(badr, command.format(name, name)) for name in names}
            assert len(answers) == 1, (command, answers)
            assert answers.pop().startswith(b"NO ")
            if not command.startswith(("COPY", "MOVE")):
                await badr.ok("SELECT INBOX")
        appended = {await badr.append(name, MAIL) for name in names}
        assert {one.partition(b" ")[2] for one in appended} == {
            b"NO [TRYCREATE] there is no such mailbox"
        }
        for command in ('LIST "" *', 'LIST "" Shared*', 'LSUB "" *', 'LIST (SUBSCRIBED) "" *'):
            assert b"Shared" not in b"".join(await badr.ok(command)), command
        await amal.ok("SELECT Work")
        assert b"* 1 EXISTS" in await amal.ok("SELECT Work")

    between(store, tmp_path, talk)


def test_who_may_see_a_mailbox_finds_it_in_lists(store: Store, tmp_path: Path) -> None:
    """Its parents show as names without a mailbox; an Arabic name is one like any other.

    LIST tells the rights, too, when it is asked (RFC 8440).
    """

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok("CREATE &Bi8GJwYx-/&BkUGRgYy-")
        await amal.ok("SETACL &Bi8GJwYx-/&BkUGRgYy- badr lr")
        await amal.ok("SETACL Sent badr l")
        lines = await badr.ok('LIST "" Shared*')
        assert lines[:-1] == [
            rb'* LIST (\Noselect \HasChildren) "/" "Shared"',
            rb'* LIST (\Noselect \HasChildren) "/" "Shared/amal"',
            rb'* LIST (\Noselect \HasNoChildren) "/" "Shared/amal/Sent"',
            rb'* LIST (\Noselect \HasChildren) "/" "Shared/amal/&Bi8GJwYx-"',
            rb'* LIST (\HasNoChildren) "/" "Shared/amal/&Bi8GJwYx-/&BkUGRgYy-"',
        ]
        lines = await badr.ok('LIST "Shared/amal/" "%" RETURN (MYRIGHTS STATUS (MESSAGES))')
        assert lines[:-1] == [
            rb'* LIST (\Noselect \HasNoChildren) "/" "Shared/amal/Sent"',
            b'* MYRIGHTS "Shared/amal/Sent" l',
            rb'* LIST (\NonExistent \HasChildren) "/" "Shared/amal/&Bi8GJwYx-"',
        ]
        await badr.ok("SUBSCRIBE Shared/amal/&Bi8GJwYx-/&BkUGRgYy-")
        assert (await badr.ok('LSUB "" Shared/*'))[:-1] == [
            b'* LSUB () "/" "Shared/amal/&Bi8GJwYx-/&BkUGRgYy-"'
        ]
        await badr.ok("SELECT Shared/amal/&Bi8GJwYx-/&BkUGRgYy-")
        assert (await last(badr, "SELECT Shared/amal/Sent")).startswith(b"NO [NOPERM]")
        await amal.ok("SETACL INBOX badr lr")
        for spelled in ("Shared/amal/inbox", "Shared/amal/INBOX"):
            await badr.ok(f"EXAMINE {spelled}")
            lines = await badr.ok(f'LIST "" {spelled}')
            assert lines[0] == rb'* LIST (\HasNoChildren) "/" "Shared/amal/INBOX"'
        # The owner finds its own mailboxes under their own names alone.
        assert b"Shared" not in b"".join(await amal.ok('LIST "" *'))
        assert (await last(amal, "SELECT Shared/amal/Sent")).startswith(b"NO [NONEXISTENT]")

    between(store, tmp_path, talk)


def test_who_may_only_read_changes_nothing(store: Store, tmp_path: Path) -> None:
    """The mailbox opens read-only; a body that is read stays unseen."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok("SETACL Work badr lr")
        lines = await badr.ok("SELECT Shared/amal/Work")
        assert b"* OK [PERMANENTFLAGS ()] flags that last" in lines
        assert b"[READ-ONLY]" in lines[-1]
        assert b"Subject: tea" in (await badr.ok("FETCH 1 BODY[]"))[0]
        for command in (r"STORE 1 +FLAGS (\Seen)", "EXPUNGE", "MOVE 1 INBOX"):
            assert (await last(badr, command)).startswith(b"NO [READ-ONLY]"), command
        assert b" NO [NOPERM] " in await badr.append("Shared/amal/Work", MAIL)
        assert (await last(badr, "COPY 1 Shared/amal/Work")).startswith(b"NO [NOPERM]")
        await badr.ok("COPY 1 INBOX")
        assert (await last(badr, "DELETE Shared/amal/Work")).startswith(b"NO [NOPERM]")
        assert (await last(badr, "RENAME Shared/amal/Work Mine")).startswith(b"NO [NOPERM]")
        assert (await last(badr, "CREATE Shared/amal/Work/x")).startswith(b"NO [NOPERM]")
        await badr.ok("CLOSE")
        lines = await amal.ok("SELECT Work")
        assert b"* 1 EXISTS" in lines
        assert b"* 1 RECENT" in lines, "a reader takes it from nobody"
        assert (await amal.ok("FETCH 1 FLAGS"))[0] == rb"* 1 FETCH (FLAGS (\Recent))"

    between(store, tmp_path, talk)


FLAGS = r"(\Seen \Deleted \Flagged $Junk)"


@pytest.mark.parametrize(
    ("rights", "permanent", "kept"),
    [
        ("s", rb"(\Seen)", rb"(\Seen)"),
        ("t", rb"(\Deleted)", rb"(\Deleted)"),
        ("w", rb"(\Answered \Flagged \Draft \*)", rb"(\Flagged $Junk)"),
        ("swt", rb"(\Answered \Flagged \Deleted \Seen \Draft \*)", FLAGS.encode()),
    ],
)
def test_each_flag_has_its_right(
    store: Store, tmp_path: Path, rights: str, permanent: bytes, kept: bytes
) -> None:
    """STORE, APPEND and COPY set what the account may set, and do not fail for the rest."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok(f"SETACL Work badr lri{rights}")
        lines = await badr.ok("SELECT Shared/amal/Work")
        assert b"* OK [PERMANENTFLAGS " + permanent + b"] flags that last" in lines
        assert b"[READ-WRITE]" in lines[-1]
        await badr.ok(f"STORE 1 +FLAGS {FLAGS}")
        assert b" OK " in await badr.append("Shared/amal/Work", MAIL, FLAGS)
        await badr.append("INBOX", MAIL, FLAGS)
        await badr.ok("SELECT INBOX")
        await badr.ok("COPY 1 Shared/amal/Work")
        assert sorted(kept.strip(b"()").split()) == await flags_of(amal, 1)
        assert sorted(kept.strip(b"()").split()) == await flags_of(amal, 2)
        assert sorted(kept.strip(b"()").split()) == await flags_of(amal, 3)
        # What it may not set it may not clear either, whatever way it tries.
        await amal.ok(f"UID STORE 1 FLAGS {FLAGS}")
        await badr.ok("SELECT Shared/amal/Work")
        await badr.ok("UID STORE 1 FLAGS ()")
        left = set(FLAGS.strip("()").encode().split()) - set(kept.strip(b"()").split())
        assert sorted(left) == await flags_of(amal, 1)
        other = {"s": r"\Deleted", "t": r"\Seen", "w": r"\Seen", "swt": ""}[rights]
        if other:
            answer = await last(badr, f"STORE 1 -FLAGS ({other})")
            assert answer.startswith(b"NO [NOPERM]")
        assert (await last(badr, "EXPUNGE")).startswith(b"NO [NOPERM]")
        assert (await last(badr, "UID EXPUNGE 1:*")).startswith(b"NO [NOPERM]")
        assert (await last(badr, "MOVE 1 INBOX")).startswith(b"NO [NOPERM]")
        await badr.ok("CLOSE")
        assert b"* 3 EXISTS" in await amal.ok("SELECT Work")

    between(store, tmp_path, talk)


async def flags_of(imap: ImapClient, uid: int) -> list[bytes]:
    """Return the flags of a message of ``Work``, without ``\\Recent``, sorted."""
    await imap.ok("SELECT Work")
    (line, *_) = await imap.ok(f"UID FETCH {uid} FLAGS")
    flags = line.partition(b"FLAGS (")[2].partition(b")")[0].split()
    return sorted(flag for flag in flags if flag != rb"\Recent")


def test_expunge_and_move_have_their_rights(store: Store, tmp_path: Path) -> None:
    """``e`` expunges; MOVE takes ``t`` and ``e`` (RFC 6851), and gives the owner's room back."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.append("Work", MAIL, r"(\Deleted)")
        await amal.append("Work", MAIL)
        await amal.ok("SETACL Work badr lre")
        await badr.ok("SELECT Shared/amal/Work")
        assert (await last(badr, "MOVE 1 INBOX")).startswith(b"NO [NOPERM]")
        assert (await badr.ok("EXPUNGE"))[0] == b"* 2 EXPUNGE"
        await amal.ok("SETACL Work badr +t")
        lines = await badr.ok("MOVE 1 INBOX")
        assert rb"* OK [PERMANENTFLAGS (\Deleted)] flags that last" in lines
        assert b"* 1 EXPUNGE" in lines
        await amal.ok("SELECT Work")
        assert (await amal.ok("FETCH 1:* UID"))[:-1] == [b"* 1 FETCH (UID 3)"]
        await badr.ok("SELECT INBOX")
        assert (await badr.ok("FETCH 1 BODY.PEEK[TEXT]"))[0].endswith(b"body\r\n)")

    between(store, tmp_path, talk)


def test_mailboxes_below_a_shared_one(store: Store, tmp_path: Path) -> None:
    """``k`` makes, ``x`` renames and deletes; a new one has the rights of the one above it."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok("SETACL Work badr lrkx")
        await badr.ok("CREATE Shared/amal/Work/a/b")
        assert (await amal.ok("GETACL Work/a/b"))[0].endswith(b'"badr" lrkxc')
        assert (await last(badr, "CREATE Shared/amal/Work/a")).startswith(b"NO [ALREADYEXISTS]")
        assert (await last(badr, "CREATE Shared/amal/New")).startswith(b"NO [NOPERM]")
        assert (await last(badr, "CREATE Shared")).startswith(b"NO [NOPERM]")
        assert (await last(badr, "CREATE Shared/amal")).startswith(b"NO [NOPERM]")
        await badr.ok("RENAME Shared/amal/Work/a Shared/amal/Work/c")
        assert (await last(badr, "RENAME Shared/amal/Work/c Mine")).startswith(b"NO [NOPERM]")
        assert (await last(badr, "RENAME Archive Shared/amal/Work/d")).startswith(b"NO [NOPERM]")
        assert (await last(badr, "RENAME INBOX Shared/amal/Work/d")).startswith(b"NO [NOPERM]")
        names = [line.rpartition(b" ")[2] for line in (await amal.ok('LIST "" Work*'))[:-1]]
        assert names == [b'"Work"', b'"Work/c"', b'"Work/c/b"']
        await amal.ok("SETACL Work/c/b badr -x")
        assert (await last(badr, "DELETE Shared/amal/Work/c/b")).startswith(b"NO [NOPERM]")
        answer = await last(badr, "RENAME Shared/amal/Work/c Shared/amal/Work/d")
        assert answer.startswith(b"NO [NOPERM]"), "one below it may not be renamed"
        await badr.ok("DELETE Shared/amal/Work/c")
        await badr.ok("DELETE Shared/amal/Work")
        names = [line.rpartition(b" ")[2] for line in (await amal.ok('LIST "" Work*'))[:-1]]
        assert names == [b'"Work"', b'"Work/c"', b'"Work/c/b"'], "the last is still there"
        answer = await last(badr, "CREATE Shared/amal/Junk (USE (\\Junk))")
        assert answer.startswith(b"NO [USEATTR]")

    between(store, tmp_path, talk)


def test_changes_of_others_are_told(store: Store, tmp_path: Path) -> None:
    """Also while a session idles, and in both directions; ``\\Seen`` is shared by all."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok("SETACL Work badr lrs")
        await amal.ok("SELECT Work")
        await badr.ok("SELECT Shared/amal/Work")
        await badr.send(b"i IDLE\r\n")
        assert await badr.read_response() == b"+ idling"
        await amal.append("Work", MAIL)
        assert await badr.read_response() == b"* 2 EXISTS"
        assert await badr.read_response() == b"* 0 RECENT"
        await badr.send(b"DONE\r\n")
        await badr.read_until(b"i")
        await badr.ok("FETCH 2 BODY[]")
        assert (await amal.ok("NOOP"))[0] == rb"* 2 FETCH (UID 2 FLAGS (\Seen \Recent))"

    between(store, tmp_path, talk)


@pytest.mark.parametrize("how", ["idle", "FETCH 1 BODY[]", "NOOP", "SEARCH ALL", "COPY 1 INBOX"])
def test_who_loses_the_right_to_read_loses_the_mailbox(
    store: Store, tmp_path: Path, how: str
) -> None:
    """The session ends as if the mailbox were deleted; nothing of it is sent any more."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok("SETACL Work badr lr")
        await badr.ok("SELECT Shared/amal/Work")
        if how == "idle":
            await badr.send(b"i IDLE\r\n")
            assert await badr.read_response() == b"+ idling"
        await amal.ok("DELETEACL Work badr")
        if how != "idle":
            await badr.send(b"i " + how.encode() + b"\r\n")
        assert await badr.read_response() == b"* BYE the selected mailbox was deleted"
        assert await badr.is_closed()

    between(store, tmp_path, talk)


def test_rights_go_with_the_mailbox_and_with_the_account(store: Store, tmp_path: Path) -> None:
    """A mailbox made anew is shared with nobody, and a removed account leaves no entry."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok("SETACL Work badr lr")
        await amal.ok("DELETE Work")
        await amal.ok("CREATE Work")
        assert (await amal.ok("GETACL Work"))[0] == b'* ACL "Work" "amal" lrswipkxteacd'
        await amal.ok("SETACL Work badr lr")
        row = await store.read(lambda conn: find_by_login(conn, "badr"))
        assert row is not None
        await store.write(delete_account, row.account_id)
        assert (await amal.ok("GETACL Work"))[0] == b'* ACL "Work" "amal" lrswipkxteacd'

    between(store, tmp_path, talk)


def test_a_new_mailbox_takes_over_a_special_use(store: Store, tmp_path: Path) -> None:
    """RFC 6154 section 3; when it is deleted, the mailbox of new accounts has the use again."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok(r"CREATE Gesendet (USE (\Sent))")
        lines = await amal.ok('LIST (SPECIAL-USE) "" *')
        assert rb'* LIST (\HasNoChildren \Sent) "/" "Gesendet"' in lines
        assert not any(b'"Sent"' in line for line in lines)
        assert rb'* LIST (\HasNoChildren) "/" "Sent"' in await amal.ok('LIST "" Sent')
        await amal.ok("DELETE Gesendet")
        assert rb'* LIST (\HasNoChildren \Sent) "/" "Sent"' in await amal.ok('LIST "" Sent')
        assert (await last(amal, "DELETE Sent")).startswith(b"NO [CANNOT]")
        for uses in (r"\All", r"\Flagged", r"\None", r"\Sent \Trash"):
            answer = await last(amal, f"CREATE Other (USE ({uses}))")
            assert answer.startswith(b"NO [USEATTR]"), uses
        assert not any(b'"Other"' in line for line in await amal.ok('LIST "" *'))
        assert (await last(amal, "CREATE Other (USE Sent)")).startswith(b"BAD ")

    between(store, tmp_path, talk)


def test_status_of_sizes(store: Store, tmp_path: Path) -> None:
    """SIZE (RFC 8438) and DELETED (RFC 9051 section 6.3.11)."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.append("Work", MAIL, r"(\Deleted)")
        (line, _) = await amal.ok("STATUS Work (SIZE DELETED UNSEEN)")
        assert line == b'* STATUS "Work" (SIZE %d DELETED 1 UNSEEN 2)' % (2 * len(MAIL))
        (line, _) = await amal.ok("STATUS Trash (SIZE DELETED)")
        assert line == b'* STATUS "Trash" (SIZE 0 DELETED 0)'

    between(store, tmp_path, talk)


def test_who_may_only_add_learns_no_uids(store: Store, tmp_path: Path) -> None:
    """RFC 4315 section 3, RFC 9051 section 6.3.12; the mailbox is not selectable for them."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok("SETACL Work badr li")
        (line, _) = await badr.ok('LIST "" "Shared/amal/Work"')
        assert line == b'* LIST (\\Noselect \\HasNoChildren) "/" "Shared/amal/Work"'
        for _ in range(2):
            assert b"APPENDUID" not in await badr.append("Shared/amal/Work", MAIL)
        await badr.append("INBOX", MAIL)
        await badr.ok("SELECT INBOX")
        assert b"COPYUID" not in b"".join(await badr.ok("COPY 1 Shared/amal/Work"))
        assert b"COPYUID" not in b"".join(await badr.ok("MOVE 1 Shared/amal/Work"))
        await amal.ok("SETACL Work badr lir")
        assert b"[APPENDUID " in await badr.append("Shared/amal/Work", MAIL)

    between(store, tmp_path, talk)
