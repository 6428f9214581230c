"""Short dialogues about one rule each, as protocol suites of other servers have them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store


def talk(
    store: Store, folder: Path, dialogue: Callable[[ImapClient, ImapClient], Awaitable[None]]
) -> None:
    """Let two sessions of one account talk."""
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, folder) as place,
            place.session() as one,
            place.session() as two,
        ):
            await dialogue(one, two)

    asyncio.run(run())


def test_only_the_basic_list_tells_the_separator(store: Store, tmp_path: Path) -> None:
    """RFC 5258 section 3: with options or in parentheses, "" is a pattern that matches nothing."""

    async def dialogue(imap: ImapClient, _: ImapClient) -> None:
        assert len(await imap.ok('LIST "" ""')) == 2
        for extended in ('() "" ""', '"" ("")', '"" "" RETURN ()', '(SUBSCRIBED) "" ""'):
            assert len(await imap.ok(f"LIST {extended}")) == 1, extended
        (line, _end) = await imap.ok('LIST (REMOTE) "INBOX" ""')
        assert line == b'* LIST (\\HasNoChildren) "/" "INBOX"'

    talk(store, tmp_path, dialogue)


def test_a_mailbox_does_not_move_below_itself(store: Store, tmp_path: Path) -> None:
    async def dialogue(imap: ImapClient, _: ImapClient) -> None:
        await imap.ok("CREATE p/q")
        for new, code in (("p/q", b"CANNOT"), ("p/new", b"CANNOT"), ("p", b"ALREADYEXISTS")):
            assert b" NO [%b] " % code in (await imap.command(f"RENAME p {new}"))[-1]

    talk(store, tmp_path, dialogue)


def test_others_hear_of_a_new_keyword(store: Store, tmp_path: Path) -> None:
    """FLAGS and PERMANENTFLAGS name it before a FETCH response does. (RFC 3501 section 7.2.6)"""

    async def dialogue(imap: ImapClient, other: ImapClient) -> None:
        await imap.append("INBOX", b"Subject: x\r\n\r\n")
        await imap.ok("SELECT INBOX")
        await other.ok("EXAMINE INBOX")
        await imap.ok("STORE 1 +FLAGS (new)")
        lines = await other.ok("NOOP")
        assert lines[0] == rb"* FLAGS (\Answered \Flagged \Deleted \Seen \Draft new)"
        assert lines[1].startswith(b"* OK [PERMANENTFLAGS ()] ")
        assert lines[2] == b"* 1 FETCH (UID 1 FLAGS (new))"

    talk(store, tmp_path, dialogue)


def test_recent_is_counted_once(store: Store, tmp_path: Path) -> None:
    """EXAMINE shows messages as recent, and takes them from nobody. (RFC 3501 section 6.3.2)"""

    async def dialogue(imap: ImapClient, other: ImapClient) -> None:
        await imap.append("INBOX", b"Subject: x\r\n\r\n")
        for command in ("NOOP", "EXAMINE INBOX"):
            await imap.ok(command)
            assert (await imap.ok("STATUS INBOX (RECENT)"))[0] == b'* STATUS "INBOX" (RECENT 1)'
        await other.ok("SELECT INBOX")
        for one in (imap, other):
            assert (await one.ok("STATUS INBOX (RECENT)"))[0] == b'* STATUS "INBOX" (RECENT 1)'

    talk(store, tmp_path, dialogue)


def test_uidonly_tells_no_number_of_the_first_unseen(store: Store, tmp_path: Path) -> None:
    async def dialogue(imap: ImapClient, _: ImapClient) -> None:
        await imap.append("INBOX", b"Subject: x\r\n\r\n")
        assert b"[UNSEEN 1]" in b"".join(await imap.ok("SELECT INBOX"))
        await imap.ok("ENABLE UIDONLY")
        assert b"[UNSEEN" not in b"".join(await imap.ok("SELECT INBOX"))

    talk(store, tmp_path, dialogue)


def test_notify_none_hides_a_mailbox_from_what_stands_behind(store: Store, tmp_path: Path) -> None:
    """RFC 5465 section 3.1; SUBTREE-ONE is of RFC 7377 section 2.2."""

    async def dialogue(imap: ImapClient, other: ImapClient) -> None:
        for name in ("a/b/c", "other"):
            await other.ok(f"CREATE {name}")
        events = "(MessageNew MessageExpunge)"
        await imap.ok(f"NOTIFY SET (mailboxes a NONE) (subtree-one a {events})")
        for name in ("a", "a/b/c", "other", "a/b"):
            await other.append(name, b"Subject: x\r\n\r\n")
        line = await imap.read_response()
        assert line.startswith(b'* STATUS "a/b" (MESSAGES 1 ')
        assert len(await imap.ok("NOOP")) == 1

    talk(store, tmp_path, dialogue)


def test_idle_goes_ahead_before_it_tells(store: Store, tmp_path: Path) -> None:
    """What came before IDLE is told right after the continuation. (RFC 2177 section 3)"""

    async def dialogue(imap: ImapClient, other: ImapClient) -> None:
        await imap.ok("SELECT INBOX")
        await other.append("INBOX", b"Subject: x\r\n\r\n")
        await imap.send(b"i IDLE\r\n")
        assert await imap.read_response() == b"+ idling"
        assert await imap.read_response() == b"* 1 EXISTS"
        await imap.send(b"DONE\r\n")
        assert (await imap.read_until(b"i"))[-1] == b"i OK IDLE ended"
        # Also in IDLE a client is told only of what it asked for by NOTIFY.
        await imap.ok("NOTIFY SET (selected NONE)")
        await other.append("INBOX", b"Subject: x\r\n\r\n")
        await imap.send(b"i IDLE\r\nDONE\r\n")
        assert await imap.read_until(b"i") == [b"+ idling", b"i OK IDLE ended"]

    talk(store, tmp_path, dialogue)


def test_only_what_a_client_sends_enables_condstore(store: Store, tmp_path: Path) -> None:
    """RFC 7162 section 3.1 lists it; NOTIFY tells HIGHESTMODSEQ, and is not in the list."""

    async def dialogue(imap: ImapClient, other: ImapClient) -> None:
        for one in (imap, other):
            await one.append("INBOX", b"Subject: x\r\n\r\n")
            await one.ok("SELECT INBOX")
        events = "(MessageNew MessageExpunge FlagChange)"
        lines = await imap.ok(f"NOTIFY SET STATUS (mailboxes Sent {events}) (selected {events})")
        assert lines[0].endswith(b" HIGHESTMODSEQ 1)")
        assert b"MODSEQ" not in b"".join(await imap.ok("STORE 1 +FLAGS (\\Seen)"))
        lines = await other.ok('LIST "" Sent RETURN (STATUS (HIGHESTMODSEQ))')
        assert any(b"[HIGHESTMODSEQ " in line for line in lines)
        assert b"MODSEQ" in b"".join(await other.ok("STORE 2 FLAGS (\\Draft)"))

    talk(store, tmp_path, dialogue)


def test_messages_of_one_second_keep_their_order(store: Store, tmp_path: Path) -> None:
    """RFC 5256 section 3: REVERSE does not turn what is equal; INTERNALDATE has whole seconds."""

    async def dialogue(imap: ImapClient, _other: ImapClient) -> None:
        await imap.ok("SELECT INBOX")
        for _ in range(3):
            await imap.append("INBOX", b"Subject: x\r\n\r\n")
        dates = [line.split(b'"')[1] for line in (await imap.ok("FETCH 1:* INTERNALDATE"))[:-1]]
        seconds = sorted(set(dates), key=dates.index, reverse=True)
        numbers = range(1, 4)
        wanted = [n for one in seconds for n in numbers if dates[n - 1] == one]
        answer = b"* SORT " + b" ".join(b"%d" % number for number in wanted)
        for key in ("ARRIVAL", "DATE"):
            assert (await imap.ok(f"SORT (REVERSE {key}) UTF-8 ALL"))[0] == answer

    talk(store, tmp_path, dialogue)


def test_the_count_of_recent_messages_stays_true(store: Store, tmp_path: Path) -> None:
    """RFC 3501 section 7.3.2: testers compare the counts of all sessions with the messages."""

    async def dialogue(imap: ImapClient, other: ImapClient) -> None:
        for _ in range(3):
            await imap.append("INBOX", b"Subject: x\r\n\r\n")
        await imap.ok("SELECT INBOX")
        await other.ok("SELECT INBOX")
        await other.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
        assert (await other.ok("EXPUNGE"))[:-1] == [b"* 2 EXPUNGE", b"* 1 EXPUNGE"]
        lines = await imap.ok("NOOP")
        assert lines[-4:-1] == [b"* 2 EXPUNGE", b"* 1 EXPUNGE", b"* 1 RECENT"]
        await imap.ok("ENABLE QRESYNC")
        assert (await imap.ok("UID MOVE 3 Sent"))[1:-1] == [b"* VANISHED 3", b"* 0 RECENT"]

    talk(store, tmp_path, dialogue)


def test_the_uid_of_an_expunged_message_is_told(store: Store, tmp_path: Path) -> None:
    """Until the client hears of the expunge, its number still means that message."""

    async def dialogue(imap: ImapClient, other: ImapClient) -> None:
        for _ in range(2):
            await imap.append("INBOX", b"Subject: x\r\n\r\n")
        await imap.ok("SELECT INBOX")
        await other.ok("SELECT INBOX")
        await other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        await other.ok("EXPUNGE")
        assert (await imap.ok("FETCH 2 UID"))[0] == b"* 2 FETCH (UID 2)"
        assert (await imap.ok("FETCH 1:* (UID)"))[:2] == [
            b"* 1 FETCH (UID 1)",
            b"* 2 FETCH (UID 2)",
        ]
        lines = await imap.ok("FETCH 1:2 (UID FLAGS)")
        assert lines[0] == b"* 1 FETCH (UID 1 FLAGS (\\Recent))"
        assert b" OK [EXPUNGEISSUED] " in lines[-1]
        assert b"* 2 EXPUNGE" in await imap.ok("NOOP")

    talk(store, tmp_path, dialogue)


def test_copy_by_number_copies_all_or_nothing(store: Store, tmp_path: Path) -> None:
    """RFC 2180 section 4.4.1; of UIDs, those that are gone are passed over."""

    async def dialogue(imap: ImapClient, other: ImapClient) -> None:
        for _ in range(3):
            await imap.append("INBOX", b"Subject: x\r\n\r\n")
        await imap.ok("SELECT INBOX")
        await imap.ok("SEARCH RETURN (SAVE) 1:2")
        await other.ok("SELECT INBOX")
        await other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        await other.ok("EXPUNGE")
        assert len(await imap.ok("FETCH 1 (UID)")) == 2  # tells of no expunge
        lines = await imap.command("COPY 1:3 Sent")
        assert b" NO [EXPUNGEISSUED] " in lines[-1]
        assert b"* 2 EXPUNGE" in lines
        (line, _) = await other.ok("STATUS Sent (MESSAGES)")
        assert line == b'* STATUS "Sent" (MESSAGES 0)'
        for command in ("UID COPY 1:2 Sent", "COPY $ Sent"):
            assert b" OK [COPYUID " in (await imap.ok(command))[-1], command

    talk(store, tmp_path, dialogue)


def test_a_silent_store_hides_no_change_of_others(store: Store, tmp_path: Path) -> None:
    """RFC 3501 section 6.4.6; also where it changes nothing because they had set the flag."""

    async def dialogue(imap: ImapClient, other: ImapClient) -> None:
        for _ in range(2):
            await imap.append("INBOX", b"Subject: x\r\n\r\n")
        await imap.ok("SELECT INBOX")
        await other.ok("SELECT INBOX")
        await other.ok("STORE 1 FLAGS (\\Draft \\Flagged)")
        lines = await imap.ok("STORE 1:2 +FLAGS.SILENT (\\Draft)")
        assert b"* 1 FETCH (FLAGS (\\Flagged \\Draft \\Recent))" in lines
        await imap.ok("ENABLE CONDSTORE")
        await other.ok("STORE 1:2 FLAGS (\\Seen work)")
        lines = await imap.ok("UID STORE 1:2 +FLAGS.SILENT (\\Seen)")
        told = [line.partition(b" MODSEQ ")[0] for line in lines if b" FETCH " in line]
        assert told == [b"* %d FETCH (UID %d FLAGS (\\Seen work \\Recent)" % (n, n) for n in (1, 2)]
        assert len(await imap.ok("NOOP")) == 1

    talk(store, tmp_path, dialogue)


def test_notify_tells_the_modseq_of_new_messages(store: Store, tmp_path: Path) -> None:
    """RFC 7162 section 3.1: it is in all FETCH responses that nobody asked for."""

    async def dialogue(imap: ImapClient, other: ImapClient) -> None:
        await imap.ok("ENABLE CONDSTORE")
        await imap.ok("SELECT INBOX")
        await imap.ok("NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge))")
        await other.append("INBOX", b"Subject: x\r\n\r\n")
        lines = [await imap.read_response() for _ in range(3)]
        assert lines[-1] == b"* 1 FETCH (UID 1 FLAGS (\\Recent) MODSEQ (2))"

    talk(store, tmp_path, dialogue)
