"""POP3 over real sockets with TLS, on both databases: the list, messages, deletion."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kit.imap import PASSWORD, make_reader
from kit.pop3 import PREFIX, Pop3Place, deliver, pop3_place, put
from kit.reading import inbox_of
from kit.store import open_test_store, running
from zajil.core.directory import AccountEntry
from zajil.core.ids import Uid
from zajil.read.pop3.service import Pop3Limits
from zajil.store.engine.open import Store
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages

Play = Callable[[Callable[[Pop3Place], Awaitable[None]]], None]


def numbered(count: int) -> list[bytes]:
    return [b"Subject: %d\r\n\r\n.%d\r\n" % (n, n) for n in range(1, count + 1)]


@pytest.fixture
def amal(store: Store) -> AccountEntry:
    return make_reader(store)


@pytest.fixture
def play(store: Store, tmp_path: Path) -> Play:
    """Return what runs a dialogue against a server."""

    def run(dialogue: Callable[[Pop3Place], Awaitable[None]]) -> None:
        async def main() -> None:
            async with running(store), pop3_place(store, tmp_path) as place:
                await dialogue(place)

        asyncio.run(main())

    return run


def expunge(account: AccountEntry, *uids: int) -> ExpungeMessages:
    chosen = tuple(map(Uid, uids))
    return ExpungeMessages(account.account_id, account.inbox, chosen, deleted_only=False)


def test_messages_are_deleted_at_quit_alone(store: Store, amal: AccountEntry, play: Play) -> None:
    """RFC 1939 section 6: a connection that is lost deletes nothing, RSET takes marks back."""
    messages = numbered(4)
    deliver(store, amal, *messages)

    async def dialogue(place: Pop3Place) -> None:
        async with place.session() as client:
            assert await client.ask("DELE 1") == "+OK message will be deleted at QUIT"
            assert await client.ask("DELE 1") == "-ERR message is deleted"
            assert await client.ask("RETR 1") == "-ERR message is deleted"
            assert await client.ask("TOP 1 0") == "-ERR message is deleted"
            assert await client.ask("UIDL 1") == "-ERR message is deleted"
            assert (await client.ask("STAT")).startswith("+OK 3 ")
        async with place.session() as client:
            assert (await client.ask("STAT")).startswith("+OK 4 ")
            await client.send("DELE 1\r\nDELE 2\r\nRSET\r\nDELE 3\r\nDELE 4\r\nQUIT\r\n")
            assert [(await client.line())[:3] for _ in range(6)] == ["+OK"] * 6
            assert await client.line() == ""
        async with place.session() as client:
            assert await client.ask_for("LIST") == b"1 %d\r\n2 %d\r\n" % (
                (len(PREFIX + messages[0]),) * 2
            )
            assert await client.ask("LIST 3") == "-ERR no such message"
            assert await client.ask("RETR 0") == "-ERR no such message"
        assert await inbox_of(store, "amal@north.test") == [PREFIX + m for m in messages[:2]]

    play(dialogue)


def test_the_list_does_not_change_in_a_session(
    store: Store, amal: AccountEntry, play: Play
) -> None:
    """What arrives comes in the next session; what another one removes is missed by RETR alone."""
    deliver(store, amal, *numbered(3))

    async def dialogue(place: Pop3Place) -> None:
        async with place.session() as client:
            ids = await client.ask_for("UIDL")
            await asyncio.to_thread(deliver, store, amal, b"Subject: new\r\n\r\n")
            await store.write(expunge_messages, expunge(amal, 2))
            assert (await client.ask("STAT")).startswith("+OK 3 ")
            assert await client.ask_for("UIDL") == ids
            assert await client.ask("RETR 2") == "-ERR message was removed by another session"
            assert await client.ask("TOP 2 1") == "-ERR message was removed by another session"
            assert await client.ask_for("RETR 3") == PREFIX + numbered(3)[2]
            await client.send("DELE 2\r\nDELE 1\r\nQUIT\r\n")
            assert [(await client.line())[:3] for _ in range(3)] == ["+OK"] * 3
        async with place.session() as client:
            later = await client.ask_for("UIDL")
        known, new = later.splitlines()
        assert known.split()[1] == ids.splitlines()[2].split()[1]
        assert new.split()[1] not in ids  # never used before

    play(dialogue)


def test_unique_ids_outlive_a_restart(store: Store, amal: AccountEntry, tmp_path: Path) -> None:
    """RFC 1939 section 7: what is left on the server keeps its id; that of a deleted one is gone.

    The last message is deleted, so that its UID would be free if it were derived from the others.
    """
    deliver(store, amal, *numbered(3))
    seen: list[list[bytes]] = []

    async def session(now: Store, *commands: str) -> None:
        async with running(now), pop3_place(now, tmp_path) as place, place.session() as client:
            seen.append([line.split()[1] for line in (await client.ask_for("UIDL")).splitlines()])
            for command in commands:
                assert (await client.ask(command)).startswith("+OK")

    def reopened() -> Store:
        return open_test_store(str(store._options.url), tmp_path / "data")

    asyncio.run(session(store, "DELE 3", "QUIT"))
    asyncio.run(session(reopened(), "QUIT"))
    again = reopened()
    deliver(again, amal, b"Subject: new\r\n\r\n")
    asyncio.run(session(again, "DELE 1", "DELE 2", "DELE 3", "QUIT"))
    again = reopened()
    deliver(again, amal, b"Subject: newer\r\n\r\n")
    asyncio.run(session(again, "QUIT"))
    first, kept, with_new, newest = seen
    assert kept == first[:2]
    assert with_new[:2] == kept
    every = {*first, *with_new, *newest}
    assert len(every) == 5


@pytest.mark.parametrize("size", [300_000, 70_000, 10])
def test_a_message_comes_whole_with_its_size(
    store: Store, amal: AccountEntry, play: Play, size: int
) -> None:
    """In a file, in a row; with dots everywhere, and without an end of the last line."""
    line = b".\r\n..\r\nx.\r\n"
    messages = [
        b"Subject: a\r\n\r\n" + line * (size // len(line)) + end for end in (b"", b".", b"end")
    ]
    put(store, amal, *messages)
    put(store, amal, b"x")

    async def dialogue(place: Pop3Place) -> None:
        for _ in range(2):  # what was found out is kept
            async with place.session() as client:
                sent = [messages[0], messages[1] + b"\r\n", messages[2] + b"\r\n", b"x\r\n"]
                listed = await client.ask_for("LIST")
                assert listed == b"".join(b"%d %d\r\n" % (n, len(m)) for n, m in enumerate(sent, 1))
                assert await client.ask("STAT") == f"+OK 4 {sum(map(len, sent))}"
                for number, message in enumerate(sent, 1):
                    assert await client.ask(f"RETR {number}") == f"+OK {len(message)} octets"
                    assert await client.lines() == message
                    assert await client.ask_for(f"TOP {number} 1000000") == message
                head = b"Subject: a\r\n\r\n"
                assert await client.ask_for("TOP 1 0") == head
                assert await client.ask_for("TOP 1 1") == head + messages[0][14:].split(b"\r\n")[
                    0
                ] + b"\r\n" * (size > 10)

    play(dialogue)


def test_a_file_that_cannot_be_read(
    store: Store, amal: AccountEntry, play: Play, tmp_path: Path
) -> None:
    """Before its first line the answer is -ERR; behind it nothing is said that a client would take
    for a line of the message."""
    put(store, amal, b"Subject: a\r\n\r\n" + b"x\r\n" * 100_000)
    (file,) = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]

    async def dialogue(place: Pop3Place) -> None:
        async with place.session() as client:
            with file.open("r+b") as opened:
                opened.truncate(200_000)
            assert (await client.ask("RETR 1")).startswith("+OK ")
            with pytest.raises(asyncio.IncompleteReadError) as broken:
                await client.lines()
            assert b"ERR" not in broken.value.partial
        file.unlink()
        async with place.session() as client:
            assert await client.ask("RETR 1") == "-ERR [SYS/TEMP] try again later"
            assert await client.ask("NOOP") == "+OK done"

    play(dialogue)


def test_many_messages_pipelined(store: Store, amal: AccountEntry, play: Play) -> None:
    """Read ahead, in any order, with marks between; some far larger than others."""
    messages = [
        b"Subject: %d\r\n\r\n" % n + b".%d\r\n" % n * (1 if n % 50 else 12_000)
        for n in range(1, 301)
    ]
    put(store, amal, *messages)

    async def dialogue(place: Pop3Place) -> None:
        async with place.session() as client:
            order = [*range(1, 301), *range(300, 0, -7), 5, 6, 8, 7, *range(1, 301)]
            asked = b"".join(b"RETR %d\r\n" % number for number in order)
            sending = asyncio.create_task(client.send(asked + b"NOOP\r\n"))
            for number in order:
                message = messages[number - 1]
                assert await client.line() == f"+OK {len(message)} octets"
                assert await client.lines() == message
            await sending
            assert await client.line() == "+OK done"
            await client.send("DELE 3\r\nRETR 1\r\nRETR 2\r\nRETR 3\r\nRETR 4\r\nSTAT\r\n")
            assert (await client.line()).startswith("+OK")
            for number in (1, 2):
                await client.line()
                assert await client.lines() == messages[number - 1]
            assert (await client.line()).startswith("-ERR")
            await client.line()
            assert await client.lines() == messages[3]
            assert (await client.line()).startswith("+OK 299 ")

    play(dialogue)


def test_a_list_of_many_portions(store: Store, amal: AccountEntry, play: Play) -> None:
    put(store, amal, *numbered(9))
    put(store, amal, *[b"%d\r\n" % n for n in range(2500)])

    async def dialogue(place: Pop3Place) -> None:
        async with place.session() as client:
            ids = (await client.ask_for("UIDL")).splitlines()
            sizes = (await client.ask_for("LIST")).splitlines()
            assert len(sizes) == len(set(ids)) == 2509
            assert [int(one.split()[0]) for one in ids] == list(range(1, 2510))
            assert await client.ask("UIDL 2509") == f"+OK {ids[-1].decode()}"
            await client.send("".join(f"DELE {number}\r\n" for number in range(1, 2509)))
            assert [(await client.line())[:3] for _ in range(2508)] == ["+OK"] * 2508
            assert await client.ask_for("UIDL") == ids[-1] + b"\r\n"
            assert await client.ask("QUIT") == "+OK bye"
        assert await inbox_of(store, "amal@north.test") == [b"2499\r\n"]

    play(dialogue)


def test_an_empty_maildrop(amal: AccountEntry, play: Play) -> None:
    async def dialogue(place: Pop3Place) -> None:
        async with place.session() as client:
            assert await client.ask("STAT") == "+OK 0 0"
            assert await client.ask_for("LIST") == b""
            assert await client.ask_for("UIDL") == b""
            assert await client.ask("RETR 1") == "-ERR no such message"
            assert await client.ask("QUIT") == "+OK bye"

    play(dialogue)


def test_arabic_texts(amal: AccountEntry, play: Play) -> None:
    async def dialogue(place: Pop3Place) -> None:
        client = await place.connect(tls=False)
        await client.start_tls(place.client_tls)
        assert await client.ask("LANG ar") == "+OK ar تغيّرت اللغة"
        wrong = await client.log_in(password="wrong")
        assert wrong == "-ERR [AUTH] اسم الدخول أو كلمة المرور غير صحيحة"
        assert await client.log_in() == "+OK تم تسجيل الدخول"
        assert await client.ask("RETR 1") == "-ERR لا توجد رسالة بهذا الرقم"
        assert await client.ask("QUIT") == "+OK مع السلامة"
        await client.close()

    play(dialogue)


def test_who_is_idle_is_disconnected_and_nothing_is_deleted(
    store: Store, amal: AccountEntry, tmp_path: Path
) -> None:
    """RFC 1939 section 3: the session ends without UPDATE."""
    deliver(store, amal, *numbered(1))

    async def main() -> None:
        times = Pop3Limits(idle_seconds=0.2)
        async with running(store), pop3_place(store, tmp_path, times=times) as place:
            async with place.session() as client:
                await client.ask("DELE 1")
                assert await client.line() == "-ERR idle for too long"
                assert await client.is_closed()
            async with place.session() as client:
                assert (await client.ask("STAT")).startswith("+OK 1 ")
        assert Pop3Limits().idle_seconds >= 600

    asyncio.run(main())


def test_the_password_is_not_looked_at_in_the_clear(amal: AccountEntry, play: Play) -> None:
    async def dialogue(place: Pop3Place) -> None:
        client = await place.connect(tls=False)
        assert client.greeting == "+OK mx.north.test Zajil ready"
        assert await client.log_in() == "-ERR TLS is required before log-in"
        await client.start_tls(place.client_tls)
        assert await client.log_in(password=PASSWORD) == "+OK logged in"
        await client.close()

    play(dialogue)
