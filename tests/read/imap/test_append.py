"""What goes in: several messages, parts of others, a message in place of another, binary ones."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kit.imap import ImapClient, ImapPlace, imap_place, literals, make_reader
from kit.store import open_test_store, running
from zajil.read.imap.append import MAX_MESSAGES
from zajil.store.engine.open import Store
from zajil.store.mail.caps import Caps

Talk = Callable[[ImapPlace, ImapClient], Awaitable[None]]

MIXED = (
    b"Subject: parts\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<b>second</b>\r\n--b--\r\n"
)


def message(text: str) -> bytes:
    return f"Subject: {text}\r\n\r\n{text}\r\n".encode()


def literal(data: bytes) -> bytes:
    return b"{%d+}\r\n%b" % (len(data), data)


def talk(store: Store, tmp_path: Path, script: Talk) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await script(place, imap)

    asyncio.run(run())


async def bodies(imap: ImapClient, mailbox: str) -> list[bytes]:
    """Return all messages of a mailbox, and select it."""
    await imap.ok(f"EXAMINE {mailbox}")
    lines = (await imap.ok("UID FETCH 1:* BODY.PEEK[]"))[:-1]
    return [found for line in lines for found in literals(line)]


async def uid_next(imap: ImapClient, mailbox: str) -> bytes:
    return (await imap.ok(f"STATUS {mailbox} (UIDNEXT)"))[0].split(b"UIDNEXT ")[1].rstrip(b")")


def test_several_messages_come_in_one_command(store: Store, tmp_path: Path) -> None:
    """RFC 3502: all or none, and APPENDUID names all (RFC 4315 section 3)."""

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        one, two, three = map(message, ("one", "two", "three"))
        said = b" ".join(
            [
                b"APPEND Drafts (\\Draft)",
                literal(one),
                b'(\\Seen) "17-Jul-1996 02:44:25 -0700"',
                literal(two),
                literal(three),
            ]
        )
        assert b" OK [APPENDUID " in (done := await imap.ok(said))[-1]
        assert b" 1:3] " in done[-1]
        assert await bodies(imap, "Drafts") == [one, two, three]
        lines = await imap.ok("FETCH 1:* (FLAGS INTERNALDATE)")
        assert b"\\Draft" in lines[0]
        assert b"\\Seen" in lines[1]
        assert b'"17-Jul-1996 09:44:25 +0000"' in lines[1]
        assert b"FLAGS ()" in lines[2].replace(b"\\Recent", b"")

    talk(store, tmp_path, script)


@pytest.mark.parametrize(
    ("second", "refusal"),
    [
        (b"{0+}\r\n", b" NO "),
        (b"{3+}\r\na\x00b", b" NO "),
        (b"(\\Nonsense) {3+}\r\nabc", b" BAD "),
        (b'"31-Feb-2026 10:00:00 +0000" {3+}\r\nabc', b" BAD "),
        (b"CATENATE (URL /Nowhere;UID=1)", b" NO [BADURL /Nowhere;UID=1] "),
        (b"nonsense", b" BAD "),
    ],
)
def test_one_bad_message_fails_all(
    store: Store, tmp_path: Path, second: bytes, refusal: bytes
) -> None:
    """RFC 3502 section 4: none is stored, and no UID is used up."""

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        before = await uid_next(imap, "Sent")
        large = b"Subject: large\r\n\r\n" + b"x" * 200_000 + b"\r\n"
        said = b"APPEND Sent %b %b" % (literal(large), second)
        assert refusal in (await imap.command(said))[-1]
        assert await uid_next(imap, "Sent") == before
        assert store.orphans(-1000) == []
        await imap.ok("NOOP")

    talk(store, tmp_path, script)


def test_a_command_has_a_largest_number_of_messages(store: Store, tmp_path: Path) -> None:
    async def script(place: ImapPlace, imap: ImapClient) -> None:
        most = b" ".join([literal(b"x")] * MAX_MESSAGES)
        lines = await imap.command(b"APPEND Sent " + most + b" {1+}\r\nx {7+}\r\nx NOOP\n\r\n")
        assert b" NO [LIMIT] " in lines[-1]
        assert b" 1:%d] " % MAX_MESSAGES in (await imap.ok(b"APPEND Sent " + most))[-1]

    talk(store, tmp_path, script)


def test_a_client_that_waits_is_refused_before_it_sends(store: Store, tmp_path: Path) -> None:
    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.send(b"a APPEND Nowhere {5}\r\n")
        assert (await imap.read_response()).startswith(b"a NO [TRYCREATE] ")
        await imap.send(b"b APPEND Sent {3}\r\n")
        assert (await imap.read_response()).startswith(b"+ ")
        await imap.send(b"one CATENATE (URL /Sent;UID=999 TEXT {5}\r\n")
        assert (await imap.read_response()).startswith(b"b NO [BADURL /Sent;UID=999] ")
        await imap.send(b"c APPEND Sent {3}\r\n")
        assert (await imap.read_response()).startswith(b"+ ")
        await imap.send(b"one {3}\r\n")
        assert (await imap.read_response()).startswith(b"+ ")
        await imap.send(b"two\r\n")
        assert b" 1:2] " in (await imap.read_until(b"c"))[-1]

    talk(store, tmp_path, script)


def test_a_message_is_put_together_from_others(store: Store, tmp_path: Path) -> None:
    """RFC 4469: text and parts of messages of the account, in any order."""

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.append("INBOX", MIXED)
        lines = await imap.ok("STATUS INBOX (UIDVALIDITY)")
        validity = int(lines[0].split(b"UIDVALIDITY ")[1].rstrip(b")"))
        inbox = f"/INBOX;UIDVALIDITY={validity}/;UID=1"
        urls = [
            (f"{inbox}/;SECTION=HEADER", MIXED[: MIXED.index(b"--b")]),
            (f"{inbox}/;section=2", b"<b>second</b>"),
            (f"{inbox}/;Section=1.MIME", b"Content-Type: text/plain\r\n\r\n"),
            (f"{inbox};SECTION=HEADER.FIELDS%20(SUBJECT)", b"Subject: parts\r\n\r\n"),
            (f"{inbox}/;SECTION=1/;PARTIAL=1.3", b"irs"),
            (f"{inbox}/;PARTIAL=9", MIXED[9:]),
            ("/INBOX/;UID=1", MIXED),
        ]
        for url, want in urls:
            head = b"Subject: new\r\n\r\n"
            said = b'APPEND Drafts CATENATE (TEXT %b URL "%b" TEXT {4+}\r\nend\n)' % (
                literal(head),
                url.encode(),
            )
            await imap.ok(said)
            assert (await bodies(imap, "Drafts"))[-1] == head + want + b"end\r\n"
        await imap.ok("SELECT INBOX")
        await imap.ok('APPEND Drafts CATENATE (URL ";UID=1/;SECTION=2")')
        assert (await bodies(imap, "Drafts"))[-1] == b"<b>second</b>"

    talk(store, tmp_path, script)


BAD_URLS = [
    "/INBOX;UIDVALIDITY=1/;UID=1",
    "/INBOX/;UID=2",
    "/INBOX/;UID=0",
    "/INBOX/;UID=4294967296",
    "/INBOX/;UID=1/;SECTION=7",
    "/INBOX/;UID=1/;SECTION=NONSENSE",
    "/INBOX/;UID=1/;SECTION=HEADER]",
    "/Nowhere/;UID=1",
    ";UID=1",
    "/INBOX",
    "/INBOX/;UID=1;URLAUTH=anonymous:internal:00",
    "imap://elsewhere.test/INBOX/;UID=1",
    "//elsewhere.test/INBOX/;UID=1",
    "/%00/;UID=1",
    "/%ff%fe/;UID=1",
]


def test_a_bad_url_is_named(store: Store, tmp_path: Path) -> None:
    """RFC 4469 section 4: the whole command fails, and BADURL says why."""

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.append("INBOX", MIXED)
        for url in BAD_URLS:
            lines = await imap.command(f'APPEND Drafts CATENATE (TEXT {{1+}}\r\na URL "{url}")')
            named = url.replace("]", "").encode()
            assert b" NO [BADURL %b] " % named in lines[-1], lines
        assert await uid_next(imap, "Drafts") == b"1"

    talk(store, tmp_path, script)


def test_another_account_is_out_of_reach(store: Store, tmp_path: Path) -> None:
    make_reader(store, "sami@north.test")

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        async with place.session("sami") as sami:
            await sami.ok("CREATE Secret")
            await sami.append("Secret", MIXED)
            lines = await imap.command("APPEND Drafts CATENATE (URL /Secret;UID=1)")
            assert b" NO [BADURL /Secret;UID=1] " in lines[-1]

    talk(store, tmp_path, script)


def test_a_shared_mailbox_is_written_to_and_read_from(store: Store, tmp_path: Path) -> None:
    """RFC 4314 section 4: APPEND needs the right to insert, a URL the right to read."""
    make_reader(store, "sami@north.test")

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.ok("CREATE Open")
        await imap.ok("CREATE Seen")
        await imap.ok("SETACL Open sami li")
        await imap.ok("SETACL Seen sami lr")
        await imap.append("Seen", MIXED)
        async with place.session("sami") as sami:
            for _ in range(2):
                assert b" OK " in await sami.append("Shared/amal/Open", message("one"))
            # Who may read it too learns the UID (RFC 4315 section 3).
            await imap.ok("SETACL Open sami lir")
            for uid in (3, 4):
                assert b" %d] " % uid in await sami.append("Shared/amal/Open", message("one"))
            await imap.ok("SETACL Open sami li")
            assert b" NO [NOPERM] " in await sami.append("Shared/amal/Seen", message("two"))
            said = 'APPEND Drafts CATENATE (URL "/Shared/amal/{}/;UID=1/;SECTION=2")'
            await sami.ok(said.format("Seen"))
            assert await bodies(sami, "Drafts") == [b"<b>second</b>"]
            assert b" NO [BADURL " in (await sami.command(said.format("Open")))[-1]
        assert await bodies(imap, "Open") == [message("one")] * 4

    talk(store, tmp_path, script)


def test_a_message_made_of_parts_has_a_largest_size(store: Store, tmp_path: Path) -> None:
    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.append("INBOX", b"x" * 900_000)
        said = "APPEND Drafts CATENATE (" + " ".join(["URL /INBOX;UID=1"] * 100) + ")"
        assert b" NO [TOOBIG] " in (await imap.command(said))[-1]
        assert await uid_next(imap, "Drafts") == b"1"

    talk(store, tmp_path, script)


def test_a_message_takes_the_place_of_another(store: Store, tmp_path: Path) -> None:
    """RFC 8508: APPENDUID comes before EXPUNGE, and others see both at once."""

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        for text in ("one", "two", "three"):
            await imap.append("Drafts", message(text))
        await imap.ok("SELECT Drafts")
        async with place.session() as other:
            await other.ok("SELECT Drafts")
            lines = await imap.ok(b"REPLACE 2 Drafts (\\Draft) " + literal(message("new")))
            assert lines[0].startswith(b"* OK [APPENDUID ")
            assert b" 4] " in lines[0]
            assert b"* 4 EXISTS" in lines
            assert lines[-3:-1] == [b"* 2 EXPUNGE", b"* 3 RECENT"]
            assert (await other.ok("NOOP"))[-2] == b"* 2 EXPUNGE"
            # Into another mailbox, by UID.
            lines = await imap.ok(b"UID REPLACE 4 Archive " + literal(message("newer")))
            assert b" 1] " in lines[0]
            assert lines[-3:-1] == [b"* 3 EXPUNGE", b"* 2 RECENT"]
            assert await bodies(other, "Archive") == [message("newer")]
            assert await bodies(other, "Drafts") == [message("one"), message("three")]
            # The last one; and what is wrong.
            await imap.ok(b"REPLACE * Drafts " + literal(message("last")))
            assert await bodies(other, "Drafts") == [message("one"), message("last")]
        for said, refusal in [
            (b"REPLACE 3 Drafts {8+}\r\nx NOOP\r\n", b" BAD "),
            (b"UID REPLACE 99 Drafts {8+}\r\nx NOOP\r\n", b" NO [EXPUNGEISSUED] "),
            (b"REPLACE 1 Nowhere {8+}\r\nx NOOP\r\n", b" NO [TRYCREATE] "),
            (b"REPLACE 1 Drafts {0+}\r\n", b" NO "),
        ]:
            assert refusal in (await imap.command(said))[-1]
        assert await bodies(imap, "Drafts") == [message("one"), message("last")]
        assert b" NO [READ-ONLY] " in (await imap.command("REPLACE 1 Drafts {1+}\r\nx"))[-1]

    talk(store, tmp_path, script)


def test_what_somebody_else_expunged_is_not_replaced(store: Store, tmp_path: Path) -> None:
    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.append("Drafts", message("one"))
        await imap.ok("SELECT Drafts")
        await imap.send(b"a REPLACE 1 Drafts {1}\r\n")
        assert (await imap.read_response()).startswith(b"+ ")
        async with place.session() as other:
            await other.ok("SELECT Drafts")
            await other.ok("STORE 1 +FLAGS (\\Deleted)")
            await other.ok("EXPUNGE")
            await imap.send(b"x\r\n")
            lines = await imap.read_until(b"a")
            assert lines[0] == b"* 1 EXPUNGE"
            assert lines[-1].startswith(b"a NO [EXPUNGEISSUED] ")
            assert b"* 0 EXISTS" in await other.ok("SELECT Drafts")

    talk(store, tmp_path, script)


def test_binary_parts_are_kept_whatever_they_hold(store: Store, tmp_path: Path) -> None:
    """RFC 3516 section 4.4: NUL and bare line ends in a part that says it is binary."""
    picture = b"\x89PNG\r\n\x1a\n\x00\x00\r\x00" * 50
    sent = (
        b"Subject: binary\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
        b"Content-Transfer-Encoding: binary\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nhello\n\r\n"
        b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        + picture
        + b"\r\n--b--\r\n"
    )

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.ok(b"APPEND INBOX ~" + literal(sent))
        (kept,) = await bodies(imap, "INBOX")
        assert b"\x00" not in kept
        assert kept.count(b"\n") == kept.count(b"\r\n")
        assert b"Content-Transfer-Encoding: 8bit\r\n" in kept
        (line, *_) = await imap.ok("FETCH 1 BODY.PEEK[2]")
        assert base64.b64decode(b"".join(literals(line))) == picture
        # NUL where nothing says binary is refused in whatever it comes.
        assert b" NO [UNKNOWN-CTE] " in (await imap.command(b"APPEND INBOX ~{3+}\r\na\x00b"))[-1]
        assert b" NO " in (await imap.command(b"APPEND INBOX {3+}\r\na\x00b"))[-1]
        # Without binary parts it is as any other message.
        await imap.ok(b"APPEND INBOX ~{5+}\r\na\n\nb\n")
        assert (await bodies(imap, "INBOX"))[1] == b"a\r\n\r\nb\r\n"

    talk(store, tmp_path, script)


def test_utf8_header_fields_are_kept(store: Store, tmp_path: Path) -> None:
    """RFC 9755 section 4, and the form that RFC 6855 section 4 had."""
    sent = "Subject: سلام\r\n\r\nسلام\r\n".encode()

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.ok(b"APPEND INBOX {5+}\r\nfirst")
        for end in (b"", b"\r\n"):
            lines = await imap.command(b"APPEND INBOX UTF8 (~%b)" % literal(sent + end))
            assert b" NO [CANNOT] " in lines[-1]
        await imap.ok("ENABLE UTF8=ACCEPT")
        await imap.append("INBOX", sent)
        await imap.ok(b"APPEND INBOX UTF8 (~%b)" % literal(sent))
        assert (await bodies(imap, "INBOX"))[1:] == [sent, sent]

    talk(store, tmp_path, script)


def test_the_mailbox_of_the_last_append_is_looked_at_again(store: Store, tmp_path: Path) -> None:
    """It was renamed, deleted or made anew by another session meanwhile."""

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        async with place.session() as other:
            await imap.ok("CREATE Work")
            await imap.append("Work", message("one"))
            await other.ok("RENAME Work Old")
            assert b" NO [TRYCREATE] " in await imap.append("Work", message("two"))
            await other.ok("CREATE Work")
            assert b" 1] " in await imap.append("Work", message("three"))
            await other.ok("DELETE Work")
            await other.ok("CREATE Work")
            assert b" 1] " in await imap.append("Work", message("four"))
            await other.ok("DELETE Work")
            await imap.send(b"a APPEND Work {1}\r\n")
            await imap.read_response()
            await imap.send(b"x\r\n")
            assert (await imap.read_until(b"a"))[-1].startswith(b"a NO [TRYCREATE] ")
            assert await bodies(imap, "Old") == [message("one")]

    talk(store, tmp_path, script)


def test_a_full_mailbox_takes_no_more_in_a_row(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "data", caps=Caps(mailbox_messages=3))

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        for text in ("one", "two", "three"):
            assert b" OK " in await imap.append("Sent", message(text))
        for _ in range(2):
            assert b" NO [LIMIT] " in await imap.append("Sent", message("four"))
        await imap.ok("SELECT Sent")
        await imap.ok("STORE 1 +FLAGS (\\Deleted)")
        await imap.ok("EXPUNGE")
        assert b" OK " in await imap.append("Sent", message("five"))
        two = b"APPEND Sent " + literal(message("a")) + b" " + literal(message("b"))
        assert b" NO [LIMIT] " in (await imap.command(two))[-1]

    try:
        talk(store, tmp_path, script)
    finally:
        store.close_now()


def test_an_account_without_room_takes_no_more_in_a_row(tmp_path: Path) -> None:
    """RFC 9208 section 4.3.1."""
    caps = Caps(account_size=1000)
    store = open_test_store("sqlite", tmp_path / "data", caps=caps)

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        assert b" OK " in await imap.append("Sent", b"x" * 600)
        for _ in range(2):
            assert b" NO [OVERQUOTA] " in await imap.append("Sent", b"x" * 600)
        assert b" OK " in await imap.append("Sent", b"x" * 300)

    try:
        talk(store, tmp_path, script)
    finally:
        store.close_now()
