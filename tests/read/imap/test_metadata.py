"""Annotations of mailboxes and of the server. (RFC 5464, RFC 9590)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store
from zajil.store.mail.annotations import MAX_BYTES, MAX_ON_MAILBOX, MAX_VALUE
from zajil.store.people.account_names import NewProfile, set_profile
from zajil.store.people.accounts import delete_account, find_by_login

Talk = Callable[[ImapClient, ImapClient], Coroutine[None, None, None]]


def between(store: Store, folder: Path, talk: Talk) -> None:
    """Let ``amal`` and ``badr`` talk to a server."""
    make_reader(store)
    make_reader(store, "badr@north.test")

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, folder) as place,
            place.session("amal") as amal,
            place.session("badr") as badr,
        ):
            await talk(amal, badr)

    asyncio.run(run())


async def last(imap: ImapClient, command: str | bytes) -> bytes:
    """Return the tagged response without its tag."""
    return (await imap.command(command))[-1].partition(b" ")[2]


def test_what_is_set_is_read_again(store: Store, tmp_path: Path) -> None:
    """Also in a literal, with depths and sizes, in both places of the options."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok('SETMETADATA INBOX (/private/Comment "mine" /shared/comment "all")')
        await amal.ok(b"SETMETADATA INBOX (/private/comment/a {6+}\r\nab\r\ncd)")
        await amal.ok(b"SETMETADATA INBOX (/private/comment/a/b ~{3+}\r\nxyz)")
        (line, _) = await amal.ok("GETMETADATA INBOX /private/comment")
        assert line == b'* METADATA "INBOX" (/private/comment "mine")'
        (line, _) = await amal.ok("GETMETADATA INBOX (/private/comment /shared/none)")
        assert line == b'* METADATA "INBOX" (/private/comment "mine" /shared/none NIL)'
        (line, _) = await amal.ok("GETMETADATA (DEPTH 1) INBOX /private/comment")
        assert line == (
            b'* METADATA "INBOX" (/private/comment "mine" /private/comment/a {6}\r\nab\r\ncd)'
        )
        (line, tagged) = await amal.ok(
            "GETMETADATA INBOX (MAXSIZE 4 DEPTH infinity) /private/comment"
        )
        assert line == b'* METADATA "INBOX" (/private/comment "mine" /private/comment/a/b "xyz")'
        assert b"[METADATA LONGENTRIES 6]" in tagged
        (tagged,) = await amal.ok("GETMETADATA INBOX (DEPTH infinity) /private/nothing")
        await amal.ok("SETMETADATA INBOX (/private/comment NIL /private/none NIL)")
        (line, _) = await amal.ok("GETMETADATA INBOX /private/comment")
        assert line == b'* METADATA "INBOX" (/private/comment NIL)'
        answer = await last(amal, "GETMETADATA None /private/comment")
        assert answer.startswith(b"NO [NONEXISTENT]")

    between(store, tmp_path, talk)


def test_annotations_of_the_server(store: Store, tmp_path: Path) -> None:
    """Everybody has private ones; those that all see are an administrator's."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await badr.ok('SETMETADATA "" (/private/vendor/x "mine")')
        assert (await badr.ok('GETMETADATA "" (/private/vendor/x /shared/admin)'))[0] == (
            b'* METADATA "" (/private/vendor/x "mine" /shared/admin "mailto:postmaster@north.test")'
        )
        (line, _) = await amal.ok('GETMETADATA "" /private/vendor/x')
        assert line == b'* METADATA "" (/private/vendor/x NIL)'
        assert (await last(badr, 'SETMETADATA "" (/shared/comment "x")')).startswith(b"NO [NOPERM]")
        await amal.ok('SETMETADATA "" (/shared/comment "maintenance on Friday")')
        (line, _) = await badr.ok('GETMETADATA "" /shared/comment')
        assert line == b'* METADATA "" (/shared/comment "maintenance on Friday")'
        assert (await last(amal, 'SETMETADATA "" (/shared/admin "x")')).startswith(b"NO [NOPERM]")

    make_reader(store)
    row = store.read_now(lambda conn: find_by_login(conn, "amal"))
    assert row is not None
    store.write_now(set_profile, NewProfile(row.account_id, admin=True))
    make_reader(store, "badr@north.test")

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session("amal") as amal,
            place.session("badr") as badr,
        ):
            await talk(amal, badr)

    asyncio.run(run())


def test_annotations_on_a_shared_mailbox(store: Store, tmp_path: Path) -> None:
    """Private ones are of each account; shared ones are set by who may write."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok('SETMETADATA Sent (/private/comment "a" /shared/comment "all")')
        name = "Shared/amal/Sent"
        for rights in ("", "s", "r"):
            await amal.ok(f"SETACL Sent badr {rights or '-x'}")
            answer = await last(badr, f"GETMETADATA {name} /shared/comment")
            assert answer.startswith(b"NO [NONEXISTENT]"), rights
        await amal.ok("SETACL Sent badr l")
        assert (await last(badr, f"GETMETADATA {name} /shared/comment")).startswith(b"NO [NOPERM]")
        await amal.ok("SETACL Sent badr lr")
        await badr.ok(f'SETMETADATA {name} (/private/comment "b")')
        (line, _) = await badr.ok(f"GETMETADATA {name} (/private/comment /shared/comment)")
        assert line == (
            b'* METADATA "Shared/amal/Sent" (/private/comment "b" /shared/comment "all")'
        )
        both = f'SETMETADATA {name} (/private/comment "c" /shared/comment "x")'
        assert (await last(badr, both)).startswith(b"NO [NOPERM]")
        (line, _) = await badr.ok(f"GETMETADATA {name} /private/comment")
        assert line.endswith(b'"b")'), "all or none"
        await amal.ok("SETACL Sent badr lrw")
        await badr.ok(f'SETMETADATA {name} (/shared/comment "x")')
        (line, _) = await amal.ok("GETMETADATA Sent (/private/comment /shared/comment)")
        assert line == b'* METADATA "Sent" (/private/comment "a" /shared/comment "x")'

    between(store, tmp_path, talk)


def test_list_returns_annotations(store: Store, tmp_path: Path) -> None:
    """RFC 9590, with the use of RFC 6154 section 4."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok('SETMETADATA Sent (/private/comment "a")')
        lines = await amal.ok(
            'LIST "" ("Sent" "INBOX") RETURN (METADATA (/private/comment /private/specialuse))'
        )
        assert lines[:-1] == [
            b'* LIST (\\HasNoChildren) "/" "INBOX"',
            b'* METADATA "INBOX" (/private/comment NIL /private/specialuse NIL)',
            b'* LIST (\\HasNoChildren \\Sent) "/" "Sent"',
            b'* METADATA "Sent" (/private/comment "a" /private/specialuse "\\\\Sent")',
        ]
        answer = await last(amal, r'SETMETADATA Sent (/private/specialuse "\\Trash")')
        assert answer.startswith(b"NO [NOPERM]")

    between(store, tmp_path, talk)


def test_annotations_have_limits(store: Store, tmp_path: Path) -> None:
    """Of size, of number, and of all together."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        big = b"x" * MAX_VALUE

        def put(name: bytes, entry: bytes, value: bytes) -> bytes:
            return b"SETMETADATA %b (%b {%d+}\r\n%b)" % (name, entry, len(value), value)

        answer = await last(amal, put(b"INBOX", b"/private/a", big + b"x"))
        assert answer.startswith(b"NO [METADATA MAXSIZE %d]" % MAX_VALUE)
        for number in range(MAX_ON_MAILBOX):
            await amal.ok(put(b"INBOX", b"/private/%d" % number, b"x"))
        await amal.ok(put(b"INBOX", b"/private/0", b"y"))
        answer = await last(amal, put(b"INBOX", b"/private/more", b"x"))
        assert answer.startswith(b"NO [METADATA TOOMANY]")
        for scope in (b"private", b"shared"):
            answers = [
                await last(amal, put(b"Sent", b"/%b/big/%d" % (scope, number), big))
                for number in range(MAX_BYTES // MAX_VALUE + 1)
            ]
            assert answers[-1].startswith(b"NO [METADATA TOOMANY]")
            assert answers[-3].startswith(b"OK ")
        for wrong in ("x", "/privat", "/private/", "/private//a", "/other/a", "/private/a*"):
            answer = await last(amal, f'GETMETADATA INBOX "{wrong}"')
            assert answer.startswith(b"BAD "), wrong

    between(store, tmp_path, talk)


def test_annotations_go_with_mailbox_and_account(store: Store, tmp_path: Path) -> None:
    """They follow a RENAME; a mailbox made anew has none."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok("CREATE Work")
        await amal.ok('SETMETADATA Work (/shared/comment "w")')
        await amal.ok("RENAME Work Old")
        assert (await amal.ok("GETMETADATA Old /shared/comment"))[0].endswith(b'"w")')
        await amal.ok("DELETE Old")
        await amal.ok("CREATE Old")
        assert (await amal.ok("GETMETADATA Old /shared/comment"))[0].endswith(b"NIL)")
        await amal.ok('SETMETADATA INBOX (/private/comment "i")')
        await amal.ok("RENAME INBOX Before")
        for name in ("INBOX", "Before"):
            assert (await amal.ok(f"GETMETADATA {name} /private/comment"))[0].endswith(b'"i")')
        await amal.ok("SETACL Old badr lr")
        await badr.ok('SETMETADATA Shared/amal/Old (/private/comment "b")')
        row = await store.read(lambda conn: find_by_login(conn, "badr"))
        assert row is not None
        await store.write(delete_account, row.account_id)
        assert (await amal.ok("GETMETADATA Old /private/comment"))[0].endswith(b"NIL)")

    between(store, tmp_path, talk)


def test_all_entries_are_asked_for_at_their_root(store: Store, tmp_path: Path) -> None:
    """Those that are computed as well; clients that copy mailboxes look so."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok('SETMETADATA Sent (/private/a/b "1" /shared/c "2")')
        (line, _) = await amal.ok("GETMETADATA (DEPTH infinity) Sent (/private /shared)")
        assert line == (
            b'* METADATA "Sent" (/private/a/b "1" /shared/c "2" /private/specialuse "\\\\Sent")'
        )
        (line, _) = await amal.ok("GETMETADATA (DEPTH 1) Sent /shared")
        assert line == b'* METADATA "Sent" (/shared/c "2")'
        (line, _) = await badr.ok('GETMETADATA (DEPTH 1) "" /shared')
        assert line == b'* METADATA "" (/shared/admin "mailto:postmaster@north.test")'
        (line, _) = await amal.ok("GETMETADATA Sent /shared")
        assert line == b'* METADATA "Sent" (/shared NIL)'

    between(store, tmp_path, talk)


def test_a_value_may_hold_nul(store: Store, tmp_path: Path) -> None:
    """RFC 5464 section 5: ``value`` is an nstring or a literal8."""

    async def talk(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok(b"SETMETADATA INBOX (/private/a ~{4+}\r\n\x00\r\n\xff)")
        (line, _) = await amal.ok("GETMETADATA INBOX /private/a")
        assert line == b'* METADATA "INBOX" (/private/a ~{4}\r\n\x00\r\n\xff)'

    between(store, tmp_path, talk)
