"""Mailboxes over IMAP: names, attributes, the rules of INBOX, and whose they are."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kit.imap import imap_place, make_reader
from kit.store import running
from zajil.imap.mailbox_name import encode_name
from zajil.store.engine.open import Store


def test_list(store: Store, tmp_path: Path) -> None:
    make_reader(store)
    arabic = encode_name("رسائل/قديم")

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            assert (await imap.ok('LIST "" ""'))[0] == b'* LIST (\\Noselect) "/" ""'
            lines = await imap.ok('LIST "" %')
            assert lines[:-1] == [
                b'* LIST (\\HasNoChildren) "/" "INBOX"',
                b'* LIST (\\HasNoChildren \\Archive) "/" "Archive"',
                b'* LIST (\\HasNoChildren \\Drafts) "/" "Drafts"',
                b'* LIST (\\HasNoChildren \\Junk) "/" "Junk"',
                b'* LIST (\\HasNoChildren \\Sent) "/" "Sent"',
                b'* LIST (\\HasNoChildren \\Trash) "/" "Trash"',
            ]
            await imap.ok(b'CREATE "' + arabic + b'"')
            assert b"[ALREADYEXISTS]" in (await imap.command(b'CREATE "' + arabic + b'"'))[-1]
            (line, _) = await imap.ok(b'LIST "" "' + arabic + b'"')
            assert line == b'* LIST (\\HasNoChildren) "/" "' + arabic + b'"'
            lines = await imap.ok('LIST "" "*" RETURN (STATUS (MESSAGES))')
            assert b'* STATUS "' + arabic + b'" (MESSAGES 0)' in lines
            lines = await imap.ok('LIST (SPECIAL-USE) "" "*"')
            assert len(lines) == 6
            lines = await imap.ok('LSUB "" "*"')
            assert len(lines) == 7
            await imap.ok(b'SUBSCRIBE "' + arabic + b'"')
            lines = await imap.ok('LSUB "" "%"')
            top = encode_name("رسائل")
            assert b'* LSUB (\\Noselect) "/" "' + top + b'"' in lines
            lines = await imap.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"')
            assert any(b'("CHILDINFO" ("SUBSCRIBED"))' in line for line in lines)
            # RFC 5258 section 3.5: what lies below is shown itself, so its parent need not be.
            lines = await imap.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "*"')
            assert not any(b'"' + top + b'"' in line for line in lines)
            await imap.ok('CREATE "percent%mailbox"')
            assert b'"percent%mailbox"' in b"".join(await imap.ok('LIST "" "percent*"'))
            spaces = (await imap.ok("NAMESPACE"))[0]
            assert spaces == b'* NAMESPACE (("" "/")) (("Shared/" "/")) NIL'

    asyncio.run(run())


def test_names_in_every_form(store: Store, tmp_path: Path) -> None:
    """A decomposed name, or one encoded without need, is the same name in every command."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.ok('CREATE "cafe&AwE-/resume&AwE-"')
            kept = b"caf&AOk-/resum&AOk-"
            for form in (
                "cafe&AwE-/resume&AwE-",
                "caf&AOk-/resum&AOk-",
                "&AGMAYQBmAGUDAQ-/resum&AOk-",
            ):
                for name in (
                    f'"" "{form}"',
                    f'"{form[:-11]}" "{form[-11:]}"',
                    f'"" ("{form}" nix)',
                ):
                    (line, _) = await imap.ok(f"LIST {name}")
                    assert line == b'* LIST (\\HasNoChildren) "/" "' + kept + b'"'
                (line, _) = await imap.ok(f'STATUS "{form}" (MESSAGES)')
                assert line == b'* STATUS "' + kept + b'" (MESSAGES 0)'
                await imap.ok(f'SUBSCRIBE "{form}"')
                (line, _) = await imap.ok(f'LSUB "" "{form}"')
                assert line == b'* LSUB () "/" "' + kept + b'"'
                await imap.ok(f'UNSUBSCRIBE "{form}"')
                assert len(await imap.ok(f'LSUB "" "{form}"')) == 1
                await imap.ok(f'SELECT "{form}"')
            lines = await imap.ok('LIST "" "cafe&AwE-/%"')
            assert lines[:-1] == [b'* LIST (\\HasNoChildren) "/" "' + kept + b'"']
            assert b" NO " in (await imap.command('SELECT "caf&AOl-"'))[-1]

    asyncio.run(run())


def test_names_with_wildcards(store: Store, tmp_path: Path) -> None:
    """RFC 3501 section 5.1, item 3: they are legal, and stand in quotes wherever they are sent."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.ok('CREATE "percent%mailbox"')
            await imap.ok('CREATE "all*of/%"')
            await imap.ok("CREATE percentmailbox")
            assert b" BAD " in (await imap.command("CREATE percent%x"))[-1], "not an atom"
            lines = await imap.ok('LIST "" "percent%mailbox"')
            assert [line.rpartition(b" ")[2] for line in lines[:-1]] == [
                b'"percent%mailbox"',
                b'"percentmailbox"',
            ]
            # Encoded, it is no wildcard: the way to list such a name alone.
            lines = await imap.ok('LIST "" "percent&ACU-mailbox"')
            assert lines[:-1] == [b'* LIST (\\HasNoChildren) "/" "percent%mailbox"']
            lines = await imap.ok('LIST "" "all*of/%"')
            assert lines[:-1] == [b'* LIST (\\HasNoChildren) "/" "all*of/%"']
            await imap.append('"all*of/%"', b"Subject: x\r\n\r\n")
            (line, _) = await imap.ok('STATUS "all*of/%" (MESSAGES)')
            assert line == b'* STATUS "all*of/%" (MESSAGES 1)'
            await imap.ok('SUBSCRIBE "percent%mailbox"')
            (line, _) = await imap.ok('LSUB "" "percent*"')
            assert line == b'* LSUB () "/" "percent%mailbox"'
            await imap.ok('RENAME "percent%mailbox" "100%"')
            await imap.ok('DELETE "100%"')

    asyncio.run(run())


def test_inbox_and_fixed_mailboxes(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            assert b" NO [CANNOT]" in (await imap.command("DELETE inbox"))[-1]
            assert b" NO [CANNOT]" in (await imap.command("DELETE Junk"))[-1]
            assert b" NO [NONEXISTENT]" in (await imap.command("DELETE none"))[-1]
            assert b" NO [ALREADYEXISTS]" in (await imap.command("CREATE iNbOx"))[-1]
            await imap.append("inbox", b"Subject: x\r\n\r\n")
            # RFC 3501 section 6.3.5: the messages go, INBOX stays.
            await imap.ok("RENAME INBOX Old")
            (line, _) = await imap.ok("STATUS INBOX (MESSAGES UIDNEXT)")
            assert line == b'* STATUS "INBOX" (MESSAGES 0 UIDNEXT 2)'
            (line, _) = await imap.ok("STATUS Old (MESSAGES UIDNEXT)")
            assert line == b'* STATUS "Old" (MESSAGES 1 UIDNEXT 2)'
            await imap.ok("CREATE Old/a/b")
            await imap.ok("RENAME Old New/x")
            (line, _) = await imap.ok('LIST "" New/x/a/*')
            assert line == b'* LIST (\\HasNoChildren) "/" "New/x/a/b"'
            assert b" NO " in (await imap.command("RENAME New New/y"))[-1]
            # The name stays while mailboxes lie below it (RFC 3501 section 6.3.4).
            await imap.ok("DELETE New/x")
            (line, _) = await imap.ok('LIST "" New/x')
            assert line == b'* LIST (\\Noselect \\HasChildren) "/" "New/x"'
            assert b" NO [NONEXISTENT]" in (await imap.command("SELECT New/x"))[-1]

    asyncio.run(run())


def test_a_subscription_outlives_its_mailbox(store: Store, tmp_path: Path) -> None:
    """RFC 3501 section 6.3.6: a server must not remove it; RFC 5258 section 3.1: NonExistent."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.ok("CREATE top/gone")
            await imap.ok("SUBSCRIBE top/gone")
            await imap.ok("DELETE top/gone")
            await imap.ok("DELETE top")
            assert len(await imap.ok('LIST "" "top*"')) == 1
            assert len(await imap.ok('LIST "" "top*" RETURN (SUBSCRIBED CHILDREN)')) == 1
            gone = b'(\\NonExistent \\HasNoChildren \\Subscribed) "/" "top/gone"'
            (line, _) = await imap.ok('LIST (SUBSCRIBED) "" "top*"')
            assert line == b"* LIST " + gone
            (line, _) = await imap.ok('LIST (SUBSCRIBED) "" "top*" RETURN (STATUS (MESSAGES))')
            assert line == b"* LIST " + gone
            (line, _) = await imap.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "top"')
            assert line.endswith(b'"top" ("CHILDINFO" ("SUBSCRIBED"))')
            assert (await imap.ok('LSUB "" "*gone"'))[0] == b'* LSUB () "/" "top/gone"'
            assert (await imap.ok('LSUB "" "top%"'))[0] == b'* LSUB (\\Noselect) "/" "top"'
            await imap.ok("SUBSCRIBE top/gone")  # it is subscribed to: nothing to refuse
            await imap.ok("CREATE top/gone")
            (line, _) = await imap.ok('LIST (SUBSCRIBED) "" "top/*"')
            assert line == b'* LIST (\\HasNoChildren \\Subscribed) "/" "top/gone"'
            await imap.ok("RENAME top/gone top/moved")
            subscribed = await imap.ok('LSUB "" "top/*"')
            assert subscribed[0] == b'* LSUB () "/" "top/gone"', "only UNSUBSCRIBE removes a name"
            assert subscribed[1] == b'* LSUB () "/" "top/moved"'
            await imap.ok("DELETE top/moved")
            await imap.ok("UNSUBSCRIBE top/moved")
            await imap.ok("UNSUBSCRIBE top/gone")
            assert len(await imap.ok('LSUB "" "top/*"')) == 1
            assert len(await imap.ok('LIST (SUBSCRIBED) "" "top/*"')) == 1
            for word in ("UNSUBSCRIBE", "SUBSCRIBE"):
                assert b" NO [NONEXISTENT]" in (await imap.command(f"{word} top/moved"))[-1]

    asyncio.run(run())


def test_nobody_reaches_the_mailboxes_of_another(store: Store, tmp_path: Path) -> None:
    make_reader(store)
    make_reader(store, "sami@north.test")

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as amal,
            place.session("sami") as sami,
        ):
            await amal.ok("CREATE secret")
            await amal.append("secret", b"Subject: x\r\n\r\n")
            assert b" NO [NONEXISTENT]" in (await sami.command("SELECT secret"))[-1]
            assert b" NO [TRYCREATE]" in await sami.append("secret", b"Subject: y\r\n\r\n")
            assert not [line for line in await sami.ok('LIST "" *') if b"secret" in line]
            for name in ("../amal/secret", "/secret", "secret/../secret"):
                assert b" OK " not in (await sami.command(f'SELECT "{name}"'))[-1]

    asyncio.run(run())


def test_the_next_mailbox_of_a_name_has_another_uidvalidity(store: Store, tmp_path: Path) -> None:
    """RFC 3501 section 2.3.1.1: UIDs of the one that was deleted mean nothing any more."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            seen = set()
            for _ in range(3):
                await imap.ok("CREATE again")
                seen.add((await imap.ok("STATUS again (UIDVALIDITY)"))[0])
                await imap.ok("DELETE again")
            assert len(seen) == 3

    asyncio.run(run())


def test_names_in_utf8(store: Store, tmp_path: Path) -> None:
    """Once a client has enabled UTF8=ACCEPT, names are UTF-8 in both directions (RFC 9755)."""
    make_reader(store)
    name = "رسائل & قديم"

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            answer = await imap.command(f'CREATE "{name}"'.encode())
            assert answer[-1].split(b" ", 1)[1].startswith(b"NO [CANNOT]")
            await imap.ok(b'CREATE "' + encode_name(name + "/1") + b'"')
            lines = await imap.ok("ENABLE UTF8=ACCEPT X-NONE UTF8=ACCEPT")
            assert lines[0] == b"* ENABLED UTF8=ACCEPT"
            assert (await imap.ok("ENABLE X-NONE"))[0] == b"* ENABLED"
            wire = f'"{name}"'.encode()
            (line, _) = await imap.ok(b'LIST "" ' + wire)
            assert line == b'* LIST (\\HasChildren) "/" ' + wire
            lines = await imap.ok(b'LIST "" "*" RETURN (STATUS (MESSAGES))')
            assert b"* STATUS " + wire + b" (MESSAGES 0)" in lines
            await imap.ok(b"SELECT {%d+}\r\n%b" % (len(name.encode()), name.encode()))
            answer = await imap.command(b'SELECT "\xd8"')
            assert answer[-1].split(b" ", 1)[1] == b"BAD string is not UTF-8"
            answer = await imap.command(b"SELECT {1+}\r\n\xd8")
            assert answer[-1].split(b" ", 1)[1] == b"NO [CANNOT] mailbox name is not UTF-8"

    asyncio.run(run())


def test_what_lies_below(store: Store, tmp_path: Path) -> None:
    """CHILDINFO has the options that hold for a name below (RFC 5258 section 5, RFC 6154)."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.ok("CREATE top/sent (USE (\\Sent))")
            await imap.ok("CREATE top/sub")
            lines = await imap.ok('LIST (SPECIAL-USE RECURSIVEMATCH) "" "to%"')
            assert lines[:-1] == [b'* LIST (\\HasChildren) "/" "top" ("CHILDINFO" ("SPECIAL-USE"))']
            assert len(await imap.ok('LIST (SPECIAL-USE) "" "to%"')) == 1
            both = 'LIST (SPECIAL-USE SUBSCRIBED RECURSIVEMATCH) "" "to%"'
            await imap.ok("SUBSCRIBE top/sub")
            assert len(await imap.ok(both)) == 1, "none is both"
            await imap.ok("SUBSCRIBE top/sent")
            (line, _) = await imap.ok(both)
            assert line.endswith(b'"top" ("CHILDINFO" ("SUBSCRIBED" "SPECIAL-USE"))')
            # RFC 5819 section 4: no STATUS of what is there only for what lies below it.
            (line, _) = await imap.ok(
                'LIST (SUBSCRIBED RECURSIVEMATCH) "" "to%" RETURN (STATUS (MESSAGES))'
            )
            assert line.endswith(b'"top" ("CHILDINFO" ("SUBSCRIBED"))')
            await imap.ok("SUBSCRIBE top")
            lines = await imap.ok(
                'LIST (SUBSCRIBED RECURSIVEMATCH) "" "to%" RETURN (STATUS (MESSAGES))'
            )
            assert lines[1] == b'* STATUS "top" (MESSAGES 0)'

    asyncio.run(run())
