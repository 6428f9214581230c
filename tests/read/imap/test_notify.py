"""NOTIFY: changes of all mailboxes, told when they happen. (RFC 5465)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from kit.imap import ImapClient, ImapPlace, imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store

MAIL = b"Subject: tea\r\n\r\nbody\r\n"
BOTH = "MessageNew MessageExpunge"

Talk = Callable[[ImapClient, ImapClient, ImapPlace], Coroutine[None, None, None]]


def between(store: Store, folder: Path, talk: Talk) -> None:
    """Let two sessions of ``amal`` talk to a server: one watches, the other changes."""
    make_reader(store)
    make_reader(store, "badr@north.test")

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, folder) as place,
            place.session() as watcher,
            place.session() as other,
        ):
            await talk(watcher, other, place)

    asyncio.run(run())


async def told(watcher: ImapClient, *lines: bytes) -> None:
    """Check what comes next, without a command and without IDLE."""
    for line in lines:
        assert await watcher.read_response() == line


async def silent(watcher: ImapClient) -> None:
    """Check that nothing has come: the answer to NOOP is the next line."""
    assert len(await watcher.ok("NOOP")) == 1


def test_another_mailbox(store: Store, tmp_path: Path) -> None:
    """New messages, expunged ones and flags are told as STATUS."""

    async def talk(watcher: ImapClient, other: ImapClient, place: ImapPlace) -> None:
        lines = await watcher.ok(f"NOTIFY SET STATUS (mailboxes (Sent None) ({BOTH} FlagChange))")
        assert lines[0].startswith(b'* STATUS "Sent" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY ')
        assert lines[0].endswith(b" UNSEEN 0 HIGHESTMODSEQ 1)")  # RFC 5465 section 3.1
        await other.append("Sent", MAIL)
        line = await watcher.read_response()
        assert line.startswith(b'* STATUS "Sent" (MESSAGES 1 UIDNEXT 2 ')
        await other.append("Drafts", MAIL)
        await other.ok("SELECT Sent")
        await other.ok(r"STORE 1 +FLAGS (\Seen)")
        line = await watcher.read_response()
        assert line.endswith(b" UNSEEN 0 HIGHESTMODSEQ 3)")
        await other.ok(r"STORE 1 +FLAGS (\Deleted)")
        await watcher.read_response()
        await other.ok("EXPUNGE")
        assert (await watcher.read_response()).startswith(b'* STATUS "Sent" (MESSAGES 0 UIDNEXT 2')
        await watcher.ok("NOTIFY NONE")
        await other.append("Sent", MAIL)
        await silent(watcher)

    between(store, tmp_path, talk)


def test_the_selected_mailbox(store: Store, tmp_path: Path) -> None:
    """New messages come with what was asked for; an expunge comes at once, or is delayed."""

    async def talk(watcher: ImapClient, other: ImapClient, place: ImapPlace) -> None:
        await watcher.ok("SELECT INBOX")
        items = "(uid body.peek[header.fields (subject)])"
        await watcher.ok(f"NOTIFY SET (selected MessageNew {items} MessageExpunge)")
        await other.append("INBOX", MAIL)
        await told(watcher, b"* 1 EXISTS", b"* 1 RECENT")
        line = await watcher.read_response()
        assert line.startswith(b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (subject)] {")
        assert b"Subject: tea" in line
        await other.ok("SELECT INBOX")
        await other.ok(r"STORE 1 +FLAGS (\Deleted)")
        await other.ok("EXPUNGE")
        # No FlagChange was asked for.
        await told(watcher, b"* 1 EXPUNGE")
        await watcher.ok(f"NOTIFY SET (selected-delayed ({BOTH} FlagChange))")
        await other.append("INBOX", MAIL)
        await told(watcher, b"* 1 EXISTS")
        # Whether it is recent here or there depends on who is told first.
        assert (await watcher.read_response()).endswith(b" RECENT")
        await other.ok(r"STORE 1 +FLAGS (\Deleted)")
        assert (await watcher.read_response()).startswith(rb"* 1 FETCH (UID 2 FLAGS (\Deleted")
        await other.ok("EXPUNGE")
        assert (await watcher.ok("NOOP"))[0] == b"* 1 EXPUNGE"
        # Without a word about the selected mailbox, nothing of it is told.
        await watcher.ok(f"NOTIFY SET (personal ({BOTH}))")
        await other.append("INBOX", MAIL)
        await silent(watcher)
        await watcher.ok("NOTIFY SET (selected NONE)")
        await silent(watcher)

    between(store, tmp_path, talk)


def test_names_and_subscriptions(store: Store, tmp_path: Path) -> None:
    """Made, renamed, deleted; what the client does itself is not told."""

    async def talk(watcher: ImapClient, other: ImapClient, place: ImapPlace) -> None:
        await watcher.ok("NOTIFY SET (personal (MailboxName SubscriptionChange))")
        await other.ok("CREATE Work")
        await told(watcher, rb'* LIST (\HasNoChildren) "/" "Work"')
        await other.ok("CREATE Work/a")
        await told(
            watcher,
            rb'* LIST (\HasChildren) "/" "Work"',
            rb'* LIST (\HasNoChildren) "/" "Work/a"',
        )
        await other.ok("RENAME Work Old")
        await told(watcher, rb'* LIST (\HasChildren) "/" "Old" ("OLDNAME" ("Work"))')
        await other.ok("SUBSCRIBE Old")
        await told(watcher, rb'* LIST (\HasChildren \Subscribed) "/" "Old"')
        await other.ok("UNSUBSCRIBE Old")
        await told(watcher, rb'* LIST (\HasChildren) "/" "Old"')
        await other.ok("DELETE Old/a")
        await told(
            watcher,
            rb'* LIST (\HasNoChildren) "/" "Old"',
            rb'* LIST (\NonExistent \HasNoChildren) "/" "Old/a"',
        )
        assert len(await watcher.ok("CREATE Mine")) == 1
        assert len(await watcher.ok("RENAME Mine Yours")) == 1
        assert len(await watcher.ok("SUBSCRIBE Yours")) == 1
        assert len(await watcher.ok("DELETE Yours")) == 1
        await silent(watcher)

    between(store, tmp_path, talk)


def test_annotations(store: Store, tmp_path: Path) -> None:
    async def talk(watcher: ImapClient, other: ImapClient, place: ImapPlace) -> None:
        await watcher.ok("NOTIFY SET (subtree Sent (MailboxMetadataChange ServerMetadataChange))")
        await other.ok('SETMETADATA Sent (/private/comment "x" /shared/comment "y")')
        await told(watcher, b'* METADATA "Sent" /private/comment /shared/comment')
        await other.ok("SETMETADATA Sent (/shared/comment NIL)")
        await told(watcher, b'* METADATA "Sent" /shared/comment')
        await other.ok('SETMETADATA "" (/private/vendor/x "1")')
        await told(watcher, b'* METADATA "" /private/vendor/x')
        await other.ok('SETMETADATA Drafts (/private/comment "x")')
        await silent(watcher)

    between(store, tmp_path, talk)


def test_mailboxes_of_others(store: Store, tmp_path: Path) -> None:
    """A right that is given makes a mailbox known, one that is taken makes it go."""

    async def talk(amal: ImapClient, other: ImapClient, place: ImapPlace) -> None:
        async with place.session("badr") as badr:
            await amal.ok("SETACL Drafts badr l")
            wanted = f"({BOTH} MailboxName)"
            lines = await badr.ok(f"NOTIFY SET (subtree Shared {wanted}) (subtree Shared {wanted})")
            assert lines[:-1] == [rb'* LIST (\NoAccess) "/" "Shared/amal/Drafts"']
            await amal.ok("SETACL Sent badr lr")
            # The direct parent is affected, too, whether it is a mailbox or not.
            above = rb'* LIST (\NonExistent \HasChildren) "/" "Shared/amal"'
            await told(badr, above, rb'* LIST (\HasNoChildren) "/" "Shared/amal/Sent"')
            await amal.append("Sent", MAIL)
            line = await badr.read_response()
            assert line.startswith(b'* STATUS "Shared/amal/Sent" (MESSAGES 1 '), line
            await amal.ok("DELETEACL Sent badr")
            gone = rb'* LIST (\NonExistent \HasNoChildren) "/" "Shared/amal/Sent"'
            await told(badr, above, gone)
            await amal.append("Sent", MAIL)
            await silent(badr)

    between(store, tmp_path, talk)


@pytest.mark.parametrize(
    ("groups", "answer"),
    [
        ("(personal (MessageNew))", b"BAD "),
        ("(personal (FlagChange))", b"BAD "),
        ("(selected (MailboxName))", b"BAD "),
        (f"(selected ({BOTH})) (selected-delayed ({BOTH}))", b"BAD "),
        ("(personal (MessageNew (uid) MessageExpunge))", b"BAD "),
        ("(everything (MailboxName))", b"BAD "),
        ("(personal (AnnotationChange))", b"NO [BADEVENT (MessageNew "),
        (f"(personal ({BOTH} Nothing))", b"NO [BADEVENT (MessageNew "),
    ],
)
def test_what_cannot_be_asked_for(store: Store, tmp_path: Path, groups: str, answer: bytes) -> None:
    """The events of before stay."""

    async def talk(watcher: ImapClient, other: ImapClient, place: ImapPlace) -> None:
        await watcher.ok("NOTIFY SET (personal (MailboxName))")
        lines = await watcher.command(f"NOTIFY SET {groups}")
        assert lines[-1].partition(b" ")[2].startswith(answer)
        await other.ok("CREATE Work")
        await told(watcher, rb'* LIST (\HasNoChildren) "/" "Work"')

    between(store, tmp_path, talk)


def test_the_same_is_told_in_idle(store: Store, tmp_path: Path) -> None:
    """RFC 5465 section 4."""

    async def talk(watcher: ImapClient, other: ImapClient, place: ImapPlace) -> None:
        await watcher.ok("SELECT INBOX")
        await watcher.ok(f"NOTIFY SET (mailboxes Sent ({BOTH}))")
        await watcher.send(b"i IDLE\r\n")
        assert await watcher.read_response() == b"+ idling"
        await other.append("INBOX", MAIL)
        await other.append("Sent", MAIL)
        assert (await watcher.read_response()).startswith(b'* STATUS "Sent" (MESSAGES 1 ')
        await watcher.send(b"DONE\r\n")
        assert len(await watcher.read_until(b"i")) == 1

    between(store, tmp_path, talk)
