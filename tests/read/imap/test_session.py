"""IMAP over real sockets with TLS, on both databases."""

from __future__ import annotations

import asyncio
import base64
import imaplib
import ssl
from pathlib import Path
from typing import cast

import pytest

from kit.imap import PASSWORD, ImapPlace, imap_place, literals, make_reader
from kit.store import make_intake, running
from zajil.core.directory import AccountEntry
from zajil.imap.date_time import format_date_time
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes

MESSAGE = (
    b"From: =?utf-8?B?2LPYp9mF2Yo=?= <sami@south.test>\r\n"
    b"To: amal@north.test\r\n"
    b"Subject: =?utf-8?B?2LHYs9in2YTYqQ==?=\r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0300\r\n"
    b"Message-ID: <1@south.test>\r\n"
    b"\r\n"
    b"Hello\r\n.\r\nWorld\r\n"
)


def deliver(store: Store, account: AccountEntry, message: bytes = MESSAGE) -> None:
    store.write_now(write_intakes, make_intake(store.blobs.stage([message]), local=[account]))


@pytest.mark.parametrize("starttls", [False, True])
def test_imaplib_reads_a_mail(store: Store, tmp_path: Path, starttls: bool) -> None:
    amal = make_reader(store)
    deliver(store, amal)

    def client(place: ImapPlace) -> None:
        imap: imaplib.IMAP4
        if starttls:
            imap = imaplib.IMAP4("127.0.0.1", place.port)
            assert "LOGINDISABLED" in imap.capabilities
            imap.starttls(place.client_tls)
        else:
            imap = imaplib.IMAP4_SSL("127.0.0.1", place.tls_port, ssl_context=place.client_tls)
        with imap:
            imap._encoding = "utf-8"  # type: ignore[attr-defined]
            imap.login("amal", PASSWORD)
            assert imap.select("INBOX") == ("OK", [b"1"])
            assert imap.search(None, "UNSEEN") == ("OK", [b"1"])
            status, parts = imap.fetch("1", "(UID FLAGS RFC822.SIZE BODY.PEEK[])")
            assert status == "OK"
            whole = b"Delivered-To: amal@north.test\r\n" + MESSAGE
            head, body = cast("tuple[bytes, bytes]", parts[0])
            assert body == whole
            assert b"UID 1 FLAGS (" in head
            assert b"RFC822.SIZE %d" % len(whole) in head
            assert imap.store("1", "+FLAGS", r"(\Seen $Forwarded)")[0] == "OK"
            assert imap.search(None, "UNSEEN") == ("OK", [b""])
            assert imap.search(None, "KEYWORD", "$forwarded") == ("OK", [b"1"])
            assert imap.copy("1", "Archive")[0] == "OK"
            assert imap.status("Archive", "(MESSAGES UNSEEN)") == (
                "OK",
                [b'"Archive" (MESSAGES 1 UNSEEN 0)'],
            )
            assert imap.append("Drafts", r"(\Draft)", "", b"Subject: d\n\nx\n")[0] == "OK"
            assert imap.store("1", "+FLAGS.SILENT", r"\Deleted") == ("OK", [None])
            assert imap.expunge() == ("OK", [b"1"])

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            await asyncio.to_thread(client, place)

    asyncio.run(run())


def test_log_in_needs_tls(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            client = await place.connect(tls=False)
            assert b"LOGINDISABLED" in client.greeting
            assert b"AUTH=PLAIN" not in client.greeting
            (answer,) = await client.command(b"LOGIN amal {3+}\r\nxyz")
            assert b" NO [PRIVACYREQUIRED]" in answer
            (answer,) = await client.command(b"AUTHENTICATE PLAIN AGEAYg==")
            assert b" NO [PRIVACYREQUIRED]" in answer
            await client.close()

    asyncio.run(run())


def test_bytes_behind_starttls_end_the_connection(store: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            client = await place.connect(tls=False)
            await client.send(b"a STARTTLS\r\nb NOOP\r\n")
            assert (await client.read_response()).startswith(b"* BYE")
            assert await client.is_closed()
            await client.close()

    asyncio.run(run())


def test_a_command_in_one_packet_with_the_end_of_the_handshake(
    store: Store, tmp_path: Path
) -> None:
    """TLS 1.3 permits it, curl does it, and it reached us before the handshake had returned."""

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            client = await place.connect(tls=False)
            await client.send(b"a STARTTLS\r\n")
            assert (await client.read_response()).startswith(b"a OK")
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = place.client_tls.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await client.send(outgoing.read())
                    incoming.write(await client.reader.read(65536))
            tls.write(b"b NOOP\r\n")
            await client.send(outgoing.read())
            answer = b""
            while not answer.endswith(b"\r\n"):
                try:
                    answer += tls.read()
                except ssl.SSLWantReadError:
                    incoming.write(await client.reader.read(65536))
            assert answer.startswith(b"b OK")
            await client.close()

    asyncio.run(run())


def test_wrong_password_and_plain(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            client = await place.connect()
            (answer,) = await client.command("LOGIN amal wrong")
            assert b" NO [AUTHENTICATIONFAILED]" in answer
            await client.send(b"p AUTHENTICATE PLAIN\r\n")
            assert await client.read_response() == b"+ "
            word = base64.b64encode(b"\0amal\0" + PASSWORD.encode())
            await client.send(word + b"\r\n")
            assert b"p OK [CAPABILITY IMAP4rev1 " in await client.read_response()
            await client.close()

    asyncio.run(run())


def test_a_message_in_parts(store: Store, tmp_path: Path) -> None:
    make_reader(store)
    inner = b"Subject: inner\r\nFrom: b@south.test\r\n\r\nthe inner text\r\n"
    message = (
        b"Subject: outer\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\npreamble\r\n'
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nfirst\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b\r\n"
        b"Content-Type: application/pdf; name*=utf-8''%D8%B1.pdf\r\n"
        b"Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"AAAA\r\n--b--\r\n"
    )

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            assert b"[APPENDUID " in await imap.append("INBOX", message)
            await imap.ok("SELECT INBOX")
            want = {
                "BODY[1]": b"first",
                "BODY[1.MIME]": b"Content-Type: text/plain; charset=utf-8\r\n\r\n",
                "BODY[2]": inner,
                "BODY[2.HEADER]": b"Subject: inner\r\nFrom: b@south.test\r\n\r\n",
                "BODY[2.TEXT]": b"the inner text\r\n",
                "BODY[2.1]": b"the inner text\r\n",
                "BODY[2.HEADER.FIELDS (FROM)]": b"From: b@south.test\r\n\r\n",
                "BODY[HEADER.FIELDS.NOT (MIME-Version Content-Type)]": b"Subject: outer\r\n\r\n",
                "BODY[3]": b"AAAA",
                "BODY[]": message,
                "BODY[TEXT]": message.partition(b"\r\n\r\n")[2],
                "RFC822.HEADER": message.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
            }
            for item, content in want.items():
                lines = await imap.ok(f"FETCH 1 ({item})")
                assert list(literals(lines[0])) == [content], item
                assert b" " + item.encode() + b" {" in lines[0].replace(b"(", b" ", 1).replace(
                    b"* 1 FETCH  ", b" "
                ), item
            lines = await imap.ok("FETCH 1 BODY[]<8.5>")
            assert b" (BODY[]<8> {5}\r\n" in lines[0]
            assert list(literals(lines[0])) == [message[8:13]]
            assert b'BODY[]<99999> ""' in (await imap.ok("FETCH 1 BODY[]<99999.5>"))[0]
            assert b"BODY[7] NIL" in (await imap.ok("FETCH 1 BODY[7]"))[0]
            (line, _) = await imap.ok("FETCH 1 BODYSTRUCTURE")
            assert line == (
                b'* 1 FETCH (BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "7BIT" 5 0 '
                b'NIL NIL NIL NIL)("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 54 (NIL "inner" '
                b'((NIL NIL "b" "south.test")) ((NIL NIL "b" "south.test")) '
                b'((NIL NIL "b" "south.test")) NIL NIL NIL NIL NIL) '
                b'("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 16 1 NIL NIL NIL NIL) 4 '
                b'NIL NIL NIL NIL)("APPLICATION" "PDF" ("NAME*" "utf-8\'\'%D8%B1.pdf") NIL NIL '
                b'"BASE64" 4 NIL ("ATTACHMENT" NIL) NIL NIL) "MIXED" ("BOUNDARY" "b") NIL NIL NIL))'
            )

    asyncio.run(run())


def test_envelope_and_flags_change_by_reading(store: Store, tmp_path: Path) -> None:
    amal = make_reader(store)
    deliver(store, amal)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            lines = await imap.ok("SELECT INBOX")
            assert b"* 1 EXISTS" in lines
            assert b"* OK [UNSEEN 1] first unseen message" in lines
            lines = await imap.ok("FETCH 1 (ENVELOPE INTERNALDATE)")
            assert lines[0] == (
                b'* 1 FETCH (ENVELOPE ("Mon, 23 Nov 2026 12:00:00 +0300" '
                b'"=?utf-8?B?2LHYs9in2YTYqQ==?=" '
                b'(("=?utf-8?B?2LPYp9mF2Yo=?=" NIL "sami" "south.test")) '
                b'(("=?utf-8?B?2LPYp9mF2Yo=?=" NIL "sami" "south.test")) '
                b'(("=?utf-8?B?2LPYp9mF2Yo=?=" NIL "sami" "south.test")) '
                b'((NIL NIL "amal" "north.test")) NIL NIL NIL "<1@south.test>") '
                b"INTERNALDATE " + format_date_time(1_700_000_000_000) + b")"
            )
            lines = await imap.ok("FETCH 1 BODY[TEXT]")
            assert lines[0].startswith(rb"* 1 FETCH (FLAGS (\Seen \Recent) BODY[TEXT] {")
            lines = await imap.ok("NOOP")
            assert len(lines) == 1, "its own change is not told again"
            await imap.ok("EXAMINE INBOX")
            assert b" NO " in (await imap.command(r"STORE 1 +FLAGS (\Flagged)"))[-1]

    asyncio.run(run())
