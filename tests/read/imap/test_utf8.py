"""Where text that is not ASCII may stand in what a client is sent. (RFC 9755, RFC 9051)"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from kit.imap import ImapClient, imap_place, literals, make_reader
from kit.store import running
from zajil.store.engine.open import Store

NAME = "مجلد"
MESSAGE = (
    'From: أمل <أمل@شمال.test>\r\nTo: "Zoë" <z@x.test>\r\nSubject: سلام\r\n'
    "Message-ID: <é@x.test>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    '--b\r\nContent-Type: text/plain; name="ملف.txt"\r\nContent-Description: وصف\r\n'
    'Content-Disposition: attachment; filename="ملف.txt"\r\n\r\nنص\r\n'
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: داخل\r\n\r\nx\r\n--b--\r\n"
).encode()
LATIN = b"From: J\xf6rg <j@x.test>\r\nSubject: gr\xfc\xdfe\r\n\r\nx\r\n"
ITEMS = "(ENVELOPE BODY BODYSTRUCTURE PREVIEW BODY[HEADER.FIELDS (SUBJECT)])"


async def answers(client: ImapClient, name: str) -> list[bytes]:
    """All that is sent to a client that asks for texts and names, without the literals."""
    lines = await client.ok(f'SELECT "{name}"')
    for command in (
        *(f"FETCH 1:* {ITEMS}", 'LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES))', 'LSUB "" "*"'),
        *(f'STATUS "{name}" (MESSAGES)', f'GETACL "{name}"', f'MYRIGHTS "{name}"'),
        *(f'GETMETADATA "{name}" /private/comment', f'GETQUOTAROOT "{name}"', "NAMESPACE"),
    ):
        lines += await client.ok(command)
    rest: list[bytes] = []
    for line in lines:
        for literal in literals(line):
            line = line.replace(b"\r\n" + literal, b"\r\n", 1)
        rest.append(line)
    return rest


async def fill(client: ImapClient) -> None:
    """A mailbox with a name, a note and messages that are not ASCII."""
    await client.ok("CREATE &BkUGLAZEBi8-")
    await client.ok("SUBSCRIBE &BkUGLAZEBi8-")
    note = "ملاحظة".encode()
    head = b"SETMETADATA &BkUGLAZEBi8- (/private/comment {%d+}\r\n" % len(note)
    await client.ok(head + note + b")")
    for message in (MESSAGE, LATIN):
        await client.append("&BkUGLAZEBi8-", message)


def test_literals_alone(store: Store, tmp_path: Path) -> None:
    """A client that enabled nothing: every byte outside of a literal is ASCII."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await fill(client)
            for _ in range(2):  # from the bytes, and from the summaries
                sent = await answers(client, "&BkUGLAZEBi8-")
                assert all(line.isascii() for line in sent), sent
                assert sum(line.count(b'"&BkUGLAZEBi8-"') for line in sent) >= 5

    asyncio.run(run())


@pytest.mark.parametrize("extension", ["UTF8=ACCEPT", "IMAP4rev2"])
def test_utf8_in_quoted_strings(store: Store, tmp_path: Path, extension: str) -> None:
    """Names are quoted in UTF-8; what is in quotes is UTF-8, also where a message is not."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await fill(client)
            await client.ok(f"ENABLE {extension}")
            text = b"\r\n".join(await answers(client, NAME)).decode("utf-8")
            assert text.count(f'"{NAME}"') >= 5
            assert "&BkUGLAZEBi8-" not in text

    asyncio.run(run())


@pytest.mark.parametrize("extension", ["UTF8=ACCEPT", "IMAP4rev2"])
def test_bad_utf8(store: Store, tmp_path: Path, extension: str) -> None:
    """BAD, for what is no UTF-8 in a quoted string. (RFC 9755 section 3)"""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.ok(f"ENABLE {extension}")
            await client.ok("SELECT INBOX")
            for command in (
                *(b'CREATE "a\xff"', b'SELECT "\xc3"', b'LIST "" "\xed\xa0\x80*"'),
                *(b'SEARCH SUBJECT "\xc0\xaf"', b'RENAME INBOX "\xf5\x80\x80\x80"'),
            ):
                assert re.search(rb" BAD ", (await client.command(command))[-1]), command
                await client.ok("NOOP")

    asyncio.run(run())


def test_only_commands_that_need_a_charset_name_one(store: Store, tmp_path: Path) -> None:
    """SORT and THREAD name UTF-8; SEARCH names none. (RFC 9755 section 3)"""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.ok("SELECT INBOX")
            await client.ok("ENABLE UTF8=ACCEPT")
            for command in ("SORT (DATE) UTF-8 ALL", "UID THREAD REFERENCES utf-8 ALL"):
                await client.ok(command)
            for command in (
                *("SORT (DATE) US-ASCII ALL", "THREAD REFERENCES US-ASCII ALL"),
                *("SEARCH CHARSET UTF-8 ALL", "ESEARCH IN (personal) CHARSET UTF-8 ALL"),
            ):
                assert b" BAD " in (await client.command(command))[-1], command

    asyncio.run(run())
